"""Synthesis figures as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.sites import CARRY4_SITES
from lognet_fpga.synth.paths import PathEstimate

LUT_CELLS = {"LUT1": 1, "LUT2": 1, "LUT3": 1, "LUT4": 1, "LUT5": 1, "LUT6": 1, "INV": 1}
SRL_CELLS = {"SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1}
LUTRAM_CELLS = {
    "RAM32X1S": 1,
    "RAM64X1S": 1,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1S": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
    "RAM32M": 4,
    "RAM64M": 4,
}
FF_CELLS = {name + edge: 1 for name in ("FDRE", "FDSE", "FDCE", "FDPE") for edge in ("", "_1")}
BRAM36_CELLS = {"RAMB36E1": 1.0, "RAMB18E1": 0.5, "FIFO36E1": 1.0, "FIFO18E1": 0.5}


@dataclass(frozen=True)
class PartCounts:
    """cells: cell type -> count, as Yosys gives it.

    carry_luts: LUTs that drive a carry chain, and so share its sites.  lut_pairs: pairs of other LUTs with at most
    five inputs, those of one among those of the other, which place-and-route puts into one LUT6 site and Yosys never
    does: the sum and the carry of a serial adder are such a pair.  lone_ffs: flip-flops that need a bypass input of a
    position (synth.positions).  dual_sites: sites of two LUTs with a register behind each, which have no bypass to
    give.  control_sets: clock, enable and reset that flip-flops of a slice have in common, but for the clock alone.
    """

    cells: tuple[tuple[str, int], ...]
    carry_luts: int
    lut_pairs: int
    lone_ffs: int = 0
    dual_sites: int = 0
    control_sets: int = 0

    def _sum(self, weights: Mapping[str, float]) -> float:
        return sum(count * weights.get(name, 0) for name, count in self.cells)

    @property
    def logic_luts(self) -> int:
        return int(self._sum(LUT_CELLS))

    @property
    def srl(self) -> int:
        return int(self._sum(SRL_CELLS))

    @property
    def lutram(self) -> int:
        """LUTs used as memory, not counting shift registers."""
        return int(self._sum(LUTRAM_CELLS))

    @property
    def m_lut(self) -> int:
        """LUTs that only M slices have: memory and shift registers."""
        return self.srl + self.lutram

    @property
    def lut(self) -> int:
        """LUTs as Yosys counts them: logic, shift registers and memory."""
        return self.logic_luts + self.srl + self.lutram

    @property
    def lut_sites(self) -> int:
        """Estimate of the LUT6 sites after placement: pairs merged, each bit of a carry chain taking a site."""
        free = self.logic_luts - self.carry_luts - self.lut_pairs
        return round(free + self.m_lut + CARRY4_SITES * self.carry4)

    @property
    def positions(self) -> int:
        """Of slices: LUT sites, and as many more as lone flip-flops find no bypass at those.  What a slice loses to its
        control set is not in it."""
        return round(self.resources.positions)

    @property
    def ff(self) -> int:
        return int(self._sum(FF_CELLS))

    @property
    def carry4(self) -> int:
        return int(self._sum({"CARRY4": 1}))

    @property
    def muxf(self) -> int:
        return int(self._sum({"MUXF7": 1, "MUXF8": 1}))

    @property
    def bram36(self) -> float:
        return self._sum(BRAM36_CELLS)

    @property
    def dsp(self) -> int:
        return int(self._sum({"DSP48E1": 1}))

    @property
    def resources(self) -> Resources:
        """lut: the estimate after placement, which is what a board's LUT count means."""
        return Resources(self.lut_sites, self.ff, self.bram36, self.m_lut, self.lone_ffs, self.dual_sites)

    def __add__(self, other: PartCounts) -> PartCounts:
        cells = Counter(dict(self.cells))
        cells.update(dict(other.cells))
        return PartCounts(
            tuple(sorted(cells.items())),
            self.carry_luts + other.carry_luts,
            self.lut_pairs + other.lut_pairs,
            self.lone_ffs + other.lone_ffs,
            self.dual_sites + other.dual_sites,
            self.control_sets + other.control_sets,
        )

    def to_json(self) -> dict[str, Any]:
        """The raw counts and the figures that follow from them."""
        return {
            "cells": dict(self.cells),
            "carry_luts": self.carry_luts,
            "lut_pairs": self.lut_pairs,
            "lut": self.lut,
            "lut_sites": self.lut_sites,
            "m_lut": self.m_lut,
            "ff": self.ff,
            "lone_ffs": self.lone_ffs,
            "dual_sites": self.dual_sites,
            "positions": self.positions,
            "control_sets": self.control_sets,
            "bram36": self.bram36,
            "dsp": self.dsp,
            "carry4": self.carry4,
            "muxf": self.muxf,
            "srl": self.srl,
            "lutram": self.lutram,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PartCounts:
        own = (data[name] for name in ("carry_luts", "lut_pairs", "lone_ffs", "dual_sites", "control_sets"))
        return cls(tuple(sorted(data["cells"].items())), *own)


@dataclass(frozen=True)
class SynthesisReport:
    """parts: (part name, its counts), paths: (part name, its longest path), in the design's order.  tool: Yosys'
    version."""

    parts: tuple[tuple[str, PartCounts], ...]
    paths: tuple[tuple[str, PathEstimate], ...]
    tool: str

    @property
    def total(self) -> PartCounts:
        return sum((counts for _, counts in self.parts), PartCounts((), 0, 0))

    def to_json(self) -> dict[str, Any]:
        return {
            "tool": self.tool,
            "parts": {name: counts.to_json() for name, counts in self.parts},
            "total": self.total.to_json(),
            "longest_paths": {name: path.to_json() for name, path in self.paths},
        }

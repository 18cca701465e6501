"""Synthesize and simulate every circuit of the study, and put the figures together."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.cost.circuits.lane import array_leaf, memory_leaf, sequencer_leaf
from lognet_fpga.cost.circuits.shape import PORT_BITS, LaneShape
from lognet_fpga.cost.stimulus import activations, gaussian_weights, port_values
from lognet_fpga.errors import UsageError, VerificationError
from lognet_fpga.hw.structure import Leaf
from lognet_fpga.machine.cache import cached, digest
from lognet_fpga.machine.provenance import made_by
from lognet_fpga.machine.tools import find_yosys
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.synth.activity import Activity, simulate
from lognet_fpga.synth.cells import count_netlist
from lognet_fpga.synth.power import SERIES7, PowerModel
from lognet_fpga.synth.synthesis import PartCounts
from lognet_fpga.synth.yosys import netlist_key, netlist_of

CLK_MHZ = 100.0
MIN_COLS, MAX_COLS = 512, 65_536  # Yosys makes shallower memories of LUTs
NO_DSP = "-nodsp"  # the multiplier of a linear weight is to be compared in LUTs
_TRIALS, _CYCLES, _SEED = 16, 512, 1


@dataclass(frozen=True)
class CostConfig:
    """bits: widths of a weight, each 1..8; 1 is always studied, for all is relative to it.  rows, cols: of the matrix.

    Raises UsageError.
    """

    bits: tuple[int, ...] = tuple(range(1, PORT_BITS + 1))
    rows: int = 512
    cols: int = 4096

    def __post_init__(self) -> None:
        if not self.bits or not all(1 <= bits <= PORT_BITS for bits in self.bits):
            raise UsageError(f"weights must have 1 to {PORT_BITS} bits, not {', '.join(map(str, self.bits)) or 'none'}")
        if self.rows < 1:
            raise UsageError(f"the matrix must have at least one row, not {self.rows}")
        if not MIN_COLS <= self.cols <= MAX_COLS:
            raise UsageError(
                f"the matrix must have {MIN_COLS} to {MAX_COLS:,} columns, not {self.cols:,}",
                hint="a memory with fewer words is not made of block RAM, which this study is about",
            )

    @property
    def shapes(self) -> tuple[LaneShape, ...]:
        wide = sorted(set(self.bits) - {1})
        return (
            LaneShape("binary", 1, self.cols),
            *(LaneShape(kind, bits, self.cols) for kind in ("linear", "log2", "log-domain") for bits in wide),
        )


@dataclass(frozen=True)
class CostPoint:
    """One circuit.  array, memory: counts of one lane; sequencer: counts, needed once; activity: of one lane's
    array."""

    shape: LaneShape
    rows: int
    array: PartCounts
    memory: PartCounts
    sequencer: PartCounts
    activity: Activity
    model: PowerModel = SERIES7

    @property
    def lanes(self) -> int:
        """Lanes, each with a block RAM port, that sum all rows at the same time."""
        return -(-self.rows // self.shape.pes)

    @property
    def lane(self) -> PartCounts:
        return self.array + self.memory

    @property
    def lut(self) -> int:
        """All rows at the same time."""
        return self.lanes * self.lane.lut + self.sequencer.lut

    @property
    def lut_sites(self) -> int:
        return self.lanes * self.lane.lut_sites + self.sequencer.lut_sites

    @property
    def ff(self) -> int:
        return self.lanes * self.lane.ff + self.sequencer.ff

    @property
    def bram36(self) -> float:
        return self.lanes * self.memory.bram36

    @property
    def lane_array_mw(self) -> float:
        """Estimated power of a lane's LUTs, flip-flops, routing and clock."""
        return self._mw(self.model.array_pj(self.activity) + self.model.clock_pj(self.array.ff))

    @property
    def lane_quiet_array_mw(self) -> float:
        """The same if there were no glitches."""
        return self._mw(self.model.array_pj(self.activity, glitches=False) + self.model.clock_pj(self.array.ff))

    @property
    def lane_memory_mw(self) -> float:
        """Estimated power of reading a lane's block RAM in every cycle; where it has several, all of them are read."""
        return self._mw(math.ceil(self.memory.bram36) * self.model.read_pj((self.shape.cols - 1).bit_length()))

    @property
    def lane_mw(self) -> float:
        return self.lane_array_mw + self.lane_memory_mw

    @property
    def power_mw(self) -> float:
        """Estimated dynamic power, all rows at the same time."""
        return self.lanes * self.lane_mw

    @property
    def energy_uj(self) -> float:
        """Estimated dynamic energy of one product of the whole matrix; the same for any number of lanes."""
        return self.power_mw * self.shape.cycles / CLK_MHZ / 1000

    def _mw(self, pj_a_cycle: float) -> float:
        return pj_a_cycle * CLK_MHZ / 1000


@dataclass(frozen=True)
class Study:
    """points: binary first.  tool: Yosys' version."""

    config: CostConfig
    points: tuple[CostPoint, ...]
    tool: str

    @property
    def reference(self) -> CostPoint:
        """1 bit."""
        return self.points[0]

    def point(self, kind: str, bits: int) -> CostPoint | None:
        """The circuit of this kind, that of 1 bit being the same for all; None if it was not studied."""
        if bits == 1:
            return self.reference
        return next((p for p in self.points if (p.shape.kind, p.shape.bits) == (kind, bits)), None)


def run_study(config: CostConfig, progress: Progress = NoProgress(), jobs: int = 2) -> Study:
    """Synthesize all circuits with Yosys, `jobs` side by side, and simulate their netlists; both from the cache if
    they are in it.

    Raises MissingToolError, ToolError, or VerificationError when a netlist does not give the sums that it should.
    """
    tool = find_yosys()
    shapes = config.shapes
    with progress.stage("synthesize and simulate") as stage, ThreadPoolExecutor(max(1, jobs)) as pool:
        shared = {leaf.name: leaf for shape in shapes for leaf in (memory_leaf(shape), sequencer_leaf(shape))}
        # MyHDL converts one block at a time.
        texts = {leaf.name: verilog_files(leaf) for leaf in (*shared.values(), *map(array_leaf, shapes))}
        counts = {pool.submit(_counts, leaf, texts[leaf.name]): name for name, leaf in shared.items()}
        arrays = {pool.submit(_array, shape, texts[array_leaf(shape).name]): shape for shape in shapes}
        try:
            tasks: list[Future[Any]] = [*counts, *arrays]
            for done, task in enumerate(as_completed(tasks), 1):
                task.result()
                stage.update(done, len(counts) + len(arrays))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    found = {name: task.result() for task, name in counts.items()}
    points = tuple(
        CostPoint(
            shape,
            config.rows,
            task.result()[0],
            found[memory_leaf(shape).name],
            found[sequencer_leaf(shape).name],
            task.result()[1],
        )
        for task, shape in arrays.items()
    )
    return Study(config, points, tool.version)


def _counts(leaf: Leaf, files: Sequence[tuple[str, str]]) -> PartCounts:
    def make(folder: Path) -> None:
        netlist = _netlist(leaf, files, folder)
        (folder / "counts.json").write_text(json.dumps(count_netlist(netlist, leaf.name).to_json()), encoding="utf-8")

    key = digest(made_by(__name__, "numpy"), "counts", netlist_key(files, leaf.name, NO_DSP))
    return PartCounts.from_json(json.loads(cached("cost", key, make)["counts.json"]))


def _array(shape: LaneShape, files: Sequence[tuple[str, str]]) -> tuple[PartCounts, Activity]:
    leaf = array_leaf(shape)
    key = digest(made_by(__name__, "numpy"), "array", repr(shape), netlist_key(files, leaf.name, NO_DSP))

    def make(folder: Path) -> None:
        netlist = _netlist(leaf, files, folder)
        found = {
            "counts": count_netlist(netlist, leaf.name).to_json(),
            "activity": measure_activity(shape, netlist).to_json(),
        }
        (folder / "array.json").write_text(json.dumps(found), encoding="utf-8")

    found = json.loads(cached("cost", key, make)["array.json"])
    return PartCounts.from_json(found["counts"]), Activity(**found["activity"])


def _netlist(leaf: Leaf, files: Sequence[tuple[str, str]], folder: Path) -> dict:
    scratch = folder / "scratch"
    scratch.mkdir()
    netlist = netlist_of(files, leaf.name, scratch, NO_DSP)
    shutil.rmtree(scratch)
    return netlist


def measure_activity(shape: LaneShape, netlist: dict) -> Activity:
    """Run random products through an array's netlist and check its sums.  Raises VerificationError."""
    rng = np.random.default_rng(_SEED)
    cycles = min(shape.cols, _CYCLES)
    codes = gaussian_weights(shape, rng, (_TRIALS, shape.pes, cycles))
    x = activations(shape, rng, (_TRIALS, cycles))
    activity, outputs = simulate(netlist, array_leaf(shape).name, port_values(shape, codes, x))
    for trial in range(_TRIALS):
        bits = outputs["sums"][trial].reshape(shape.pes, shape.sum_bits)
        sums = [int("".join(map(str, reversed(row))), 2) for row in bits.tolist()]
        if sums != shape.sums(codes[trial], x[trial]):
            raise VerificationError(
                f"the netlist of the {shape.bits}-bit {shape.kind} array gives wrong sums", context=(f"trial {trial}",)
            )
    return activity

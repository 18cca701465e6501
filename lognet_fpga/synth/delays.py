"""The delays that `synth.paths` adds up: cells of a 7-series part of the slowest speed grade (-1), and guessed nets.

Cells: block RAM as in AMD's data sheet DS189 (the Spartan-7, made of the same blocks as an XC7Z020), table 30; the
others as in the `specify` blocks of Yosys' techlibs/xilinx/cells_sim.v, which come from Project X-Ray's timing database
of the Artix-7, each at the latest of its pins; a flip-flop's clock to output and setup times are those that Vivado
reports for a Zynq-7000 -1, which are later.  A LUT is 0.12 ns from its fast pins, 0.33 ns from its slow ones.

Nets: fitted to two things.  The 21 nets of two longest paths in public Vivado reports of routed Zynq-7000 -1 designs,
whose sums the model meets within 5% (tests/build/test_paths.py has one of them): 0.44 to 1.19 ns for one or two loads,
0.84 to 1.15 for three to seven, 1.33 for 62.  And one net of 6,761 loads in a routed layer of this engine: 5.1 ns.
Clock skew and uncertainty, 0.1 to 0.3 ns, are not in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

PIPELINE_NS = 0.52  # a flip-flop's clock to output; also how late a signal comes in from another part
LUT_NS = 0.22
_BRAM_NS, _BRAM_REGISTER_NS = 2.46, 0.89  # a block RAM's clock to output, without and with its output register
_CLOCK_TO_OUTPUT_NS = {"FD": PIPELINE_NS, "SRL": 1.6, "RAMB": _BRAM_NS, "RAM": 1.3, "DSP": 0.5}
_CONTROL_SETUP_NS = {"CE": 0.21, "R": 0.43, "S": 0.43, "CLR": 0.43, "PRE": 0.43}
_CARRY_NS = {("CI", "CO"): 0.12, ("CI", "O"): 0.33, ("S", "CO"): 0.55, ("S", "O"): 0.62}


def net_ns(loads: int) -> float:
    """A guess of a net's delay: 0.6 ns to one load, 0.2 ns more for each doubling, above 128 loads ever more."""
    doublings = math.log2(max(1, loads))
    return 0.6 + max(0.2 * doublings, 0.028 * doublings**2)


def is_combinational(kind: str) -> bool:
    """LUT memories are read without a clock."""
    return kind.startswith(("LUT", "INV", "CARRY4", "MUXF", "BUF")) or is_lut_memory(kind)


def is_lut_memory(kind: str) -> bool:
    return kind.startswith("RAM") and not kind.startswith("RAMB")


def is_lut_memory_address(kind: str, port: str) -> bool:
    """Whether what a LUT memory shows follows this input at once.  A is read and written, D.. are written."""
    return is_lut_memory(kind) and port.startswith(("ADDR", "A", "DPRA"))


def clock_to_output_ns(kind: str, parameters: Mapping[str, str] = {}) -> float:
    """parameters: of the cell, for a block RAM's output register."""
    if kind.startswith("RAMB") and any(int(parameters.get(f"DO{port}_REG", "0"), 2) for port in "AB"):
        return _BRAM_REGISTER_NS
    return next((ns for start, ns in _CLOCK_TO_OUTPUT_NS.items() if kind.startswith(start)), PIPELINE_NS)


def setup_ns(kind: str, port: str) -> float:
    if kind.startswith("RAMB"):
        return 0.57 if port.startswith("ADDR") else 0.74
    if is_lut_memory(kind):
        return 0.65 if port == "WE" else 0.46
    if kind.startswith("SRL"):
        return 0.65 if port == "CE" else 0.17
    return _CONTROL_SETUP_NS.get(port, 0.1)


def cell_ns(kind: str, port: str, out: str) -> float:
    """Through a combinational cell, from an input to an output."""
    if kind == "CARRY4":
        return _CARRY_NS["CI" if port == "CI" else "S", out]
    if kind.startswith("MUXF"):
        return 0.4 if port == "S" else 0.3
    return LUT_NS


def within_slice(source: str | None, kind: str, port: str, loads: int) -> bool:
    """Whether a net from a cell of kind source (None: from another part) to this input never leaves a slice.

    Those of a chain of carries or multiplexers cannot; placement always keeps a LUT or a carry with the flip-flop or
    the carry that is its only load.
    """
    if source is None or not source.startswith(("LUT", "INV", "CARRY4", "MUXF")):
        return False
    if kind == "CARRY4":
        return port == "CI" or loads == 1
    if kind.startswith("MUXF"):
        return port != "S"
    return loads == 1 and kind.startswith("FD") and port == "D"

"""Generated Verilog in Verilator against golden.onnx in onnxruntime, on a matrix of small nets.

Every case runs twice: free, where latency and cycles per frame must equal the plan, and from a random state with idles
and stalls.
"""

from __future__ import annotations

import pytest
from myhdl import always, always_comb, block

from lognet_fpga.codegen import generate
from lognet_fpga.engines.clb.blocks import adder_wiring
from lognet_fpga.engines.clb.blocks.digit_blocks import FULL_SUBTRACTORS
from lognet_fpga.hw.structure import Lanes
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.graph import AveragePool, MaxPool
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.verify.check import FREE, verify
from lognet_fpga.verify.verdict import Verdict
from tests.quant_models import POOL_3X3, SPEEDS, Spec, frame_cycles, make_plan, random_frames, random_graph, solved
from tests.shallow import shallow

FRAMES = 6
NETS = {
    "two layers": ((3, 8, 8), Spec(4), Spec(5)),
    "odd pads": ((3, 8, 7), Spec(4, odd_pad=True), Spec(5, pads=(1, 0, 0, 1))),
    "5x5 then 1x1": (
        (1, 9, 7),
        Spec(4, (5, 5), pads=(2, 2, 2, 2), odd_pad=True),
        Spec(5, (1, 1), pads=(0, 0, 0, 0), pool=None),
    ),
    "stride, 3x3 pool": (
        (2, 17, 15),
        Spec(4, stride=(2, 2), pads=(0, 1, 1, 0), pool=None),
        Spec(3, (3, 2), pads=(0, 0, 0, 0), pool=POOL_3X3),
    ),
    "four bits": ((3, 8, 10), Spec(6, out_bits=4), Spec(9, pool=None, out_bits=4), Spec(3, out_bits=4)),
    "no pads": ((3, 10, 10), Spec(4, pads=(0, 0, 0, 0)), Spec(5, pads=(0, 0, 0, 0), pool=None)),
    "ten channels": ((10, 6, 6), Spec(12), Spec(7)),
    "padded pools": (
        (3, 9, 9),
        Spec(4, pool=MaxPool((3, 3), (2, 2), (1, 1, 1, 1)), odd_pad=True),
        Spec(5, pool=MaxPool((2, 2), (2, 2), (0, 0, 1, 1))),
    ),
    "averages": (
        (2, 11, 10),
        Spec(4, pool=AveragePool((2, 2), (2, 2))),
        Spec(3, pool=AveragePool((4, 2), (1, 2), (1, 0, 2, 1)), out_bits=4),
    ),
    "averages with bits of their own": (
        (2, 11, 10),
        Spec(4, pool=AveragePool((2, 2), (2, 2)), out_bits=4, average_bits=5, average_drop=0),
        Spec(3, pool=AveragePool((3, 2), (2, 1)), out_bits=4, average_bits=7),
        Spec(4, (1, 1), pads=(0,) * 4, pool=AveragePool((2, 4), (2, 4)), out_bits=4, average_bits=8, average_drop=0),
    ),
    "averages of what is inside": (
        (2, 10, 10),
        Spec(4, pool=AveragePool((3, 3), (2, 2), (0, 0, 1, 1), (0, 0, 1, 1)), out_bits=4, average_bits=6),
        Spec(3, pads=(0, 0, 1, 1), pool=AveragePool((5, 3), (2, 1), (2, 0, 1, 1), (2, 0, 1, 1))),
    ),
    "windows one by one": (
        (2, 13, 14),
        Spec(4, pool=MaxPool((3, 4), (3, 4))),
        Spec(3, pool=AveragePool((4, 3), (4, 3)), out_bits=4, average_bits=7),
    ),
    "a large frame's average": (
        (2, 13, 13),
        Spec(5, (1, 1), pads=(0,) * 4, pool=AveragePool((13, 13), (13, 13)), average_bits=8),
    ),
    "one layer": ((1, 6, 5), Spec(1, pool=None)),
    "1x1 all": ((4, 5, 6), Spec(3, (1, 1), pads=(0, 0, 0, 0), pool=None), Spec(9, (1, 1), pads=(0, 0, 0, 0))),
    "eight, then four bits": (
        (2, 9, 12),
        Spec(5, (3, 1), pads=(1, 0, 1, 0)),
        Spec(4, (1, 3), pads=(0, 1, 0, 1), pool=None, out_bits=4),
    ),
    "stride 2 with 2x2 pool": (
        (3, 16, 16),
        Spec(4, (5, 5), (2, 2), (2, 2, 2, 2)),
        Spec(6, pool=None),
        Spec(2, (1, 1), pads=(0, 0, 0, 0), pool=None),
    ),
    "pools that cut": (
        (5, 11, 13),
        Spec(3, pool=MaxPool((3, 3), (3, 3))),
        Spec(4, (2, 2), pads=(1, 1, 0, 0), pool=None, zeros=0.9),
    ),
}
QUICK = {("averages with bits of their own", "middle"), ("averages of what is inside", "fastest")}
QUICK |= {("windows one by one", "middle"), ("a large frame's average", "fastest")}
QUICK |= {("odd pads", "fastest"), ("four bits", "middle"), ("stride, 3x3 pool", "slowest"), ("5x5 then 1x1", "middle")}
CASES = [
    pytest.param(name, speed, marks=[] if (name, speed) in QUICK else pytest.mark.slow, id=f"{name}-{speed}")
    for name in NETS
    for speed in SPEEDS
]


@pytest.fixture(scope="module", autouse=True)
def tools(require_tool):
    for name in ("verilator", "g++", "onnxruntime"):
        require_tool(name)


def verdict_of(quant: QuantGraph, cycles: int, model_sha256: str = "ab" * 32) -> Verdict:
    plan = make_plan(solved(quant), cycles)
    design = shallow(generate, plan, model_sha256)
    return verify(design, quant, golden_onnx(quant), random_frames(quant, FRAMES, 1), plan)


@pytest.mark.parametrize("name,speed", CASES)
def test_no_bit_differs(name, speed):
    shape, *specs = NETS[name]
    quant = random_graph(len(name), shape, *specs)
    verdict = verdict_of(quant, frame_cycles(quant, speed))
    assert verdict.failures() == () and verdict.differing_bits == 0
    assert verdict.cycles.as_planned
    assert verdict.bits > 1000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_slots_with_time_to_spare(seed):
    """Slots longer than their sums, down to a FIFO of two places."""
    quant = random_graph(seed, (2, 9, 9), Spec(3, pool=MaxPool((3, 3), (3, 3))), Spec(2, pool=None))
    assert verdict_of(quant, (2 + seed) * frame_cycles(quant, "slowest")).failures() == ()


@block
def swapped_subtractors(clk, a, b, carry_in, total, carry_out):
    @always_comb
    def borrow():
        carry_out.next = (a & ~b) | (a & carry_in) | (~b & carry_in)

    @always(clk.posedge)
    def subtract():
        total.next = a ^ b ^ carry_in

    return borrow, subtract


@pytest.mark.parametrize("fault", ["late taps", "swapped operands"])
def test_a_fault_in_the_hardware_is_found(fault, monkeypatch):
    # The cache of Verilog does not know of faults: a model hash of its own for each.
    model_sha256 = ("cd" if fault == "late taps" else "ef") * 32
    if fault == "late taps":
        monkeypatch.setattr(adder_wiring, "TAP_LATENCY", adder_wiring.TAP_LATENCY + 1)
    else:
        swapped = Lanes("swapped_subtractors", swapped_subtractors, FULL_SUBTRACTORS.ports)
        monkeypatch.setitem(adder_wiring.ADDERS, (True, True), swapped)
    quant = random_graph(1, (2, 5, 5), Spec(3, pool=None))
    verdict = verdict_of(quant, frame_cycles(quant, "middle"), model_sha256)
    assert not verdict.passed and verdict.differing_bits > 0
    first = verdict.first_difference
    assert first is not None and (first.level, first.layer) == (FREE, "conv1")

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from lognet_fpga.errors import VerificationError
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.verify.check import CHOKED, EXECUTION, FREE, NUMPY, SINK, STALLED, verify
from tests.verify.tiny_design import BEATS, SHAPE, tiny_design, tiny_frames, tiny_plan, tiny_quant

N_FRAMES = 30


@pytest.fixture(scope="module")
def golden(require_tool):
    require_tool("onnx")
    require_tool("onnxruntime")
    return golden_onnx(tiny_quant())


def test_a_right_design_passes(golden):
    verdict = verify(tiny_design(), tiny_quant(), golden, tiny_frames(N_FRAMES, 1), tiny_plan())
    assert verdict.passed and verdict.failures() == ()
    verdict.require()
    bits = N_FRAMES * int(np.prod(SHAPE)) * 4
    assert [(c.level, c.layer, c.bits, c.differing_bits) for c in verdict.counts] == [
        (NUMPY, "conv1", bits, 0),
        (FREE, "conv1", bits, 0),
        (FREE, SINK, bits, 0),
        (STALLED, "conv1", bits, 0),
        (STALLED, SINK, bits, 0),
        (CHOKED, "conv1", bits // N_FRAMES * 2, 0),
        (CHOKED, SINK, bits // N_FRAMES * 2, 0),
    ]
    assert set(verdict.cycles.intervals) == {BEATS}
    assert json.loads(json.dumps(verdict.to_json()))["passed"] is True


def test_one_wrong_bit_is_found_and_placed(golden):
    design = tiny_design("4'd15 : sum1[6:3];", "4'd15 : sum1[6:3] ^ (sum1[6:3] == 4'd13);")
    frames = tiny_frames(N_FRAMES, 1)
    expected = tiny_quant().run(frames)
    frame, y, x = (int(value) for value in np.argwhere(expected[:, 1] == 13)[0])
    verdict = verify(design, tiny_quant(), golden, frames, tiny_plan())
    difference = verdict.first_difference
    assert difference is not None and (difference.level, difference.layer) == (FREE, "conv1")
    assert (difference.frame, difference.channel, difference.y, difference.x) == (frame, 1, y, x)
    assert (difference.expected, difference.got) == (13, 12)
    assert verdict.differing_bits == 4 * np.count_nonzero(expected[:, 1] == 13)
    with pytest.raises(VerificationError, match="expected 13, got 12(.|\n)*seed 1"):
        verdict.require()


def test_a_fault_that_only_stalls_show(golden):
    design = tiny_design("assign in_ready = count < 3;", "assign in_ready = 1;")
    verdict = verify(design, tiny_quant(), golden, tiny_frames(N_FRAMES, 1), tiny_plan())
    assert not verdict.passed
    levels = {count.level for count in verdict.counts if count.differing_bits}
    assert levels == {STALLED, CHOKED}


def test_a_control_register_without_reset_is_found(golden):
    design = tiny_design("wr <= 0; rd <= 0; count <= 0;", "count <= 0;")
    verdict = verify(design, tiny_quant(), golden, tiny_frames(N_FRAMES, 1), tiny_plan(), seed=2)
    assert not verdict.passed and {count.level for count in verdict.counts if count.differing_bits} == {STALLED}


@pytest.mark.parametrize(
    "plan,message",
    [
        (tiny_plan(latency_cycles=8), "latency: 7 cycles measured, 8 planned"),
        (tiny_plan(cycles_per_frame=7), "cycles per frame: 6 measured, 7 planned"),
    ],
    ids=["latency", "interval"],
)
def test_cycles_must_equal_the_plan(golden, plan, message):
    verdict = verify(tiny_design(), tiny_quant(), golden, tiny_frames(N_FRAMES, 1), plan)
    assert not verdict.passed and verdict.failures() == (message,)


def test_golden_of_another_model(golden):
    quant = tiny_quant()
    layer = dataclasses.replace(quant.layers[0], bias=np.array([4, 9]))
    other = dataclasses.replace(quant, layers=(layer,))
    verdict = verify(tiny_design(), other, golden, tiny_frames(N_FRAMES, 1), tiny_plan())
    assert verdict.first_difference is not None and verdict.first_difference.level == NUMPY


def test_a_wrong_execution_onnx(golden):
    """It is compared only where it is given, and found and named where it is another model's."""
    quant, frames = tiny_quant(), tiny_frames(2, 1)
    layer = dataclasses.replace(quant.layers[0], bias=np.array([4, 9]))
    for execution, passes in ((quant, True), (dataclasses.replace(quant, layers=(layer,)), False)):
        verdict = verify(
            tiny_design(), quant, golden, frames, tiny_plan(), execution=execution_onnx(execution), stalls=False
        )
        counts = [count for count in verdict.counts if count.level == EXECUTION]
        assert [(count.layer, count.bits) for count in counts] == [("conv1", 2 * int(np.prod(SHAPE)) * 4)]
        assert (counts[0].differing_bits == 0) == passes
        assert passes or (verdict.first_difference is not None and verdict.first_difference.level == EXECUTION)

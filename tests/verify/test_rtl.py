from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.errors import InputError, ToolError, UsageError
from lognet_fpga.verify import simulator
from lognet_fpga.verify.rtl import run_rtl
from lognet_fpga.verify.simulator import compile_simulator
from tests.verify.tiny_design import BEATS, LATENCY_CYCLES, tiny_design, tiny_frames, tiny_quant


@pytest.fixture(scope="module")
def executable():
    return compile_simulator(tiny_design())


@pytest.mark.parametrize("idle,stall", [(0, 0), (50, 0), (0, 50), (40, 40), (90, 90)])
def test_values_under_every_mix_of_pauses(executable, idle, stall):
    frames = tiny_frames(40, seed=idle + stall)
    expected = tiny_quant().run(frames)
    run = run_rtl(executable, tiny_design(), frames, idle_percent=idle, stall_percent=stall, seed=7, random_state=True)
    assert run.problems == () and run.tlast_ok
    np.testing.assert_array_equal(run.sink, expected)
    np.testing.assert_array_equal(run.activations["conv1"], expected)
    if idle == stall == 0:
        assert set(np.diff(run.last_out_cycle)) == {BEATS} == set(np.diff(run.first_in_cycle))
        assert set(run.last_out_cycle - run.first_in_cycle) == {LATENCY_CYCLES}
    else:
        assert run.cycles > 40 * BEATS * 1.2


def test_a_seed_repeats_the_same_run(executable):
    frames = tiny_frames(20, seed=3)
    cycles = [
        run_rtl(executable, tiny_design(), frames, idle_percent=30, stall_percent=30, seed=seed).last_out_cycle
        for seed in (5, 5, 6)
    ]
    assert np.array_equal(cycles[0], cycles[1]) and not np.array_equal(cycles[0], cycles[2])


def test_registers_are_read_in_the_end(executable):
    run = run_rtl(executable, tiny_design(), tiny_frames(2, seed=1), register_addresses=(0, 4, 0x7FC))
    assert run.registers == (0x1000, 0x1004, 0x17FC)


def test_compiled_once(executable, monkeypatch):
    monkeypatch.setattr(simulator, "run_tool", lambda *_: pytest.fail("a tool was run"))
    assert compile_simulator(tiny_design()) == executable


def test_deadlock_ends_and_is_told():
    design = tiny_design(
        "assign in_ready = count < 3;",
        """
  reg [4:0] taken;
  always @(posedge clk) if (rst) taken <= 0; else if (push) taken <= taken + 1;
  assign in_ready = count < 3 && taken < 20;""",
    )
    run = run_rtl(compile_simulator(design), design, tiny_frames(5, seed=1), cycle_cap=2000)
    assert len(run.sink) == 3 == len(run.last_out_cycle)
    assert run.problems[0].startswith("deadlock") and "20 of 30 given out" in run.problems[0]


def test_not_one_frame_came():
    design = tiny_design("assign in_ready = count < 3;", "assign in_ready = 0;")
    run = run_rtl(compile_simulator(design), design, tiny_frames(2, seed=1), cycle_cap=100)
    assert len(run.sink) == 0 == len(run.activations["conv1"]) and run.problems[0].startswith("deadlock")


@pytest.mark.parametrize(
    "old,new,message",
    [
        ("tlast = last[8];", "tlast = m_axis_tvalid;", "TLAST is 1 at beat 0 of frame 0"),
        ("tdata = last[7:0];", "tdata = m_axis_tready ? last[7:0] : 8'd0;", "changed or withdrawn"),
    ],
    ids=["tlast", "unstable"],
)
def test_breaches_of_the_stream_contract(old, new, message):
    design = tiny_design(old, new)
    run = run_rtl(compile_simulator(design), design, tiny_frames(10, seed=1), stall_percent=30)
    assert any(message in problem for problem in run.problems), run.problems


def test_bad_verilog_is_an_error_with_verilators_message():
    with pytest.raises(ToolError, match="Verilog to C\\+\\+.*failed(.|\n)*nowhere"):
        compile_simulator(tiny_design("assign m_axis_tlast = last[8];", "assign m_axis_tlast = nowhere;"))


def test_bad_arguments(executable):
    with pytest.raises(InputError, match="uint8 of shape"):
        run_rtl(executable, tiny_design(), np.zeros((2, 3, 3, 3), np.uint8))
    with pytest.raises(UsageError, match="stall_percent"):
        run_rtl(executable, tiny_design(), tiny_frames(2, seed=1), stall_percent=100)

# ruff: noqa: E501
"""The judge judged: overlays broken in one place each, which a case must find."""

from __future__ import annotations

import dataclasses

import pytest

from lognet_fpga.ir.design import VerilogDesign
from tests.conformance.overlays import overlay
from tests.conformance.simulation import build, simulate
from tests.shallow import shallow

SOURCE, SINK, REGISTERS, FIFO = "stream_entry.v", "stream_exit.v", "axil_registers.v", "layer1_fifo.v"

# What is broken: file, what stood there, what stands there now, and a case that fails.
BREAKS = {
    "no second register in the skid buffer": (SOURCE, "frames_skid_used ? frames_skid : 0", "0", "paused_frames"),
    "the entry is ready when full": (SOURCE, "(frames_ready && (!(1'b1 && frames_keeping)))", "frames_ready", "paused_frames"),
    "the entry is ready in reset": (SOURCE, "frames_ready <= 1'b0;", "frames_ready <= 1'b1;", "resets_by_the_register"),
    "the end of a frame is seen a beat early": (SOURCE, "(frames_beat == 28)", "(frames_beat == 27)", "steady_frames"),
    "the end of a frame is seen a beat late": (SOURCE, "(frames_beat == 28)", "(frames_beat == 29)", "steady_frames"),
    "short frames are not filled": (SOURCE, "filling <= 1'b1;", "filling <= 1'b0;", "short_and_long_frames"),
    "short frames are filled with old beats": (SOURCE, "frames_skid_used ? frames_skid : 0", "frames_skid", "short_and_long_frames"),
    "beats are taken and lost while a frame is filled": (SOURCE, "if ((rst || frames_closed)) begin", "if (rst) begin", "ragged_frames_in_a_row"),
    "the rest of a long frame is not dropped": (SOURCE, "frames_beat_drops = ((frames_dropping || frames_at_end) && (!frames_beat_ends))", "frames_beat_drops = 1'b0", "short_and_long_frames"),
    "a long frame is dropped for ever": (SOURCE, "((frames_dropping || frames_at_end) && (!frames_end_ends))", "frames_dropping", "short_and_long_frames"),
    "a long frame is not told": (SOURCE, "frame_long <= frames_long", "frame_long <= 1'b0", "short_and_long_frames"),
    "TLAST a beat early": (SINK, "(beat == 4)", "(beat == 3)", "steady_frames"),
    "results wait for ready": (SINK, "m_axis_tvalid = valid", "m_axis_tvalid = (valid && m_axis_tready)", "results_do_not_wait_for_ready"),
    "a stalled beat changes": (FIFO.replace("1", "2"), ".valid(last), .ready(out_ready)", ".valid(last), .ready(1'b1)", "paused_frames"),
    "the FIFO never says that it is full": (FIFO, "room = (level_excess < 0);", "room = 1'b1;", "results_do_not_wait_for_ready"),
    "a FIFO writes on where it was before a reset": (FIFO, "pointers_after_write <= (1 % 32);", "pointers_after_write <= pointers_after_write;", "resets_by_the_register"),
    "answers do not wait": (REGISTERS, "else if (s_axil_bready) begin", "else begin", "registers"),
    "data change while they wait": (REGISTERS, "if (read_steps[2]) begin\n        if (read_model)", "if (1'b1) begin\n        if (read_model)", "registers_under_traffic"),
    "strobes are ignored by status": (REGISTERS, "writes_status <= (write_strobed", "writes_status <= (writes", "short_and_long_frames"),
    "addresses are decoded in part": (REGISTERS, "read_address[10-1:4] == 0", "read_address[8-1:4] == 0", "registers"),
    "strobes are ignored by control": (REGISTERS, "writes_control <= (write_strobed", "writes_control <= (writes", "registers"),
    "status forgets": (REGISTERS, "(frame_short || (was_short && (!clear[0])))", "frame_short", "short_and_long_frames"),
    "status clears both bits at once": (REGISTERS, "(!clear[1])", "(clear == 0)", "short_and_long_frames"),
    "a soft reset ends at once": (REGISTERS, "if (told_to_reset) begin\n            reset_left <= 1023;", "if (told_to_reset) begin\n            reset_left <= 3;", "resets_by_the_register"),
    "a counter counts what it should not": (REGISTERS, "if (source_idle) begin", "if (1'b1) begin", "registers"),
}  # fmt: skip


def broken(design: VerilogDesign, name: str, old: str, new: str) -> VerilogDesign:
    """design with the first `old` in a file replaced."""
    text = dict(design.files)[name]
    assert old in text, f"{name} has no {old!r} any more"
    files = tuple((file, text.replace(old, new, 1) if file == name else body) for file, body in design.files)
    return dataclasses.replace(design, files=files)


def test_every_break_has_its_place():
    """So that a change of the hardware is not first noticed by the slow tests."""
    design = shallow(overlay, "serial").design
    assert all(broken(design, file, old, new) != design for file, old, new, _ in BREAKS.values())


@pytest.mark.slow
@pytest.mark.parametrize("what", BREAKS)
def test_a_break_is_found(what, tmp_path):
    file, old, new, case = BREAKS[what]
    made = shallow(overlay, "serial")
    executable = build(broken(made.design, file, old, new))
    outcome = simulate(executable, made.case(1, soak_frames=0), rf"\.{case}$", tmp_path)
    assert [*outcome.failures] == [case], outcome.log
    print(outcome.failures[case].splitlines()[0])

"""Every fault is found, named and survived."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lognet_fpga.runtime.board.diagnosis import Reason, TransferError
from lognet_fpga.runtime.simboard.faults import Fault
from tests import small_bundle

TIMEOUT_S = 0.01
SLACK_S = 0.002  # reading counters and two resets
REASONS = {
    Fault.SEND_HANGS: Reason.SOURCE_STARVED,
    Fault.OVERLAY_HANGS: Reason.OVERLAY_STUCK,
    Fault.RECEIVE_HANGS: Reason.SINK_STALLED,
    Fault.CLOCK_STOPS: Reason.CLOCK_STOPPED,
    Fault.TLAST_LOST: Reason.TLAST_LOST,
    Fault.TLAST_EARLY: Reason.TOO_SHORT,
    Fault.TLAST_MISPLACED: Reason.TLAST_MISPLACED,
    Fault.INPUT_LOST: Reason.INPUT_LOST,
    Fault.RESULT_TOO_LONG: Reason.TOO_LONG,
    Fault.SEND_SLAVE_ERROR: Reason.MEMORY_ERROR,
    Fault.SEND_DECODE_ERROR: Reason.NO_MEMORY,
    Fault.RECEIVE_SLAVE_ERROR: Reason.MEMORY_ERROR,
    Fault.RECEIVE_DECODE_ERROR: Reason.NO_MEMORY,
    Fault.SEND_HALTED: Reason.HALTED,
}
TIMED_OUT = {
    Fault.SEND_HANGS,
    Fault.OVERLAY_HANGS,
    Fault.RECEIVE_HANGS,
    Fault.CLOCK_STOPS,
    Fault.TLAST_LOST,
    Fault.INPUT_LOST,
}


@pytest.fixture(autouse=True)
def in_virtual_time(virtual_time):
    pass


def expected(frames: np.ndarray) -> np.ndarray:
    return small_bundle.quant_graph().run(frames).transpose(0, 2, 3, 1)


def test_every_fault_of_a_transfer_is_listed():
    assert set(REASONS) == set(Fault) - {Fault.WRONG_MODEL, Fault.SLOW_SINK}


@pytest.mark.parametrize("fault", REASONS, ids=lambda fault: fault.name)
def test_a_fault_is_named_and_the_next_frame_is_right(make_overlay, virtual_time, fault):
    board, overlay = make_overlay(timeout_s=TIMEOUT_S, faults=[None, fault])
    frames = small_bundle.frames(6)
    overlay.run(frames)
    begin = virtual_time.now
    with pytest.raises(TransferError) as caught:
        overlay.run(frames)
    assert virtual_time.now - begin < TIMEOUT_S + SLACK_S
    error = caught.value
    assert error.reason is REASONS[fault]
    assert (error.state.timeout_s == TIMEOUT_S) == (fault in TIMED_OUT)
    text = str(error)
    source, sink = overlay.bundle.source, overlay.bundle.sink
    for part in (
        error.reason.value,
        "MM2S (memory to overlay)",
        "S2MM (overlay to memory)",
        f"{6 * source.bytes_per_frame:,} bytes to send",
        f"{6 * sink.bytes_per_frame:,} bytes expected",
        "of 6 frames begun",
        "were reset",
        "What to do:",
    ):
        assert part in text
    assert np.array_equal(overlay.run(frames).activations, expected(frames))


@pytest.mark.parametrize(
    "fault, bits",
    [
        (Fault.SEND_SLAVE_ERROR, "DMASlvErr"),
        (Fault.SEND_DECODE_ERROR, "DMADecErr"),
        (Fault.RESULT_TOO_LONG, "DMAIntErr"),
        (Fault.SEND_HALTED, "Halted"),
        (Fault.TLAST_EARLY, "Idle"),
    ],
)
def test_status_bits_are_named(make_overlay, fault, bits):
    _, overlay = make_overlay(timeout_s=TIMEOUT_S, faults=[fault])
    with pytest.raises(TransferError, match=bits):
        overlay.run(small_bundle.frames(2))


def test_counters_say_how_far_it_came(make_overlay):
    _, overlay = make_overlay(timeout_s=TIMEOUT_S, faults=[None, Fault.SEND_HANGS])
    overlay.run(small_bundle.frames(5))
    with pytest.raises(TransferError) as caught:
        overlay.run(small_bundle.frames(6))
    state = caught.value.state
    assert (state.begun, state.finished, state.after.frames_finished) == (4, 3, 8)


def test_a_slow_receiver_is_waited_for(make_overlay):
    _, overlay = make_overlay(faults=[Fault.SLOW_SINK], real_time=True)
    frames = small_bundle.frames(6)
    assert np.array_equal(overlay.run(frames).activations, expected(frames))
    assert overlay.counters().sink_stalls > 0


def test_a_receiver_too_slow_runs_into_the_timeout(make_overlay, slow_bundle):
    _, overlay = make_overlay(timeout_s=0.1, bundle=slow_bundle, faults=[Fault.SLOW_SINK], real_time=True)
    with pytest.raises(TransferError, match="waited 0.1 s"):
        overlay.run(small_bundle.frames(20))  # 400 ms
    frames = small_bundle.frames(6)
    assert np.array_equal(overlay.run(frames).activations, expected(frames))


def soak(make_overlay, virtual_time, transfers: int, seed: int) -> None:
    """Random faults in random batches: each is found and named in time, and the next frames are right."""
    board, overlay = make_overlay(timeout_s=TIMEOUT_S)
    rng = random.Random(seed)
    frames = small_bundle.frames(64, seed)
    results = expected(frames)
    injected = 0
    for number in range(transfers):
        fault = rng.choice([None, *REASONS]) if rng.random() < 0.5 else None
        board.inject(fault)
        first = rng.randrange(56)
        count = rng.randint(1, 8)
        batch, wanted = frames[first : first + count], results[first : first + count]
        begin = virtual_time.now
        found = None
        try:
            assert np.array_equal(overlay.run(batch).activations, wanted), f"transfer {number}, seed {seed}"
        except TransferError as error:
            found = error.reason
        took_s = virtual_time.now - begin
        assert found is REASONS.get(fault), f"transfer {number}, seed {seed}: {fault}"
        assert took_s < TIMEOUT_S + SLACK_S, f"transfer {number}, seed {seed}: {fault} took {took_s:.3f} s"
        injected += fault is not None
    assert injected > transfers / 4


def test_soak(make_overlay, virtual_time):
    soak(make_overlay, virtual_time, 300, seed=1)


@pytest.mark.slow
def test_soak_of_10000(make_overlay, virtual_time):
    soak(make_overlay, virtual_time, 10_000, seed=2)

"""lognet-stream and stream() on the simulated board."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lognet_fpga.bundle import write_bundle
from lognet_fpga.cli.stream import main
from lognet_fpga.runtime.board import BoardDevice
from lognet_fpga.runtime.board.diagnosis import TransferError
from lognet_fpga.runtime.board.overlay import LogNetOverlay
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.simboard.faults import Fault
from lognet_fpga.runtime.sources import in_memory, paced
from lognet_fpga.runtime.streaming import stream
from tests import small_bundle


@pytest.fixture
def demo(tmp_path):
    frames = small_bundle.frames(9)
    np.savez(tmp_path / "f.npz", frames=frames, labels=small_bundle.expected_scores(frames).argmax(axis=1))
    return write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path).folder, tmp_path / "f.npz"


def test_the_command(make_board, demo, in_process, capsys):
    board = make_board()
    options = ("--frames", demo[1], "--device", "pynq", "--bitstream", board.bitstream, "--batch", 4, "--json")
    assert in_process(main, demo[0], *options) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["device"], data["frames"], data["batch"], data["top1"]) == ("PYNQ-Z2", 9, 4, 1.0)
    cycles = 3 * small_bundle.LATENCY_CYCLES + (9 - 3) * small_bundle.CYCLES_PER_FRAME
    assert data["pl_rate"]["value"] == pytest.approx(9e8 / cycles, rel=1e-3)
    assert data["pl_rate"]["source"] == data["wall_rate"]["source"] == "measured"
    assert data["limited_by"] in ("driver", "tail", "load")


def test_a_failed_transfer_ends_the_command_with_its_reason(make_board, demo, in_process, capsys):
    board = make_board(faults=[None, None, Fault.TLAST_EARLY])  # the first frame alone, then a batch
    options = ("--frames", demo[1], "--device", "pynq", "--bitstream", board.bitstream, "--batch", 4)
    assert in_process(main, demo[0], *options) == 13
    assert "sent less than was asked for" in capsys.readouterr().err


def test_without_a_bitstream_it_says_so(make_board, demo, in_process, capsys):
    make_board()
    assert in_process(main, demo[0], "--frames", demo[1], "--device", "pynq") == 13
    assert "has no bitstream" in capsys.readouterr().err


def test_the_pl_is_kept_busy(make_board, slow_bundle, virtual_time):
    """2 ms a frame: nearly all of the PL's rate, and the FPGA is what limits."""
    board = make_board(bundle=slow_bundle, real_time=True)
    with Session(slow_bundle, BoardDevice(slow_bundle, bitstream=board.bitstream)) as session:
        result = stream(session, Frames(small_bundle.frames(200)), 20)
    assert result.pl_share > 0.97 and result.limited_by == "fpga"
    expected = small_bundle.expected_scores(small_bundle.frames(200)).argmax(axis=1)
    assert result.predictions.tolist() == expected.tolist()


def test_a_frame_does_not_wait_for_the_next_one(make_board, slow_bundle, virtual_time):
    """3 ms in the overlay, a frame every 100 ms: double buffering holds no result back."""
    board = make_board(bundle=slow_bundle, real_time=True)
    source = paced(in_memory(Frames(small_bundle.frames(5))), 10)
    with Session(slow_bundle, BoardDevice(slow_bundle, bitstream=board.bitstream)) as session:
        result = stream(session, source, 1)
    assert len(result) == 5 and result.latency_p50.value == pytest.approx(3, rel=0.05)


def test_ctrl_c_leaves_a_usable_board(make_board, slow_bundle, virtual_time):
    board = make_board(bundle=slow_bundle, real_time=True)

    def stop(update):
        raise KeyboardInterrupt

    frames = small_bundle.frames(400)
    with Session(slow_bundle, BoardDevice(slow_bundle, bitstream=board.bitstream)) as session:
        result = stream(session, Frames(frames), 20, on_update=stop)
        assert result.interrupted and 0 < len(result) < 400
        again = session.fpga(frames[:3]).activations
    assert np.array_equal(again, small_bundle.quant_graph().run(frames[:3]).transpose(0, 2, 3, 1))


def test_a_hang_reaches_the_caller(make_board, bundle, virtual_time):
    board = make_board(faults=[None, None, Fault.OVERLAY_HANGS])
    device = BoardDevice(bundle, bitstream=board.bitstream, timeout_s=0.02)
    with Session(bundle, device) as session, pytest.raises(TransferError, match="neither takes frames"):
        stream(session, Frames(small_bundle.frames(50)), 5)


def test_none_among_batches_hands_out_what_runs(make_overlay, slow_bundle, virtual_time):
    _, overlay = make_overlay(bundle=slow_bundle, real_time=True)
    assert isinstance(overlay, LogNetOverlay)
    sent = [small_bundle.frames(2, seed) for seed in range(3)]
    order = []

    def batches():
        for index, batch in enumerate(sent):
            order.append(f"sent {index}")
            yield batch
            if index == 0:
                yield None

    for index, transfer in enumerate(overlay.stream(batches())):
        order.append(f"got {index}")
        assert np.array_equal(transfer.activations, small_bundle.quant_graph().run(sent[index]).transpose(0, 2, 3, 1))
    assert order == ["sent 0", "got 0", "sent 1", "sent 2", "got 1", "got 2"]

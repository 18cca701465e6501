"""Clocking MyHDL blocks from plain Python, one call a cycle, under every mix of idles and stalls."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence

import pytest
from myhdl import Simulation, StopSimulation, delay

PAUSES = [(0, 0), (40, 40), (20, 85)]  # percent of cycles: source idles, sink stalls
PAUSES += [pytest.param(*more, marks=pytest.mark.slow) for more in ((50, 0), (0, 50), (85, 20))]
every_pause = pytest.mark.parametrize("idle,stall", PAUSES)


class Pause:
    """Says cycle by cycle whether a side pauses."""

    def __init__(self, percent: int, seed: int) -> None:
        self.percent, self.random = percent, random.Random(seed)

    def __call__(self) -> bool:
        return self.random.randrange(100) < self.percent


def run(instances: object, clk, drive: Callable[[int], None], observe: Callable[[int], bool], cap: int) -> int:
    """Simulate until observe(cycle) returns True, and return that cycle; fail after `cap` cycles.

    In every cycle drive sets inputs (.next); when all signals have settled, observe looks at them; then comes the
    rising edge.
    """
    outcome: list[object] = []

    def clock():
        try:
            for cycle in range(cap):
                clk.next = False
                drive(cycle)
                yield delay(1)
                if observe(cycle):
                    outcome.append(cycle)
                    break
                clk.next = True
                yield delay(1)
            else:
                outcome.append(AssertionError(f"no end after {cap} cycles"))
        except Exception as error:  # raised again below: the simulator itself must end well
            outcome.append(error)
        raise StopSimulation

    Simulation(instances, clock()).run(quiet=True)
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


class Source:
    """Offers beats on data, valid, ready (ready None: never refused), pausing at random; keeps an offer until taken.

    last is high with the last of every beats_per_frame beats, or with the beats of the numbers in ends.
    """

    def __init__(
        self,
        beats: Sequence[int],
        data,
        valid,
        ready=None,
        *,
        idle: int = 0,
        seed: int = 1,
        last=None,
        beats_per_frame: int = 0,
        ends: Collection[int] | None = None,
    ) -> None:
        self.beats, self.data, self.valid, self.ready, self.last = list(beats), data, valid, ready, last
        self.pause, self.sent, self.offering = Pause(idle, seed), 0, False
        if ends is None and last is not None:
            ends = range(beats_per_frame - 1, len(self.beats), beats_per_frame)
        self.ends = ends
        self.taken: list[int] = []  # cycle of every beat

    def drive(self) -> None:
        if not self.offering and self.sent < len(self.beats):
            self.offering = not self.pause()
        self.valid.next = self.offering
        if self.offering:
            self.data.next = self.beats[self.sent]
        if self.last is not None:
            self.last.next = self.offering and self.sent in self.ends

    def observe(self, cycle: int) -> None:
        if self.offering and (self.ready is None or self.ready):
            self.taken.append(cycle)
            self.sent, self.offering = self.sent + 1, False


class Sink:
    """Takes beats, stalling at random, and checks that a beat that was offered stays until it is taken."""

    def __init__(self, data, valid, ready=None, *, stall: int = 0, seed: int = 2, last=None) -> None:
        self.data, self.valid, self.ready, self.last, self.pause = data, valid, ready, last, Pause(stall, seed)
        self.beats: list[int] = []
        self.lasts: list[bool] = []
        self.taken: list[int] = []
        self.held: tuple[int, bool] | None = None

    def drive(self) -> None:
        if self.ready is not None:
            self.ready.next = not self.pause()

    def observe(self, cycle: int) -> None:
        beat = (int(self.data), bool(self.last)) if self.valid else None
        assert self.held is None or beat == self.held, f"cycle {cycle}: an offered beat was changed or withdrawn"
        self.held = beat
        if beat is not None and (self.ready is None or self.ready):
            self.beats.append(beat[0])
            self.lasts.append(beat[1])
            self.taken.append(cycle)
            self.held = None


def reset_then(rst, cycle: int, length: int = 3) -> bool:
    """Hold rst for `length` cycles; True once it is released."""
    rst.next = cycle < length
    return cycle >= length

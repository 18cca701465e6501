"""What the planner asks of a layer: the ways to fold its work in time, whatever the store of its weights.

The planner knows neither adder graphs nor memories: it chooses a folding for every layer by its cycles, fits the
streams between them together, and adds up their parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lognet_fpga.plan.model import BramPlan, ClbPlan, Resources

USUAL_LANES = 4  # channels a beat, of the streams that foldings are compared with


@dataclass(frozen=True)
class Streams:
    """channels_per_beat: of the output stream; in_channels_per_beat, in_beats: of the input stream."""

    in_channels_per_beat: int
    in_beats: int
    channels_per_beat: int


class Sends(Protocol):
    """Where a layer's input comes from."""

    def sends(self, channels_per_beat: int) -> bool:
        """Whether the stream may have that many channels a beat."""
        ...


@dataclass(frozen=True)
class Entry:
    """The overlay's entry; most: channels a beat."""

    most: int

    def sends(self, channels_per_beat: int) -> bool:
        return channels_per_beat <= self.most


class Folding(Sends, Protocol):
    """One way to work on a layer; sends: whether its output stream may have that many channels a beat."""

    @property
    def ii_cycles(self) -> int:
        """Cycles of a computing slot."""
        ...

    @property
    def in_channels(self) -> int: ...

    def takes(self, channels_per_beat: int) -> bool:
        """Whether the input stream may have that many channels a beat."""
        ...

    def plan(self, streams: Streams) -> ClbPlan | BramPlan:
        """Without FIFO and estimate."""
        ...

    def beat_cycles(self, channels_per_beat: int) -> tuple[int, ...]:
        """From letting a computing slot go to each beat of its result leaving the engine, ascending."""
        ...

    def blocks(self, plan: ClbPlan | BramPlan) -> dict[str, Resources]:
        """What each block of the engine takes, by its name: all of the layer but pool and FIFO."""
        ...


BRAM_PRICES = (400.0, 1600.0, 100.0)  # LUTs for a BRAM36, the usual first: what a Zynq-7020 has of them for each


def price(folding: Folding, bram_price: float) -> float:
    """What a folding costs in LUTs, with streams of the usual width."""
    lanes = max(lanes for lanes in range(1, USUAL_LANES + 1) if folding.sends(lanes) or lanes == 1)
    parts = Resources.total(folding.blocks(folding.plan(Streams(1, folding.in_channels, lanes))))
    return parts.lut + bram_price * parts.bram36


class LayerFoldings(Protocol):
    """All ways to work on one layer."""

    def paces(self) -> set[int]:
        """Every number of cycles a frame at which a cheaper folding becomes fast enough."""
        ...

    def fold(self, budget: float, before: Sends, bram_price: float) -> Folding | None:
        """The cheapest that does a frame in `budget` cycles and takes what comes from before; None when none does.

        bram_price: LUTs that a BRAM36 is worth.
        """
        ...

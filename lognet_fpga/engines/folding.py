"""What planning and generation ask of a layer, whatever the store of its weights: `Engine`, `Foldings`, `Folding`.

Neither knows adder graphs or memories.  The planner chooses a folding for every layer by its cycles, fits the streams
between them together and adds up their parts; the overlay is made of the modules of the foldings that were chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.slots import SlotRaster
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.quant import QuantLayer

if TYPE_CHECKING:  # MyHDL is needed where modules are made, not for planning
    from lognet_fpga.hw.ports import Port
    from lognet_fpga.hw.structure import Instance

USUAL_LANES = 4  # channels a beat, of the streams that foldings are compared with


@dataclass(frozen=True)
class Streams:
    """channels_per_beat: of the output stream; in_channels_per_beat, in_beats: of the input stream."""

    in_channels_per_beat: int
    in_beats: int
    channels_per_beat: int


class Sends(Protocol):
    """Where a layer's input comes from."""

    def __hash__(self) -> int: ...

    def sends(self, channels_per_beat: int) -> bool:
        """Whether the stream may have that many channels a beat."""
        ...


@dataclass(frozen=True)
class Entry:
    """The overlay's entry; most: channels a beat."""

    most: int

    def sends(self, channels_per_beat: int) -> bool:
        return channels_per_beat <= self.most


@dataclass(frozen=True)
class Widths:
    """Streams that belong together, of whose widths it is known which they may have.  allowed: channels a beat; taken:
    whether one of them is also the input of whoever sends another, so that both have the same width."""

    allowed: frozenset[int]
    taken: bool = False

    def sends(self, channels_per_beat: int) -> bool:
        return channels_per_beat in self.allowed

    def of(self, folding: Folding) -> bool:
        """Whether folding has one of these widths."""
        return any(folding.sends(lanes) and (not self.taken or folding.takes(lanes)) for lanes in self.allowed)


class Folding(Sends, Protocol):
    """One way to work on a layer; sends: whether its output stream may have that many channels a beat."""

    @property
    def layer(self) -> QuantLayer: ...

    @property
    def raster(self) -> SlotRaster: ...

    @property
    def store(self) -> str:
        """Name of the store that holds the layer's weights."""
        ...

    @property
    def text(self) -> str:
        """The folding in a few words."""
        ...

    @property
    def ii_cycles(self) -> int:
        """Cycles of a computing slot: from one output position to the next."""
        ...

    @property
    def shift_cycles(self) -> int:
        """Cycles of a slot that only shifts the window."""
        ...

    @property
    def cycles_per_frame(self) -> int:
        """When the input never waits and the output is never full."""
        ...

    @property
    def acc_bits(self) -> int:
        """Exact width of an accumulator."""
        ...

    def takes(self, channels_per_beat: int) -> bool:
        """Whether the input stream may have that many channels a beat."""
        ...

    def early_beats(self, streams: Streams) -> int:
        """Beats that are accepted while the position before theirs still waits for its slot."""
        ...

    def place_cycles(self, streams: Streams) -> int:
        """From letting a slot with data go until a beat has its place."""
        ...

    def beat_cycles(self, channels_per_beat: int) -> tuple[int, ...]:
        """From letting a computing slot go to each beat of its result leaving the engine, ascending."""
        ...

    def blocks(self, streams: Streams) -> dict[str, Resources]:
        """What each block of the engine takes, by its name: all of the layer but pool and FIFO."""
        ...

    def modules(self, streams: Streams, name: str) -> tuple[tuple[Instance, ...], tuple[Port, ...]]:
        """The engine as instances between the layer's input and the nets conv_valid, conv_data, and the nets between
        them; name: of the layer's module, which those of the instances begin with.  Only of solved engines."""
        ...

    def to_json(self) -> dict[str, int]:
        """The figures that are particular to the store, as in docs/commands.md."""
        ...

    def nets(self) -> dict[str, list[list]]:
        """Net of the engine to its bits, [lowest, width, what it is], for lognet-explain; those that its modules tell
        of themselves are left out."""
        ...

    def content(self) -> str:
        """All that the modules follow from beside the quantized layer, the streams and `to_json`, as text: among it a
        digest of the store's own source (`sources.made_by`)."""
        ...


class Foldings(Protocol):
    """The ways to work on one layer."""

    def __hash__(self) -> int: ...

    @property
    def flexible(self) -> Foldings:
        """Those of them whose results may leave in beats of several widths."""
        ...

    def paces(self) -> set[int]:
        """Every number of cycles a frame at which a cheaper folding becomes fast enough."""
        ...

    def fold(self, budget: float, before: Sends, bram_price: float, behind: Widths | None = None) -> Folding | None:
        """The cheapest that does a frame in `budget` cycles and takes what comes from before; None when none does.

        bram_price: LUTs that a BRAM36 is worth.  behind: of which its output stream must have one; None: any.
        """
        ...


class Engine(Protocol):
    """A layer with its weights in one store: solved, or sketched, which is estimated in a moment."""

    @property
    def layer(self) -> QuantLayer: ...

    @property
    def store(self) -> str: ...

    def foldings(self, target: Target) -> Foldings: ...

    def pruned(self, share: float) -> Engine:
        """A sketch with at least that share of all weights zero."""
        ...


@dataclass(frozen=True)
class AnyOf:
    """The foldings of a layer that may have its weights in several stores."""

    each: tuple[Foldings, ...]

    @property
    def flexible(self) -> AnyOf:
        return AnyOf(tuple(some.flexible for some in self.each))

    def paces(self) -> set[int]:
        return set().union(*(some.paces() for some in self.each))

    def fold(self, budget: float, before: Sends, bram_price: float, behind: Widths | None = None) -> Folding | None:
        cheapest = (some.fold(budget, before, bram_price, behind) for some in self.each)
        return min(
            (folding for folding in cheapest if folding is not None),
            key=lambda folding: price(folding, bram_price),
            default=None,
        )


def channels_in_turn(first: int, step: int, count: int) -> str:
    """The channels first, first + step, ... below count, which come one after the other, in words."""
    if first >= count:
        return "no channel"
    if first + step >= count:
        return f"channel {first}"
    return f"channels {first}, {first + step}, ..., {first + (count - 1 - first) // step * step} in turn"


@dataclass(frozen=True)
class Given:
    """An engine with the one folding that its layer is to have, whatever the planner would choose."""

    folding: Folding

    @property
    def layer(self) -> QuantLayer:
        return self.folding.layer

    @property
    def store(self) -> str:
        return self.folding.store

    def foldings(self, target: Target) -> Foldings:
        return self

    @property
    def flexible(self) -> Given:
        return self

    def pruned(self, share: float) -> Given:
        return self

    def paces(self) -> set[int]:
        return {self.folding.cycles_per_frame}

    def fold(self, budget: float, before: Sends, bram_price: float, behind: Widths | None = None) -> Folding:
        return self.folding


BRAM_PRICES = (400.0, 1600.0, 100.0)  # LUTs for a BRAM36, the usual first: what a Zynq-7020 has of them for each


def price(folding: Folding, bram_price: float) -> float:
    """What a folding costs in LUTs, with streams of the usual width."""
    parts = _usual_parts(folding)
    return parts.lut + bram_price * parts.bram36


# A search asks for the same ones at many rates, on many boards and for many numbers of layers.
@lru_cache(maxsize=1 << 16)
def _usual_parts(folding: Folding) -> Resources:
    lanes = max(lanes for lanes in range(1, USUAL_LANES + 1) if folding.sends(lanes) or lanes == 1)
    return parts_of(folding, Streams(1, folding.layer.in_shape[0], lanes))


@lru_cache(maxsize=1 << 16)
def parts_of(folding: Folding, streams: Streams) -> Resources:
    """What all blocks of a folding's engine take together."""
    return Resources.total(folding.blocks(streams))

"""Which streams of a graph have as many channels a beat.

A layer sends all that take its results beats of one width, and a layer that joins several streams takes beats of one
width, too: streams that are tied together like that are a web.  In a chain every stream is a web of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.ir.sources import FRAMES, Sources


@dataclass(frozen=True)
class Web:
    """senders: numbers of the layers, FRAMES included, that send the streams; takers: of those that take them, none for
    the overlay's exit; divided: channels whose number must be a multiple of those a beat, for what comes behind them
    begins with a beat."""

    senders: tuple[int, ...]
    takers: tuple[int, ...]
    divided: frozenset[int]

    @cached_property
    def single(self) -> bool:
        """Whether it is one stream."""
        return len(self.senders) == 1 and len(self.takers) <= 1 and not self.divided


def webs(sources: Sources, layers: Sequence[QuantLayer]) -> tuple[Web, ...]:
    """In the order of their first senders."""
    web_of = {number: number for number in range(FRAMES, len(sources))}
    for its in sources:
        first = min(web_of[source.layer] for source in its)
        joined = {web_of[source.layer] for source in its}
        web_of = {number: first if web in joined else web for number, web in web_of.items()}
    found = []
    for web, members in groupby(sorted(web_of, key=lambda number: (web_of[number], number)), web_of.__getitem__):
        takers = [number for number, its in enumerate(sources) if web_of[its[0].layer] == web]
        counts = (channels_of(sources, layers, taker)[:-1] for taker in takers)
        found.append(Web(tuple(members), tuple(takers), frozenset(count for some in counts for count in some)))
    return tuple(found)


def channels_of(sources: Sources, layers: Sequence[QuantLayer], layer: int) -> tuple[int, ...]:
    """Of each part of a layer's input."""
    return tuple(
        layers[0].in_shape[0] if source.layer == FRAMES else layers[source.layer].out_shape[0]
        for source in sources[layer]
    )


def bits_of(sources: Sources, layers: Sequence[QuantLayer], layer: int) -> tuple[int, ...]:
    """Of an activation of each part."""
    return tuple(
        layers[0].in_bits if source.layer == FRAMES else layers[source.layer].out_bits for source in sources[layer]
    )

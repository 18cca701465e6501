"""The hardware plan: how each layer is laid onto the board, and what that costs and yields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache

import numpy as np

from lognet_fpga.engines.folding import Folding, Streams, parts_of
from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.costs import (
    admit_resources,
    fifo_resources,
    join_resources,
    least_fifo_resources,
    pick_resources,
    pool_blocks,
    rank_blocks,
    rooms_resources,
    table_blocks,
)
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.sources import FRAMES, Source, Sources, chain, takers


@dataclass(frozen=True)
class Fifo:
    """A FIFO behind a layer, in beats.  reserve: how many places must be free when a slot starts; peak: the most it
    holds; stride: of what the layer puts out it gets the positions at each multiple of that, (y, x)."""

    depth: int
    reserve: int = 0
    peak: int = 0
    stride: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Part:
    """What comes from one source of a layer's input.  beats: of a position; bits: of an activation."""

    beats: int
    bits: int


@dataclass(frozen=True)
class PlannedLayer:
    """A layer, the folding that was chosen for it, and what lies around its engine.

    fifo: on the way to the first layer that takes what this one puts out, or to the exit; branches: on the ways to the
    others, in order.  parts: of the input, () where it has but one.
    """

    layer: QuantLayer
    folding: Folding
    streams: Streams
    fifo: Fifo
    branches: tuple[Fifo, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def fifos(self) -> tuple[Fifo, ...]:
        """All behind the layer."""
        return self.fifo, *self.branches

    @property
    def beats(self) -> int:
        """Of a position of the results."""
        return -(-self.layer.out_shape[0] // self.lanes)

    @property
    def lanes(self) -> int:
        """Channels a beat of the results."""
        return 1 if self.layer.ranking else self.streams.channels_per_beat

    @property
    def beat_bits(self) -> int:
        """Of the results."""
        return self.lanes * self.layer.out_bits

    @property
    def nonzero_weights(self) -> int:
        """Static weights other than 0."""
        return int(np.count_nonzero(self.layer.codes))

    @property
    def blocks(self) -> dict[str, Resources]:
        """What each block of the layer takes, by its name."""
        return self.folding.blocks(self.streams) | _around(self.layer, self.streams, self.fifos, self.parts)

    @cached_property
    def estimate(self) -> Resources:
        """What all blocks take together."""
        return _estimate(self.layer, self.folding, self.streams, self.fifos, self.parts)

    def to_json(self) -> dict[str, object]:
        """See docs/commands.md."""
        folding = self.folding
        return {
            "name": self.name,
            "weights": folding.store,
            "ii_cycles": folding.ii_cycles,
            "in_bits": self.layer.in_bits,
            "act_bits": self.layer.act_bits,
            "out_bits": self.layer.out_bits,
            "acc_bits": folding.acc_bits,
            "slots_per_frame": folding.raster.slots,
            "cycles_per_frame": folding.cycles_per_frame,
            **asdict(self.streams),
            "nonzero_weights": self.nonzero_weights,
            **{f"fifo_{name}": value for name, value in asdict(self.fifo).items()},
            "branches": [asdict(fifo) for fifo in self.branches],
            "estimate": self.estimate.to_json(),
            **folding.to_json(),
        }


@lru_cache(maxsize=1 << 16)
def _estimate(
    layer: QuantLayer, folding: Folding, streams: Streams, fifos: tuple[Fifo, ...], parts: tuple[Part, ...]
) -> Resources:
    return sum(_around(layer, streams, fifos, parts).values(), parts_of(folding, streams))


def _around(layer: QuantLayer, streams: Streams, fifos: Sequence[Fifo], parts: Sequence[Part]) -> dict[str, Resources]:
    """The blocks around a layer's engine, by the names of their instances."""
    in_bits, lanes = streams.in_channels_per_beat * layer.in_bits, streams.channels_per_beat
    out_bits = layer.out_bits * (1 if layer.ranking else lanes)
    blocks = (
        rank_blocks(layer, lanes)
        | table_blocks(layer, lanes)
        | pool_blocks(layer, lanes)
        | fifo_blocks(out_bits, fifos)
    )
    for number in range(1, len(parts)):
        blocks[f"join{number}"] = join_resources(in_bits)
    return blocks


def fifo_blocks(width: int, fifos: Sequence[Fifo]) -> dict[str, Resources]:
    """Where beats of that many bits go into some FIFOs: these and what stands in front of them, by name."""
    blocks = {}
    for number, fifo in enumerate(fifos):
        blocks[f"fifo{number or ''}"] = fifo_resources(width, fifo.depth)
        if fifo.stride != (1, 1):
            blocks[f"pick{number or ''}"] = pick_resources(width)
    if len(fifos) > 1:
        blocks["rooms"] = rooms_resources(len(fifos))
    return blocks


@dataclass(frozen=True)
class HardwarePlan:
    """cycles_per_frame: steady state; latency_cycles: from a frame's first input beat to its last output beat,
    in an idle overlay that is never stalled.  shell: estimate of what is not a layer (AXI, registers).  sources: of
    each layer's input; () for a chain, whose sources it then gets."""

    target: Target
    layers: tuple[PlannedLayer, ...]
    shell: Resources
    cycles_per_frame: int
    latency_cycles: int
    sources: Sources = ()
    entry_fifos: tuple[Fifo, ...] = ()

    def __post_init__(self) -> None:
        if not self.sources:
            object.__setattr__(self, "sources", chain(len(self.layers)))

    @property
    def quant_layers(self) -> tuple[QuantLayer, ...]:
        return tuple(planned.layer for planned in self.layers)

    @property
    def is_chain(self) -> bool:
        return self.sources == chain(len(self.layers))

    def fifo_to(self, layer: int, place: int) -> Fifo | None:
        """On the way to a part of a layer's input; None: straight from the entry."""
        sender = self.sources[layer][place].layer
        fifos = self.entry_fifos if sender == FRAMES else self.layers[sender].fifos
        return fifos[takers(self.sources)[sender].index((layer, place))] if fifos else None

    def quant_graph(self, name: str) -> QuantGraph:
        """What is planned here."""
        return QuantGraph(name, self.layers[0].layer.in_shape, self.quant_layers, self.sources)

    @property
    def fps(self) -> float:
        """Frames per second of the programmable logic at the target's clock, not stalled from outside."""
        return self.target.clk_mhz * 1e6 / self.cycles_per_frame

    @cached_property
    def total(self) -> Resources:
        return sum((planned.estimate for planned in self.layers), self.around)

    @property
    def total_of_deeper_fifos(self) -> Resources:
        """What the same takes at least of each resource if its FIFOs are so deep or deeper."""
        total = self.total
        for width, fifos in (*((planned.beat_bits, planned.fifos) for planned in self.layers), self._entry_fifos):
            for fifo in fifos:
                total += least_fifo_resources(width, fifo.depth) + fifo_resources(width, fifo.depth) * -1
        return total

    @property
    def around(self) -> Resources:
        """All that is not a layer."""
        return self.shell + self.entry

    @cached_property
    def entry(self) -> Resources:
        """What lies between the entry and several layers that take the frames."""
        if not self.entry_fifos:
            return Resources(0, 0, 0)
        bits, fifos = self._entry_fifos
        return Resources.total(fifo_blocks(bits, fifos)) + admit_resources(bits)

    @property
    def _entry_fifos(self) -> tuple[int, tuple[Fifo, ...]]:
        """(bits of a beat, FIFOs) behind the entry."""
        first = self.layers[0]
        return first.streams.in_channels_per_beat * first.layer.in_bits, self.entry_fifos

    def to_json(self) -> dict[str, object]:
        """See docs/commands.md."""
        return {
            "fps": self.fps,
            "cycles_per_frame": self.cycles_per_frame,
            "latency_cycles": self.latency_cycles,
            "clk_mhz": self.target.clk_mhz,
            "estimate": self.total.to_json(),
            "shell": self.around.to_json(),
            "entry_fifos": [asdict(fifo) for fifo in self.entry_fifos],
            "layers": [
                planned.to_json() | {"sources": [self._source_json(source) for source in its]}
                for planned, its in zip(self.layers, self.sources, strict=True)
            ],
        }

    def _source_json(self, source: Source) -> dict[str, object]:
        """layer: a name, None for the frames."""
        name = None if source.layer == FRAMES else self.layers[source.layer].name
        return {"layer": name, "stride": source.stride}

"""The foldings of a `bram` layer: how many output (pe) and input channels (simd) are worked on side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from lognet_fpga.engines.bram.cost import bram_blocks
from lognet_fpga.engines.bram.layout import (
    LARGEST_SHIFT,
    BramShape,
    OutputConstants,
    bram_shape,
    output_constants,
    staged_positions,
)
from lognet_fpga.engines.bram.tables import COLUMN_BITS, TableShape, fill_cycles, table_constants, table_shape
from lognet_fpga.engines.folding import BRAM_PRICES, Sends, Streams, Widths, channels_in_turn, price
from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.latencies import OUTPUT_LATENCY, capture_latency
from lognet_fpga.fabric.memory import BLOCK_ROM_DEPTH
from lognet_fpga.fabric.slots import SlotRaster, slot_raster
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.machine.provenance import made_by
from lognet_fpga.numerics.log2 import WEIGHT_BITS

if TYPE_CHECKING:
    from lognet_fpga.hw.ports import Port
    from lognet_fpga.hw.structure import Instance

BRAM = "bram"
WASTE = 0.1  # share of idle lanes that a folding may have
MOST_LANES = 64  # input channels of a word: more only deepen the tree
FEWEST_TABLES = 8  # of an element
FEW_WORDS = 32  # of weights, which are in LUTs in any case: a block RAM has 512


@dataclass(frozen=True)
class BramFolding:
    """shape: which weights are worked on in which cycle; constants: what turns sums into activations."""

    layer: QuantLayer
    shape: BramShape | TableShape
    constants: OutputConstants = field(compare=False)
    raster: SlotRaster = field(compare=False)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Of what is looked up for every budget, board and number of layers."""
        return hash((self.layer, self.shape))

    @property
    def store(self) -> str:
        return BRAM

    @property
    def text(self) -> str:
        return self.shape.text

    @property
    def ii_cycles(self) -> int:
        return self.shape.ii_cycles

    @property
    def shift_cycles(self) -> int:
        return self.shape.shift_cycles

    @property
    def acc_bits(self) -> int:
        return self.constants.sum_bits

    @cached_property
    def cycles_per_frame(self) -> int:
        return self.raster.cycles(self.ii_cycles, self.shift_cycles)

    def takes(self, channels_per_beat: int) -> bool:
        lanes = self.shape.lanes
        return lanes % channels_per_beat == 0 or channels_per_beat % lanes == 0

    def sends(self, channels_per_beat: int) -> bool:
        return self.shape.sends(channels_per_beat)

    def early_beats(self, streams: Streams) -> int:
        positions = staged_positions(streams.in_channels_per_beat, streams.in_beats, self.shape.lanes)
        return (positions - 2) * streams.in_beats

    def place_cycles(self, streams: Streams) -> int:
        return 1

    def beat_cycles(self, channels_per_beat: int) -> tuple[int, ...]:
        shape = self.shape
        first = capture_latency(shape.walk_latency, shape.tree_levels) + OUTPUT_LATENCY
        every = (first + cycles + beat for cycles in shape.sum_cycles for beat in range(shape.pe // channels_per_beat))
        return tuple(every)[: -(-shape.out_channels // channels_per_beat)]

    def blocks(self, streams: Streams) -> dict[str, Resources]:
        return bram_blocks(self.layer, self.shape, streams, self.constants)

    def modules(self, streams: Streams, name: str) -> tuple[tuple[Instance, ...], tuple[Port, ...]]:
        from lognet_fpga.engines.bram.modules import bram_engine

        return bram_engine(self, streams, name)

    def to_json(self) -> dict[str, int]:
        return self.shape.to_json()

    def nets(self) -> dict[str, list[list]]:
        """Inputs, weights and sums of the processing elements, and products that are looked up."""
        shape, in_bits = self.shape, self.layer.in_bits
        in_channels, out_channels = shape.in_channels, shape.out_channels
        lanes = [f"input {channels_in_turn(lane, shape.lanes, in_channels)}" for lane in range(shape.lanes)]
        elements = [f"output {channels_in_turn(element, shape.pe, out_channels)}" for element in range(shape.pe)]
        x = [[lane * in_bits, in_bits, text] for lane, text in enumerate(lanes)]
        if isinstance(shape, TableShape):
            words = [f"word {word} of a round" for word in range(shape.held)]
            held = [f"{text} in {word}" for word in words for text in lanes]
            pairs = [(out, text) for out in elements for text in held]
            width, code, then = in_bits + LARGEST_SHIFT, "weight code, above the field whether its sign agrees", ""
            values = [[lane * width, width, f"product of {text}, field by field"] for lane, text in enumerate(held)]
            steered = [
                [word * COLUMN_BITS, COLUMN_BITS, f"for {text}: write, field, half of the tables"]
                for word, text in enumerate(words)
            ]
            more = {"values": values, "columns": steered}
        else:
            pairs = [
                (out, lanes[shape.first_lane(element) + lane])
                for element, out in enumerate(elements)
                for lane in range(shape.simd)
            ]
            code, then, more = "weight code, sign above the field", ", then of those behind it", {}
        codes = [
            [place * WEIGHT_BITS, WEIGHT_BITS, f"{code}, of {out} and {text}"]
            for place, (out, text) in enumerate(pairs)
        ]
        sums = {
            f"sum{element}": [[0, 0, f"sum, two's complement, of {out}{then}"]] for element, out in enumerate(elements)
        }
        return {"x": x, "codes": codes, **more, **sums}

    def content(self) -> str:
        return made_by(__name__, "myhdl")


def bram_folding(layer: QuantLayer, pe: int, simd: int) -> BramFolding:
    return BramFolding(layer, bram_shape(layer, pe, simd), output_constants(layer), slot_raster(layer))


def table_folding(layer: QuantLayer, pe: int, simd: int, held: int, block_rom: bool = True) -> BramFolding:
    shape = table_shape(layer, pe, simd, held, block_rom)
    return BramFolding(layer, shape, table_constants(layer), slot_raster(layer))


class BramFoldings:
    """Foldings of a layer with its weights in memories, all of `every`."""

    def __init__(self, every: Sequence[BramFolding]) -> None:
        self._every = every
        self._cheapest_first = {
            bram_price: sorted(every, key=lambda folding: (price(folding, bram_price), folding.cycles_per_frame))
            for bram_price in BRAM_PRICES
        }

        self._paces = self._worth_it()

    @cached_property
    def flexible(self) -> BramFoldings:
        streamed = [folding for folding in self._every if not isinstance(folding.shape, TableShape)]
        return self if len(streamed) == len(self._every) else BramFoldings(streamed)

    def paces(self) -> set[int]:
        return set(self._paces)

    def _worth_it(self) -> set[int]:
        paces = set()
        for foldings in self._cheapest_first.values():
            fastest = math.inf
            for folding in foldings:
                if folding.cycles_per_frame < fastest:  # dearer ones are worth it only where they are faster
                    fastest = folding.cycles_per_frame
                    paces.add(fastest)
        return paces

    def fold(self, budget: float, before: Sends, bram_price: float, behind: Widths | None = None) -> BramFolding | None:
        for folding in self._cheapest_first[bram_price]:
            if folding.cycles_per_frame > budget or (behind is not None and not behind.of(folding)):
                continue
            if _joined(before, folding):
                return folding
        return None


@lru_cache(maxsize=1 << 16)
def _joined(before: Sends, folding: BramFolding) -> bool:
    """Whether there is a width of beats that the one sends and the other takes."""
    return any(before.sends(lanes) and folding.takes(lanes) for lanes in range(1, folding.shape.in_channels + 1))


@lru_cache(maxsize=1 << 12)
def bram_foldings(layer: QuantLayer) -> BramFoldings:
    """Its foldings, the same object for the same layer: pricing them takes a while."""
    constants, raster = output_constants(layer), slot_raster(layer)
    every = []
    for split in splits(layer):
        every.append(BramFolding(layer, bram_shape(layer, *split), constants, raster))
        price(every[-1], BRAM_PRICES[0])  # at once, while it is known which words are read
    constants = table_constants(layer)
    every += _not_outdone([BramFolding(layer, shape, constants, raster) for shape in table_shapes(layer)])
    return BramFoldings(every)


def splits(layer: QuantLayer) -> list[tuple[int, int]]:
    """(pe, simd) of all foldings, each simd together: what is known of it is used for every pe."""
    groups, inputs, outputs = layer.groups, layer.codes.shape[1], len(layer.codes) // layer.groups
    if groups == 1:
        return [(pe, simd) for simd in lanes_for(inputs, MOST_LANES) for pe in lanes_for(outputs, outputs)]
    within = [(pe, simd) for simd in _divisors(inputs, MOST_LANES) for pe in _divisors(outputs, outputs)]
    several = [(number * outputs, inputs) for number in lanes_for(groups, groups)[1:] if inputs <= MOST_LANES]
    return within + several


def table_shapes(layer: QuantLayer) -> Iterator[TableShape]:
    """Those that take a number of lanes which no smaller one has the same number of rounds for; weights in both kinds
    of memory where there are neither few nor many."""
    if layer.groups > 1:
        return
    outputs = len(layer.codes)
    for simd in lanes_for(layer.codes.shape[1], MOST_LANES):
        for pe in lanes_for(outputs, outputs):
            most, held = -(-outputs // pe) - fill_cycles(0), 0
            if most < 1:
                continue
            words = table_shape(layer, pe, simd, 1).walk.cycles
            for rounds in range(words, 0, -1):
                before, held = held, -(-words // rounds)
                if held > most:
                    break
                if held == before or held * simd < FEWEST_TABLES:
                    continue
                shape = table_shape(layer, pe, simd, held)
                if shape.weight_words >= FEW_WORDS:
                    yield shape
                if shape.weight_words < BLOCK_ROM_DEPTH:
                    yield replace(shape, block_rom=False)


def _not_outdone(foldings: Sequence[BramFolding]) -> list[BramFolding]:
    """Without those that cost no less than a faster one, whatever a block RAM costs, that fits the same streams."""
    out: list[BramFolding] = []
    costs: dict[tuple[int, int], list[tuple[float, ...]]] = {}
    for folding in sorted(foldings, key=lambda folding: folding.cycles_per_frame):
        mine = tuple(price(folding, bram_price) for bram_price in BRAM_PRICES)
        faster = costs.setdefault((folding.shape.pe, folding.shape.simd), [])
        if not any(all(one <= other for one, other in zip(some, mine)) for some in faster):
            faster.append(mine)
            out.append(folding)
    return out


def lanes_for(channels: int, most: int) -> list[int]:
    """Numbers of lanes up to `most` that divide the channels, or are a multiple of four and leave few of them idle."""
    return [
        lanes
        for lanes in range(1, min(channels, most) + 1)
        if channels % lanes == 0 or (lanes % 4 == 0 and -(-channels // lanes) * lanes <= (1 + WASTE) * channels)
    ]


def _divisors(channels: int, most: int) -> list[int]:
    return [lanes for lanes in range(1, min(channels, most) + 1) if channels % lanes == 0]

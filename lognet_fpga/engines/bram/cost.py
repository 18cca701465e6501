"""Estimates of LUT6 sites, flip-flops and block RAM of a `bram` layer's engine, block by block (`fabric.costs`)."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np

from lognet_fpga.engines.bram.layout import LARGEST_SHIFT, BramShape, OutputConstants, staged_positions, weight_codes
from lognet_fpga.engines.bram.tables import COLUMN_BITS, TABLE_LOADS, TableShape
from lognet_fpga.engines.folding import Streams
from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.costs import LEAF_LOADS, SRL_CYCLES, memory_resources, slice_resources
from lognet_fpga.fabric.memory import BLOCK_RAM_DEPTH, BLOCK_ROM_DEPTH, block_rams, rom_stretch_bits, row_choice_luts
from lognet_fpga.fabric.sites import carry_sites
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.numerics.log2 import WEIGHT_BITS

# What steers a block, whatever its width.
WINDOW_CONTROL = Resources(8, 48, 0, 2)
FEW_RUNS = 32  # of a walk, whose table has a LUT a bit at most
ELEMENT_CONTROL = Resources(0, 2, 0)
ACTIVATIONS_CONTROL = Resources(14, 15, 0, 1)
FIELD_BITS = WEIGHT_BITS - 1
SRL_PLACES = 32  # of a LUT as a shift register
TABLE_PORT_BITS = 6  # of the four LUTs of a RAM32M, one port written and one read (UG474)
UNKNOWN_FIELD = tuple(range(2, 2 + FIELD_BITS))  # of a lane whose weights are in block RAM, see field_wires
# Sites of a bit of a memory in LUTs, by its greatest depth: two functions of five address bits share one, and seven
# address bits take two and the slice's multiplexer; those of two are partly set and reset pins.
ROM_SITES = ((4, 0.25), (32, 0.5), (64, 1.0), (96, 1.7), (BLOCK_ROM_DEPTH, 2.1))


def bram_blocks(
    layer: QuantLayer, shape: BramShape | TableShape, streams: Streams, constants: OutputConstants
) -> dict[str, Resources]:
    """By the name of the block: window, weights, the processing elements together, constants, activations."""
    lanes = streams.channels_per_beat
    if isinstance(shape, TableShape):
        return table_blocks(layer, shape, streams, constants)
    element = element_resources(shape.simd, layer.in_bits, constants.sum_bits)
    kept, spared = None, 0.0
    if shape.weight_words < BLOCK_ROM_DEPTH:  # synthesis looks into memories in LUTs
        codes = weight_codes(layer, shape)
        kept = kept_bits(codes, WEIGHT_BITS)
        spared = spared_luts(layer.in_bits, codes)
    words = shape.passes * shape.pe // lanes
    # Results leave as a shift register; the last ones have nothing behind them to take in.
    leaving = Resources((shape.pe - lanes) * constants.sum_bits, 0, 0)
    return {
        "window": window_resources(layer, shape, streams),
        "weights": rom_resources(shape.pe * shape.simd * WEIGHT_BITS, shape.weight_words, kept),
        "pe": element * shape.pe + leaving + Resources(-spared, 0, 0),
        "constants": constants_resources(constants, lanes, words),
        "activations": ACTIVATIONS_CONTROL + output_resources(layer, constants, lanes, words),
    }


def table_blocks(
    layer: QuantLayer, shape: TableShape, streams: Streams, constants: OutputConstants
) -> dict[str, Resources]:
    """As bram_blocks, of elements that look products up, and of what fills their tables."""
    lanes, words = shape.pe, shape.passes  # whatever streams a folding is compared with
    return {
        "window": window_resources(layer, shape, streams) + round_resources(shape),
        "weights": rom_resources(
            shape.pe * shape.element_lanes * WEIGHT_BITS, shape.weight_words, in_block_ram=shape.block_rom
        ),
        "products": product_resources(shape, layer.in_bits),
        "pe": table_element(shape, layer.in_bits, constants.sum_bits) * shape.pe,
        "constants": constants_resources(constants, lanes, words),
        "activations": ACTIVATIONS_CONTROL + output_resources(layer, constants, lanes, words),
    }


def round_resources(shape: TableShape) -> Resources:
    """What a walk in rounds has beside a plain one: counters of the passes and the rounds, twice, and the way from the
    one to the other.  A fit."""
    bits = 2 * ((shape.passes - 1).bit_length() + (shape.rounds - 1).bit_length())
    return Resources(2 * bits + 8, 1.5 * bits + shape.fill_cycles + 8, 0, lone=shape.fill_cycles)


def product_resources(shape: TableShape, in_bits: int) -> Resources:
    """Shift registers under leaves: those of an activation's bits but the lowest are loaded, two in a site; the others
    need no LUT."""
    width, lanes, held = in_bits + LARGEST_SHIFT, shape.element_lanes, shape.held
    loaded = lanes * (in_bits - 1) / 2
    leaves = 2 * -(-shape.simd * width // LEAF_LOADS) + COLUMN_BITS
    lone = lanes * (LARGEST_SHIFT + 1) + 7 * held
    return Resources(loaded + 8, lanes * width + held * (leaves + 2), 0, 0, lone, loaded)


def table_element(shape: TableShape, in_bits: int, sum_bits: int) -> Resources:
    """An element: tables, what they show, the tree, and the accumulators of a round's passes in a shift register."""
    lanes, width = shape.element_lanes, in_bits + LARGEST_SHIFT
    leaves = shape.held * -(-shape.simd // (LEAF_LOADS // TABLE_LOADS)) * (COLUMN_BITS + 1)
    # Of the lanes' signs a quarter waits for three levels of the tree and more, in shift registers.
    srl = lanes * 4 * -(-width // TABLE_PORT_BITS) + lanes / 4
    srl += sum_bits * -(-(shape.passes - 1) // SRL_PLACES) if shape.rounds > 1 else 0
    lut, ff, lone = srl, lanes * (width + 1) + leaves, lanes + leaves + sum_bits
    count, width, waited = lanes, min(sum_bits, width + 1), 0
    while count > 1:
        pairs, waits = divmod(count, 2)
        waited = waited + 1 if waits else 0
        if 0 < waited < SRL_CYCLES:  # longer in a shift register
            ff, lone = ff + width, lone + width
        width = min(sum_bits, width + 1)
        lut, ff = lut + pairs * carry_sites(width), ff + pairs * width
        count = pairs + waits
    return Resources(lut + carry_sites(sum_bits), ff + 2 * sum_bits, 0, srl, lone)


def window_resources(layer: QuantLayer, shape: BramShape | TableShape, streams: Streams) -> Resources:
    """Staging in LUT memory, choice of a beat's part, padding, the ring with its register, addresses."""
    word = shape.lanes * layer.in_bits
    banks = max(1, shape.lanes // streams.in_channels_per_beat)
    parts = max(1, streams.in_channels_per_beat // shape.lanes)
    positions = staged_positions(streams.in_channels_per_beat, streams.in_beats, shape.lanes)
    places = positions << (-(-streams.in_beats // banks) - 1).bit_length()
    beat = streams.in_channels_per_beat * layer.in_bits
    staging = memory_resources(beat, places) * banks
    # Written a beat late, under leaves, to the bank whose bit is set.
    staging += Resources(banks, beat + -(-beat // LEAF_LOADS) + banks, 0)
    choice = Resources(word * math.ceil((parts - 1) / 3) + 0.16 * word, word, 0)
    window = WINDOW_CONTROL + slice_resources(beat) + staging + choice + walk_resources(shape)
    return window + ring_resources(word, shape.memory_words) if shape.ring else window


def ring_resources(word: int, places: int) -> Resources:
    """The memory, its leaves or the words' second register, places of writing and reading."""
    place = (places - 1).bit_length()
    in_block_ram = places >= BLOCK_RAM_DEPTH
    leaves = word if in_block_ram else -(-word // LEAF_LOADS) * (1 + 2 * place)
    return memory_resources(word, places) + Resources(0, 3 * place + leaves, 0)


def walk_resources(shape: BramShape | TableShape) -> Resources:
    """What counts slots, words and runs, and adds up addresses: by the bits of these, a fit.  Tables of a few runs are
    within it."""
    runs = len(shape.walk.runs)
    place = ((shape.memory_words if shape.ring else shape.words) - 1).bit_length()
    turn = (shape.weight_words - 1).bit_length()
    table = Resources(0.5 * runs, 0.2 * runs, 0) if runs > FEW_RUNS else Resources(0, 0, 0)
    return Resources(5.5 * place + 12 * turn, 2 * place + 3.5 * turn + (runs - 1).bit_length(), 0) + table


@lru_cache(maxsize=None)
def field_wires(used: int) -> tuple[int, ...]:
    """What synthesis knows of the field of a lane's weights: of each bit 0 or 1 where it always is, otherwise the same
    number for bits that always are the same.  used: bit f is set where a weight of the lane has field f."""
    fields = [field for field in range(1 << FIELD_BITS) if used >> field & 1]
    bits = [tuple(field >> bit & 1 for field in fields) for bit in range(FIELD_BITS)]
    return tuple(values[0] if len(set(values)) == 1 else 2 + bits.index(values) for values in bits)


def spared_luts(in_bits: int, codes: np.ndarray) -> float:
    """By all lanes together, beside lanes of weights that are unknown.  codes: (words, lanes), as weight_codes."""
    ever = np.bitwise_or.reduce(np.left_shift(np.uint8(1), codes & np.uint8((1 << FIELD_BITS) - 1)), axis=0)
    full, counts = lane_luts(in_bits), np.bincount(ever)
    used = counts.nonzero()[0].tolist()
    return sum(int(counts[fields]) * (full - lane_luts(in_bits, field_wires(fields))) for fields in used)


@lru_cache(maxsize=None)
def lane_luts(in_bits: int, wires: tuple[int, ...] = UNKNOWN_FIELD) -> float:
    """Of a product's bits but for its sign, which is the weight's; wires: the field_wires of its lane.

    A shift by four, zero and sign, then a shift by 0..3.  A field of one or two wires has so few shifts that each bit
    is one LUT; with two wires and x and x << 4 that do not overlap two bits share a site.
    """
    free = sorted({wire for wire in wires if wire > 1})
    if len(free) == FIELD_BITS:
        return 2 * in_bits + 10 + 3 * (in_bits > 4)
    reached = set()
    for values in itertools.product((0, 1), repeat=len(free)):
        levels = dict(zip((0, 1, *free), (0, 1, *values)))
        field = sum(levels[wire] << bit for bit, wire in enumerate(wires))
        reached |= set(range(field - 1, field - 1 + in_bits)) if field else set()
    return len(reached) / 2 if len(free) == 2 and in_bits <= 4 else len(reached)


def element_resources(simd: int, in_bits: int, sum_bits: int) -> Resources:
    """A processing element without the way that its result leaves."""
    width = min(sum_bits, in_bits + LARGEST_SHIFT + 1)
    count, last, alone = simd, width, 1  # last: bits of the last operand, through so many registers since it was a sum
    lut, ff, srl = simd * lane_luts(in_bits), simd * width, 0
    for _ in range((simd - 1).bit_length()):
        width = min(sum_bits, width + 1)
        pairs, waits = divmod(count, 2)
        lut, ff = lut + pairs * carry_sites(width), ff + pairs * width
        if waits:  # waiting for long, it does so in a shift register
            ff, alone = ff + last, alone + 1
        else:
            if alone >= SRL_CYCLES:
                lut, ff, srl = lut + last, ff - alone * last, srl + last
            last, alone = width, 1
        count = pairs + waits
    return ELEMENT_CONTROL + Resources(lut + carry_sites(sum_bits), ff + 2 * sum_bits, 0, srl)


@lru_cache(maxsize=1 << 12)  # the same for all foldings of as many beats
def constants_resources(constants: OutputConstants, lanes: int, words: int) -> Resources:
    """The memory of constants, of so many words for the beats of all groups."""
    table = constant_bits(constants, lanes, words)
    return rom_resources(table.shape[1], words, kept_bits(table, 1) if words < BLOCK_ROM_DEPTH else None)


def constant_bits(constants: OutputConstants, lanes: int, words: int) -> np.ndarray:
    """Content of the memory of constants, (words, bits) uint8: offset and index of the drop of each lane."""
    drops = np.unique(constants.drop, return_inverse=True)[1]
    drop_bits = int(drops.max()).bit_length()
    values = np.zeros(words * lanes, np.int64)
    values[: len(drops)] = constants.offset % (1 << constants.total_bits) | drops.reshape(-1) << constants.total_bits
    bits = values[:, None] >> np.arange(constants.total_bits + drop_bits) & 1
    return bits.astype(np.uint8).reshape(words, -1)


def output_resources(layer: QuantLayer, constants: OutputConstants, lanes: int, words: int) -> Resources:
    """The lanes of a beat: offset, choice of the bits kept, clip.  words: of the memory of constants."""
    if words == 1:  # the constants are part of the logic
        offset, drop = constants.offset, constants.drop
        return sum(
            (fixed_lane(layer, constants, int(d), lowest_bit(int(o), int(d))) for o, d in zip(offset, drop)),
            Resources(0, 0, 0),
        )
    if len(np.unique(constants.drop)) == 1:
        return fixed_lane(layer, constants, int(constants.drop[0]), 0) * lanes
    return lane_resources(layer, constants) * lanes


def lowest_bit(offset: int, drop: int) -> int:
    """How many low bits of a sum are dropped, and have nothing added that would carry."""
    return min(drop, (offset & -offset).bit_length() - 1) if offset else drop


def fixed_lane(layer: QuantLayer, constants: OutputConstants, drop: int, idle: int) -> Resources:
    """A channel that always drops the same bits: those kept wait in shift registers.  idle: low bits that are neither
    added nor captured."""
    kept = min(layer.code_bits, constants.total_bits - drop)
    ff = constants.total_bits - drop - kept + layer.code_bits + 4 - max(0, idle - constants.lift)
    return Resources(carry_sites(constants.total_bits - idle) + layer.code_bits + kept, ff, 0, kept)


def lane_resources(layer: QuantLayer, constants: OutputConstants) -> Resources:
    """A channel that drops the number of bits that comes with its offset."""
    drops = len(np.unique(constants.drop))
    chosen = (layer.code_bits + 1) * math.ceil(drops / 4)
    clipped = layer.code_bits / 2  # two bits in a site
    lut = carry_sites(constants.total_bits) + clipped + chosen + 0.5 * drops
    ff = constants.total_bits - int(constants.drop.min()) + 3.5 * layer.code_bits + 2 + (drops - 1).bit_length()
    return Resources(lut, ff, 0)


def rom_resources(width: int, depth: int, kept: int | None = None, in_block_ram: bool | None = None) -> Resources:
    """A memory that is only read, with its output register; kept: kept_bits of its content, all of them if unknown;
    in_block_ram: None where its depth decides."""
    if depth >= BLOCK_ROM_DEPTH if in_block_ram is None else in_block_ram:
        blocks, rows = block_rams(width, depth)
        return Resources(width * row_choice_luts(rows), width, blocks)
    if depth == 1:
        return Resources(0, 0, 0)
    kept = width if kept is None else kept
    addresses = -(-width // rom_stretch_bits(depth)) * (depth - 1).bit_length()
    each = next(sites for most, sites in ROM_SITES if depth <= most)
    return Resources(kept * each, kept + addresses, 0)


_COLUMN_WORDS = 64  # of a memory, whose values of a bit are one number


def kept_bits(codes: np.ndarray, code_bits: int) -> int:
    """How many bits of a memory's words keep a register: those that are not always the same, equal ones of
    a stretch once.  codes: (words, count) uint8 of code_bits each, the lowest first in a word."""
    words, step = len(codes), rom_stretch_bits(len(codes))
    if words > _COLUMN_WORDS:
        return _kept_of_deep(codes, code_bits)
    columns = _columns(codes, code_bits)
    whole = np.zeros((-(-len(columns) // step), step), np.uint64)
    whole.reshape(-1)[: len(columns)] = columns
    whole.sort(axis=1)
    never, always = whole[:, 0] == 0, whole[:, -1] == _columns(np.ones((words, 1), np.uint8), 1)
    different = np.count_nonzero(whole[:, 1:] != whole[:, :-1]) + len(whole)
    return int(different - np.count_nonzero(never) - np.count_nonzero(always))


def _kept_of_deep(codes: np.ndarray, code_bits: int) -> int:
    """kept_bits of a memory whose columns are longer than one number."""
    words, step = len(codes), rom_stretch_bits(len(codes))
    ever, always = np.bitwise_or.reduce(codes, axis=0), np.bitwise_and.reduce(codes, axis=0)
    changing = ((ever & ~always)[:, None] >> np.arange(code_bits) & 1).astype(bool).reshape(-1)
    stretches = -(-len(changing) // step)

    def by_place(bits: np.ndarray) -> np.ndarray:
        """(step, stretches): what is at each place of every stretch, one after the other in memory."""
        whole = np.zeros(stretches * step, bits.dtype)
        whole[: len(bits)] = bits
        return np.ascontiguousarray(whole.reshape(stretches, step).T)

    kept = by_place(changing)
    columns = [
        by_place(_columns(codes[part : part + _COLUMN_WORDS], code_bits)) for part in range(0, words, _COLUMN_WORDS)
    ]
    for apart in range(1, step):
        differ = columns[0][apart:] != columns[0][:-apart]
        for column in columns[1:]:
            differ |= column[apart:] != column[:-apart]
        kept[apart:] &= differ
    return int(kept.sum())


def _columns(codes: np.ndarray, code_bits: int) -> np.ndarray:
    """What each bit is in all words, up to 64, as one number: (count * code_bits,) uint64, alike where the bits are.
    codes: as of kept_bits."""
    words = np.zeros((_COLUMN_WORDS, codes.shape[1]), np.uint8)
    words[: len(codes)] = codes
    nibbles = np.ascontiguousarray((words[0::2] | words[1::2] << 4).T).view(np.uint64)  # (count, 4): 16 words in each
    used = np.ascontiguousarray(nibbles[:, : -(-len(codes) // 16)].T)
    planes = used >> np.arange(code_bits, dtype=np.uint64)[:, None, None] & np.uint64(0x1111111111111111)
    planes <<= np.arange(len(used), dtype=np.uint64)[:, None]
    columns: np.ndarray = np.bitwise_or.reduce(planes, axis=1)
    return columns.T.reshape(-1)

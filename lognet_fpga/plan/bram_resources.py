"""Estimates of LUT6 sites, flip-flops and block RAM of a `bram` layer's engine, block by block (`resources`)."""

from __future__ import annotations

import math

import numpy as np

from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.numerics.log2 import WEIGHT_BITS
from lognet_fpga.plan.bram import LARGEST_SHIFT, BramShape, OutputConstants, staged_positions
from lognet_fpga.plan.memory import BLOCK_RAM_DEPTH, BLOCK_ROM_DEPTH, block_rams, row_choice_luts
from lognet_fpga.plan.model import BramPlan, Resources
from lognet_fpga.plan.resources import memory_resources
from lognet_fpga.plan.serial import SRL_CYCLES
from lognet_fpga.plan.sites import carry_sites

# What steers a block, whatever its width.
WINDOW_CONTROL = Resources(65, 60, 0, 2)
ELEMENT_CONTROL = Resources(0, 5, 0)
ACTIVATIONS_CONTROL = Resources(14, 15, 0, 1)
ALL_SHIFTS = 2 ** (LARGEST_SHIFT + 1) - 1
ROM_COLUMN_BITS = 36  # of the memories that a wide one is made of
# Sites of a bit of a memory in LUTs, by its greatest depth: two functions of five address bits share one; those of two
# are partly set and reset pins.
ROM_SITES = ((4, 0.25), (32, 0.5), (64, 1.0), (96, 1.7), (BLOCK_ROM_DEPTH, 2.6))


def bram_blocks(
    layer: QuantLayer, plan: BramPlan, shape: BramShape, constants: OutputConstants
) -> dict[str, Resources]:
    """By the name of the block: window, weights, the processing elements together, constants, activations."""
    lanes = plan.channels_per_beat
    ones = plan.nonzero_weights / layer.codes.size / 2  # of a code's four bits two, for a weight other than zero
    drops = len(np.unique(constants.drop))
    constant_bits = lanes * (constants.total_bits + (drops - 1).bit_length())
    shifts = lane_shifts(layer, shape)
    element = element_resources(shape.simd, layer.in_bits, constants.sum_bits)
    spared = sum(lane_luts(layer.in_bits) - lane_luts(layer.in_bits, mask) for mask in shifts.ravel())
    # Results leave as a shift register; the last ones have nothing behind them to take in.
    leaving = Resources((shape.pe - lanes) * constants.sum_bits, 0, 0)
    return {
        "window": window_resources(layer, plan, shape),
        "weights": rom_resources(shape.pe * shape.simd * WEIGHT_BITS, shape.ii_cycles, ones),
        "pe": element * shape.pe + leaving + Resources(-spared, 0, 0),
        "constants": rom_resources(constant_bits, shape.groups * (shape.pe // lanes)),
        "activations": ACTIVATIONS_CONTROL + lane_resources(layer, constants) * lanes,
    }


def window_resources(layer: QuantLayer, plan: BramPlan, shape: BramShape) -> Resources:
    """Staging in LUT memory, choice of a beat's part, padding, the window memory with its register, addresses."""
    word = shape.simd * layer.in_bits
    banks = max(1, shape.simd // plan.in_channels_per_beat)
    parts = max(1, plan.in_channels_per_beat // shape.simd)
    positions = staged_positions(plan.in_channels_per_beat, plan.in_beats, plan.simd)
    places = positions << (-(-plan.in_beats // banks) - 1).bit_length()
    staging = memory_resources(plan.in_channels_per_beat * layer.in_bits, places) * banks
    choice = Resources(word * math.ceil((parts - 1) / 3) + 0.16 * word, word, 0)
    place, turn = (shape.memory_words - 1).bit_length(), (shape.ii_cycles - 1).bit_length()
    # Counters, and sums modulo the memory's words: places, three addresses of it, the step between two, the next one.
    # Those of a kernel of one tap are few bits, added in LUTs.
    sums = 32.5 * max(0, place - 5) if len(shape.taps) > 1 else 21 * place
    addresses = Resources(sums, 7 * place + turn, 0)
    registered = Resources(0, word if shape.memory_words >= BLOCK_RAM_DEPTH else 0, 0)
    return WINDOW_CONTROL + addresses + staging + choice + memory_resources(word, shape.memory_words) + registered


def lane_shifts(layer: QuantLayer, shape: BramShape) -> np.ndarray:
    """Which shifts the weights of each lane ask for, (pe, simd), bit n for a shift by n; all of them where synthesis
    cannot know, the weights being in block RAM."""
    if shape.ii_cycles >= BLOCK_ROM_DEPTH:
        return np.full((shape.pe, shape.simd), ALL_SHIFTS)
    masks = np.bitwise_or.reduce(np.abs(layer.codes).astype(np.int64), axis=(2, 3))  # a code is a power of two or 0
    outputs, inputs = (-(-channels // lanes) for channels, lanes in zip(masks.shape, (shape.pe, shape.simd)))
    padded = np.zeros((outputs * shape.pe, inputs * shape.simd), np.int64)
    padded[: masks.shape[0], : masks.shape[1]] = masks
    return np.bitwise_or.reduce(padded.reshape(outputs, shape.pe, inputs, shape.simd), axis=(0, 2))


def lane_luts(in_bits: int, shifts: int = ALL_SHIFTS) -> float:
    """A lane's shift by four, zero and sign, two bits in a site where x and x << 4 do not overlap; then the shift by
    0..3.  shifts: bit n for one by n.  Of three shifts and more nothing is spared that was seen to count."""
    wanted = [shift for shift in range(LARGEST_SHIFT + 1) if shifts >> shift & 1]
    if not wanted:
        return 0.0
    if len(wanted) > 2:
        return in_bits + 4 * (in_bits > 4) + in_bits + LARGEST_SHIFT + 2.5
    span = max(wanted) - min(wanted)
    return in_bits + (in_bits + span if span else 0) + 2.5


def element_resources(simd: int, in_bits: int, sum_bits: int) -> Resources:
    """A processing element without the way that its result leaves; the sign bits of products take no LUT."""
    width, count, alone = in_bits + LARGEST_SHIFT, simd, 1
    lut, ff, srl = simd * lane_luts(in_bits), simd * width, 0
    for _ in range(max(1, (simd - 1).bit_length())):
        # The last operand of an odd number waits; waiting for long, it does so in a shift register.
        waits, width = count % 2, width + 1
        if not waits and alone >= SRL_CYCLES:
            lut, ff, srl = lut + width, ff - alone * width, srl + width
        alone = alone + 1 if waits else 1
        lut += count // 2 * carry_sites(width)
        count = -(-count // 2)
        ff += count * width
    return ELEMENT_CONTROL + Resources(lut + carry_sites(sum_bits), ff + 2 * sum_bits, 0, srl)


def lane_resources(layer: QuantLayer, constants: OutputConstants) -> Resources:
    """One channel of a beat: offset, choice of the bits kept, clip."""
    drops = len(np.unique(constants.drop))
    chosen = (layer.out_bits + 1) * math.ceil(drops / 4) if drops > 1 else 0
    lut = carry_sites(constants.total_bits) + layer.out_bits + chosen + 0.5 * drops
    ff = constants.total_bits - int(constants.drop.min()) + 3.5 * layer.out_bits + 2 + (drops - 1).bit_length()
    return Resources(lut, ff, 0)


def rom_resources(width: int, depth: int, ones: float = 0.5) -> Resources:
    """A memory that is only read, with its output register; ones: share of its bits that are 1."""
    columns = -(-width // ROM_COLUMN_BITS)
    if depth >= BLOCK_ROM_DEPTH:
        blocks, rows = block_rams(width, depth)
        return Resources(width * row_choice_luts(rows), width, blocks)
    address_bits = (depth - 1).bit_length()
    different = sum(
        different_bits(min(ROM_COLUMN_BITS, width - first), depth, ones) for first in range(0, width, ROM_COLUMN_BITS)
    )
    each = next(sites for most, sites in ROM_SITES if depth <= most)
    return Resources(different * each, different + columns * address_bits, 0)


def different_bits(width: int, depth: int, ones: float) -> float:
    """How many bits of a random memory's words keep a register: those that are not always 0, equal ones once."""
    if depth > ROM_COLUMN_BITS:
        return width
    total = 0.0
    for count in range(1, depth + 1):
        patterns = math.comb(depth, count)
        bits = width * patterns * ones**count * (1 - ones) ** (depth - count)
        total += patterns * (1 - math.exp(-bits / patterns))
    return total

"""Estimates of LUTs, flip-flops and block RAM of a `bram` layer's engine, counted from what its blocks are made of."""

from __future__ import annotations

import math

import numpy as np

from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.numerics.log2 import WEIGHT_BITS
from lognet_fpga.plan.bram import LARGEST_SHIFT, BramShape, OutputConstants, staged_positions
from lognet_fpga.plan.memory import BLOCK_ROM_DEPTH
from lognet_fpga.plan.model import BramPlan, Resources
from lognet_fpga.plan.resources import memory_resources


def bram_resources(layer: QuantLayer, plan: BramPlan, shape: BramShape, constants: OutputConstants) -> Resources:
    """Staging, window memory, weights, processing elements, activations."""
    word, lanes = shape.simd * layer.in_bits, plan.channels_per_beat
    banks = max(1, shape.simd // plan.in_channels_per_beat)
    parts = max(1, plan.in_channels_per_beat // shape.simd)
    positions = staged_positions(plan.in_channels_per_beat, plan.in_beats, plan.simd)
    bank = memory_resources(
        plan.in_channels_per_beat * layer.in_bits, positions << (-(-plan.in_beats // banks) - 1).bit_length()
    )
    total = Resources(banks * bank.lut, banks * bank.ff, banks * bank.bram36)
    # Choice of a beat's part, padding, addresses; the window memory's output register.
    total += Resources(word * math.ceil((parts - 1) / 2) + 0.9 * word + 100, word + 80, 0)
    total += memory_resources(word, shape.memory_words)

    element = element_resources(shape.simd, layer.in_bits, constants.sum_bits)
    total += rom_resources(shape.pe * shape.simd * WEIGHT_BITS, shape.ii_cycles)
    # Results leave as a shift register; the last ones have nothing behind them to take in.
    total += Resources(shape.pe * element.lut + (shape.pe - lanes) * constants.sum_bits, shape.pe * element.ff, 0)

    drops = len(np.unique(constants.drop))
    drop_bits = (drops - 1).bit_length()
    total += rom_resources(lanes * (constants.total_bits + drop_bits), shape.groups * (shape.pe // lanes))
    chosen = (layer.out_bits + 1) * math.ceil(drops / 4) if drops > 1 else 0
    dropped = int(constants.drop.min())
    lut = constants.total_bits + chosen + 2.7 * drops
    ff = constants.total_bits - dropped + 2 * layer.out_bits + 2 + drop_bits
    return total + Resources(lanes * lut + 10, lanes * ff + 15, 0)


def element_resources(simd: int, in_bits: int, sum_bits: int) -> Resources:
    """A processing element; the sign bits of products and of sums of two take no LUT."""
    lut, ff = simd * (in_bits + 4 + in_bits + LARGEST_SHIFT - 1), simd * (in_bits + 4)
    width, count = in_bits + LARGEST_SHIFT + 1, simd
    for _ in range(max(1, (simd - 1).bit_length())):
        lut += count // 2 * width
        width, count = width + 1, -(-count // 2)
        ff += count * width
    return Resources(lut + sum_bits, 0.95 * (ff + 2 * sum_bits), 0)  # some registers are merged


def rom_resources(width: int, depth: int) -> Resources:
    """A memory that is only read, with its output register."""
    if depth < BLOCK_ROM_DEPTH:
        columns, address_bits = -(-width // 36), (depth - 1).bit_length()
        return Resources(width * (1 if depth <= 64 else 2.65), width + columns * address_bits, 0)
    rows, columns = -(-depth // 1024), -(-width // 36)
    blocks = 0.5 if depth <= 512 else rows
    chosen = 0 if rows == 1 else 1 if rows <= 4 else 2 if rows <= 8 else math.ceil(rows / 4)
    return Resources(width * chosen, width, columns * blocks)

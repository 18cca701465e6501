"""Estimates of LUTs, flip-flops and block RAM, counted from what the blocks are made of.

The counts follow the hardware in `hw`, block by block; the few factors below stand for what technology mapping
does with them and were fitted to Yosys 0.70 (`synth_xilinx -family xc7`), see docs/architecture.md, "Estimates".
"""

from __future__ import annotations

import math

from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.plan.memory import BLOCK_RAM_DEPTH
from lognet_fpga.plan.model import ClbPlan, LayerPlan, Resources
from lognet_fpga.plan.serial import SerialCounts
from lognet_fpga.plan.slots import slot_raster

SHELL = Resources(220, 275, 0)  # AXI4-Lite registers, entry and exit


def adder_resources(counts: SerialCounts) -> Resources:
    """The serial adders with their delays and splices."""
    lut = counts.adder_luts + counts.shift_registers + counts.splice_luts + counts.bias_luts
    return Resources(lut, counts.adder_ffs + counts.delay_ffs + counts.control_ffs, 0)


def memory_resources(width: int, depth: int) -> Resources:
    """A memory with one write and one synchronous read port."""
    if depth >= BLOCK_RAM_DEPTH:
        columns = -(-width // 36)  # of 512 x 36, half a BRAM36 each
        return Resources(0, 0, math.ceil(depth / 512) * columns / 2)
    per_lut_group = 6 if depth <= 32 else 3  # RAM32M, RAM64M: four LUTs each
    return Resources(4 * -(-width // per_lut_group), width, 0)


def serial_resources(layer: QuantLayer, plan: ClbPlan, arithmetic: Resources) -> Resources:
    """The engine of a `clb` layer: window and requantize around its arithmetic."""
    channels, out_channels = layer.in_shape[0], layer.codes.shape[0]
    kernel_h, kernel_w = layer.kernel
    lanes = channels * plan.digit_bits * plan.in_legs
    total = arithmetic

    # Window: the word, its digits, alignment in SRLs, taps; columns are shift registers.
    word = plan.in_beats * plan.in_channels_per_beat * layer.in_bits
    digits = lanes * plan.in_digits
    total += Resources(lanes * plan.in_digits + 40, word + digits + lanes + kernel_h * kernel_w * lanes + 60, 0)
    if kernel_h > 1:
        total += memory_resources((kernel_h - 1) * lanes, len(slot_raster(layer).col_flags) * plan.in_digits)
    total += delay_resources(kernel_h * (kernel_w - 1) * lanes, plan.in_digits)

    # Accumulators: their lower legs wait for the last one.  Requantize: kept bits with their wires' registers, excess
    # and sign, the beat registers with clip and load in one LUT.
    first_leg = layer.shift // (plan.digit_bits * plan.leg_cycles)
    for leg in range(first_leg, plan.legs):
        total += delay_resources(out_channels * plan.digit_bits, (plan.legs - 1 - leg) * plan.leg_cycles)
    wires = (plan.legs - first_leg) * plan.digit_bits
    beat = plan.channels_per_beat * layer.out_bits
    beats = -(-out_channels // plan.channels_per_beat)
    any_luts = out_channels * max(1, math.ceil(wires / 4))
    ff = out_channels * (layer.out_bits + min(wires, layer.out_bits) + 5)
    return total + Resources(any_luts + beats * beat + 20, ff + beats * beat + 20, 0)


def stream_resources(layer: QuantLayer, plan: LayerPlan) -> Resources:
    """Pool and FIFO of a layer."""
    beat, beats = plan.channels_per_beat * layer.out_bits, -(-layer.codes.shape[0] // plan.channels_per_beat)
    total = memory_resources(beat, plan.fifo_depth) + Resources(40, 40, 0)
    if layer.pool is not None:
        pool_h, pool_w = layer.pool.kernel
        compare = plan.channels_per_beat * (1.5 * layer.out_bits + 1)
        total += Resources((pool_h + pool_w - 2) * compare + 40, 3 * beat + 40, 0)
        total += delay_resources((pool_w - 1) * beat, beats)
        if pool_h > 1:
            total += memory_resources((pool_h - 1) * beat, layer.out_shape[2] * beats)
    return total


def delay_resources(wires: int, cycles: int) -> Resources:
    """Delay lines with enable: flip-flops up to two cycles, SRLs above."""
    if cycles <= 2:
        return Resources(0, wires * cycles, 0)
    return Resources(wires * -(-cycles // 32), 0, 0)

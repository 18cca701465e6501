"""Estimates of LUT6 sites, flip-flops and block RAM, block by block, counted from what the blocks are made of.

The counts follow the hardware in `hw`.  What the datapath of a block takes follows from its widths; what steers it
(counters, strobes, their leaves) is a constant, fitted to Yosys 0.70 (`synth_xilinx -family xc7`, its cells counted as
`build.synthesis` does) like the few factors: `python benchmarks/estimate_error.py --fitted --blocks` shows each block
beside its estimate, docs/architecture.md, "Estimates", how far they are off.
"""

from __future__ import annotations

import math

from lognet_fpga.ir.graph import AveragePool
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.plan.memory import BLOCK_RAM_DEPTH
from lognet_fpga.plan.model import ClbPlan, LayerPlan, Resources
from lognet_fpga.plan.serial import SerialCounts
from lognet_fpga.plan.sites import carry_sites
from lognet_fpga.plan.slots import slot_raster

SHELL = Resources(300, 275, 0)  # AXI4-Lite registers, entry and exit
# What steers a block, whatever its width.
ENGINE_CONTROL = Resources(12, 0, 0)
WINDOW_CONTROL = Resources(57, 40, 0)
SHORT_WINDOW_CONTROL = Resources(45, 40, 0)  # where an activation is one digit
LINES_CONTROL = Resources(9, 12, 0)
REQUANTIZE_CONTROL = Resources(12, 15, 0)
POOL_CONTROL = Resources(55, 19, 0)
POOL_MEMORY_CONTROL = Resources(5, 0, 0)
FIFO_CONTROL = Resources(4, 4, 0)
LEAF_LOADS = 100  # that a leaf of a control net steers (hw.control)


def adder_resources(counts: SerialCounts) -> Resources:
    """The serial adders with their delays, splices and bias tables."""
    # Two tables of the same digit counter share a site.
    lut = counts.adder_sites + counts.shift_registers + counts.splice_luts + counts.bias_luts / 2
    ff = counts.adder_ffs + counts.delay_ffs + counts.control_ffs
    return ENGINE_CONTROL + Resources(lut, ff, 0, counts.shift_registers)


def memory_resources(width: int, depth: int) -> Resources:
    """A memory with one write and one synchronous read port."""
    if depth >= BLOCK_RAM_DEPTH:
        columns = -(-width // 36)  # of 512 x 36, half a BRAM36 each
        return Resources(0, 0, math.ceil(depth / 512) * columns / 2)
    per_lut_group = 6 if depth <= 32 else 3  # RAM32M, RAM64M: four LUTs each
    lut = 4 * -(-width // per_lut_group)
    return Resources(lut, width, 0, lut)


def serial_blocks(layer: QuantLayer, plan: ClbPlan, adders: Resources) -> dict[str, Resources]:
    """The blocks of a `clb` engine, by name: window and requantize around the adders."""
    return {"window": window_resources(layer, plan), "adders": adders, "requantize": requantize_resources(layer, plan)}


def window_resources(layer: QuantLayer, plan: ClbPlan) -> Resources:
    """The word, its digits, line buffer, columns, taps."""
    (channels, *_), (kernel_h, kernel_w) = layer.in_shape, layer.kernel
    wires = plan.digit_bits * plan.in_legs  # of an activation
    lanes = channels * wires
    word = plan.in_beats * plan.in_channels_per_beat * layer.in_bits
    waiting = plan.in_channels_per_beat * layer.in_bits
    taps, digits = kernel_h * kernel_w * lanes, channels * layer.in_bits
    following = channels * max(0, layer.in_bits - wires)  # digits that move up or are loaded
    control = WINDOW_CONTROL if plan.in_digits > 1 else SHORT_WINDOW_CONTROL
    total = control + Resources(following, word + waiting + digits + lanes + taps, 0)
    if kernel_h > 1:
        lines = (kernel_h - 1) * lanes
        length = len(slot_raster(layer).col_flags) * plan.in_digits
        total += LINES_CONTROL + memory_resources(lines, length) + Resources(0, lines, 0)
    lanes_each = max(1, -(-lanes // LEAF_LOADS))
    columns = kernel_h * (kernel_w - 1)
    total += delay_resources(columns * lanes, plan.in_digits)
    return total + Resources(0, columns * lanes_each + (taps + word + 2 * digits) / LEAF_LOADS, 0)


def requantize_resources(layer: QuantLayer, plan: ClbPlan) -> Resources:
    """Legs that wait for the last one, kept digits, excess and sign, the beats with clip and load in one LUT."""
    channels, digit_bits, leg_bits = layer.codes.shape[0], plan.digit_bits, plan.digit_bits * plan.leg_cycles
    first_leg, top_leg = layer.shift // leg_bits, (layer.shift + layer.out_bits) // leg_bits
    waiting = Resources(0, 0, 0)
    for leg in range(first_leg, plan.legs):
        waiting += delay_resources(channels * digit_bits, (plan.legs - 1 - leg) * plan.leg_cycles)
    # Each wire that holds a kept bit has a register in front of those bits.
    wires = {(bit // leg_bits, bit % digit_bits) for bit in range(layer.shift, layer.shift + layer.out_bits)}
    held, beyond = layer.out_bits + len(wires), plan.legs - 1 - top_leg
    beats = -(-channels // plan.channels_per_beat)
    results = beats * plan.channels_per_beat * layer.out_bits
    leaves = (4 * channels * held + results) / LEAF_LOADS
    ff = channels * (held + 4 + (1 if digit_bits > 1 else 0) + (2 if beyond else 0)) + results + leaves
    return REQUANTIZE_CONTROL + waiting + Resources((1.4 + bool(beyond)) * channels + results, ff, 0)


def stream_blocks(layer: QuantLayer, plan: LayerPlan) -> dict[str, Resources]:
    """The blocks behind a layer's engine, by name: pool, if it has one, and FIFO."""
    queue = {"fifo": fifo_resources(plan.channels_per_beat * layer.out_bits, plan.fifo_depth)}
    return queue if layer.pool is None else {"pool": pool_resources(layer, plan), **queue}


def fifo_resources(width: int, depth: int) -> Resources:
    """Memory, three pointers, two counters of its beats."""
    place = (depth - 1).bit_length()
    steering = Resources(4 * carry_sites(place + 1) + 1.3 * place, 3 * place + 2 * (place + 1), 0)
    return FIFO_CONTROL + steering + memory_resources(width, depth)


def pool_resources(layer: QuantLayer, plan: LayerPlan) -> Resources:
    """Beats and those kept, comparisons or sums along the row and across rows."""
    (pool_h, pool_w), lanes = layer.pool.kernel, plan.channels_per_beat
    beats = -(-layer.codes.shape[0] // lanes)
    average = isinstance(layer.pool, AveragePool)
    row_bits = layer.out_bits + ((pool_w - 1).bit_length() if average else 0)
    window_bits = row_bits + ((pool_h - 1).bit_length() if average else 0)
    beat = lanes * layer.out_bits
    if average:
        lane = (pool_w - 1) * carry_sites(row_bits) + (pool_h - 1) * carry_sites(window_bits) + 0.4 * layer.out_bits
    else:
        # A carry chain takes two bits a step in a comparison.
        compare = carry_sites(layer.out_bits / 2) + 0.2 * layer.out_bits if layer.out_bits > 4 else 0.6
        lane = (pool_h + pool_w - 2) * (layer.out_bits + compare)
    total = POOL_CONTROL + Resources(lanes * lane, 3 * beat + lanes * row_bits, 0)
    total += delay_resources((pool_w - 1) * beat, beats)
    if pool_h > 1:
        length = layer.out_shape[2] * beats
        addresses = Resources(0, 2 * (length - 1).bit_length(), 0)
        total += POOL_MEMORY_CONTROL + addresses + memory_resources((pool_h - 1) * lanes * row_bits, length)
    return total


def delay_resources(wires: int, cycles: int) -> Resources:
    """Delay lines with enable: flip-flops up to two cycles, SRLs above."""
    if cycles <= 2:
        return Resources(0, wires * cycles, 0)
    srl = wires * -(-cycles // 32)
    return Resources(srl, 0, 0, srl)

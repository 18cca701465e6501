"""Estimates of LUT6 sites, flip-flops and block RAM, block by block, counted from what the blocks are made of.

The counts follow the hardware in `hw`.  What the datapath of a block takes follows from its widths; what steers it
(counters, strobes, their leaves) is a constant, fitted to Yosys 0.70 (`synth_xilinx -family xc7`, its cells counted as
`build.synthesis` does) like the few factors: `python benchmarks/estimate_error.py --fitted --blocks` shows each block
beside its estimate, docs/architecture.md, "Estimates", how far they are off.
"""

from __future__ import annotations

from lognet_fpga.ir.graph import AveragePool
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.plan.memory import BLOCK_RAM_DEPTH, block_rams, row_choice_luts
from lognet_fpga.plan.model import ClbPlan, LayerPlan, Resources
from lognet_fpga.plan.serial import SerialCounts
from lognet_fpga.plan.sites import carry_sites
from lognet_fpga.plan.slots import slot_raster

SHELL = Resources(550, 485, 0)  # AXI4-Lite registers, entry and exit
# What steers a block, whatever its width.
ENGINE_CONTROL = Resources(12, 0, 0)
WINDOW_CONTROL = Resources(57, 40, 0)
SHORT_WINDOW_CONTROL = Resources(45, 40, 0)  # where an activation is one digit
LINES_CONTROL = Resources(25, 30, 0)
REQUANTIZE_CONTROL = Resources(15, 14, 0)
POOL_CONTROL = Resources(55, 22, 0)
POOL_MEMORY_CONTROL = Resources(5, 0, 0)
FIFO_CONTROL = Resources(14, 14, 0)
BLOCK_RAM_BITS = 72  # of a FIFO in block RAM that share a read address
LEAF_LOADS = 100  # that a leaf of a control net steers (hw.control)


def adder_resources(counts: SerialCounts) -> Resources:
    """The serial adders with their delays, splices and bias tables."""
    # Two tables of the same digit counter share a site, and two splices of the same strobe.
    lut = counts.adder_sites + counts.shift_registers + (counts.splice_luts + counts.bias_luts) / 2
    ff = counts.adder_ffs + counts.delay_ffs + counts.control_ffs
    return ENGINE_CONTROL + Resources(lut, ff, 0, counts.shift_registers)


def memory_resources(width: int, depth: int) -> Resources:
    """A memory with one write and one synchronous read port."""
    if depth >= BLOCK_RAM_DEPTH:
        blocks, rows = block_rams(width, depth)
        return Resources(width * row_choice_luts(rows), 0, blocks)
    per_lut_group = 6 if depth <= 32 else 3  # RAM32M, RAM64M: four LUTs each
    lut = 4 * -(-width // per_lut_group)
    return Resources(lut, width, 0, lut)


def serial_blocks(layer: QuantLayer, plan: ClbPlan, adders: Resources) -> dict[str, Resources]:
    """The blocks of a `clb` engine, by name: window and requantize around the adders."""
    leg_bits = plan.digit_bits * plan.leg_cycles
    waiting = Resources(0, 0, 0)  # the lower legs of the sums wait for the last one
    for leg in range(layer.shift // leg_bits, plan.legs):
        waiting += delay_resources(layer.codes.shape[0] * plan.digit_bits, (plan.legs - 1 - leg) * plan.leg_cycles)
    # Legs of dropped bits only: no sums leave them, just carries.
    dropped = layer.codes.shape[0] * (layer.shift // leg_bits)
    unread = Resources(-dropped * (plan.digit_bits - 1), -dropped * plan.digit_bits, 0)
    return {
        "window": window_resources(layer, plan),
        "adders": adders + waiting + unread,
        "requantize": requantize_resources(layer, plan),
    }


def window_resources(layer: QuantLayer, plan: ClbPlan) -> Resources:
    """The word, its digits, line buffer, columns, taps."""
    (channels, *_), (kernel_h, kernel_w) = layer.in_shape, layer.kernel
    wires = plan.digit_bits * plan.in_legs  # of an activation
    lanes = channels * wires
    word = plan.in_beats * plan.in_channels_per_beat * layer.in_bits
    waiting = plan.in_channels_per_beat * layer.in_bits
    taps, digits = kernel_h * kernel_w * lanes, channels * layer.in_bits
    following = channels * max(0, layer.in_bits - wires) / 2  # digits that move up or are loaded, two in a site
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
    """A register behind each wire that is looked at, kept bits, excess and sign, the beats with clip and load in one
    LUT."""
    channels, digit_bits, leg_bits = layer.codes.shape[0], plan.digit_bits, plan.digit_bits * plan.leg_cycles
    top_leg, top_bit = (layer.shift + layer.act_bits) // leg_bits, (layer.shift + layer.act_bits) % digit_bits
    seen = {(bit // leg_bits, bit % digit_bits) for bit in range(layer.shift, layer.shift + layer.act_bits)}
    seen.add((plan.legs - 1, digit_bits - 1))  # the sign
    ors = 0  # of several wires, with a register behind
    for wires in (
        [(top_leg, bit) for bit in range(top_bit, digit_bits)],
        [(top_leg, bit) for bit in range(top_bit)],
        beyond := [(leg, bit) for leg in range(top_leg + 1, plan.legs) for bit in range(digit_bits)],
    ):
        seen |= set(wires) if len(wires) == 1 else set()
        ors += len(wires) > 1
    held = layer.act_bits + 2 + bool(beyond)
    beats = -(-channels // plan.channels_per_beat)
    results = beats * plan.channels_per_beat * layer.act_bits
    leaves = 4 * -(-channels // (LEAF_LOADS // (layer.act_bits + 3))) + 2 * -(-results // LEAF_LOADS)
    clipped = channels * (layer.act_bits + 1 + bool(beyond) + ors)
    last = plan.channels_per_beat * layer.act_bits  # clipped, and nothing else to load: two bits in a site
    return REQUANTIZE_CONTROL + Resources(clipped - last / 2, channels * (len(seen) + ors + held) + results + leaves, 0)


def stream_blocks(layer: QuantLayer, plan: LayerPlan) -> dict[str, Resources]:
    """The blocks behind a layer's engine, by name: pool, if it has one, and FIFO."""
    queue = {"fifo": fifo_resources(plan.channels_per_beat * layer.out_bits, plan.fifo_depth)}
    return queue if layer.pool is None else {"pool": pool_resources(layer, plan), **queue}


def fifo_resources(width: int, depth: int) -> Resources:
    """Memory, the beats behind it, three pointers and leaves of one, two counters of its beats."""
    place = (depth - 1).bit_length()
    in_block_ram = depth >= BLOCK_RAM_DEPTH  # which has a register of its own
    lanes = -(-width // (BLOCK_RAM_BITS if in_block_ram else LEAF_LOADS))
    steering = Resources(4 * carry_sites(place + 1) + 1.3 * place, (5 + lanes) * place, 0)
    behind = Resources(0, width, 0)
    return FIFO_CONTROL + steering + memory_resources(width, depth) + behind


def pool_resources(layer: QuantLayer, plan: LayerPlan) -> Resources:
    """Beats and those kept, comparisons or sums along the row and across rows, a register behind each."""
    (pool_h, pool_w), lanes = layer.pool.kernel, plan.channels_per_beat
    beats = -(-layer.codes.shape[0] // lanes)
    average = isinstance(layer.pool, AveragePool)
    row_bits = layer.act_bits + ((pool_w - 1).bit_length() if average else 0)
    window_bits = row_bits + ((pool_h - 1).bit_length() if average else 0)
    beat, mean = lanes * layer.act_bits, lanes * layer.out_bits
    if average:
        sums = (pool_w - 1) * carry_sites(row_bits) + (pool_h - 1) * carry_sites(window_bits)
        lane = sums + carry_sites(window_bits + 1)  # rounded
    else:
        # A carry chain takes two bits a step in a comparison, and chooses two bits in a site; of short numbers the
        # choice is part of the comparison.
        step = layer.act_bits + 0.6
        if layer.act_bits > 4:
            step = layer.act_bits / 2 + carry_sites(layer.act_bits / 2) + 0.2 * layer.act_bits
        lane = (pool_h + pool_w - 2) * step
    levels = tree_registers(pool_w) * row_bits + tree_registers(pool_h) * window_bits
    total = POOL_CONTROL + Resources(lanes * lane, beat + (2 if average else 1) * mean + lanes * levels, 0)
    total += delay_resources((pool_w - 1) * beat, beats)
    if beats > 3:  # the last cycle of the delay is a register
        total += Resources(0, (pool_w - 1) * beat, 0)
    if pool_h > 1:
        width, length = (pool_h - 1) * lanes * row_bits, layer.out_shape[2] * beats
        place = (length - 1).bit_length()
        in_block_ram = length >= BLOCK_RAM_DEPTH
        leaves = 1 + place if in_block_ram else -(-width // LEAF_LOADS) * (1 + 2 * place)
        registered = width if in_block_ram else 0
        total += POOL_MEMORY_CONTROL + Resources(0, 2 * place + leaves + registered, 0)
        total += memory_resources(width, length)
    return total


def tree_registers(leaves: int) -> int:
    """Registers of a tree that joins two in each node: every level has one behind each node, and there is a level."""
    count = 0
    while leaves > 1 or not count:
        leaves = -(-leaves // 2)
        count += leaves
    return count


def delay_resources(wires: int, cycles: int) -> Resources:
    """Delay lines with enable: flip-flops up to two cycles, SRLs above."""
    if cycles <= 2:
        return Resources(0, wires * cycles, 0)
    srl = wires * -(-cycles // 32)
    return Resources(srl, 0, 0, srl)

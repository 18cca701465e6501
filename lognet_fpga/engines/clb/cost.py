"""Estimates of LUT6 sites, flip-flops and block RAM of a `clb` layer's engine, block by block (`fabric.costs`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lognet_fpga.engines.clb.counts import SerialCounts
from lognet_fpga.engines.folding import Streams
from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.costs import LEAF_LOADS, SRL_CYCLES, delay_resources, memory_resources
from lognet_fpga.fabric.memory import BLOCK_RAM_DEPTH
from lognet_fpga.fabric.slots import slot_raster
from lognet_fpga.ir.quant import QuantLayer

if TYPE_CHECKING:
    from lognet_fpga.engines.clb.foldings import ClbFolding

# What steers a block, whatever its width.
ENGINE_CONTROL = Resources(12, 0, 0)
WINDOW_CONTROL = Resources(57, 50, 0, 0, 15)
SHORT_WINDOW_CONTROL = Resources(45, 50, 0, 0, 15)  # where an activation is one digit
LINES_CONTROL = Resources(25, 36, 0, 0, 30)
REQUANTIZE_CONTROL = Resources(15, 14, 0, 0, 0, 33)
_PLACE_BITS = 3  # of a beat that waits for the window


def adder_resources(counts: SerialCounts) -> Resources:
    """The serial adders with their delays, gates of operands and bias tables."""
    # Two tables of the same digit counter share a site, and two gates of the same strobe.
    lut = counts.adder_sites + counts.shift_registers + (counts.gate_luts + counts.bias_luts) / 2
    ff = counts.adder_ffs + counts.delay_ffs + counts.control_ffs
    # Behind the tables of the biases are LUTs, and some strobes are in shift registers.
    lone, dual = (
        counts.lone_ffs + 0.6 * (counts.control_ffs - counts.bias_luts),
        counts.dual_sites + counts.gate_luts / 2,
    )
    return ENGINE_CONTROL + Resources(lut, ff, 0, counts.shift_registers, lone, dual)


def serial_blocks(layer: QuantLayer, folding: ClbFolding, streams: Streams, adders: Resources) -> dict[str, Resources]:
    """The blocks of a `clb` engine, by name: window and requantize around the adders."""
    leg_bits = folding.digit_bits * folding.leg_cycles
    waiting = Resources(0, 0, 0)  # the lower legs of the sums wait for the last one
    for leg in range(layer.shift // leg_bits, folding.legs):
        late = delay_resources(
            layer.codes.shape[0] * folding.digit_bits, (folding.legs - 1 - leg) * folding.leg_cycles, enabled=False
        )
        # A sum whose register is in a shift register leaves the carry alone with its own.
        waiting += late + Resources(0, 0, 0, 0, 0, -layer.codes.shape[0] if late.m_lut else 0)
    # Legs of dropped bits only: no sums leave them, just carries.
    dropped = layer.codes.shape[0] * (layer.shift // leg_bits)
    unread = Resources(-dropped * (folding.digit_bits - 1), -dropped * folding.digit_bits, 0)
    return {
        "window": window_resources(layer, folding, streams),
        "adders": adders + waiting + unread,
        "requantize": requantize_resources(layer, folding, streams),
    }


def window_resources(layer: QuantLayer, folding: ClbFolding, streams: Streams) -> Resources:
    """The beats that wait, a position's digits, line buffer, columns, taps."""
    (channels, *_), (kernel_h, kernel_w) = layer.in_shape, layer.kernel
    wires = folding.digit_bits * folding.in_legs  # of an activation
    lanes = channels * wires
    taps, digits = kernel_h * kernel_w * lanes, channels * layer.in_bits
    # The last digit of an activation has nothing that follows it; those before move up or are loaded, two in a site.
    following, last = channels * max(0, layer.in_bits - wires) / 2, lanes if folding.in_digits > 1 else 0
    control = WINDOW_CONTROL if folding.in_digits > 1 else SHORT_WINDOW_CONTROL
    total = control + waiting_resources(streams.in_channels_per_beat * layer.in_bits, streams.in_beats)
    total += Resources(following, digits + lanes + taps, 0, 0, last + 2 * lanes, following)
    length = len(slot_raster(layer).col_flags) * folding.in_digits
    if kernel_h > 1:
        lines, in_block_ram = (kernel_h - 1) * lanes, length >= BLOCK_RAM_DEPTH
        # What a memory in LUTs shows goes on into the taps, what a block RAM does has one more register.
        seen = Resources(0, lines if in_block_ram else -lines, 0, 0, 2 * lines if in_block_ram else 0)
        total += LINES_CONTROL + memory_resources(lines, length) + seen
    lanes_each = max(1, -(-lanes // LEAF_LOADS))
    columns = kernel_h * (kernel_w - 1)
    delays = delay_resources(columns * lanes, folding.in_digits)
    leaves = columns * lanes_each + (taps + 2 * digits) / LEAF_LOADS
    short = Resources(0, 0, 0, 0, columns * lanes if not delays.m_lut else 0)  # whose taps are lone, too
    return total + delays + short + Resources(0, leaves, 0, 0, leaves)


def waiting_resources(beat: int, beats: int) -> Resources:
    """Of so many bits a beat: a memory a beat of a position, with leaves of its places and of its enable."""
    stretches = beats * -(-beat // LEAF_LOADS)
    memory = memory_resources(beat, 2**_PLACE_BITS) * beats
    leaves = stretches * (2 * _PLACE_BITS + (beats > 1))
    return Resources(memory.lut + beats, leaves + beats, 0, memory.m_lut, leaves)


def requantize_resources(layer: QuantLayer, folding: ClbFolding, streams: Streams) -> Resources:
    """Kept bits, excess and sign, the beats with clip and load in one LUT."""
    channels, digit_bits, leg_bits = layer.codes.shape[0], folding.digit_bits, folding.digit_bits * folding.leg_cycles
    top_leg = (layer.shift + layer.code_bits) // leg_bits
    seen = {(bit // leg_bits, bit % digit_bits) for bit in range(layer.shift, layer.shift + layer.code_bits)}
    seen.add((folding.legs - 1, digit_bits - 1))  # the sign
    beyond = top_leg + 1 < folding.legs
    held = layer.code_bits + 2 + beyond
    beats = -(-channels // streams.channels_per_beat)
    results = beats * streams.channels_per_beat * layer.code_bits
    leaves = 4 * -(-channels // (LEAF_LOADS // (layer.code_bits + 3))) + 2 * -(-results // LEAF_LOADS)
    clipped = channels * (layer.code_bits + 1 + beyond)
    # Clipped, and nothing else to load or to wipe: two bits in a site.
    last = 0 if folding.raster.blanks else streams.channels_per_beat * layer.code_bits
    ff = channels * held + results + leaves
    # What is kept comes from registers, or from shift registers that wait for the last leg.
    waiting = sum((folding.legs - 1 - leg) * folding.leg_cycles >= SRL_CYCLES for leg, _ in seen)
    lone = leaves + channels * (layer.code_bits + 1 - waiting)
    return REQUANTIZE_CONTROL + Resources(clipped - last / 2, ff, 0, 0, lone)

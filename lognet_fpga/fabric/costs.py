"""Estimates of LUT6 sites, flip-flops and block RAM, block by block, counted from what the blocks are made of.

The counts follow the hardware in `hw`; those of a store's own blocks are in its package.  What the datapath of a block
takes follows from its widths; what steers it (counters, strobes, their leaves) is a constant, fitted to Yosys 0.70
(`synth_xilinx -family xc7`, its cells counted as `synth.synthesis` does) like the few factors:
`python benchmarks/estimate_error.py --fitted --blocks` shows each block beside its estimate, docs/architecture.md,
"Estimates", how far they are off.
"""

from __future__ import annotations

from dataclasses import astuple
from functools import lru_cache

import numpy as np

from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.latencies import ROOMS_TOGETHER
from lognet_fpga.fabric.memory import BLOCK_RAM_DEPTH, BLOCK_TABLE_DEPTH, block_rams, row_choice_luts, table_words
from lognet_fpga.fabric.pools import Scale, pool_shape
from lognet_fpga.fabric.sites import carry_sites
from lognet_fpga.ir.quant import QuantLayer

SHELL = Resources(590, 650, 0, 0, 300, 40)  # AXI4-Lite registers, entry and exit
# What steers a block, whatever its width.
POOL_CONTROL = Resources(15, 21, 0, 0, 5)
POOL_ROWS_CONTROL = Resources(40, 0, 0)  # where the frame has more than one
POOL_MEMORY_CONTROL = Resources(5, 0, 0)
RANK_CONTROL = Resources(8, 9, 0, 0, 6)
TABLE_CONTROL = Resources(2, 6, 0, 0, 4)
LUT_PLACES = 64  # of a memory's bit that one LUT holds
TABLE_LUTS = 1.1  # that synthesis makes of each: some are chosen between by others
FIFO_CONTROL = Resources(14, 14, 0, 0, 5)
JOIN_CONTROL = Resources(13, 13, 0, 0, 3, 2)
PICK_CONTROL = Resources(28, 19, 0, 0, 1, 5)
BLOCK_RAM_BITS = 72  # of a FIFO in block RAM that share a read address
# Registers in a row without reset or tap, from which on synthesis makes a shift register of them, and of those with an
# enable (`synth.yosys`).
SRL_CYCLES, ENABLED_SRL_CYCLES = 3, 2
LEAF_LOADS = 100  # that a leaf of a control net steers (hw.control)


def memory_resources(width: int, depth: int) -> Resources:
    """A memory with one write and one synchronous read port."""
    if depth >= BLOCK_RAM_DEPTH:
        blocks, rows = block_rams(width, depth)
        return Resources(width * row_choice_luts(rows), 0, blocks)
    per_lut_group = 6 if depth <= 32 else 3  # RAM32M, RAM64M: four LUTs each
    lut = 4 * -(-width // per_lut_group)
    return Resources(lut, width, 0, lut)


def slice_resources(width: int) -> Resources:
    """A register slice: a beat and a spare one, two bits of the choice between them in a site."""
    return Resources(width / 2 + 2, 2 * width + 4, 0)


def join_resources(width: int) -> Resources:
    """A register slice of two entries."""
    return JOIN_CONTROL + Resources(1.5 * width, 2 * width, 0, 0, 0, width / 2)


def pick_resources(width: int) -> Resources:
    """A register, and counters of beats, columns and rows."""
    return PICK_CONTROL + Resources(0, width, 0, 0, width)


def admit_resources(width: int) -> Resources:
    """A register."""
    return Resources(1, width + 2, 0, 0, width + 1)


def rooms_resources(fifos: int) -> Resources:
    """Whether all FIFOs behind a layer have room."""
    together = -(-fifos // ROOMS_TOGETHER)
    return Resources(together, together, 0) + (rooms_resources(together) if together > 1 else Resources(0, 0, 0))


def table_blocks(layer: QuantLayer, lanes: int) -> dict[str, Resources]:
    """The tables of a layer's activation function, by name, if it has one; lanes: channels a beat."""
    if layer.table is None:
        return {}
    contents = (table_words(layer.table, lane, lanes, len(layer.codes)) for lane in range(lanes))
    return {"curve": sum((table_resources(content, layer.act_bits) for content in contents), TABLE_CONTROL)}


@lru_cache(maxsize=1 << 10)
def table_resources(content: tuple[int, ...], act_bits: int) -> Resources:
    """Of a lane: a memory, registers of its address and of its word."""
    depth = len(content)
    address = (depth - 1).bit_length()
    registers = Resources(0, address + act_bits, 0, 0, address)
    if depth >= BLOCK_TABLE_DEPTH:
        blocks, rows = block_rams(act_bits, depth)
        return registers + Resources(act_bits * row_choice_luts(rows), act_bits, blocks, 0, act_bits)
    # Of every bit the parts that a LUT holds, but for those that are constant or like another one; and their choice.
    parts = np.resize(np.array(content), (-(-depth // LUT_PLACES), LUT_PLACES))
    luts = 0
    for bit in range(act_bits):
        different = {part.tobytes() for part in (parts >> bit & 1).astype(bool) if part.any() and not part.all()}
        luts += len(different)
    return registers + Resources(TABLE_LUTS * luts, 0, 0)


def rank_blocks(layer: QuantLayer, lanes: int) -> dict[str, Resources]:
    """What compares the sums of a layer that puts out a class, by name; lanes: channels a beat."""
    if layer.ranking is None:
        return {}
    return {"rank": rank_resources(layer.ranking.bits, layer.out_bits, lanes)}


def rank_resources(bits: int, number: int, lanes: int) -> Resources:
    """Of values of so many bits, whose channels have numbers of so many: the beat, a tree of comparisons, and the
    largest value so far."""
    kept, pairs, nodes = bits + number, lanes - 1, tree_registers(lanes) if lanes > 1 else 0
    # A comparison takes two bits a step, the choice behind it two bits a site.
    lut = pairs * (carry_sites(bits / 2) + kept / 2) + carry_sites(bits / 2) + kept / 4
    # The beat, the largest, and what has nothing to be paired with.
    alone = lanes * bits + kept + (nodes - pairs) * kept
    return RANK_CONTROL + Resources(lut, lanes * bits + nodes * kept + kept + number, 0, 0, alone, pairs * kept / 2)


def pool_blocks(layer: QuantLayer, channels_per_beat: int) -> dict[str, Resources]:
    """The pool behind a layer's engine, by name, if it has one."""
    return {} if layer.pool is None else {"pool": pool_resources(layer, channels_per_beat)}


def fifo_resources(width: int, depth: int) -> Resources:
    """Memory, the beats behind it, four pointers and leaves of two, two counters of its beats."""
    place = (depth - 1).bit_length()
    in_block_ram = depth >= BLOCK_RAM_DEPTH  # which has a register of its own
    lanes = -(-width // (BLOCK_RAM_BITS if in_block_ram else LEAF_LOADS))
    steering = Resources(4 * carry_sites(place + 1) + 2.3 * place, (6 + 2 * lanes) * place, 0, 0, 2 * lanes * place)
    behind = Resources(0, width, 0, 0, width)
    return FIFO_CONTROL + steering + memory_resources(width, depth) + behind


def least_fifo_resources(width: int, depth: int) -> Resources:
    """Of each resource what a FIFO takes at least that is so deep or deeper: in block RAM it has fewer LUTs."""
    deeper = [depth << more for more in range(max(0, BLOCK_RAM_DEPTH // depth).bit_length() + 1)]
    counts = [astuple(fifo_resources(width, its)) for its in deeper]
    return Resources(*map(min, zip(*counts)))


def pool_resources(layer: QuantLayer, lanes: int) -> Resources:
    """Beats and those kept, comparisons or sums along the row and across rows, a register behind each.

    lanes: channels a beat.
    """
    shape = pool_shape(layer, lanes)
    rows, cols = shape.joined
    row_bits, window_bits = shape.row_bits, shape.window_bits
    beat, mean = lanes * layer.act_bits, lanes * layer.out_bits
    scales = [(scale, bits) for scale, bits in zip(shape.scales, shape.scaled_bits) if scale]
    levels = tree_registers(cols) * row_bits + tree_registers(rows) * window_bits
    held = window_bits if rows == 1 else 0
    if shape.mean:
        lane = (cols - 1) * carry_sites(row_bits) + (rows - 1) * carry_sites(window_bits)
        lane += sum(scale_sites(scale, window_bits, bits) for scale, bits in scales)
        # Rounded: bits below the half are neither added nor, behind the last sum, kept.
        dropped = max(0, shape.mean.shift - 1)
        lane += carry_sites(shape.scaled_bits[1] + 1 - dropped)
        levels -= dropped * (2 if rows == 1 and not scales else 1)
        held = max(0, held - dropped)
    else:
        # A carry chain takes two bits a step in a comparison, and chooses two bits in a site; of short numbers the
        # choice is part of the comparison.
        step = layer.act_bits + 0.6
        if layer.act_bits > 4:
            step = layer.act_bits / 2 + carry_sites(layer.act_bits / 2) + 0.2 * layer.act_bits
        lane = (rows + cols - 2) * step
        if layer.act_bits > 4:  # what was gathered is masked where a window begins
            lane += (shape.runs_along + shape.runs_down) * 0.6 * layer.act_bits
    levels += sum(tree_registers(len(scale.terms)) * bits for scale, bits in scales)
    registers = beat + (mean if shape.average else 0) + lanes * levels
    total = POOL_CONTROL + Resources(lanes * lane, registers, 0, 0, beat + lanes * held, lanes * (levels - held) / 2)
    if shape.in_rows > 1:
        total += POOL_ROWS_CONTROL
    delayed = (cols - 1) * (lanes * row_bits if shape.runs_along else beat)
    if not (shape.runs_along and shape.beats == 1):  # what goes round in one register has it as its level's
        total += delay_resources(delayed, shape.beats)
    if shape.beats > 3:  # the last cycle of the delay is a register
        total += Resources(0, delayed, 0)
    if rows > 1:
        width, length = lanes * shape.kept_bits, sum(shape.col_flags) * shape.beats
        place = (length - 1).bit_length()
        in_block_ram = length >= BLOCK_RAM_DEPTH
        leaves = 1 + place if in_block_ram else -(-width // LEAF_LOADS) * (1 + 2 * place)
        registered = width if in_block_ram else 0
        total += POOL_MEMORY_CONTROL + Resources(0, 2 * place + leaves + registered, 0, 0, place + leaves + registered)
        total += memory_resources(width, length)
    return total


def scale_sites(scale: Scale, in_bits: int, bits: int) -> float:
    """Of a lane: terms are added, from the lowest bit of the higher one on; where one has two shifts or more, these are
    chosen from before."""
    chosen = sum(in_bits * (len(term) - 1) for term in scale.terms)
    return chosen + sum(carry_sites(bits - min(shift for shift, _ in term)) for term in scale.terms[:-1])


def tree_registers(leaves: int) -> int:
    """Registers of a tree that joins two in each node: every level has one behind each node, and there is a level."""
    count = 0
    while leaves > 1 or not count:
        leaves = -(-leaves // 2)
        count += leaves
    return count


def delay_resources(wires: int, cycles: int, enabled: bool = True) -> Resources:
    """Delay lines: flip-flops, or SRLs where they are long enough."""
    if cycles < (ENABLED_SRL_CYCLES if enabled else SRL_CYCLES):
        return Resources(0, wires * cycles, 0, 0, wires * cycles)
    srl = wires * -(-cycles // 32)
    return Resources(srl, 0, 0, srl)

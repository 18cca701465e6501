"""Estimates of LUT6 sites, flip-flops and block RAM, block by block, counted from what the blocks are made of.

The counts follow the hardware in `hw`; those of a store's own blocks are in its package.  What the datapath of a block
takes follows from its widths; what steers it (counters, strobes, their leaves) is a constant, fitted to Yosys 0.70
(`synth_xilinx -family xc7`, its cells counted as `synth.synthesis` does) like the few factors:
`python benchmarks/estimate_error.py --fitted --blocks` shows each block beside its estimate, docs/architecture.md,
"Estimates", how far they are off.
"""

from __future__ import annotations

from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.latencies import ROOMS_TOGETHER
from lognet_fpga.fabric.memory import BLOCK_RAM_DEPTH, block_rams, row_choice_luts
from lognet_fpga.fabric.sites import carry_sites
from lognet_fpga.ir.graph import AveragePool
from lognet_fpga.ir.quant import QuantLayer

SHELL = Resources(590, 650, 0, 0, 300, 40)  # AXI4-Lite registers, entry and exit
# What steers a block, whatever its width.
POOL_CONTROL = Resources(55, 21, 0, 0, 5)
POOL_MEMORY_CONTROL = Resources(5, 0, 0)
FIFO_CONTROL = Resources(14, 14, 0, 0, 5)
JOIN_CONTROL = Resources(16, 16, 0)
PICK_CONTROL = Resources(20, 20, 0)
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
    return JOIN_CONTROL + Resources(1.5 * width, 2 * width, 0)


def pick_resources(width: int) -> Resources:
    """A register, and counters of beats, columns and rows."""
    return PICK_CONTROL + Resources(0, width, 0)


def admit_resources(width: int) -> Resources:
    """A register."""
    return Resources(2, width + 2, 0)


def rooms_resources(fifos: int) -> Resources:
    """Whether all FIFOs behind a layer have room."""
    together = -(-fifos // ROOMS_TOGETHER)
    return Resources(together, together, 0) + (rooms_resources(together) if together > 1 else Resources(0, 0, 0))


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


def pool_resources(layer: QuantLayer, lanes: int) -> Resources:
    """Beats and those kept, comparisons or sums along the row and across rows, a register behind each.

    lanes: channels a beat.
    """
    assert layer.pool is not None
    pool_h, pool_w = layer.pool.kernel
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
    registers = beat + (mean if average else 0) + lanes * levels
    total = POOL_CONTROL + Resources(lanes * lane, registers, 0, 0, beat, lanes * levels / 2)
    total += delay_resources((pool_w - 1) * beat, beats)
    if beats > 3:  # the last cycle of the delay is a register
        total += Resources(0, (pool_w - 1) * beat, 0)
    if pool_h > 1:
        width, length = (pool_h - 1) * lanes * row_bits, layer.out_shape[2] * beats
        place = (length - 1).bit_length()
        in_block_ram = length >= BLOCK_RAM_DEPTH
        leaves = 1 + place if in_block_ram else -(-width // LEAF_LOADS) * (1 + 2 * place)
        registered = width if in_block_ram else 0
        total += POOL_MEMORY_CONTROL + Resources(0, 2 * place + leaves + registered, 0, 0, place + leaves + registered)
        total += memory_resources(width, length)
    return total


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

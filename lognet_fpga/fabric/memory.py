"""Where memories go, and what those of tables hold."""

from __future__ import annotations

from lognet_fpga.ir.quant import CodeTable

BLOCK_RAM_DEPTH = 65  # memories at least this deep go to block RAM, shallower ones to LUTs
BLOCK_ROM_DEPTH = 129  # the same for memories that are only read: 64 places of a bit take one LUT
# The same for tables of activation functions: a byte of up to 1,024 places takes fewer LUTs than a block RAM is worth.
BLOCK_TABLE_DEPTH = 2048
ROM_COLUMN_BITS = 36  # of the memories that a wide one is made of: the natural width of a block RAM

# Depths of the shapes of half a BRAM36, by its width (Xilinx UG473, simple dual port).
_HALF_SHAPES = {36: 512, 18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16384}


def table_words(table: CodeTable, lane: int, lanes: int, channels: int) -> tuple[int, ...]:
    """Content of the memory of a lane of beats, that has an activation function's table: one for all beats, or one for
    each, zeros where it has no channel."""
    own = range(lane, -(-channels // lanes) * lanes, lanes)
    if table.is_shared and own[-1] < channels:
        return table.entries[0]
    zeros = (0,) * 2**table.bits
    rows = (table.entries[0 if table.is_shared else channel] if channel < channels else zeros for channel in own)
    return tuple(entry for its in rows for entry in its)


def block_rams(width: int, depth: int) -> tuple[float, int]:
    """BRAM36 of a memory, halves counted 0.5, and how many lie one above the other: the fewest of one shape, as Yosys
    takes them."""
    halves, rows = min(
        (-(-width // each) * (rows := -(-depth // places)), rows) for each, places in _HALF_SHAPES.items()
    )
    return halves / 2, rows


def row_choice_luts(rows: int) -> int:
    """LUTs that choose a bit of one of so many memories, one above the other."""
    return -(-(rows - 1) // 3)


def rom_stretch_bits(depth: int) -> int:
    """Bits of a memory in LUTs, of those only read, that share registers of their address.  A bit of more than 64
    places takes two LUTs and more: there fewer bits share them, which keeps the loads of the address' nets few."""
    return ROM_COLUMN_BITS if depth <= 64 else ROM_COLUMN_BITS // 4

"""Read-only memories as Verilog: their content lies beside the module, in files that $readmemh reads.

Statements in the Verilog itself take Yosys a time that grows with the square of their number.  Every simulator and
synthesizer reads the files by their bare names, from the folder it runs in.
"""

from __future__ import annotations

from lognet_fpga.fabric.memory import ROM_COLUMN_BITS, rom_stretch_bits
from lognet_fpga.hw.control import LEAF_MODULE
from lognet_fpga.hw.structure import Rom


def rom_files(rom: Rom) -> dict[str, str]:
    """File name to text: the module and the content of each column."""
    columns = range(-(-rom.word_bits // ROM_COLUMN_BITS))
    widths = [min(ROM_COLUMN_BITS, rom.word_bits - column * ROM_COLUMN_BITS) for column in columns]
    names = [f"{rom.name}_{column}.mem" for column in columns]
    style = '(* rom_style = "block" *)\n' if rom.block else ""
    lines = [
        f"// A table of {len(rom.content)} words of {rom.word_bits} bits, in {'block RAM' if rom.block else 'LUTs'}; "
        "word is that at address two cycles ago.",
        f"module {rom.name} (",
        "    input wire clk,",
        f"    input wire [{rom.address_bits - 1}:0] address,",
        f"    output wire [{rom.word_bits - 1}:0] word",
        ");",
        "",
        f"localparam WORDS = {len(rom.content)};",
    ]
    for column, width, name in zip(columns, widths, names):
        lines += [
            "",
            f"{style}reg [{width - 1}:0] memory{column} [0:WORDS-1];",
            f"reg [{width - 1}:0] read{column};",
            f'initial $readmemh("{name}", memory{column});',
            *(_block_column(column, width) if rom.block else _lut_column(column, width, rom)),
            f"assign word[{column * ROM_COLUMN_BITS + width - 1}:{column * ROM_COLUMN_BITS}] = read{column};",
        ]
    files = {f"{rom.name}.v": "\n".join([*lines, "", "endmodule", ""])}
    for column, width, name in zip(columns, widths, names):
        low, mask, digits = column * ROM_COLUMN_BITS, 2**width - 1, -(-width // 4)
        files[name] = "".join(f"{word >> low & mask:0{digits}x}\n" for word in rom.content)
    return files


def _block_column(column: int, width: int) -> list[str]:
    """The block RAM's own register, and one behind it."""
    return [
        f"reg [{width - 1}:0] early{column};",
        "always @(posedge clk) begin",
        f"    early{column} <= memory{column}[address];",
        f"    read{column} <= early{column};",
        "end",
    ]


def _lut_column(column: int, width: int, rom: Rom) -> list[str]:
    """Registers of the address for each stretch of the column, since they steer all its LUTs, and one behind those."""
    lines, step = [], rom_stretch_bits(len(rom.content))
    for part, low in enumerate(range(0, width, step)):
        address, stretch = f"address{column}_{part}", f"[{min(width, low + step) - 1}:{low}]"
        lines += [
            f"wire [{rom.address_bits - 1}:0] {address};",
            *(
                f"{LEAF_MODULE} {address}_{bit}_leaf (.clk(clk), .d(address[{bit}]), .q({address}[{bit}]));"
                for bit in range(rom.address_bits)
            ),
            f"always @(posedge clk) read{column}{stretch} <= memory{column}[{address}]{stretch};",
        ]
    return lines

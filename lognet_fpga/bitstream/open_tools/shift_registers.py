"""Shift registers whose enable is a signal, as flip-flops, for nextpnr.

The shift registers of a slice have one enable.  nextpnr's placer puts those of different enables into one slice all the
same, beside those that run freely, and its router then refuses the design ("attempting to reserve sink input path").
"""

from __future__ import annotations

MAP_FILE = "shift_registers.map"
KINDS = {"SRL16E": 4, "SRLC32E": 5}  # to the bits of the address of the register that is read


def techmap_commands() -> list[str]:
    """Of Yosys, for a netlist of the chip's own cells, in a folder with MAP_FILE."""
    return [f"techmap -map {MAP_FILE} {' '.join(f't:{kind}' for kind in KINDS)}", "clean"]


def map_text() -> str:
    """What MAP_FILE says to Yosys: stages that nothing reads are cleaned away behind it."""
    return "\n".join(_replacement(kind, bits) for kind, bits in KINDS.items())


def _replacement(kind: str, bits: int) -> str:
    stages = 1 << bits
    names = ["A"] if bits == 5 else [f"A{bit}" for bit in range(bits)]
    known = " ".join(f"parameter _TECHMAP_CONSTMSK_{name}_ = 0, _TECHMAP_CONSTVAL_{name}_ = 0;" for name in names)
    if bits == 5:
        ports, declared = "A, Q31", "input [4:0] A; output Q31; assign Q31 = line[32];"
        last, fixed = "_TECHMAP_CONSTVAL_A_", "_TECHMAP_CONSTMSK_A_ == 31"
    else:
        ports, declared = ", ".join(names), f"input {', '.join(names)};"
        last = f"{{{', '.join(f'_TECHMAP_CONSTVAL_{name}_ == 1' for name in reversed(names))}}}"
        fixed = " && ".join(f"_TECHMAP_CONSTMSK_{name}_ == 1" for name in names)
    return f"""\
module {kind} (Q, CE, CLK, D, {ports});
parameter [{stages - 1}:0] INIT = 0;
parameter [0:0] IS_CLK_INVERTED = 0;
parameter _TECHMAP_CONSTMSK_CE_ = 0;
{known}
localparam [{bits - 1}:0] LAST = {last};
wire _TECHMAP_FAIL_ = _TECHMAP_CONSTMSK_CE_ || IS_CLK_INVERTED || !({fixed});
output Q; input CE, CLK, D;
wire [{stages}:0] line;
{declared}
assign line[0] = D;
assign Q = line[LAST + 1];
genvar i;
generate
    for (i = 0; i < {stages}; i = i + 1) begin: stages
        FDRE #(.INIT(INIT[i])) stage (.C(CLK), .CE(CE), .R(1'b0), .D(line[i]), .Q(line[i + 1]));
    end
endgenerate
endmodule
"""

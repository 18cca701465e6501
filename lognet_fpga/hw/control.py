"""What synthesis must leave as it is: register trees of control nets, gates of streams and digits, tables.

No register of a wide datapath is steered by a net of more than LEAF_LOADS loads.

A single strobe for all adders of a layer made up 5.1 of the 5.7 ns of the longest path of a routed 576 x 64 layer on
xc7z020; placement can put a leaf beside the registers it steers.  A net that needs leaves is taken one cycle early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from myhdl import always, always_comb, block

from lognet_fpga.hw.wiring import bits, flag, join, vector

LEAF_LOADS = 100
LEAF_MODULE = "lognet_leaf"
GATE_MODULE = "lognet_gate"
MOVE_MODULE = "lognet_move"
LATE_MODULE = "lognet_late"
LOOKUP_MODULE = "lognet_lookup"
MASK_MODULE = "lognet_mask"
CLEAR_MODULE = "lognet_clear"
HOLD_MODULE = "lognet_hold"


def _zeroing(name: str, beginning: str) -> str:
    return f"""\
{beginning}module {name} #(
    parameter WIDTH = 1
) (
    input wire first,
    input wire [WIDTH-1:0] wires,
    output wire [WIDTH-1:0] passed
);

assign passed = wires & ~{{WIDTH{{first}}}};

endmodule
"""


# Name of a module -> its text.  Synthesis merges registers and gates of equal content, but not modules that must keep
# their hierarchy.
CONTROL_MODULES = {
    LEAF_MODULE: f"""\
// One leaf of a control net's register tree, a module of its own so that leaves of one net are not merged again.
(* keep_hierarchy = "yes" *)
module {LEAF_MODULE} (
    input wire clk,
    input wire d,
    output reg q
);

initial q = 0;

always @(posedge clk) q <= d;

endmodule
""",
    GATE_MODULE: f"""\
// A leaf for the enable of a stream's register, which cannot be known a cycle early.
(* keep_hierarchy = "yes" *)
module {GATE_MODULE} (
    input wire valid,
    input wire ready,
    output wire open
);

assign open = ready | ~valid;

endmodule
""",
    MOVE_MODULE: f"""\
// A leaf for a beat that moves into a stream's register.
(* keep_hierarchy = "yes" *)
module {MOVE_MODULE} (
    input wire offered,
    input wire valid,
    input wire ready,
    output wire moves
);

assign moves = offered & (ready | ~valid);

endmodule
""",
    LATE_MODULE: f"""\
// The one level of logic that a signal of another block passes: a LUT by its table, a module of its own, or synthesis
// would share parts of it and put them behind each other.
(* keep_hierarchy = "yes" *)
module {LATE_MODULE} #(
    parameter WIDTH = 6,
    parameter [2**WIDTH-1:0] TABLE = 0
) (
    input wire [WIDTH-1:0] index,
    output wire value
);

assign value = TABLE[index];

endmodule
""",
    MASK_MODULE: _zeroing(
        MASK_MODULE,
        """\
// Bits that are zero while `first` is on: LUTs in front of registers, modules of their own, or synthesis would make it
// a reset of these.  A register that another one drives needs a bypass of its position, one behind a LUT does not.
(* keep_hierarchy = "yes" *)
""",
    ),
    CLEAR_MODULE: _zeroing(
        CLEAR_MODULE,
        """\
// Bits that are zero while `first` is on, for LUTs in front of registers to take in.  A condition instead of the gates
// would become a reset of these, and they could not lie in one slice with registers that have none.
""",
    ),
    HOLD_MODULE: f"""\
// Bits that are new while `first` is on, and else what their registers hold: LUTs in front of these, modules of their
// own, or synthesis would make it an enable of registers that other registers drive.
(* keep_hierarchy = "yes" *)
module {HOLD_MODULE} #(
    parameter WIDTH = 1
) (
    input wire first,
    input wire [WIDTH-1:0] wires,
    input wire [WIDTH-1:0] held,
    output wire [WIDTH-1:0] passed
);

assign passed = first ? wires : held;

endmodule
""",
    LOOKUP_MODULE: f"""\
// Tables of one bit each, a module of its own so that each is one LUT: in one piece with what is around them synthesis
// shares parts of them and makes them as deep as the longest path allows.
(* keep_hierarchy = "yes" *)
module {LOOKUP_MODULE} #(
    parameter WIDTH = 1,
    parameter LANES = 1,
    parameter [LANES*2**WIDTH-1:0] CONTENT = 0
) (
    input wire [WIDTH-1:0] index,
    output wire [LANES-1:0] values
);

genvar lane;
generate
    for (lane = 0; lane < LANES; lane = lane + 1) begin: lanes
        wire [2**WIDTH-1:0] content = CONTENT[lane * 2**WIDTH +: 2**WIDTH];
        assign values[lane] = content[index];
    end
endgenerate

endmodule
""",
}


@block
def control_leaf(clk, d, q):
    """q is d, one cycle late; in Verilog an instance of LEAF_MODULE."""

    @always(clk.posedge)
    def register():
        q.next = d

    # What the converter cannot see in the text below.
    clk.read = d.read = True
    q.driven = "wire"
    return register


control_leaf.verilog_code = LEAF_MODULE + " ${q}_leaf (.clk($clk), .d($d), .q($q));"


@block
def stream_gate(valid, ready, opens):
    """opens: a register of a stream, filled if valid, may be loaded; in Verilog an instance of GATE_MODULE."""

    @always_comb
    def gate():
        opens.next = ready or not valid

    valid.read = ready.read = True
    opens.driven = "wire"
    return gate


stream_gate.verilog_code = GATE_MODULE + " ${opens}_gate (.valid($valid), .ready($ready), .open($opens));"


@block
def move_gate(offered, valid, ready, moves):
    """moves: what is offered goes into a register of a stream, as soon as that may be loaded; in Verilog an instance of
    MOVE_MODULE, so that what follows from it stays one level behind."""

    @always_comb
    def gate():
        moves.next = offered and (ready or not valid)

    offered.read = valid.read = ready.read = True
    moves.driven = "wire"
    return gate


move_gate.verilog_code = (
    MOVE_MODULE + " ${moves}_gate (.offered($offered), .valid($valid), .ready($ready), .moves($moves));"
)


@block
def late_logic(signals: Sequence, result, *, rule: Callable[..., bool]):
    """result: rule of at most six signals, in one level of logic; in Verilog an instance of LATE_MODULE."""
    index, width = join(signals), len(signals)
    table = sum(bool(rule(*(place >> bit & 1 for bit in range(width)))) << place for place in range(1 << width))
    literal = f"{1 << width}'h{table:x}"  # noqa: F841 (in the text below)

    @always_comb
    def look_up():
        result.next = bool(table >> int(index) & 1)

    index.read = True
    index.driven = result.driven = "wire"
    return look_up


late_logic.verilog_code = (
    LATE_MODULE + " #(.WIDTH($width), .TABLE($literal)) ${result}_late (.index($index), .value($result));"
)


def all_of(*signals: bool) -> bool:
    """The commonest rule."""
    return all(signals)


@block
def late_next(valid, last, none, beat, end, chosen):
    """chosen: what a register is to hold next if no beat comes, if one comes, and if one comes that is a last one."""
    choice = late_logic(
        [valid, last, none, beat, end],
        chosen,
        rule=lambda valid, last, none, beat, end: (end if last else beat) if valid else none,
    )
    choice.name = "late"
    return choice


@block
def lookup(index, values, *, contents):
    """values: bit `index` of each of contents; in Verilog LOOKUP_MODULE."""

    @always_comb
    def read():
        values.next = sum((content >> int(index) & 1) << lane for lane, content in enumerate(contents))

    return read


@block
def mask(first, wires, passed):
    """In Verilog MASK_MODULE or CLEAR_MODULE."""

    @always_comb
    def gate():
        if first:
            passed.next = 0
        else:
            passed.next = wires

    return gate


@block
def hold(first, wires, held, passed):
    """In Verilog HOLD_MODULE."""

    @always_comb
    def choose():
        if first:
            passed.next = wires
        else:
            passed.next = held

    return choose


def leaf_groups(items: int, loads_each: int = 1) -> list[range]:
    """0..items-1 in runs that a leaf each can steer, an item being loads_each loads."""
    size = max(1, LEAF_LOADS // loads_each)
    return [range(first, min(first + size, items)) for first in range(0, items, size)]


@block
def in_stretches(
    clk, controls: Sequence, wires: Sequence[Sequence], result, *, register: Callable, loads_each: int = 1
):
    """A wide register in stretches that have leaves of their own.

    controls: signals, each one cycle early; wires: lists of one signal a bit of result; register: a block of (clk, one
    leaf a control, one vector a list of wires, its stretch of result); loads_each: of a control, by a bit of result.
    """
    runs = leaf_groups(len(result), loads_each)
    stretches, parts = [vector(len(run)) for run in runs], []
    for number, (run, stretch) in enumerate(zip(runs, stretches)):
        leaves = [flag() for _ in controls]
        for index, (soon, leaf) in enumerate(zip(controls, leaves)):
            part = control_leaf(clk, soon, leaf)
            part.name = f"leaf{number}_{index}"
            parts.append(part)
        part = register(clk, *leaves, *(join([some[i] for i in run]) for some in wires), stretch)
        part.name = f"part{number}"
        parts.append(part)
    gathered = join([bit for stretch in stretches for bit in bits(stretch)])

    @always_comb
    def gather():
        result.next = gathered

    return parts, gather

"""Two streams become one: for each position first the beats of the one, then those of the other."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block

from lognet_fpga.hw.control import control_leaf, late_logic, leaf_groups, stream_gate
from lognet_fpga.hw.counting import table_counter
from lognet_fpga.hw.wiring import bits, flag, join, vector


@block
def join_slice(
    clk,
    rst,
    first_data,
    first_valid,
    first_ready,
    second_data,
    second_valid,
    second_ready,
    out_data,
    out_valid,
    out_ready,
    *,
    first_beats,
    second_beats,
):
    """A register slice of two entries, which takes first_beats beats of one stream, second_beats of the other, and over
    again.

    Ports: three streams; first_ready, second_ready: out of registers, never both high.
    Latency: `SLICE_LATENCY`.  Throughput: one beat a cycle, from one stream to the other, too.
    """
    offered = flag()
    ready_first, ready_second = Signal(bool(1)), flag()  # as in register_slice, from power on
    opens, shuts, moved, brings, turn_soon, first_soon = (flag() for _ in range(6))
    place, ends = vector(max(1, (first_beats + second_beats - 1).bit_length())), flag()
    turns = vector(2)  # of the next beat, and of the one behind it: whether it comes from the second stream
    from_second = [False] * first_beats + [True] * second_beats
    table = tuple(now | after << 1 for now, after in zip(from_second, [*from_second[1:], from_second[0]]))
    told = [ready_first, first_valid, ready_second, second_valid]

    def moves_by(ready_first, first_valid, ready_second, second_valid):
        return (ready_first and first_valid) or (ready_second and second_valid)

    def opens_by(ready_first, first_valid, ready_second, second_valid, offered, out_ready):
        """There will be no spare beat."""
        waits = not moves_by(ready_first, first_valid, ready_second, second_valid)
        return ((ready_first or ready_second) and waits) or not offered or out_ready

    def turns_by(ready_first, first_valid, ready_second, second_valid, now, after):
        return after if moves_by(ready_first, first_valid, ready_second, second_valid) else now

    logic = [
        late_logic([*told, offered, out_ready], opens, rule=opens_by),
        late_logic([*told, offered, out_ready], shuts, rule=lambda *signals: not opens_by(*signals)),
        late_logic(told, moved, rule=moves_by),
        late_logic(told, brings, rule=lambda a, b, c, d: moves_by(a, b, c, d) or not (a or c)),
        late_logic([*told, turns(0), turns(1)], turn_soon, rule=turns_by),
        late_logic([*told, turns(0), turns(1)], first_soon, rule=lambda *signals: not turns_by(*signals)),
    ]
    for part, name in zip(logic, ("opening", "shutting", "moving", "bringing", "turning", "first")):
        part.name = name
    counting = table_counter(clk, rst, moved, place, ends, turns, table=table)
    counting.name = "count"
    beats = join_beats(clk, opens, turn_soon, offered, out_ready, first_data, second_data, out_data)
    beats.name = "beats"

    @always_comb
    def handshake():
        first_ready.next = ready_first
        second_ready.next = ready_second
        out_valid.next = offered

    @always(clk.posedge)
    def take_turns():
        """Right two cycles into a reset, for nothing is offered then."""
        if shuts:
            ready_first.next = False
            ready_second.next = False
        else:
            ready_first.next = first_soon
            ready_second.next = turn_soon

    @always(clk.posedge)
    def control():
        if rst:
            offered.next = False
        elif out_ready or not offered:
            offered.next = brings

    return logic, counting, beats, handshake, take_turns, control


@block
def join_beats(clk, opens, turn_soon, offered, out_ready, first_data, second_data, out_data):
    """As slice_beats, of two entries."""
    parts, wires = [], []
    come = vector(len(out_data)), vector(len(out_data))  # as there
    first, second = come
    for number, run in enumerate(leaf_groups(len(out_data))):
        empty, shows_new, turn_new, turn_spare, moves = (flag() for _ in range(5))
        entries = [join(bits(data)[run.start : run.stop]) for data in come]
        shown = vector(len(run))
        steering = [
            control_leaf(clk, opens, empty),
            control_leaf(clk, opens, shows_new),
            control_leaf(clk, turn_soon, turn_new),
            control_leaf(clk, turn_soon, turn_spare),
            stream_gate(offered, out_ready, moves),
            join_stretch(clk, empty, shows_new, turn_new, turn_spare, moves, *entries, shown),
        ]
        for part, name in zip(steering, ("empty", "shows_new", "turn_new", "turn_spare", "moves", "stretch")):
            part.name = f"{name}{number}"
        parts += steering
        wires += bits(shown)
    gathered = join(wires)

    @always_comb
    def gather():
        first.next = first_data
        second.next = second_data
        out_data.next = gathered

    return parts, gather


@block
def join_stretch(clk, empty, shows_new, turn_new, turn_spare, moves, first, second, shown):
    spare = vector(len(shown))

    @always(clk.posedge)
    def keep():
        if empty:  # whether or not a beat comes
            if turn_spare:
                spare.next = second
            else:
                spare.next = first
        if moves:
            if not shows_new:
                shown.next = spare
            elif turn_new:
                shown.next = second
            else:
                shown.next = first

    return keep

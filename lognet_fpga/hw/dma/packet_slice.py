"""The register slice in front of what a packet goes into: shut between packets."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.control import late_logic, late_next
from lognet_fpga.hw.slice import slice_beats
from lognet_fpga.hw.wiring import flag


@block
def packet_slice(clk, rst, begins, closes, in_data, in_valid, in_ready, in_last, out_data, out_valid, out_ready):
    """A register slice that is open for a packet: from three cycles behind begins until a beat with in_last has come
    in, or closes.

    in_valid and in_last pass one level of logic.  Latency: 1.  Throughput: one beat a cycle.
    """
    offered, full, ready, is_open = flag(), flag(), flag(), flag()
    begun, stuck, open_idle, open_end, ready_idle, ready_beat, ready_end = (flag() for _ in range(7))
    offers, fills, empties, open_soon, ready_soon = (flag() for _ in range(5))
    came = [in_valid, ready, full, stuck]
    state = [is_open, closes, full, offered, out_ready]

    def room(is_open, closes, full, offered, taken):
        """For a beat in the next cycle; with full: for one behind the one that comes."""
        return is_open and not closes and not (full and offered and not taken)

    logic = [
        late_logic(came, offers, rule=lambda valid, ready, full, stuck: stuck or full or (valid and ready)),
        late_logic(came, fills, rule=lambda valid, ready, full, stuck: stuck and (full or (valid and ready))),
        late_logic(
            [*came, rst],
            empties,
            rule=lambda valid, ready, full, stuck, rst: rst or not (stuck and (full or (valid and ready))),
        ),
        late_logic(state, ready_idle, rule=room),
        late_logic(
            [*state, ready],
            ready_beat,
            rule=lambda o, c, full, offered, t, ready: room(o, c, full or ready, offered, t),
        ),
        late_logic(
            [*state, ready], ready_end, rule=lambda o, c, f, offered, t, ready: room(o, c, f, offered, t) and not ready
        ),
        late_next(in_valid, in_last, open_idle, open_idle, open_end, open_soon),
        late_next(in_valid, in_last, ready_idle, ready_beat, ready_end, ready_soon),
        slice_beats(clk, ready_soon, empties, offered, out_ready, in_data, out_data),
    ]
    names = ("offers", "fills", "empties", "idle", "beat", "end", "open", "ready", "beats")
    for part, name in zip(logic, names):
        part.name = name

    @always_comb
    def look():
        """stuck: what is offered stays."""
        in_ready.next = ready
        out_valid.next = offered
        stuck.next = offered and not out_ready
        open_idle.next = (is_open or begun) and not closes
        open_end.next = (is_open or begun) and not closes and not ready

    @always(clk.posedge)
    def control():
        if rst:
            offered.next = False
            full.next = False
            is_open.next = False
            ready.next = False
        else:
            offered.next = offers
            full.next = fills
            is_open.next = open_soon
            ready.next = ready_soon
        begun.next = begins

    return logic, look, control

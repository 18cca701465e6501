"""AXI4-Lite registers of the overlay, lognet_fpga.ir.core_registers: who it is, what it did, and a soft reset."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, modbv

from lognet_fpga.hw.control import control_leaf
from lognet_fpga.hw.wiring import counter, flag, vector
from lognet_fpga.ir import core_registers as core

_CONTROL, _STATUS, _MORE_FRAMES = core.CONTROL.word, core.STATUS.word, core.MORE_FRAMES.word


@block
def axil_registers(
    clk,
    rst,
    s_axil_awaddr,
    s_axil_awprot,
    s_axil_awvalid,
    s_axil_awready,
    s_axil_wdata,
    s_axil_wstrb,
    s_axil_wvalid,
    s_axil_wready,
    s_axil_bresp,
    s_axil_bvalid,
    s_axil_bready,
    s_axil_araddr,
    s_axil_arprot,
    s_axil_arvalid,
    s_axil_arready,
    s_axil_rdata,
    s_axil_rresp,
    s_axil_rvalid,
    s_axil_rready,
    core_rst,
    more_frames,
    several,
    packet_restart,
    packet_begin,
    frame_begin,
    frame_end,
    frame_short,
    frame_long,
    sink_stalled,
    source_idle,
    *,
    model_words,
    reset_cycles,
):
    """AXI4-Lite slave; one access at a time; byte strobes of the lowest byte count, the others are ignored.

    core_rst: reset of the stream part, held for `reset_cycles` cycles so that nothing is left in its pipelines.
    more_frames, several, packet_restart: the register of that name, whether it is not 0, and that it was written.
    """
    words = tuple(model_words)
    frames_begun, frames_finished, cycles, stalls, idles = (Signal(modbv(0)[32:]) for _ in range(5))
    was_short, was_long, resetting, write_now, read_now = flag(), flag(), flag(), flag(), flag()
    clear = vector(2)
    write_waits, write_acts, write_strobed, write_below = flag(), flag(), flag(), flag()
    read_waits, read_chosen = flag(), flag()
    read_index, read_event, read_model, read_found = vector(4), flag(), flag(), flag()
    chosen0, chosen1, chosen2, event_word, event_found = (vector(32) for _ in range(5))
    read_low, read_high = read_index(2, 0), read_index(4, 2)
    reset_left = counter(reset_cycles + 1)
    packet_begun, packet_finished = vector(32), vector(32)
    per_packet = vector(len(more_frames))
    writes_control, writes_status, writes_packet, packet_written = flag(), flag(), flag(), flag()
    written = vector(16)
    told_to_reset, reset_lasts, reset_soon, counting = (flag() for _ in range(4))
    model_word = vector(32)
    model_half = vector(16)
    low_half = vector(16)
    high_words = tuple(word >> 16 for word in words)
    low_words = tuple(word & 0xFFFF for word in words)
    model_index = read_index(3, 0)

    @always_comb
    def high_table():
        model_half.next = high_words[int(model_index)]

    @always_comb
    def low_table():
        low_half.next = low_words[int(model_index)]

    @always_comb
    def handshake():
        write_now.next = s_axil_awvalid and s_axil_wvalid and not (write_waits or write_acts)
        write_strobed.next = s_axil_awvalid and s_axil_wvalid and s_axil_wstrb[0] and not (write_waits or write_acts)
        write_below.next = s_axil_awaddr[12:6] == 0
        read_now.next = s_axil_arvalid and not (read_waits or read_chosen or read_found)

    @always_comb
    def ports():
        s_axil_awready.next = write_now
        s_axil_wready.next = write_now
        s_axil_arready.next = read_now
        s_axil_bvalid.next = write_waits
        s_axil_rvalid.next = read_waits
        s_axil_bresp.next = 0
        s_axil_rresp.next = 0
        reset_soon.next = told_to_reset or reset_lasts
        told_to_reset.next = writes_control and written[0]
        more_frames.next = per_packet

    @always_comb
    def model():
        model_word.next = (model_half << 16) | low_half

    @always(clk.posedge)
    def write():
        resetting.next = reset_soon
        counting.next = True
        # What is written takes effect in the cycle after, out of registers, and then is answered.
        write_acts.next = write_now
        written.next = s_axil_wdata[16:]
        writes_control.next = write_strobed and write_below and s_axil_awaddr[6:2] == _CONTROL
        writes_status.next = write_strobed and write_below and s_axil_awaddr[6:2] == _STATUS
        writes_packet.next = write_strobed and write_below and s_axil_awaddr[6:2] == _MORE_FRAMES
        if rst:
            writes_control.next = False
            writes_status.next = False
            writes_packet.next = False
            write_acts.next = False
            write_waits.next = False
            reset_left.next = reset_cycles
            reset_lasts.next = True
            resetting.next = True
            core_rst.next = True
        else:
            core_rst.next = resetting
            if write_acts:
                write_waits.next = True
            elif s_axil_bready:
                write_waits.next = False
            if resetting:
                reset_left.next = reset_left - 1
                reset_lasts.next = reset_left > 2
            if told_to_reset:
                reset_left.next = reset_cycles
                reset_lasts.next = True
                core_rst.next = True

    @always_comb
    def acknowledge():
        if writes_status:
            clear.next = written[2:]
        else:
            clear.next = 0

    @always(clk.posedge)
    def status():
        """An error in the cycle of the clearing is kept."""
        if rst:
            was_short.next = False
            was_long.next = False
        else:
            was_short.next = frame_short or (was_short and not clear[0])
            was_long.next = frame_long or (was_long and not clear[1])

    @always(clk.posedge)
    def packets():
        """packet_restart waits until several has followed."""
        packet_written.next = writes_packet
        packet_restart.next = packet_written
        several.next = per_packet != 0
        if rst:
            per_packet.next = 0
        elif writes_packet:
            per_packet.next = written

    counters = []
    for name, event, total in (
        ("cycles", counting, cycles),
        ("begun", frame_begin, frames_begun),
        ("finished", frame_end, frames_finished),
        ("stalls", sink_stalled, stalls),
        ("idles", source_idle, idles),
    ):
        part = event_counter(clk, reset_soon, event, total)
        part.name = f"count_{name}"
        counters.append(part)
    for name, event, stamp in (("begun", packet_begin, packet_begun), ("finished", frame_end, packet_finished)):
        part = event_stamp(clk, reset_soon, event, cycles, stamp)
        part.name = f"stamp_{name}"
        counters.append(part)

    @always(clk.posedge)
    def read():
        """The address first, then the counters that it chooses from, then the word out of them and the model's."""
        read_chosen.next = read_now
        read_found.next = read_chosen
        if rst:
            read_chosen.next = False
            read_found.next = False
            read_waits.next = False
        elif read_found:
            read_waits.next = True
        elif s_axil_rready:
            read_waits.next = False
        if read_now:
            read_index.next = s_axil_araddr[6:2]
            read_event.next = s_axil_araddr[12:6] == 0
            read_model.next = s_axil_araddr[12:5] == 2
        event_found.next = event_word
        if read_found:
            if read_model:
                s_axil_rdata.next = model_word
            else:
                s_axil_rdata.next = event_found

    @always_comb
    def choose():
        """Four words at a time, so that a bit is two LUTs deep."""
        if read_low == 0:
            chosen0.next = 0x4C4F474E
            chosen1.next = frames_begun
            chosen2.next = idles
        elif read_low == 1:
            chosen0.next = 1
            chosen1.next = frames_finished
            chosen2.next = per_packet
        elif read_low == 2:
            chosen0.next = resetting
            chosen1.next = cycles
            chosen2.next = packet_begun
        else:
            chosen0.next = (was_long << 1) | was_short
            chosen1.next = stalls
            chosen2.next = packet_finished

    @always_comb
    def choose_event():
        if not read_event:
            event_word.next = 0
        elif read_high == 0:
            event_word.next = chosen0
        elif read_high == 1:
            event_word.next = chosen1
        elif read_high == 2:
            event_word.next = chosen2
        else:
            event_word.next = 0

    parts = (high_table, low_table, handshake, ports, model, write, acknowledge, status, packets, read)
    return parts, choose, choose_event, counters


@block
def event_counter(clk, reset_soon, event, total):
    """Cycles with event since the last reset; reset_soon: it comes a cycle later."""
    held = flag()
    leaf = control_leaf(clk, reset_soon, held)
    leaf.name = "leaf"

    @always(clk.posedge)
    def count():
        if held:
            total.next = 0
        elif event:
            total.next = total + 1

    return leaf, count


@block
def event_stamp(clk, reset_soon, event, now, stamp):
    """What `now` was at the latest event, likewise."""
    held = flag()
    leaf = control_leaf(clk, reset_soon, held)
    leaf.name = "leaf"

    @always(clk.posedge)
    def keep():
        if held:
            stamp.next = 0
        elif event:
            stamp.next = now

    return leaf, keep


@block
def stream_watch(s_axis_tvalid, s_axis_tready, m_axis_tvalid, m_axis_tready, source_idle, sink_stalled):
    """What the stall counters count."""

    @always_comb
    def watch():
        source_idle.next = s_axis_tready and not s_axis_tvalid
        sink_stalled.next = m_axis_tvalid and not m_axis_tready

    return watch

"""AXI4-Lite registers of the overlay, lognet_fpga.ir.core_registers: who it is, what it did, and a soft reset."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, modbv

from lognet_fpga.hw.axi import AxiLite
from lognet_fpga.hw.axi_lite import axi_lite_slave
from lognet_fpga.hw.control import control_leaf
from lognet_fpga.hw.wiring import constant, counter, flag, vector
from lognet_fpga.ir import core_registers as core

_CONTROL, _STATUS, _MORE_FRAMES = core.CONTROL.word, core.STATUS.word, core.MORE_FRAMES.word
_MODEL = core.MODEL_SHA256.word >> 3  # its eight words in a place of their own
_EVENT_WORDS = 16  # places of all others


@block
def axil_registers(
    clk,
    rst,
    s_axil: AxiLite,
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
    """AXI4-Lite slave; byte strobes of the lowest byte count, the others are ignored.

    core_rst: reset of the stream part, held for `reset_cycles` cycles so that nothing is left in its pipelines.
    packet_begin and the other events come a cycle late out of the edges' registers.  A write acts two cycles behind its
    address, and a read tells of the cycle two behind, so that both are of the events of the cycle before.
    more_frames, several, packet_restart: the register of that name, whether it is not 0, and that it was written.
    """
    words = tuple(model_words)
    frames_begun, frames_finished, cycles, stalls, idles = (Signal(modbv(0)[32:]) for _ in range(5))
    was_short, was_long, resetting, writes, reads = flag(), flag(), flag(), flag(), flag()
    clear = vector(2)
    # decoded, acts, and two more until the edges have heard of it; decoded, chosen, found
    write_steps, read_steps = vector(4), vector(3)
    write_strobed, write_below = flag(), flag()
    write_address, read_address = vector(10), vector(10)  # of words
    read_index, read_event, read_model = vector(4), flag(), flag()
    event_word, event_found = vector(32), vector(32)
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

    slave = axi_lite_slave(clk, rst, s_axil, writes, write_steps, reads, read_steps)
    slave.name = "slave"

    @always_comb
    def below():
        write_below.next = write_address[10:4] == 0

    @always_comb
    def ports():
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
        # What is written is kept, then decoded, takes effect out of registers, and then is answered.
        write_strobed.next = writes and s_axil.wstrb[0]
        if writes:
            written.next = s_axil.wdata[16:]
            write_address.next = s_axil.awaddr[12:2]
        writes_control.next = write_strobed and write_below and write_address[4:] == _CONTROL
        writes_status.next = write_strobed and write_below and write_address[4:] == _STATUS
        writes_packet.next = write_strobed and write_below and write_address[4:] == _MORE_FRAMES
        if rst:
            writes_control.next = False
            writes_status.next = False
            writes_packet.next = False
            reset_left.next = reset_cycles
            reset_lasts.next = True
            resetting.next = True
            core_rst.next = True
        else:
            core_rst.next = resetting
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
        """The address, what it is of, the counters that it chooses from, the word out of them and the model's."""
        if reads:
            read_address.next = s_axil.araddr[12:2]
        read_index.next = read_address[4:]
        read_event.next = read_address[10:4] == 0
        read_model.next = read_address[10:3] == _MODEL
        event_found.next = event_word
        if read_steps[2]:
            if read_model:
                s_axil.rdata.next = model_word
            else:
                s_axil.rdata.next = event_found

    nothing, control, status_word = (constant(0, 32), vector(32), vector(32))

    @always_comb
    def show():
        control.next = resetting
        status_word.next = (was_long << 1) | was_short

    shown = {
        core.IDENTIFICATION: constant(core.LOGN, 32),
        core.VERSION: constant(core.MAP_VERSION, 32),
        core.CONTROL: control,
        core.STATUS: status_word,
        core.FRAMES_BEGUN: frames_begun,
        core.FRAMES_FINISHED: frames_finished,
        core.CYCLES: cycles,
        core.SINK_STALLS: stalls,
        core.SOURCE_IDLES: idles,
        core.MORE_FRAMES: per_packet,
        core.PACKET_BEGUN: packet_begun,
        core.PACKET_FINISHED: packet_finished,
    }
    assert {*shown, core.MODEL_SHA256} == {*core.CORE_REGISTERS}
    places = {register.word: signal for register, signal in shown.items()}
    chosen, choices = [], []
    for first in range(0, _EVENT_WORDS, 4):
        four = [places.get(first + place, nothing) for place in range(4)]
        if all(signal is nothing for signal in four):
            chosen.append(nothing)
        else:
            chosen.append(vector(32))
            part = one_of_four(read_low, *four, chosen[-1])
            part.name = f"words{first}"
            choices.append(part)
    chosen0, chosen1, chosen2, chosen3 = chosen

    @always_comb
    def choose():
        if not read_event:
            event_word.next = 0
        elif read_high == 0:
            event_word.next = chosen0
        elif read_high == 1:
            event_word.next = chosen1
        elif read_high == 2:
            event_word.next = chosen2
        else:
            event_word.next = chosen3

    parts = (slave, high_table, low_table, below, ports, model, write, acknowledge, status, packets, read)
    return parts, show, choose, choices, counters


@block
def one_of_four(which, first, second, third, fourth, chosen):
    """Four words at a time, so that a bit is two LUTs deep."""

    @always_comb
    def choose():
        if which == 0:
            chosen.next = first
        elif which == 1:
            chosen.next = second
        elif which == 2:
            chosen.next = third
        else:
            chosen.next = fourth

    return choose


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

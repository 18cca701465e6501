"""AXI4-Lite registers of the overlay: who it is, what it did, and a soft reset.

Byte addresses (all 32 bits, little-endian):

    0x00 R  identification, 0x4C4F474E ("LOGN")
    0x04 R  version of this register map, 1
    0x08 RW control: bit 0 resets the stream part; reads 1 while that reset lasts
    0x0C RW status: bit 0 a frame was too short, bit 1 one was too long; writing 1 clears a bit
    0x10 R  frames begun        0x14 R  frames finished
    0x18 R  clock cycles        0x1C R  cycles in which the sink stalled the overlay
    0x20 R  cycles in which the overlay waited for the source
    0x24 RW frames of a packet beyond the first, 16 bits; 0 after rst
    0x28 R  cycle in which the last packet began        0x2C R  cycle in which the last frame finished
    0x40..0x5C R  SHA-256 of the model part, first four bytes at 0x40
"""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, modbv

from lognet_fpga.hw.wiring import counter, flag, vector

IDENTIFICATION = 0x4C4F474E
VERSION = 1


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

    core_rst: reset of the stream part, held for reset_cycles so that nothing is left in its pipelines.
    more_frames, several, packet_restart: the register at 0x24, whether it is not 0, and that it was written.
    """
    words = tuple(model_words)
    frames_begun, frames_finished, cycles, stalls, idles = (Signal(modbv(0)[32:]) for _ in range(5))
    was_short, was_long, resetting, write_now, read_now = flag(), flag(), flag(), flag(), flag()
    clear = vector(2)
    write_waits, read_waits = flag(), flag()
    reset_left = counter(reset_cycles + 1)
    packet_begun, packet_finished = vector(32), vector(32)
    per_packet = vector(len(more_frames))
    writes_packet, written = flag(), flag()
    model_word = vector(32)
    model_half = vector(16)
    low_half = vector(16)
    high_words = tuple(word >> 16 for word in words)
    low_words = tuple(word & 0xFFFF for word in words)
    model_index = s_axil_araddr(5, 2)

    @always_comb
    def high_table():
        model_half.next = high_words[int(model_index)]

    @always_comb
    def low_table():
        low_half.next = low_words[int(model_index)]

    @always_comb
    def handshake():
        write_now.next = s_axil_awvalid and s_axil_wvalid and (not write_waits)
        read_now.next = s_axil_arvalid and (not read_waits)

    @always_comb
    def ports():
        s_axil_awready.next = write_now
        s_axil_wready.next = write_now
        s_axil_arready.next = read_now
        s_axil_bvalid.next = write_waits
        s_axil_rvalid.next = read_waits
        s_axil_bresp.next = 0
        s_axil_rresp.next = 0
        resetting.next = reset_left != 0
        writes_packet.next = write_now and s_axil_wstrb[0] and s_axil_awaddr[12:2] == 9
        more_frames.next = per_packet

    @always_comb
    def model():
        model_word.next = (model_half << 16) | low_half

    @always(clk.posedge)
    def write():
        if rst:
            write_waits.next = False
            reset_left.next = reset_cycles
            core_rst.next = True
        else:
            core_rst.next = resetting
            if write_now:
                write_waits.next = True
            elif s_axil_bready:
                write_waits.next = False
            if resetting:
                reset_left.next = reset_left - 1
            if write_now and s_axil_wstrb[0] and s_axil_wdata[0] and s_axil_awaddr[12:2] == 2:
                reset_left.next = reset_cycles
                core_rst.next = True

    @always_comb
    def acknowledge():
        if write_now and s_axil_wstrb[0] and s_axil_awaddr[12:2] == 3:
            clear.next = s_axil_wdata[2:]
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
        written.next = writes_packet
        packet_restart.next = written
        several.next = per_packet != 0
        if rst:
            per_packet.next = 0
        elif writes_packet:
            per_packet.next = s_axil_wdata[16:]
        if rst or resetting:
            packet_begun.next = 0
            packet_finished.next = 0
        else:
            if packet_begin:
                packet_begun.next = cycles
            if frame_end:
                packet_finished.next = cycles

    @always(clk.posedge)
    def count():
        if rst or resetting:
            frames_begun.next = 0
            frames_finished.next = 0
            cycles.next = 0
            stalls.next = 0
            idles.next = 0
        else:
            cycles.next = cycles + 1
            if frame_begin:
                frames_begun.next = frames_begun + 1
            if frame_end:
                frames_finished.next = frames_finished + 1
            if sink_stalled:
                stalls.next = stalls + 1
            if source_idle:
                idles.next = idles + 1

    @always(clk.posedge)
    def read():
        if rst:
            read_waits.next = False
        elif read_now:
            read_waits.next = True
        elif s_axil_rready:
            read_waits.next = False
        if read_now:
            s_axil_rdata.next = 0
            if s_axil_araddr[12:6] == 0:
                if s_axil_araddr[6:2] == 0:
                    s_axil_rdata.next = 0x4C4F474E
                elif s_axil_araddr[6:2] == 1:
                    s_axil_rdata.next = 1
                elif s_axil_araddr[6:2] == 2:
                    s_axil_rdata.next = resetting
                elif s_axil_araddr[6:2] == 3:
                    s_axil_rdata.next = (was_long << 1) | was_short
                elif s_axil_araddr[6:2] == 4:
                    s_axil_rdata.next = frames_begun
                elif s_axil_araddr[6:2] == 5:
                    s_axil_rdata.next = frames_finished
                elif s_axil_araddr[6:2] == 6:
                    s_axil_rdata.next = cycles
                elif s_axil_araddr[6:2] == 7:
                    s_axil_rdata.next = stalls
                elif s_axil_araddr[6:2] == 8:
                    s_axil_rdata.next = idles
                elif s_axil_araddr[6:2] == 9:
                    s_axil_rdata.next = per_packet
                elif s_axil_araddr[6:2] == 10:
                    s_axil_rdata.next = packet_begun
                elif s_axil_araddr[6:2] == 11:
                    s_axil_rdata.next = packet_finished
            elif s_axil_araddr[12:5] == 2:
                s_axil_rdata.next = model_word

    return high_table, low_table, handshake, ports, model, write, acknowledge, status, packets, count, read


@block
def stream_watch(s_axis_tvalid, s_axis_tready, m_axis_tvalid, m_axis_tready, source_idle, sink_stalled):
    """What the stall counters count."""

    @always_comb
    def watch():
        source_idle.next = s_axis_tready and not s_axis_tvalid
        sink_stalled.next = m_axis_tvalid and not m_axis_tready

    return watch

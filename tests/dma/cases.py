"""The cocotb tests of the DMA, run by test_dma.py."""

from __future__ import annotations

import cocotb
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp

from tests.dma.bench import (
    CONTROL,
    DECODE,
    DONE,
    ERROR,
    HALTED,
    IDLE,
    INTERNAL,
    LENGTH,
    MEMORY_BYTES,
    MM2S,
    RUN,
    S2MM,
    SLAVE,
    STATUS,
    Bench,
    patient_driver,
)

GUARD = 64  # bytes on either side of a buffer that must not change
PERCENTS = (0, 30, 60, 90)


async def started(dut, name: str) -> Bench:
    bench = Bench(dut, name)
    await bench.start()
    return bench


async def move(bench: Bench, n_bytes: int, received: int) -> None:
    """Both channels at once: n_bytes out of memory, and a packet of `received` into a buffer that may be larger."""
    origin = bench.place(n_bytes)
    sent = bench.random_bytes(n_bytes)
    bench.memory.write(origin, sent)
    packet = bench.random_bytes(received)
    room = received + bench.sink_bytes * bench.rng.choice([0, 0, 1, 5])
    place = bench.place(room)
    while origin - GUARD < place + room + GUARD and place - GUARD < origin + n_bytes + GUARD:
        place = bench.place(room)
    before = bytearray(bench.memory.read(place - GUARD, room + 2 * GUARD))
    await bench.begin(S2MM, place, room)
    await bench.begin(MM2S, origin, n_bytes)
    await bench.source.send(packet)
    frame = await bench.sink.recv()
    assert bytes(frame.tdata) == sent
    assert await bench.ended(MM2S) == await bench.ended(S2MM) == IDLE | DONE
    assert await bench.read(S2MM + LENGTH) == received
    before[GUARD : GUARD + received] = packet
    assert bench.memory.read(place - GUARD, room + 2 * GUARD) == bytes(before)
    for channel in (MM2S, S2MM):
        await bench.write(channel + STATUS, DONE)
        assert await bench.read(channel + STATUS) == IDLE


@cocotb.test()
async def random_transfers(dut):
    """Random addresses and lengths, and random pauses on all channels; every byte compared."""
    bench = await started(dut, "random_transfers")
    total = 0
    while total < bench.case.n_bytes:
        bench.pause(bench.rng.choice(PERCENTS))
        longest = bench.rng.choice([4, 40, 600])  # beats
        n_bytes = bench.source_bytes * bench.rng.randint(1, longest)
        received = bench.sink_bytes * bench.rng.randint(1, longest)
        await move(bench, n_bytes, received)
        total += n_bytes + received
    assert bench.moved["ar"] > 0 and bench.moved["aw"] == bench.moved["b"]


@cocotb.test()
async def smallest_transfers(dut):
    """Every length of a few beats at every place within 16 words."""
    bench = await started(dut, "smallest_transfers")
    for beats in range(1, 4):
        for word in range(0, 16, 3):
            origin = 4096 + 8 * word
            sent = bench.random_bytes(beats * bench.source_bytes)
            packet = bench.random_bytes(beats * bench.sink_bytes)
            bench.memory.write(origin, sent)
            bench.memory.write(8192, bytes(512))
            await bench.begin(S2MM, 8192 + 8 * word, len(packet))
            await bench.begin(MM2S, origin, len(sent))
            await bench.source.send(packet)
            assert bytes((await bench.sink.recv()).tdata) == sent
            assert await bench.ended(S2MM) & await bench.ended(MM2S) & IDLE
            expected = bytes(8 * word) + packet + bytes(512 - 8 * word - len(packet))
            assert bench.memory.read(8192, 512) == expected


@cocotb.test()
async def throughput(dut):
    """With a memory that never waits, both ways at once: at least 95% of the port's, or the stream's, bytes a cycle."""
    bench = await started(dut, "throughput")
    n_bytes = 48 << 10
    sent, packet = bench.random_bytes(n_bytes), bench.random_bytes(n_bytes)
    bench.memory.write(0, sent)
    await bench.source.send(packet)
    await bench.begin(S2MM, 1 << 18, n_bytes)
    await bench.begin(MM2S, 0, n_bytes)
    assert bytes((await bench.sink.recv()).tdata) == sent
    assert await bench.ended(S2MM) & IDLE
    assert bench.memory.read(1 << 18, n_bytes) == packet
    for channel, limit in (("r", min(8, bench.source_bytes)), ("w", min(8, bench.sink_bytes))):
        first, last = bench.seen[channel]
        share = n_bytes / (last - first + 1) / limit
        print(f"FIGURE {channel} {bench.case.source_bits} {bench.case.sink_bits} {share:.4f} of {limit} bytes a cycle")
        assert share >= 0.95, f"{channel}: {share:.3f}"


@cocotb.test()
async def outstanding(dut):
    """With a memory that gives nothing yet, eight bursts are asked for; with one that answers no write, eight given."""
    bench = await started(dut, "outstanding")
    read, write = bench.memory.read_if, bench.memory.write_if
    for channel in (read.ar_channel, write.aw_channel, write.w_channel):
        channel.queue_occupancy_limit = -1
    read.r_channel.pause = write.b_channel.pause = True
    await bench.begin(MM2S, 0, 48 * bench.source_bytes * 128)
    await bench.begin(S2MM, 1 << 18, 48 * bench.sink_bytes * 128)
    await bench.source.send(bench.random_bytes(32 * bench.sink_bytes * 128))
    await ClockCycles(dut.clk, 12_000)
    assert bench.moved["ar"] == 8 and bench.moved["aw"] == 8 and bench.moved["w"] == 128
    read.r_channel.pause = write.b_channel.pause = False
    assert await bench.ended(MM2S) & await bench.ended(S2MM) & IDLE


@cocotb.test()
async def memory_errors(dut):
    """Each is told by its bit, halts the channel, and leaves the next transfer right after a reset."""
    bench = await started(dut, "memory_errors")
    for error, bit in ((AxiResp.SLVERR, SLAVE), (AxiResp.DECERR, DECODE)):
        for channel in (MM2S, S2MM):
            bench.pause(bench.rng.choice(PERCENTS))
            bench.error, at = error, 4096 + 8 * bench.rng.randrange(1000 // 8)
            bench.bad = lambda address, at=at: at <= address < at + 8
            n_bytes = 1024
            if channel == S2MM:
                await bench.source.send(bench.random_bytes(n_bytes))
            await bench.begin(channel, 4096, n_bytes)
            assert await bench.ended(channel) == HALTED | bit | ERROR
            assert not await bench.read(channel + CONTROL) & RUN
            bench.bad = lambda address: False
            asked = bench.moved["ar"], bench.moved["aw"]
            await bench.begin(channel, 4096, n_bytes)  # nothing happens before a reset
            await ClockCycles(dut.clk, 50)
            assert (bench.moved["ar"], bench.moved["aw"]) == asked
            await bench.reset()
            await move(bench, 40 * bench.source_bytes, 40 * bench.sink_bytes)


@cocotb.test()
async def resets(dut):
    """At any time: what is on its way to and from memory ends as AXI asks for, and then all is as after power-up."""
    bench = await started(dut, "resets")
    for _ in range(12):
        bench.pause(bench.rng.choice(PERCENTS))
        n_bytes, received = 200 * bench.source_bytes, 200 * bench.sink_bytes
        await bench.begin(S2MM, bench.place(received), received)
        await bench.begin(MM2S, bench.place(n_bytes), n_bytes)
        await bench.source.send(bench.random_bytes(received))
        await ClockCycles(dut.clk, bench.rng.randrange(1, 300))
        await bench.reset()
        asked, given = bench.moved["ar"], bench.moved["aw"]
        assert given == bench.moved["b"]
        await ClockCycles(dut.clk, 40)
        assert (bench.moved["ar"], bench.moved["aw"], bench.moved["b"]) == (asked, given, given)
        await move(bench, 24 * bench.source_bytes, 24 * bench.sink_bytes)


@cocotb.test()
async def packets_of_other_lengths(dut):
    """A short packet ends a transfer well, with its length; a long one is an internal error, and writes no byte behind
    the buffer."""
    bench = await started(dut, "packets_of_other_lengths")
    step = bench.sink_bytes
    for beats in (1, 2, 17, 63):
        packet = bench.random_bytes(beats * step)
        await bench.begin(S2MM, 4096, 64 * step)
        await bench.source.send(packet)
        assert await bench.ended(S2MM) & IDLE and await bench.read(S2MM + LENGTH) == len(packet)
        assert bench.memory.read(4096, len(packet)) == packet
    for beats in (1, 5, 64):
        behind = bench.random_bytes(64)
        bench.memory.write(4096 + beats * step, behind)
        packet = bench.random_bytes((beats + 3) * step)
        await bench.begin(S2MM, 4096, beats * step)
        await bench.source.send(packet)
        assert await bench.ended(S2MM) & ~DONE == HALTED | INTERNAL | ERROR
        assert bench.memory.read(4096, beats * step) == packet[: beats * step]
        assert bench.memory.read(4096 + beats * step, 64) == behind
        await bench.reset()


@cocotb.test()
async def refused_transfers(dut):
    """Lengths and addresses that cannot be: an internal error, and no access to memory."""
    bench = await started(dut, "refused_transfers")
    wrong = [(MM2S, 0, 0), (S2MM, 0, 0), (MM2S, 4, 64 * bench.source_bytes), (S2MM, 1, 64 * bench.sink_bytes)]
    if bench.source_bytes > 1:
        wrong.append((MM2S, 0, 2 * bench.source_bytes + 1))
    if bench.sink_bytes > 1:
        wrong.append((S2MM, 0, bench.sink_bytes - 1))
    for channel, address, n_bytes in wrong:
        await bench.begin(channel, address, n_bytes)
        assert await bench.ended(channel) == HALTED | INTERNAL | ERROR
        await bench.reset()
    assert bench.moved["ar"] == bench.moved["aw"] == 0
    await bench.write(MM2S + CONTROL, 0)
    assert await bench.read(MM2S + STATUS) == HALTED
    await bench.begin(MM2S, 0, 64 * bench.source_bytes)  # not running: nothing
    await ClockCycles(dut.clk, 50)
    assert bench.moved["ar"] == 0


@cocotb.test()
async def by_the_driver(dut):
    """The driver's own class, unchanged, on the registers."""
    from lognet_fpga.runtime.board.dma import HALTED as DRIVER_HALTED
    from lognet_fpga.runtime.board.dma import MM2S as SEND
    from lognet_fpga.runtime.board.dma import S2MM as RECEIVE
    from lognet_fpga.runtime.board.dma import AxiDma

    patient_driver()
    bench = await started(dut, "by_the_driver")
    n_bytes, received = 100 * bench.source_bytes, 90 * bench.sink_bytes
    sent, packet = bench.random_bytes(n_bytes), bench.random_bytes(received)
    bench.memory.write(1 << 12, sent)
    bench.memory.write(1 << 16, bytes(received))

    class Words:
        """The registers as the driver sees them: 32-bit words by number."""

        @resume
        async def __getitem__(self, index: int) -> int:
            return await bench.read(4 * index)

        @resume
        async def __setitem__(self, index: int, value: int) -> None:
            await bench.write(4 * index, value)

    @bridge
    def drive() -> tuple[int, int]:
        dma = AxiDma(Words(), (1 << 26) - 1, high_addresses=False)
        dma.reset()
        dma.start(RECEIVE, 1 << 16, received + 8 * bench.sink_bytes)
        dma.start(SEND, 1 << 12, n_bytes)
        assert dma.wait(60.0)
        good = dma.status(SEND) | dma.status(RECEIVE), dma.received_bytes()
        dma.start(SEND, 1 << 12, 3 * bench.source_bytes - 1 if bench.source_bytes > 1 else 0)
        assert dma.wait(60.0) and dma.status(SEND) & DRIVER_HALTED
        dma.reset()
        assert not (dma.status(SEND) | dma.status(RECEIVE)) & DRIVER_HALTED
        return good

    await bench.source.send(packet)
    status, count = await drive()
    assert status == IDLE | DONE and count == received
    assert bytes((await bench.sink.recv()).tdata) == sent
    assert bench.memory.read(1 << 16, received) == packet
    assert MEMORY_BYTES > 1 << 16

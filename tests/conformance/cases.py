"""The cocotb tests, run on every overlay by test_conformance.py."""

from __future__ import annotations

import cocotb
from cocotb.triggers import ClockCycles

from lognet_fpga.ir.core_registers import MODEL_SHA256
from tests.conformance.bench import Bench
from tests.conformance.contract import (
    BEGUN,
    CONTROL,
    CYCLES,
    FINISHED,
    IDENTIFICATION,
    IDLES,
    LONG,
    MODEL_HASH,
    MORE_FRAMES,
    PACKET_BEGUN,
    PACKET_FINISHED,
    SHORT,
    STALLS,
    STATUS,
    VERSION,
)

REGISTERS = (IDENTIFICATION, VERSION, CONTROL, STATUS, BEGUN, FINISHED, CYCLES, STALLS, IDLES)
HASH = MODEL_SHA256.addresses
PAUSES = ((0, 50), (50, 0), (40, 40), (85, 20), (20, 85))  # percent of cycles: source idles, sink stalls


async def started(dut, name: str) -> Bench:
    bench = Bench(dut, name)
    await bench.start()
    return bench


@cocotb.test()
async def steady_frames(dut):
    """Without a pause the cycles are those of the plan, from the first frame's latency to the later ones' intervals."""
    bench = await started(dut, "steady_frames")
    bench.send(*bench.frames(10))
    await bench.drain()
    contract, case = bench.contract, bench.case
    assert contract.last_given[0] - contract.first_taken[0] == case.latency_cycles
    later = contract.last_given[5:]
    assert {b - a for a, b in zip(later, later[1:])} == {case.cycles_per_frame}
    assert [await bench.read(address) for address in (BEGUN, FINISHED, STALLS, STATUS)] == [10, 10, 0, 0]
    cycles = [(await bench.read(CYCLES), contract.edge) for _ in range(2)]
    assert cycles[1][0] - cycles[0][0] == cycles[1][1] - cycles[0][1]


@cocotb.test()
async def paused_frames(dut):
    """Random idles and stalls, and a word with the registers meanwhile."""
    bench = await started(dut, "paused_frames")
    for idle, stall in PAUSES:
        bench.pause_streams(idle, stall)
        bench.send(*bench.frames(2))
        await bench.read(bench.rng.choice(REGISTERS))
        await bench.drain()
    assert bench.judged == 2 * len(PAUSES)


@cocotb.test()
async def results_do_not_wait_for_ready(dut):
    """With a sink that is never ready the first result is offered all the same, and held; then all come out."""
    bench = await started(dut, "results_do_not_wait_for_ready")
    bench.sink.pause = True
    await ClockCycles(dut.clk, 2)
    bench.send(*bench.frames(8))  # more than the overlay holds
    await ClockCycles(dut.clk, 5 * bench.case.latency_cycles)
    assert dut.m_axis_tvalid.value and not bench.source.idle() and bench.judged == 0
    assert await bench.read(STALLS) > 3 * bench.case.latency_cycles
    bench.sink.pause = False
    await bench.drain()
    assert bench.judged == 8


@cocotb.test()
async def registers(dut):
    """Every register; unaligned, partial and spanning accesses, and addresses where nothing is."""
    bench = await started(dut, "registers")
    for percent in (0, 60):
        bench.pause_registers(percent)
        for address in (
            *REGISTERS,
            *HASH,
            MORE_FRAMES,
            PACKET_BEGUN,
            PACKET_FINISHED,
            0x30,
            0x3C,
            0x60,
            0x80,
            0x400,
            0x800 + MODEL_HASH,
            0xFFC,
        ):
            await bench.read(address)
        for address, length in ((0, 36), (1, 1), (2, 2), (3, 4), (0x0D, 3), (0x3E, 0x24), (0xFFF, 1)):
            await bench.read(address, length)
        assert await bench.read(IDENTIFICATION) == 0x4C4F474E and await bench.read(IDENTIFICATION + 1, 2) == 0x4F47
        await bench.write(MORE_FRAMES, 0xFFFF_FFFF)
        assert await bench.read(MORE_FRAMES) == 0xFFFF
        await bench.write(MORE_FRAMES, 0)
        # None of these resets: other addresses, other bits, other bytes.
        for address in (
            IDENTIFICATION,
            BEGUN,
            CYCLES,
            PACKET_BEGUN,
            0x30,
            0x40,
            0x40 + CONTROL,
            0x400 + CONTROL,
            0xFFC,
        ):
            await bench.write(address, 0xFFFFFFFF)
        await bench.write(CONTROL, 0xFFFFFFFE)
        await bench.strobed_write(CONTROL, 0xFFFFFFFF, 0xE)
        await bench.write(CONTROL + 3, 0xFFFF, 2)  # the last byte of control, the first of status
        assert await bench.read(CONTROL) == 0 and await bench.read(CYCLES) > 0


@cocotb.test()
async def registers_under_traffic(dut):
    """Reads and writes side by side, all channels pausing, while frames pass."""
    bench = await started(dut, "registers_under_traffic")
    bench.pause_registers(40)
    bench.pause_streams(20, 20)
    bench.send(*bench.frames(4))

    async def reads():
        for _ in range(60):
            await bench.read(bench.rng.randrange(0, 0x64), bench.rng.randint(1, 8))

    async def writes():
        for _ in range(40):
            # Not more_frames, which may be written only while no frame is on its way.
            address = bench.rng.choice([*range(0, CONTROL), *range(STATUS, MORE_FRAMES), *range(PACKET_BEGUN, 0x70)])
            await bench.write(address, bench.rng.getrandbits(8), 1)

    tasks = [cocotb.start_soon(reads()), cocotb.start_soon(writes())]
    await bench.drain()
    for task in tasks:
        await task
    assert bench.judged == 4


@cocotb.test()
async def packets_of_frames(dut):
    """Several frames with one TLAST, and what comes of one too long; then single frames again."""
    bench = await started(dut, "packets_of_frames")
    for more, pause in ((2, 0), (1, 40)):
        bench.pause_streams(pause, pause)
        await bench.write(MORE_FRAMES, more)
        for _ in range(2):
            bench.send(bench.joined(more + 1))
        await bench.drain()
        cycles = await bench.read(PACKET_FINISHED) - await bench.read(PACKET_BEGUN)
        assert cycles > more * bench.case.cycles_per_frame and await bench.read(STATUS) == 0
    bench.send(bench.joined(4))  # two frames in it are too many
    await bench.drain()
    assert await bench.read(STATUS) == LONG
    await bench.write(STATUS, LONG)
    bench.send(bench.joined(2))
    await bench.drain()
    await bench.write(MORE_FRAMES, 0)
    bench.send(*bench.frames(2))
    await bench.drain()
    assert await bench.read(STATUS) == 0


@cocotb.test()
async def short_and_long_frames(dut):
    """Each raises its flag, cleared by itself; its result is that of the frame made whole, and the next is right."""
    bench = await started(dut, "short_and_long_frames")
    for index, kind in enumerate(("short", "long", "joined", "short", "joined", "long")):
        if index == 3:
            bench.pause_streams(30, 30)
        before, flag = bench.judged, SHORT if kind == "short" else LONG
        bench.send(bench.ragged(kind))
        await bench.drain()
        assert await bench.read(STATUS) == flag
        bench.send(*bench.frames(1))
        await bench.drain()
        assert await bench.read(STATUS) == flag
        await bench.write(STATUS, SHORT + LONG - flag)
        await bench.strobed_write(STATUS, 0xFFFFFFFF, 0xE)
        assert await bench.read(STATUS) == flag
        await bench.write(STATUS, flag)
        assert await bench.read(STATUS) == 0
        assert bench.judged == before + 2
    counts = [await bench.read(address) for address in (BEGUN, FINISHED)]
    assert counts == [12, 12]


@cocotb.test()
async def ragged_frames_in_a_row(dut):
    """Good and bad frames without a gap; one result each."""
    bench = await started(dut, "ragged_frames_in_a_row")
    for idle, stall in ((0, 0), (0, 60), (50, 20)):
        bench.pause_streams(idle, stall)
        before = bench.judged
        kinds = ["good", "short", "long", "joined", "short"]  # so that something follows a short one
        bench.rng.shuffle(kinds)
        for kind in kinds:
            bench.send(*(bench.frames(1) if kind == "good" else [bench.ragged(kind)]))
        await bench.drain()
        assert bench.judged == before + 5


@cocotb.test()
async def resets_by_the_pin(dut):
    """In the middle of a frame and between frames."""
    bench = await started(dut, "resets_by_the_pin")
    bench.send(bench.ragged("short"))
    for share, stall in ((0.3, 0), (0.9, 50), (3, 100), (None, 0)):
        bench.pause_streams(0, stall)
        bench.send(*bench.frames(3))
        if share is None:
            await bench.drain()
        else:
            await ClockCycles(dut.clk, round(share * bench.case.latency_cycles))
        await bench.hard_reset()
        bench.pause_streams(0, 0)
        assert await bench.read(CONTROL) == 1 and await bench.read(STATUS) == 0
        bench.send(*bench.frames(2))  # offered while the overlay is in reset
        before = bench.judged
        await ClockCycles(dut.clk, 10)
        await bench.drain()
        assert bench.judged == before + 2 == before + await bench.read(FINISHED)


@cocotb.test()
async def resets_by_the_register(dut):
    """The same with a soft reset; with a source that starts over, and with one that goes on with its frame."""
    bench = await started(dut, "resets_by_the_register")
    for source_too in (True, False):
        for share, stall in ((0.3, 0), (1.4, 50)) if source_too else ((0.7, 0), (3, 100)):
            bench.pause_streams(0, stall)
            bench.send(*bench.frames(3))
            await ClockCycles(dut.clk, round(share * bench.case.latency_cycles))
            await bench.soft_reset(source_too)
            bench.pause_streams(0, 0)
            if not source_too:
                await bench.drain()
                await bench.write(STATUS, SHORT)
            before = bench.judged
            bench.send(*bench.frames(2))
            await bench.drain()
            assert bench.judged == before + 2
            assert await bench.read(STATUS) == 0


@cocotb.test()
async def soak(dut):
    """Random frames, good and bad, random pauses, register traffic and resets, for as long as it is asked for."""
    bench = await started(dut, "soak")
    rng, sent = bench.rng, 0

    async def chatter():
        while True:
            await bench.read(rng.choice([*REGISTERS, *HASH]))
            await ClockCycles(dut.clk, rng.randint(1, 60))

    while sent < bench.case.soak_frames:
        bench.pause_streams(rng.choice([0, 0, 30, 80]), rng.choice([0, 0, 30, 80]))
        bench.pause_registers(rng.choice([0, 40]))
        count = rng.randint(1, 6)
        sent += count
        for _ in range(count):
            kind = rng.choice(["good", "good", "good", "good", "short", "long", "joined"])
            bench.send(*(bench.frames(1) if kind == "good" else [bench.ragged(kind)]))
        chattering = cocotb.start_soon(chatter())
        ending = rng.choice(["drain", "drain", "drain", "pin", "register", "register alone"])
        if ending == "drain":
            await bench.drain()
        else:
            await ClockCycles(dut.clk, rng.randrange(2 * bench.case.latency_cycles))
        chattering.cancel()
        await bench.master.wait()
        if ending == "pin":
            await bench.hard_reset()
        elif ending != "drain":
            await bench.soft_reset(source_too=ending == "register")
        if rng.random() < 0.5:
            await bench.write(STATUS, rng.randrange(4))
    await bench.drain()
    print(f"soak: {sent} frames sent, {bench.judged} results judged, {bench.contract.edge} clock edges")

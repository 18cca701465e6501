"""The cocotb tests of everything behind the processor's ports, run by test_fabric.py."""

from __future__ import annotations

import hashlib
import logging
import random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBus, AxiMaster, AxiRam, AxiResp

from lognet_fpga.ir.core_registers import MODEL_SHA256, MORE_FRAMES
from lognet_fpga.ir.system import ZYNQ_7000
from lognet_fpga.runtime.board.core import CoreRegisters
from lognet_fpga.runtime.board.dma import MM2S, S2MM, AxiDma
from tests.conformance.bench import pauses
from tests.dma.bench import patient_driver
from tests.dma.case import load_case

MEMORY_BYTES = 1 << 20


class Fabric:
    """The processor's side: a master on the registers' port, memory on the other."""

    def __init__(self, dut) -> None:
        self.dut, self.case = dut, load_case()
        self.rng = random.Random(self.case.seed)
        self.master = AxiMaster(AxiBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst, max_burst_len=16)
        self.memory = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=MEMORY_BYTES)
        for block in (self.memory.read_if, self.memory.write_if, self.master.read_if, self.master.write_if):
            block.log.setLevel(logging.ERROR)

    async def start(self, percent: int) -> None:
        """percent: of the cycles every channel of the memory pauses."""
        Clock(self.dut.clk, 10, "ns").start()
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 4)
        read, write = self.memory.read_if, self.memory.write_if
        for channel in (read.ar_channel, read.r_channel, write.aw_channel, write.w_channel, write.b_channel):
            channel.set_pause_generator(pauses(random.Random(self.rng.random()), percent) if percent else None)

    def words(self, base: int):
        """The registers at base as the driver sees them: 32-bit words by number."""
        fabric = self

        class Words:
            @resume
            async def __getitem__(self, index: int) -> int:
                return await fabric.master.read_dword(base + 4 * index)

            @resume
            async def __setitem__(self, index: int, value: int) -> None:
                await fabric.master.write_dword(base + 4 * index, value)

        return Words()


@cocotb.test()
async def frames_through_it(dut):
    """By the driver's own classes, as on a board: reset, packets of several frames, results, counters."""
    patient_driver()
    fabric = Fabric(dut)
    case = fabric.case
    await fabric.start(percent=40)

    @bridge
    def drive() -> list[np.ndarray]:
        core, dma = (
            CoreRegisters(fabric.words(ZYNQ_7000.core.base)),
            AxiDma(fabric.words(ZYNQ_7000.dma.base), (1 << 26) - 1, high_addresses=False),
        )
        core.require(case.model_sha256)
        dma.reset()
        core.reset()
        results = []
        for count in (1, 3):
            frames = case.frames[:count]
            packed = case.source.pack(frames)
            fabric.memory.write(1 << 12, packed.tobytes())
            core.set_frames_per_packet(count)
            dma.start(S2MM, 1 << 16, count * case.sink.bytes_per_frame)
            dma.start(MM2S, 1 << 12, packed.size)
            assert dma.wait(120.0) and not core.misplaced_tlast()
            assert dma.received_bytes() == count * case.sink.bytes_per_frame
            raw = fabric.memory.read(1 << 16, count * case.sink.bytes_per_frame)
            shape = count, case.sink.beats_per_frame, case.sink.tdata_bits // 8
            results.append(case.sink.unpack(np.frombuffer(raw, np.uint8).reshape(shape)))
            assert core.packet_cycles() >= case.cycles_per_frame
        assert core.counters().frames_finished == 4
        return results

    for result in await drive():
        np.testing.assert_array_equal(result, case.expected[: len(result)])


@cocotb.test()
async def accesses_of_all_kinds(dut):
    """Bursts, parts of words, and addresses where nothing is."""
    fabric = Fabric(dut)
    await fabric.start(percent=0)
    base = ZYNQ_7000.core.base
    hashed = await fabric.master.read(base + MODEL_SHA256.address, 32)
    assert hashed.resp == AxiResp.OKAY and bytes(hashed.data).hex() == fabric.case.model_sha256
    assert hashlib.sha256(fabric.case.golden).hexdigest() == fabric.case.model_sha256
    for address in (0x4000_0000, base + 0x1000, ZYNQ_7000.dma.base - 4):
        assert (await fabric.master.read(address, 4)).resp == AxiResp.DECERR
        assert (await fabric.master.write(address, bytes(4))).resp == AxiResp.DECERR
    await fabric.master.write(base + MORE_FRAMES.address, (7).to_bytes(4, "little"))
    assert await fabric.master.read_dword(base + MORE_FRAMES.address) == 7
    pending = [fabric.master.init_read(base, 4) for _ in range(5)]  # several at once, one after the other
    for event in pending:
        await event.wait()
        assert int.from_bytes(event.data.data, "little") == 0x4C4F474E

"""The DMA between cocotbext-axi's memory, stream source, stream sink and AXI4-Lite master, every port under watch."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiRam,
    AxiResp,
    AxiStreamBus,
    AxiStreamSink,
    AxiStreamSource,
)

from lognet_fpga.ir import dma_registers
from tests.conformance.bench import pauses
from tests.conformance.channels import Channel
from tests.dma.case import load_case

MEMORY_BYTES = 1 << 20
MM2S, S2MM = dma_registers.MM2S.base, dma_registers.S2MM.base
CONTROL, STATUS = dma_registers.CONTROL.address, dma_registers.STATUS.address
ADDRESS, LENGTH = dma_registers.ADDRESS.address, dma_registers.LENGTH.address
RUN, RESET = dma_registers.RUN.mask, dma_registers.RESET.mask
HALTED, IDLE, INTERNAL, SLAVE, DECODE, DONE, ERROR = (field.mask for field in dma_registers.STATUS.fields)
LIMIT_CYCLES = 20_000


def patient_driver() -> None:
    """The driver's limits are seconds of a board; a simulator needs more."""
    from lognet_fpga.runtime.board import core, dma

    core.RESET_TIMEOUT_S = dma.RESET_TIMEOUT_S = 120.0


class Bench:
    """bad: addresses at which the memory answers with error."""

    def __init__(self, dut, name: str) -> None:
        self.dut, self.case = dut, load_case()
        self.rng = random.Random(f"{name} {self.case.seed}")
        self.source_bytes, self.sink_bytes = self.case.source_bits // 8, self.case.sink_bits // 8
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.memory = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=MEMORY_BYTES)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.bad: Callable[[int], bool] = lambda address: False
        self.error = AxiResp.SLVERR
        self.moved = {"ar": 0, "r": 0, "aw": 0, "w": 0, "b": 0}  # so often
        self.cycle, self.seen = 0, {}  # the first and the last cycle in which a channel moved
        self._fail_on_request()
        for block in (self.memory.read_if, self.memory.write_if):
            block.log.setLevel(logging.ERROR)

    async def start(self) -> None:
        Clock(self.dut.clk, 10, "ns").start()
        cocotb.start_soon(self._watch())
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)
        await self.run()

    async def run(self) -> None:
        for channel in (MM2S, S2MM):
            await self.write(channel + CONTROL, RUN)
            assert not await self.read(channel + STATUS) & HALTED

    async def reset(self) -> None:
        """By the register; the overlay's side starts over, too."""
        await self.write(MM2S + CONTROL, RESET)
        for _ in range(LIMIT_CYCLES):
            if not (await self.read(MM2S + CONTROL) | await self.read(S2MM + CONTROL)) & RESET:
                break
        else:
            raise AssertionError("the reset does not end")
        for end in (self.source, self.sink):
            end.assert_reset()
            end.clear()
        await ClockCycles(self.dut.clk, 4)
        assert [await self.read(channel + STATUS) for channel in (MM2S, S2MM)] == [HALTED, HALTED]
        await self.run()

    async def begin(self, channel: int, address: int, n_bytes: int) -> None:
        await self.write(channel + ADDRESS, address)
        await self.write(channel + LENGTH, n_bytes)

    async def ended(self, channel: int) -> int:
        """The status when the channel is no longer busy."""
        for _ in range(LIMIT_CYCLES):
            status = await self.read(channel + STATUS)
            if status & (IDLE | HALTED):
                return status
        raise AssertionError(f"the transfer does not end: status {status:#x}, moved {self.moved}")

    def pause(self, percent: int) -> None:
        """Of the cycles, on every channel of memory and streams, each in stretches of its own; 0: nowhere."""
        read, write = self.memory.read_if, self.memory.write_if
        channels = (read.ar_channel, read.r_channel, write.aw_channel, write.w_channel, write.b_channel)
        for channel in (*channels, self.sink, self.source):
            channel.set_pause_generator(pauses(random.Random(self.rng.random()), percent) if percent else None)
            channel.pause = False

    def place(self, n_bytes: int) -> int:
        """An address for so many bytes, often so that a 4 KB boundary lies inside."""
        if self.rng.random() < 0.5:
            boundary = self.rng.randrange(1, MEMORY_BYTES >> 12) << 12
            address = boundary - 8 * self.rng.randrange(0, 40)
            if 64 <= address and address + n_bytes + 64 <= MEMORY_BYTES:
                return address
        return 8 * self.rng.randrange(8, (MEMORY_BYTES - n_bytes) // 8 - 8)

    def random_bytes(self, n_bytes: int) -> bytes:
        return self.rng.randbytes(n_bytes)

    async def read(self, address: int) -> int:
        return await self.master.read_dword(address)

    async def write(self, address: int, value: int) -> None:
        await self.master.write_dword(address, value)

    def _fail_on_request(self) -> None:
        """The memory's own answers, but for bad addresses."""
        read, write = self.memory.read_if, self.memory.write_if
        plain_read, plain_write = read._read, write._write

        async def checked_read(address: int, length: int) -> bytes:
            if self.bad(address):
                raise ValueError
            return await plain_read(address, length)

        async def checked_write(address: int, data: bytes) -> None:
            if self.bad(address):
                raise ValueError
            await plain_write(address, data)

        def coded(send, field: str):
            async def sent(answer) -> None:
                if getattr(answer, field) == AxiResp.SLVERR:
                    setattr(answer, field, self.error)
                await send(answer)

            return sent

        read._read, write._write = checked_read, checked_write
        read.r_channel.send = coded(read.r_channel.send, "rresp")
        write.b_channel.send = coded(write.b_channel.send, "bresp")

    async def _watch(self) -> None:
        """No offer withdrawn or changed; bursts as AXI3 has them; answers and words only to what was asked."""
        dut = self.dut
        payload = ("id", "addr", "len", "size", "burst")
        memory = {
            name: Channel(dut, f"m_axi_{name}", fields)
            for name, fields in {
                "ar": payload,
                "aw": payload,
                "w": ("data", "strb", "last"),
                "r": ("last",),
                "b": (),
            }.items()
        }
        entry = Channel(dut, "m_axis_t", ("data", "last"))
        reset = dut.rst
        edge = RisingEdge(dut.clk)
        while True:
            await edge
            self.cycle += 1
            entry.look(True)  # a reset by register ends an offer of the stream
            for name, channel in memory.items():
                moves = channel.look(bool(reset.value))
                if moves is None:
                    continue
                self.moved[name] += 1
                self.seen.setdefault(name, [self.cycle, 0])[1] = self.cycle
                if name in ("ar", "aw"):
                    number, address, length, size, burst = moves
                    assert (number, size, burst) == (0, 3, 1) and length < 16
                    assert address % 8 == 0 and address >> 12 == address + 8 * length >> 12

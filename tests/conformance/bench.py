"""An overlay between cocotbext-axi's stream source, stream sink and AXI4-Lite master, every port under watch."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp, AxiStreamBus, AxiStreamSink, AxiStreamSource
from cocotbext.axi.axil_channels import AxiLiteAWTransaction, AxiLiteWTransaction

from tests.conformance.case import load_case
from tests.conformance.channels import Channel
from tests.conformance.contract import CONTROL, RESET_CYCLES, Contract

DRAIN_CYCLES = 64


def pauses(rng: random.Random, percent: int) -> Iterator[bool]:
    """Pauses in `percent` of the cycles, with stretches of none and shorter ones of nothing else in between; or, where
    percent is 100, always."""
    while True:
        kind = rng.randrange(4)
        rate = 100 if percent == 100 else (0, percent, percent, 100)[kind]
        for _ in range(rng.randint(1, 32 if kind == 3 else 96)):
            yield rng.randrange(100) < rate


class Bench:
    """Every result is judged as it comes; every answer of a register is compared with the contract's."""

    def __init__(self, dut, name: str) -> None:
        self.dut, self.case = dut, load_case()
        self.rng = random.Random(f"{name} {self.case.seed}")
        self.contract = Contract(self.case)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.judged = 0

    async def start(self) -> None:
        """Clock, reset, and a wait until the overlay listens and has sent the padding in front of the first frame."""
        Clock(self.dut.clk, 10, "ns").start()
        cocotb.start_soon(self._watch())
        cocotb.start_soon(self._judge())
        await self.hard_reset()
        await self.settle()

    async def hard_reset(self) -> None:
        self.dut.rst.value = 1
        self.source.clear()
        await ClockCycles(self.dut.clk, self.rng.randint(2, 6))
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    async def soft_reset(self, source_too: bool) -> None:
        """By the register.  source_too: the source starts over, else it goes on in the middle of its frame."""
        await self.write(CONTROL, 1)
        if source_too:
            self.source.assert_reset()
            self.source.clear()
        self.sink.assert_reset()
        self.sink.clear()
        assert await self.read(CONTROL) == 1
        await ClockCycles(self.dut.clk, RESET_CYCLES)
        assert await self.read(CONTROL) == 0

    async def settle(self) -> None:
        await ClockCycles(self.dut.clk, RESET_CYCLES + self.case.cycles_per_frame)

    def frames(self, count: int) -> list[bytes]:
        """Noise; every second frame of 0 and 255 only, which reaches the ends of the sums' range."""
        rng = np.random.default_rng(self.rng.getrandbits(64))
        values = rng.integers(0, 256, (count, *self.case.quant.input_shape))
        values[1::2] = np.where(values[1::2] < 128, 0, 255)
        return [packed.tobytes() for packed in self.case.source.pack(values.astype(np.uint8))]

    def ragged(self, kind: str) -> bytes:
        """A frame too "short", too "long", or two frames without a TLAST between them, "joined"."""
        beat = self.case.source.tdata_bits // 8
        frame, more = self.frames(2)
        if kind == "short":
            return frame[
                : beat * self.rng.choice([1, len(frame) // beat - 1, self.rng.randrange(1, len(frame) // beat)])
            ]
        extra = self.rng.choice([1, self.rng.randrange(1, len(more) // beat)])
        return frame + more if kind == "joined" else frame + more[: beat * extra]

    def joined(self, count: int) -> bytes:
        """Frames with one TLAST, behind the last."""
        return b"".join(self.frames(count))

    def send(self, *packets: bytes) -> None:
        for packet in packets:
            self.source.send_nowait(packet)

    def pause_streams(self, idle: int, stall: int) -> None:
        """Percent of the cycles."""
        self.source.set_pause_generator(pauses(random.Random(self.rng.random()), idle) if idle else None)
        self.sink.set_pause_generator(pauses(random.Random(self.rng.random()), stall) if stall else None)
        self.source.pause = self.sink.pause = False

    def pause_registers(self, percent: int) -> None:
        write, read = self.master.write_if, self.master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(pauses(random.Random(self.rng.random()), percent) if percent else None)
            channel.pause = False

    async def read(self, address: int, length: int = 4) -> int:
        answer = await self.master.read(address, length)
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def write(self, address: int, data: int, length: int = 4) -> None:
        answer = await self.master.write(address, data.to_bytes(length, "little"))
        assert answer.resp == AxiResp.OKAY

    async def strobed_write(self, address: int, data: int, strobe: int) -> None:
        """With data on all lanes, also those that the strobe leaves out; no other write may be on its way."""
        port = self.master.write_if
        await port.aw_channel.send(AxiLiteAWTransaction(awaddr=address))
        await port.w_channel.send(AxiLiteWTransaction(wdata=data, wstrb=strobe))
        await port.b_channel.recv()

    async def drain(self) -> None:
        """Wait until every frame that was sent has given its result, and then whether nothing more comes."""
        pending, waited, before = self.contract.pending, 0, self.judged
        limit = 40 * (self.case.latency_cycles + self.case.cycles_per_frame + RESET_CYCLES)
        while pending or not self.source.idle():
            await ClockCycles(self.dut.clk, 16)
            waited = waited + 16 if self.judged == before else 0
            before = self.judged
            assert waited < limit, f"no result for {waited} cycles; {len(pending)} are due"
        await ClockCycles(self.dut.clk, DRAIN_CYCLES)

    async def _judge(self) -> None:
        while True:
            packet = bytes((await self.sink.recv()).tdata)
            while packet:
                assert self.contract.pending, f"a result that no frame has asked for, after {self.judged}"
                expected = self.contract.pending.popleft()
                result, packet = packet[: len(expected)], packet[len(expected) :]
                assert result == expected, f"result {self.judged} differs:\n{result.hex()}\n{expected.hex()}"
                self.judged += 1

    async def _watch(self) -> None:
        dut, contract = self.dut, self.contract
        entry, exit = (Channel(dut, prefix, ("data", "last")) for prefix in ("s_axis_t", "m_axis_t"))
        payloads = {
            "aw": ("addr", "prot"),
            "w": ("data", "strb"),
            "b": ("resp",),
            "ar": ("addr", "prot"),
            "r": ("data", "resp"),
        }
        lite = {name: Channel(dut, f"s_axil_{name}", payload) for name, payload in payloads.items()}
        addresses, words = deque(), deque()  # of writes of which only one half was accepted so far
        unanswered = 0  # writes
        edge, rst = RisingEdge(dut.clk), True
        while True:
            await edge
            before, rst = rst, bool(dut.rst.value)
            streams_restart = rst or before or contract.in_reset
            taken, given = entry.look(streams_restart), exit.look(streams_restart)
            moved = {name: channel.look(rst or before) for name, channel in lite.items()}
            if moved["aw"]:
                addresses.append(moved["aw"][0])
            if moved["w"]:
                words.append(moved["w"])
            if not rst:
                assert unanswered or not lite["b"].valid, "an answer to no write"
                assert contract.answers or not lite["r"].valid, "an answer to no read"
            if moved["b"]:
                unanswered -= 1
                assert moved["b"] == (AxiResp.OKAY,)
            if moved["r"] and not rst:
                data, resp = moved["r"]
                expected = contract.answers.popleft()
                assert (data, resp) == (expected, AxiResp.OKAY), f"a register reads {data:#x}, not {expected:#x}"
            write = None
            if addresses and words:
                write = (addresses.popleft(), *words.popleft())
                unanswered += 1
            contract.step(rst, entry, exit, taken, given, write, moved["ar"][0] if moved["ar"] else None)
            if rst:
                addresses.clear()
                words.clear()
                unanswered = 0

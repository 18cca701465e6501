"""The simulated board as a pynq.Device.  Importing this imports pynq."""

from __future__ import annotations

import ctypes
import platform
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import numpy as np
import pynq
from pynq.buffer import PynqBuffer
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
from pynq.pl_server.device import Device
from pynqmetadata.frontends import Metadata

from lognet_fpga.bundle import Bundle
from lognet_fpga.ir.hwh import write_hwh
from lognet_fpga.ir.system import CORE_VLNV, DMA_VLNVS, BoardSystem, processor_of
from lognet_fpga.runtime.simboard.clocks import clock_registers, pl_clock_mhz
from lognet_fpga.runtime.simboard.core import Engine, SimulatedCore, golden_engine
from lognet_fpga.runtime.simboard.dma import SimulatedDma
from lognet_fpga.runtime.simboard.dram import Memory
from lognet_fpga.runtime.simboard.faults import Fault


class SimulatedBuffer(PynqBuffer):
    """The processor's view of a block of memory.  What it writes is in memory only after flush, and what the DMA
    wrote is seen only after invalidate."""

    def freebuffer(self) -> None:
        memory = getattr(self, "memory", None)
        if memory is not None:
            memory.free(self.device_address)


class PynqDevice(Device):
    """What pynq talks to: registers by physical address, memory, and metadata.  Made by SimulatedBoard only."""

    _probe_priority_ = 9_470  # pynq's own devices have 50, 100 and 200
    capabilities = {"REGISTER_RW": True}

    @classmethod
    def _probe_(cls) -> list[Device]:
        return []

    def __init__(self, board: SimulatedBoard) -> None:
        super().__init__("lognet_simulated")
        self.name = "lognet_simulated"
        self.arch = board.system.processor.machine
        self._board = board
        self.bitfile_name = self.timestamp = ""

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> RuntimeMetadataParser:
        return RuntimeMetadataParser(Metadata(input=Path(bitfile_name).with_suffix(".hwh")))

    def download(self, bitstream: pynq.Bitstream, parser: RuntimeMetadataParser | None = None) -> None:
        self._board.load(parser)
        super().post_download(bitstream, parser, self.name)

    def read_registers(self, address: int, length: int) -> bytes:
        return self._board.read(address).to_bytes(4, "little")[:length]

    def write_registers(self, address: int, data: bytes) -> None:
        self._board.write(address, int.from_bytes(bytes(data), "little"))

    def allocate(
        self, shape: tuple[int, ...], dtype: np.typing.DTypeLike, cacheable: int = 0, **unused: object
    ) -> PynqBuffer:
        kind = np.dtype(dtype)
        n_bytes = int(np.prod(shape)) * kind.itemsize
        memory = self._board.memory
        address = memory.allocate(n_bytes)
        backing = memory.view(address, n_bytes)
        # Without the cache both sides see the same bytes.
        buffer = SimulatedBuffer(
            shape,
            kind,
            buffer=bytearray(backing.tobytes()) if cacheable else backing.data,
            device=self,
            bo=address,
            device_address=address,
            coherent=not cacheable,
        )
        buffer.memory = memory
        return buffer

    def flush(self, bo: int, offset: int, address: int, n_bytes: int) -> None:
        """bo: physical address of the buffer; address: virtual, of the part at offset in it."""
        self._board.memory.view(bo + offset, n_bytes)[:] = _at(address, n_bytes)

    def invalidate(self, bo: int, offset: int, address: int, n_bytes: int) -> None:
        _at(address, n_bytes)[:] = self._board.memory.view(bo + offset, n_bytes)

    def close(self) -> None:
        """pynq's own warns that it does nothing."""


class SimulatedBoard:
    """Use as a context manager: pynq's active device is this board inside.

    bundle: what its bitstream holds.  engine: computes the overlay's activations, golden.onnx by itself.  faults: one a
    transfer, in turn, None for none.  real_time: transfers take as long as the plan says, at the board's clock.  part:
    another chip than that of the bundle's board.  pll_mhz: what the board boots with, where that is not the PLL that
    the bundle was planned for.  bitstream: path of an (empty) .bit file with its .hwh beside it, inside the context.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: Engine | None = None,
        faults: Iterable[Fault | None] = (),
        real_time: bool = False,
        part: str | None = None,
        pll_mhz: float | None = None,
    ) -> None:
        self._bundle, self._engine = bundle, engine
        self._real_time = real_time
        processor, board = processor_of(part or bundle.part), bundle.manifest.get("board")
        of_board = board.get("pll_mhz") if isinstance(board, dict) and part in (None, bundle.part) else None
        planned = of_board or processor.pll_mhz
        widths = bundle.source.tdata_bits, bundle.sink.tdata_bits
        self.system = BoardSystem(processor, bundle.clk_mhz, *widths, pll_mhz=planned)
        self._faults = list(faults)
        self.memory = Memory(processor.address_bits)
        self.registers = clock_registers(processor, pll_mhz or planned)
        self.device = PynqDevice(self)
        self.core: SimulatedCore | None = None
        self.dma: SimulatedDma | None = None
        self._blocks: list[tuple[int, int, SimulatedCore | SimulatedDma]] = []

    def __enter__(self) -> SimulatedBoard:
        self._folder = tempfile.TemporaryDirectory(prefix="lognet-board-")
        self.bitstream = Path(self._folder.name) / f"{self._bundle.name}.bit"
        self.bitstream.write_bytes(b"")
        self.bitstream.with_suffix(".hwh").write_bytes(write_hwh(self.system))
        self._before = getattr(Device, "_active_device", None)
        _use(self.device)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()
        _use(self._before)

    def inject(self, *faults: Fault | None) -> None:
        """Faults of the transfers to come, one each; None for a good one."""
        if Fault.WRONG_MODEL in faults and self.core:
            self.core.model_sha256 = bytes(32)
        self._faults.extend(fault for fault in faults)
        if self.dma:
            self.dma.next_faults = self._faults

    def load(self, parser: RuntimeMetadataParser | None) -> None:
        """What a download does: the blocks of the .hwh are there, fresh from reset."""
        self._blocks = []
        if parser is None:
            return
        self.core = SimulatedCore(self._bundle, self._engine or golden_engine(self._bundle))
        if Fault.WRONG_MODEL in self._faults:
            self._faults.remove(Fault.WRONG_MODEL)
            self.core.model_sha256 = bytes(32)
        for entry in parser.ip_dict.values():
            if entry["type"] == CORE_VLNV:
                block: SimulatedCore | SimulatedDma = self.core
            elif entry["type"] in DMA_VLNVS:
                bits = int(entry["parameters"]["c_sg_length_width"])
                block = self.dma = SimulatedDma(self.core, self.memory, bits, self.clk_mhz if self._real_time else None)
                self.dma.next_faults = self._faults
            else:
                continue
            self._blocks.append((entry["phys_addr"], entry["addr_range"], block))

    def clk_mhz(self) -> float:
        """The overlay's clock as the registers have it."""
        return pl_clock_mhz(self.system.processor, self.registers)

    def read(self, address: int) -> int:
        for first, size, block in self._blocks:
            if first <= address < first + size:
                return block.read(address - first)
        return self.registers.get(address, 0)

    def write(self, address: int, value: int) -> None:
        for first, size, block in self._blocks:
            if first <= address < first + size:
                block.write(address - first, value)
                return
        self.registers[address] = value


def _at(address: int, n_bytes: int) -> np.ndarray:
    """The bytes at a virtual address."""
    return np.frombuffer(memoryview((ctypes.c_uint8 * n_bytes).from_address(address)), np.uint8)


def _use(device: Device | None) -> None:
    """Make it pynq's active device; pynq.Clocks keeps the registers of the first it saw otherwise."""
    if device is None:
        if hasattr(Device, "_active_device"):
            del Device._active_device
    else:
        Device.active_device = device
    pynq.Clocks.device = device
    if not hasattr(pynq.Clocks, "set_device"):  # pynq 3.0 asks for the machine that it runs on, not for the device's
        pynq.ps.CPU_ARCH = platform.machine() if device is None else device.arch
    if hasattr(pynq.Clocks, "_real_instance"):
        del pynq.Clocks._real_instance

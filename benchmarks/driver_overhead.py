#!/usr/bin/env python3
"""What a pair of DMA transfers costs the processor: pynq.lib.dma against the driver's own register path.

    .venv-pynq40/bin/python benchmarks/driver_overhead.py

The DMA's registers are plain memory that always says "idle", mapped as a board maps them, so only software is timed.
Both start a transfer in each direction, wait for both, look for errors and read the length received; neither flushes.
Both in turn, round by round, the fastest round of each; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lognet_fpga.ir.hwh import write_hwh  # noqa: E402
from lognet_fpga.ir.system import DMA_NAME, ZYNQ_ULTRASCALE, BoardSystem  # noqa: E402
from lognet_fpga.runtime.board.dma import ERRORS, HALTED, IDLE, MM2S, S2MM, STATUS, AxiDma  # noqa: E402
from lognet_fpga.runtime.board.words import words_of  # noqa: E402

N_BYTES = 4096
ADDRESSES = 0x1000_0000, 0x1100_0000


class Counting:
    """Registers that count their accesses."""

    def __init__(self, words: memoryview) -> None:
        self.words, self.reads, self.writes = words, 0, 0

    def __getitem__(self, index: int) -> int:
        self.reads += 1
        return self.words[index]

    def __setitem__(self, index: int, value: int) -> None:
        self.writes += 1
        self.words[index] = value


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=2000, help="transfer pairs a round (default: %(default)s)")
    options.add_argument("--rounds", type=int, default=9, help="rounds of each (default: %(default)s)")
    options.add_argument("--json", action="store_true", help="one JSON object instead of text")
    arguments = options.parse_args()
    import pynq
    from pynq.lib.dma import DMA

    registers = np.zeros(0x1_0000 // 4, np.uint32)
    for channel in (MM2S, S2MM):
        registers[channel.first + STATUS] = IDLE
    description = _description(registers)
    theirs, ours = (
        DMA(description),
        AxiDma(words_of(pynq.MMIO(0, 0x1_0000, device=description["device"])), 1 << 26, True),
    )
    buffers = [_Buffer(address) for address in ADDRESSES]

    def pynq_pair() -> None:
        theirs.recvchannel.transfer(buffers[1])
        theirs.sendchannel.transfer(buffers[0])
        theirs.sendchannel.wait()
        theirs.recvchannel.wait()
        if theirs.recvchannel.transferred != N_BYTES:
            raise ValueError("a length is wrong")

    def raw_pair(dma: AxiDma = ours) -> None:
        dma.start(S2MM, ADDRESSES[1], N_BYTES)
        dma.start(MM2S, ADDRESSES[0], N_BYTES)
        dma.wait(1.0)
        if (dma.status(MM2S) | dma.status(S2MM)) & (ERRORS | HALTED) or dma.received_bytes() != N_BYTES:
            raise ValueError("a transfer failed")

    counting = Counting(memoryview(registers))
    raw_pair(AxiDma(counting, 1 << 26, True))
    times: dict[str, list[float]] = {"pynq": [], "raw": []}
    for _ in range(arguments.rounds):
        times["pynq"].append(_seconds(pynq_pair, arguments.pairs))
        times["raw"].append(_seconds(raw_pair, arguments.pairs))
    theirs_us, ours_us = (min(times[name]) * 1e6 for name in ("pynq", "raw"))  # others use this machine, too
    result = {
        "pynq_version": pynq.__version__,
        "pynq_us": theirs_us,
        "raw_us": ours_us,
        "ratio": ours_us / theirs_us,
        "raw_reads": counting.reads,
        "raw_writes": counting.writes,
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"pynq.lib.dma of pynq {pynq.__version__}: {theirs_us:.1f} us a pair of transfers")
        print(f"the driver: {ours_us:.2f} us, {counting.reads} reads and {counting.writes} writes of registers")
        print(f"ratio: {ours_us / theirs_us:.3f}")
    return 0


class _Buffer:
    """What pynq.lib.dma asks of a buffer."""

    nbytes = N_BYTES

    def __init__(self, physical_address: int) -> None:
        self.physical_address = physical_address

    def flush(self) -> None:
        """The cache is no part of this."""

    invalidate = flush


def _description(registers: np.ndarray) -> dict:
    """The DMA's entry of an Overlay's ip_dict, on a device that maps memory as a board does."""
    import tempfile

    from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
    from pynqmetadata.frontends import Metadata

    class Mapped:
        def has_capability(self, name: str) -> bool:
            return name == "MEMORY_MAPPED"

        def mmap(self, address: int, length: int) -> np.ndarray:
            return registers[: length // 4]

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "system.hwh"
        path.write_bytes(write_hwh(BoardSystem(ZYNQ_ULTRASCALE, 100.0, 32, 64)))
        entry = RuntimeMetadataParser(Metadata(input=path)).ip_dict[DMA_NAME]
    return {**entry, "device": Mapped()}


def _seconds(call: Callable[[], None], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begin) / count


if __name__ == "__main__":
    raise SystemExit(main())

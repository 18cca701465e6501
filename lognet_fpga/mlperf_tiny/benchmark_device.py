"""The device under test of MLPerf Tiny's runner: what a bundle answers to the runner's commands.

Commands end with '%' and are answered in lines that end with CR LF, the last of them "m-ready", as the benchmark's
firmware does it (mlcommons/tiny, benchmark/api/internally_implemented.cpp).  Times are this machine's, taken around the
inferences: on a simulated device they are those of the simulation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from lognet_fpga.errors import LogNetError
from lognet_fpga.mlperf_tiny.evaluation import frame_of, reconstruction_errors
from lognet_fpga.mlperf_tiny.tasks import AUC, Task

FIRMWARE = "ULPMark for tinyML Firmware V0.0.1"  # what the runner knows
TERMINATOR = ord("%")
COMMAND_SIZE = 80  # of the firmware: what is longer is cut
DEFAULT_WARMUPS = 10  # of the firmware
_PRINTED = 8  # bytes a line of db print
_READY = "m-ready"
_HELP = f"""\
{FIRMWARE}

help         : Print this information
name         : Print the name of the device
timestamp    : Generate a timestamp
db SUBCMD    : Manipulate a generic byte buffer
  load N     : Allocate N bytes and set load counter
  db HH[HH]* : Load 8-bit hex byte(s) until N bytes
  print      : Print the bytes as hex
infer N [W=0]: Load input, execute N inferences after W warmup loops
results      : Return the result fp32 vector"""

Infer = Callable[[np.ndarray], np.ndarray]
"""One inference: a frame, (1, channels, height, width) of the task's number type, to the model's output, (1, ...)."""


class BenchmarkDevice:
    """infer: as of Infer.  name: of the device, for the runner's log.  now_us: a clock.  inferences: how many ran."""

    def __init__(
        self, task: Task, name: str, infer: Infer, now_us: Callable[[], int] = lambda: time.perf_counter_ns() // 1000
    ) -> None:
        self.inferences = 0
        self._task, self._infer, self._now_us = task, infer, now_us
        self._name = "".join(c if c.isprintable() and c not in "[]%" else "_" for c in name)
        self._start_us = now_us()
        self._command = bytearray()
        self._buffer, self._size = bytearray(), 0
        self._frame: np.ndarray | None = None
        self._output: np.ndarray | None = None

    def greeting(self) -> Iterator[bytes]:
        """What the firmware says when it starts."""
        for line in ("m-timestamp-mode-performance", self._timestamp(), "m-init-done", _READY):
            yield _line(line)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Bytes of the runner; the lines that answer the commands that end in them, each as soon as it is due."""
        for byte in data:
            if byte == TERMINATOR:
                command, self._command = bytes(self._command), bytearray()
                yield from map(_line, self._answer(command.decode("ascii", "replace").split()))
                yield _line(_READY)
            elif byte not in b"\r\n\0" and len(self._command) < COMMAND_SIZE:
                self._command.append(byte)

    def _answer(self, words: list[str]) -> Iterator[str]:
        command, *rest = words or [""]
        if command == "name":
            yield f"m-name-dut-[{self._name}]"
        elif command == "timestamp":
            yield self._timestamp()
        elif command == "profile":
            yield f"m-profile-[{FIRMWARE}]"
            yield f"m-model-[{self._task.model_id}]"
        elif command == "help":
            yield from _HELP.split("\n")
        elif command == "db":
            yield from self._db(rest)
        elif command == "infer":
            yield from self._run(rest)
        elif command == "results":
            yield from self._results()
        else:
            yield f"e-[Unknown command: {command}]"

    def _timestamp(self) -> str:
        return f"m-lap-us-{self._now_us() - self._start_us}"

    def _db(self, rest: list[str]) -> Iterator[str]:
        if not rest:
            yield "e-[Command 'db' requires a subcommand]"
        elif rest[0] == "load":
            yield self._load(rest[1:])
        elif rest[0] == "print":
            for start in range(0, len(self._buffer), _PRINTED):
                yield "m-buffer-" + "-".join(f"{byte:02x}" for byte in self._buffer[start : start + _PRINTED])
        elif len(rest[0]) % 2:
            yield "e-[Insufficent number of hex digits]"
        else:
            try:
                self._buffer += bytes.fromhex(rest[0])[: self._size - len(self._buffer)]
            except ValueError:
                yield f"e-[Invalid hex digits '{rest[0]}']"
                return
            if len(self._buffer) == self._size:
                yield "m-load-done"

    def _load(self, rest: list[str]) -> str:
        if not rest:
            return "e-[Command 'db load' requires the # of bytes]"
        size = _whole(rest[0])
        if not size:
            return "e-[Command 'db load' must be >0 bytes]"
        if size > self._task.frame_bytes:
            return f"e-[Supplied buffer size {size} exceeds maximum of {self._task.frame_bytes}]"
        self._buffer, self._size = bytearray(), size
        return f"m-[Expecting {size} bytes]"

    def _run(self, rest: list[str]) -> Iterator[str]:
        """The frame of the buffer, as many times as asked for, one after the other."""
        count = _whole(rest[0]) if rest else 1
        warmups = _whole(rest[1]) if len(rest) > 1 else DEFAULT_WARMUPS
        if not count:
            yield "e-[Inference iterations must be >0]"
            return
        if warmups is None:
            yield "e-[Inference warmup must be >=0]"
            return
        if len(self._buffer) != self._task.frame_bytes:
            yield f"e-[Input db has {len(self._buffer)} bytes, expected {self._task.frame_bytes}]"
            return
        self._frame, self._output = frame_of(bytes(self._buffer), self._task), None
        try:
            yield f"m-warmup-start-{warmups}"
            self._repeat(self._frame, warmups)
            yield "m-warmup-done"
            yield f"m-infer-start-{count}"
            yield self._timestamp()
            self._repeat(self._frame, count)
            yield self._timestamp()
            yield "m-infer-done"
        except LogNetError as error:
            yield f"e-[{' '.join(error.message.split())}]"
            return
        yield from self._results()

    def _repeat(self, frame: np.ndarray, count: int) -> None:
        for _ in range(count):
            self._output = self._infer(frame)
            self.inferences += 1

    def _results(self) -> Iterator[str]:
        if self._output is None or self._frame is None:
            yield "e-[There are no results yet]"
            return
        values = self._output.ravel()
        if self._task.metric == AUC:
            values = reconstruction_errors(self._frame, self._output)
        yield f"m-results-[{','.join(f'{value:0.3f}' for value in values.tolist())}]"


def _whole(text: str) -> int | None:
    """A whole number from 0 up; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _line(text: str) -> bytes:
    return f"{text}\r\n".encode("ascii", "replace")

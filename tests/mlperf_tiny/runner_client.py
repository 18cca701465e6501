"""A client of the benchmark's protocol, written from what its runner does: commands that end with '%', lines of ASCII
back until one has "m-ready" in it."""

from __future__ import annotations

import os
import select
import time
import tty

from tests.patience import HANG_S

_BYTES = 31  # in one db command


class RunnerClient:
    """At the serial port, or other end of a pseudo-terminal, at path."""

    def __init__(self, path: str) -> None:
        self._port = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._port)
        self._rest = b""

    def __enter__(self) -> RunnerClient:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._port)

    def ask(self, command: str) -> list[str]:
        """The lines that answer, without the last."""
        os.write(self._port, f"{command}%".encode())
        lines: list[str] = []
        until = time.monotonic() + HANG_S
        while True:
            while b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                text = line.decode("ascii").strip("\r\0")
                if "m-ready" in text:
                    return lines
                lines.append(text)
            assert select.select([self._port], [], [], max(0, until - time.monotonic()))[0], (command, lines)
            self._rest += os.read(self._port, 1 << 12)

    def load(self, content: bytes) -> list[str]:
        """The answer to the last command."""
        self.ask(f"db load {len(content)}")
        for start in range(0, len(content), _BYTES):
            answer = self.ask(f"db {content[start : start + _BYTES].hex()}")
        return answer

    def infer(self, count: int = 1, warmups: int = 0) -> tuple[list[float], int]:
        """(the results, the microseconds between the two time stamps)."""
        lines = self.ask(f"infer {count} {warmups}")
        results = [line for line in lines if line.startswith("m-results-[")]
        laps = [int(line.removeprefix("m-lap-us-")) for line in lines if line.startswith("m-lap-us-")]
        assert len(results) == 1 and len(laps) == 2, lines
        return [float(part) for part in results[0][len("m-results-[") : -1].split(",")], laps[1] - laps[0]

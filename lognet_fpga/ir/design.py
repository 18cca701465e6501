"""The generated hardware as data: Verilog files, the streams at its edges, and the taps that verification reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lognet_fpga.ir.stream_format import StreamFormat


@dataclass(frozen=True)
class Monitor:
    """Output ports {port}_valid and {port}_data of the top module: one beat of the layer's output per valid cycle."""

    layer: str
    port: str
    format: StreamFormat


def is_verilog(name: str) -> bool:
    """Whether a file of a design is Verilog; the others are contents of memories, read by the name."""
    return name.endswith(".v")


def below_header(text: str) -> str:
    """A Verilog file without the comments at its head, which name the model and which synthesis does not read."""
    lines = text.splitlines(keepends=True)
    begin = next((number for number, line in enumerate(lines) if not line.startswith("//")), len(lines))
    return "".join(lines[begin:])


@dataclass(frozen=True)
class VerilogDesign:
    """top: name of the top module, in file {top}.v.  files: (file name, text), sorted by name; Verilog and the contents
    of memories that it reads from the folder of a tool's run.

    signals: JSON that says what is on which bit of its vectors (codegen.signal_map); "": nothing is said.
    parts: (layer or block name, top module of it), the pieces that are synthesized and reported one by one.
    """

    top: str
    files: tuple[tuple[str, str], ...]
    source: StreamFormat
    sink: StreamFormat
    monitors: tuple[Monitor, ...]
    parts: tuple[tuple[str, str], ...]
    signals: str = ""

    @property
    def verilog_files(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, text) for name, text in self.files if is_verilog(name))

    @property
    def digest(self) -> str:
        """SHA-256 over all files, hexadecimal."""
        total = hashlib.sha256()
        for name, text in self.files:
            total.update(f"{name}\0{len(text)}\0".encode())
            total.update(text.encode())
        return total.hexdigest()

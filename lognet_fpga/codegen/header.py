"""The frame of every Verilog file: who made it, of what, and that no net is declared by being used."""

from __future__ import annotations

from collections.abc import Sequence

from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.version import __version__

_FRAME = """\
`timescale 1ns/1ps
`default_nettype none

{}
`default_nettype wire
"""  # at the end what other files of a project expect


def origin_of(model: str, plan: HardwarePlan, model_sha256: str) -> tuple[str, str]:
    """Lines about an overlay."""
    name = model.encode("ascii", "backslashreplace").decode()
    return (
        f"Model {''.join(c if c.isprintable() else '?' for c in name)}, golden.onnx {model_sha256}",
        f"Overlay for {plan.target.board.title} at {mhz_text(plan.target.clk_mhz)} MHz",
    )


def with_header(name: str, text: str, origin: Sequence[str]) -> str:
    """A file of that name; text: comments about the module, and the module."""
    lines = text.splitlines(keepends=True)
    begin = next(number for number, line in enumerate(lines) if not line.startswith("//"))
    head = [f"{name}: made by LogNet FPGA toolkit {__version__}, not to be edited", *origin]
    comments = "".join(f"// {line}\n" for line in head) + "//\n" + "".join(lines[:begin])
    return comments + "\n" + _FRAME.format("".join(lines[begin:]).strip("\n") + "\n")

"""Bundles for any board, and programs that stand in for Vivado, ssh and scp."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from lognet_fpga.bundle import Bundle, make_bundle, write_bundle
from lognet_fpga.fabric.boards import load_board
from tests import small_bundle
from tests.rtl_bundle import rtl_bundle

FAKES = Path(__file__).parent / "fakes"
ESTIMATE = {"lut": 2801.3, "ff": 3990.5, "bram36": 0.5, "m_lut": 180.0}
OVERLAY = "module lognet_overlay (input wire clk);\nendmodule\n"


def written_bundle(folder: Path, board: str = "pynq-z2", clk_mhz: float = 100.0, **files: str) -> Path:
    """A small bundle of Verilog that only has to be carried along; its folder.  files: more of the Verilog."""
    manifest = small_bundle.manifest(board=asdict(load_board(board)), clk_mhz=clk_mhz)
    manifest["plan"] = {**small_bundle.MANIFEST["plan"], "estimate": ESTIMATE}
    content = {name: data for name, data in small_bundle.files().items() if not name.startswith("verilog/")}
    content |= {"verilog/lognet_overlay.v": OVERLAY.encode(), "verilog/weights.mem": b"0\n"}
    content |= {f"verilog/{name}": text.encode() for name, text in files.items()}
    content["report.txt"] = b"small on a board\n================\n\nPlan\n  as it is\n"
    return write_bundle(content, manifest, folder).folder


def generated_bundle() -> Bundle:
    """A small bundle with hardware."""
    bundle = rtl_bundle()
    return make_bundle(bundle.files, {**bundle.manifest, "board": asdict(load_board("pynq-z2"))})


def fake_vivado(folder: Path, board: str = "pynq-z2", **options: object) -> dict[str, str]:
    """A program vivado in folder, and the environment in which it is found.  options: see fakes/vivado.tcl."""
    reports = FAKES / ("zynq" if load_board(board).part.startswith("xc7z") else "ultrascale")
    program(folder, "vivado", f'exec {shlex.join(tcl_shell() or [])} {shlex.quote(str(FAKES / "vivado.tcl"))} "$@"')
    told = {"record": folder / "record.txt", "reports": reports, "pll": load_board(board).pll_mhz, **options}
    return {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "FAKE_VIVADO": " ".join(f"{key}={value}" for key, value in told.items()),
    }


def fake_ssh(folder: Path) -> None:
    """ssh and scp in folder that take this machine for any other, and write down what they were told."""
    note = f'printf "%s\\n" "$(basename $0) $*" >> {shlex.quote(str(folder / "ssh.txt"))}'
    program(folder, "ssh", f'{note}\nshift 3\nexec sh -c "$*"')
    program(folder, "bash", 'exec sh -c "$2"')  # a login shell would find its own PATH
    copy = 'for word; do case $word in -*) ;; *) set -- "$@" "${word#*:}" ;; esac; shift; done'
    program(folder, "scp", f'{note}\n{copy}\nexec cp -r "$@"')


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def tcl_shell() -> list[str] | None:
    """What runs a Tcl script: tclsh, else Python's tkinter; None without either."""
    if shutil.which("tclsh"):
        return ["tclsh"]
    if importlib.util.find_spec("_tkinter"):
        return [sys.executable, str(Path(__file__).with_name("tcl_shell.py"))]
    return None

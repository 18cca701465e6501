"""The command lines of the open toolchain: as a list to be run here, and as a shell script to be run elsewhere."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from lognet_fpga.bitstream.toolchain import RESULTS, WORK
from lognet_fpga.ir.clocks import mhz_text

HIMBAECHEL, XILINX = "nextpnr-himbaechel", "nextpnr-xilinx"
# Settings: variable, what it is.
PROGRAMS = {
    "LOGNET_YOSYS": "yosys",
    "LOGNET_NEXTPNR": HIMBAECHEL,
    "LOGNET_FASM2FRAMES": "fasm2frames",
    "LOGNET_XC7FRAMES2BIT": "xc7frames2bit",
}
CHIPDB, DATABASE = "LOGNET_CHIPDB", "LOGNET_PRJXRAY_DB"
LOG = f"{RESULTS}/nextpnr.log"


@dataclass(frozen=True)
class Step:
    """program: a key of PROGRAMS.  arguments: $CHIPDB and $DATABASE stand for the settings of those names.  folder: of
    the project, in which it runs."""

    program: str
    arguments: tuple[str, ...]
    folder: str = "."


def yosys_script(verilog: tuple[str, ...], top: str) -> str:
    """For a run in the folder of the Verilog, where the contents of memories are.

    The copies of control registers keep their modules until nothing merges them any more.
    """
    lines = [f"read_verilog {name}" for name in verilog]
    lines += [
        f"synth_xilinx -family xc7 -flatten -top {top}",
        "setattr -mod -unset keep_hierarchy *",
        "flatten",
        "clean",
        "delete t:$scopeinfo",
        f"write_json ../{WORK}/system.json",
    ]
    return "\n".join(lines) + "\n"


def steps(name: str, part: str, clk_mhz: float, flavour: str) -> tuple[Step, ...]:
    """From Verilog to out/NAME.bit.  flavour: HIMBAECHEL, or XILINX, which take different options.

    A design that misses its clock is made all the same; whoever reads the log decides.
    """
    common: tuple[str, ...] = ("--chipdb", "$CHIPDB", "--json", f"{WORK}/system.json")
    common += ("--freq", mhz_text(clk_mhz), "--timing-allow-fail")
    route: tuple[str, ...]
    if flavour == HIMBAECHEL:
        route = ("--device", part, "-o", "xdc=constraints.xdc", "-o", f"fasm={WORK}/system.fasm", "--router", "router2")
        route += ("--placer", "static")
    else:
        route = ("--xdc", "constraints.xdc", "--fasm", f"{WORK}/system.fasm")
    part_file = f"$DATABASE/{part}/part.yaml"
    frames = f"{WORK}/system.frames"
    return (
        Step("LOGNET_YOSYS", ("system.ys",), "verilog"),
        Step("LOGNET_NEXTPNR", (*common, *route, "--seed", "1", "--log", LOG)),
        Step("LOGNET_FASM2FRAMES", ("--part", part, "--db-root", "$DATABASE", f"{WORK}/system.fasm", frames)),
        Step(
            "LOGNET_XC7FRAMES2BIT",
            ("--part_file", part_file, "--part_name", part, "--frm_file", frames)
            + ("--output_file", f"{RESULTS}/{name}.bit"),
        ),
    )


def shell_script(name: str, part: str, clk_mhz: float) -> str:
    """build.sh: the same steps for both flavours."""
    lines = [
        "#!/bin/sh",
        f"# From Verilog to {RESULTS}/{name}.bit by open tools.  Settings are environment variables.",
        "set -eu",
        'cd "$(dirname "$0")"',
        *(f': "${{{variable}:={default}}}"' for variable, default in PROGRAMS.items()),
        f': "${{{CHIPDB}:?the chip database of nextpnr for {part}, a .bin file}}"',
        f': "${{{DATABASE}:?the folder zynq7 of a prjxray-db}}"',
        f"rm -rf {WORK} {RESULTS}",
        f"mkdir -p {WORK} {RESULTS}",
    ]
    first, *_ = steps(name, part, clk_mhz, HIMBAECHEL)
    lines.append(f'(cd {first.folder} && "$LOGNET_YOSYS" -q -s {first.arguments[0]})')
    lines.append('case "$(basename "$LOGNET_NEXTPNR")" in')
    for pattern, flavour in ((f"{XILINX}*", XILINX), ("*", HIMBAECHEL)):
        lines.append(f"{pattern}) {_shell(steps(name, part, clk_mhz, flavour)[1])} ;;")
    lines.append("esac")
    lines += [_shell(step) for step in steps(name, part, clk_mhz, HIMBAECHEL)[2:]]
    lines += [
        "{",
        '    echo "project $(cat project.txt)"',
        '    echo "tool Yosys=$("$LOGNET_YOSYS" --version | head -n 1)"',
        '    echo "tool nextpnr=$("$LOGNET_NEXTPNR" --version 2>&1 | head -n 1)"',
        f"}} > {RESULTS}/result.txt",
    ]
    return "\n".join(lines) + "\n"


def _shell(step: Step) -> str:
    words = []
    for word in step.arguments:
        if "$" in word:
            words.append(f'"{word.replace("$CHIPDB", f"${CHIPDB}").replace("$DATABASE", f"${DATABASE}")}"')
        else:
            words.append(shlex.quote(word))
    return f'"${step.program}" {" ".join(words)}'

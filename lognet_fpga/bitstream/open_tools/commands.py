"""The command lines of the open toolchain: as a list to be run here, and as a shell script to be run elsewhere."""

from __future__ import annotations

import gzip
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.bitstream.open_tools.shift_registers import techmap_commands
from lognet_fpga.bitstream.toolchain import RESULTS, WORK
from lognet_fpga.errors import ToolError
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.synth.yosys import synthesis_commands

HIMBAECHEL, XILINX = "nextpnr-himbaechel", "nextpnr-xilinx"
# Settings: variable, what it is.
PROGRAMS = {
    "LOGNET_YOSYS": "yosys",
    "LOGNET_NEXTPNR": HIMBAECHEL,
    "LOGNET_FASM2FRAMES": "fasm2frames",
    "LOGNET_XC7FRAMES2BIT": "xc7frames2bit",
}
CHIPDB, DATABASE = "LOGNET_CHIPDB", "LOGNET_PRJXRAY_DB"
SEEDS = "LOGNET_SEEDS"
DEFAULT_SEEDS, MOST_SEEDS = 4, 64
LOG, FASM = f"{RESULTS}/nextpnr.log", f"{RESULTS}/system.fasm.gz"
_FASM = f"{WORK}/system.fasm"
_OUT_OF_REACH_MHZ = 250.0
# What nextpnr reads from its netlist.  Its refinement by several threads leaves less wire than annealing by one.  Its
# router looks for a way within a box around the ends of a wire and so many rows and columns: the processor's outputs
# come out along a hundred rows and twenty columns to the right of where nextpnr takes all of them to be.  Where the
# registers behind them are fixed (PINS), a few rows are enough; else, with its own margins of three, it looks in vain
# for most of them, and takes seconds for each.
_SETTINGS = (
    '"settings": {{ "placerHeap/parallelRefine": "1", "router2/bbMargin/x": "{x}", "router2/bbMargin/y": "{y}" }},'
)
_FIXED_MARGINS, _MARGINS = {"x": 3, "y": 6}, {"x": 24, "y": 52}
PINS = "processor_pins.py"
_RUN_PINS = ("--pre-place", PINS)
NETLIST, _SYNTHESIZED = f"{WORK}/system.json", f"{WORK}/yosys.json"


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
        *synthesis_commands(top),
        *techmap_commands(),
        "setattr -mod -unset keep_hierarchy *",
        "flatten",
        "clean",
        "delete t:$scopeinfo",
        f"write_json ../{_SYNTHESIZED}",
    ]
    return "\n".join(lines) + "\n"


def synthesis() -> Step:
    return Step("LOGNET_YOSYS", ("system.ys",), "verilog")


def pins_text() -> str:
    """What PINS says to nextpnr."""
    return Path(__file__).with_name(PINS).read_text(encoding="utf-8")


def runs_scripts(flavour: str, help_text: str) -> bool:
    """Whether a nextpnr runs PINS: one that was built with Python, by its help; XILINX names things otherwise."""
    return flavour == HIMBAECHEL and _RUN_PINS[0] in help_text


def with_settings(project: Path, top: str, scripted: bool) -> None:
    """From Yosys' netlist to nextpnr's: with settings, which Yosys cannot write (and one in WebAssembly runs no shell
    that could).  scripted: nextpnr runs PINS."""
    begin = f'    "{top}": {{\n'
    text = (project / _SYNTHESIZED).read_text(encoding="utf-8")
    if begin not in text:
        raise ToolError(f"Yosys wrote a netlist with no module {top}")
    (project / NETLIST).write_text(text.replace(begin, f"{begin[:-1]} {_settings(scripted)}\n", 1), encoding="utf-8")


def _settings(scripted: bool) -> str:
    return _SETTINGS.format(**(_FIXED_MARGINS if scripted else _MARGINS))


def _settings_by_shell(top: str) -> list[str]:
    """Leaves in $pins the options of a nextpnr that runs PINS."""
    return [
        f"pins= settings='{_settings(False)}'",
        'case "$(basename "$LOGNET_NEXTPNR")" in',
        f"    {XILINX}*) ;;",
        f'    *) if "$LOGNET_NEXTPNR" --help 2>&1 | grep -q -e {_RUN_PINS[0]}; then',
        f"        pins='{' '.join(_RUN_PINS)}' settings='{_settings(True)}'",
        "    fi ;;",
        "esac",
        f'sed "s#^    \\"{top}\\": {{\\$#& $settings#" {_SYNTHESIZED} > {NETLIST}',
    ]


def seed_log(seed: object) -> str:
    """The log of place and route with that seed, below the project."""
    return f"{WORK}/seed{seed}.log"


def seed_fasm(seed: object) -> str:
    """What that seed came to, which is there when the design was routed."""
    return f"{WORK}/seed{seed}.fasm"


def place_and_route(part: str, clk_mhz: float, flavour: str, seed: object, scripted: bool) -> Step:
    """flavour: HIMBAECHEL, or XILINX, which take different options; what XILINX is not told is its only way.
    scripted: it runs PINS.

    nextpnr is asked for a clock that hardly any design reaches: one that it finds met makes all its nets equally
    critical (its own measure is their slack against the worst one's), and it places by their lengths alone.
    A design that misses its clock is made all the same; whoever reads the log decides.  The analytic placer (heap)
    came to two thirds of the wire of the other one; its own limit on a cell's places overflows in large designs.
    """
    arguments: tuple[str, ...] = ("--chipdb", "$CHIPDB", "--json", NETLIST)
    arguments += ("--freq", mhz_text(max(_OUT_OF_REACH_MHZ, 1.25 * clk_mhz)), "--timing-allow-fail")
    if flavour == HIMBAECHEL:
        arguments += ("--device", part, "-o", "xdc=constraints.xdc", "-o", f"fasm={seed_fasm(seed)}")
        arguments += ("--placer", "heap", "--placer-heap-cell-placement-timeout", "0", "--router", "router2")
    else:
        arguments += ("--xdc", "constraints.xdc", "--fasm", seed_fasm(seed))
    arguments += ("--seed", str(seed), "--log", seed_log(seed))
    return Step("LOGNET_NEXTPNR", arguments + (_RUN_PINS if scripted else ()))


def assembly(name: str, part: str) -> tuple[Step, ...]:
    """From the best seed's FASM to out/NAME.bit."""
    part_file = f"$DATABASE/{part}/part.yaml"
    frames = f"{WORK}/system.frames"
    return (
        Step("LOGNET_FASM2FRAMES", ("--part", part, "--db-root", "$DATABASE", _FASM, frames)),
        Step(
            "LOGNET_XC7FRAMES2BIT",
            ("--part_file", part_file, "--part_name", part, "--frm_file", frames)
            + ("--output_file", f"{RESULTS}/{name}.bit"),
        ),
    )


def keep_best(project: Path, seed: int) -> None:
    """Make that seed's result the project's."""
    shutil.copy(project / seed_log(seed), project / LOG)
    shutil.copy(project / seed_fasm(seed), project / _FASM)
    with open(project / _FASM, "rb") as plain, gzip.open(project / FASM, "wb") as packed:
        shutil.copyfileobj(plain, packed)


def shell_script(name: str, top: str, part: str, clk_mhz: float) -> str:
    """build.sh: the same steps for both flavours."""
    first = synthesis()
    log, fasm = seed_log("$seed"), seed_fasm("$seed")
    lines = [
        "#!/bin/sh",
        f"# From Verilog to {RESULTS}/{name}.bit by open tools.  Settings are environment variables.",
        "set -eu",
        'cd "$(dirname "$0")"',
        *(f': "${{{variable}:={default}}}"' for variable, default in PROGRAMS.items()),
        f': "${{{SEEDS}:={DEFAULT_SEEDS}}}"  # placements that are tried side by side',
        f': "${{{CHIPDB}:?the chip database of nextpnr for {part}, a .bin file}}"',
        f': "${{{DATABASE}:?the folder zynq7 of a prjxray-db}}"',
        f"rm -rf {WORK} {RESULTS}",
        f"mkdir -p {WORK} {RESULTS}",
        f'(cd {first.folder} && "$LOGNET_YOSYS" -q -s {first.arguments[0]})',
        *_settings_by_shell(top),
        "seed=0",
        f'while [ "$seed" -lt "${SEEDS}" ]; do',
        "    seed=$((seed + 1))",
        '    case "$(basename "$LOGNET_NEXTPNR")" in',
    ]
    for pattern, flavour in ((f"{XILINX}*", XILINX), ("*", HIMBAECHEL)):
        command = _shell(place_and_route(part, clk_mhz, flavour, "$seed", scripted=False))
        lines.append(f'    {pattern}) {command} $pins > "{WORK}/seed$seed.txt" 2>&1 & ;;')
    lines += [
        "    esac",
        "done",
        "wait",
        "# The fastest of those that were routed; a log's last word on the clock counts.",
        "best= most=0 seed=0",
        f'while [ "$seed" -lt "${SEEDS}" ]; do',
        "    seed=$((seed + 1))",
        f'    [ -e "{fasm}" ] || {{ echo "seed $seed: not routed, see {log}" >&2; continue; }}',
        f'    mhz=$(sed -n "s/.*Max frequency for clock.*: *\\([0-9.]*\\) MHz.*/\\1/p" "{log}" | tail -n 1)',
        '    echo "seed $seed: $mhz MHz" >&2',
        '    if awk "BEGIN { exit !(${mhz:-0} > $most) }"; then best=$seed most=$mhz; fi',
        "done",
        f'[ -n "$best" ] || {{ echo "no seed was routed" >&2; cat {WORK}/seed1.txt >&2; exit 1; }}',
        f'cp "{seed_log("$best")}" {LOG}',
        f'cp "{seed_fasm("$best")}" {_FASM}',
        f"gzip -c {_FASM} > {FASM}",
        *(_shell(step) for step in assembly(name, part)),
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

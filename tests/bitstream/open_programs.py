"""Programs in place of the open tools: they write down their arguments and leave files of the right kind."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

from lognet_fpga.bitstream.open_tools.top import SYSTEM
from tests.bitstream.bundles import FAKES, program

PART = "xc7z020clg400-1"
BIT_BYTES = 4_045_680  # as xc7frames2bit wrote for this chip, header and all
# As Yosys writes them, two spaces a level.
NETLIST = json.dumps({"modules": {"LUT1": {"ports": {}}, SYSTEM: {"ports": {}, "cells": {}, "netnames": {}}}}, indent=2)


def open_tools(
    folder: Path,
    nextpnr: str = "nextpnr-himbaechel",
    mhz: float = 131.5,
    bit_bytes: int = BIT_BYTES,
    seeds: int = 1,
    best: int = 1,
    unroutable: int = 0,
    python: bool = True,
) -> dict[str, str]:
    """The programs in folder, with their databases, and the environment in which they are found.

    seeds: that are asked for.  best: the one that reaches mhz; the others reach 10 less each.  unroutable: one that
    ends with an error.  python: nextpnr was built with it.
    """
    record = shlex.quote(str(folder / "record.txt"))
    note = f'printf "%s %s\\n" "$(basename $0)" "$*" >> {record}'
    version = 'case "$1" in --version) echo "$(basename $0) fake 0.9"; exit 0 ;; esac'
    reached = f"mhz=$(echo \"$seed\" | awk '{{ d = $1 - {best}; print {mhz} - 10 * (d < 0 ? -d : d) }}')"
    log = f'sed "s/@MHZ@/$mhz/; s/@VERDICT@/FAIL/" {shlex.quote(str(FAKES / "nextpnr.log"))}'
    # after WORDS: the one behind $wanted
    found = '[ -n "$found" ] && { echo "$word"; return; }; [ "$word" = "$wanted" ] && found=1'
    after = f"after() {{ found=; for word; do {found}; done; }}"
    program(folder, "yosys", f"{version}\n{note}\ntest -f system.ys\ncat > ../work/yosys.json <<'END'\n{NETLIST}\nEND")
    helped = 'echo "  --pre-place arg" >&2; ' if python else ""
    options = f'case "$1" in --help) {helped}exit 0 ;; esac'
    lines = [version, options, note, after, 'wanted=--json; test -f "$(after "$@")"', "test -f constraints.xdc"]
    lines += ['wanted=--seed; seed=$(after "$@")', reached, f'wanted=--log; {log} > "$(after "$@")"']
    lines += [f'[ "$seed" -ne {unroutable} ] || {{ echo "ERROR: no legal placement" >&2; exit 1; }}']
    lines += [f'cp {shlex.quote(str(FAKES / "system.fasm"))} "work/seed$seed.fasm"']
    program(folder, nextpnr, "\n".join(lines))
    program(folder, "fasm2frames", f"{note}\ntest -f work/system.fasm && touch work/system.frames")
    zeros = f'head -c {bit_bytes} /dev/zero > "$(after "$@")"'
    program(
        folder,
        "xc7frames2bit",
        "\n".join([note, after, "test -f work/system.frames", f"wanted=--output_file; {zeros}"]),
    )
    chipdb, database = folder / "chipdb-xc7z020.bin", folder / "zynq7"
    chipdb.write_bytes(b"chips")
    (database / PART).mkdir(parents=True, exist_ok=True)
    (database / PART / "part.yaml").write_text("part\n")
    return {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "LOGNET_YOSYS": str(folder / "yosys"),
        "LOGNET_NEXTPNR": nextpnr,
        "LOGNET_CHIPDB": str(chipdb),
        "LOGNET_PRJXRAY_DB": str(database),
        "LOGNET_SEEDS": str(seeds),
    }

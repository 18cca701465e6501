"""Programs in place of the open tools: they write down their arguments and leave files of the right kind."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from tests.bitstream.bundles import FAKES, program

PART = "xc7z020clg400-1"
BIT_BYTES = 4_045_680  # as xc7frames2bit wrote for this chip, header and all


def open_tools(
    folder: Path, nextpnr: str = "nextpnr-himbaechel", mhz: float = 131.5, bit_bytes: int = BIT_BYTES
) -> dict[str, str]:
    """The programs in folder, with their databases, and the environment in which they are found."""
    record = shlex.quote(str(folder / "record.txt"))
    note = f'printf "%s %s\\n" "$(basename $0)" "$*" >> {record}'
    version = 'case "$1" in --version) echo "$(basename $0) fake 0.9"; exit 0 ;; esac'
    verdict = "PASS" if mhz >= 100 else "FAIL"
    log = f"sed 's/@MHZ@/{mhz}/; s/@VERDICT@/{verdict}/' {shlex.quote(str(FAKES / 'nextpnr.log'))}"
    # after WORDS: the one behind $wanted
    found = '[ -n "$found" ] && { echo "$word"; return; }; [ "$word" = "$wanted" ] && found=1'
    after = f"after() {{ found=; for word; do {found}; done; }}"
    program(folder, "yosys", f"{version}\n{note}\ntest -f system.ys\necho '{{}}' > ../work/system.json")
    lines = [version, note, after, 'wanted=--json; test -f "$(after "$@")"', "test -f constraints.xdc"]
    lines += ["touch work/system.fasm", f'wanted=--log; {log} > "$(after "$@")"']
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
    }

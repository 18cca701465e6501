"""Runs fuzz cases, each in a process of its own that was forked with everything imported, and judges how they end.

    python -m tests.fuzz.runner KIND FIRST [COUNT] [--show]

prints a line of JSON for each case that went wrong, and a last one with the counts.  The seed of a case is its number:
`KIND SEED 1 --show` runs one again, prints how it ended, and keeps its folder.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.fuzz.case import Case, Make

KINDS = ("models", "bundles", "frames", "options")
# What the commands import when they run: here once, not in the process of every case.
_IMPORTED_LATE = (
    "onnxruntime", "PIL.Image", "lognet_fpga.flow.deploy", "lognet_fpga.flow.inspection",
    "lognet_fpga.study.simulations", "lognet_fpga.runtime.power", "lognet_fpga.runtime.selftest",
    "lognet_fpga.runtime.streaming", "lognet_fpga.runtime.summary", "lognet_fpga.bitstream.make",
)  # fmt: skip
MAX_CPU_S = 30
MAX_PEAK_MB = 1000
_GIVEN_UP_S = 300  # on the clock, for what waits without computing
_MOST_DATA = 3 << 30  # bytes, so that a case takes down no more than itself


@dataclass(frozen=True)
class Ending:
    """How a case ended.  problem: "" where it is as it should be.  cpu_s: with the programs that it ran."""

    kind: str
    seed: int
    command: str
    code: int | None
    problem: str
    cpu_s: float
    peak_mb: float
    said: str = ""


def make_of(kind: str) -> Make:
    return importlib.import_module(f"tests.fuzz.{kind}").make


def run_case(make: Make, kind: str, seed: int, keep: bool = False) -> Ending:
    """The case of this seed, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{kind}-{seed}-"))
    try:
        child = os.fork()
        if child == 0:
            try:
                _in_child(make, seed, folder)
            finally:
                os._exit(0)
        status, usage = _wait(child)
        report = json.loads((folder / "report").read_text()) if (folder / "report").exists() else {}
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    cpu_s, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    problem = report.get("problem", f"ended by {signal.Signals(status & 127).name}" if status & 127 else "no report")
    if cpu_s > MAX_CPU_S:
        problem = problem or f"took {cpu_s:.0f} s of processor time"
    if peak_mb > MAX_PEAK_MB:
        problem = problem or f"took {peak_mb:.0f} MB"
    command = report.get("command", "?")
    return Ending(kind, seed, command, report.get("code"), problem, cpu_s, peak_mb, report.get("said", ""))


def _wait(child: int) -> tuple[int, resource.struct_rusage]:
    deadline = time.monotonic() + _GIVEN_UP_S
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return status, usage
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.002)


def _in_child(make: Make, seed: int, folder: Path) -> None:
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S + 1, MAX_CPU_S + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_DATA, _MOST_DATA))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    work = folder / "work"
    work.mkdir()
    os.chdir(work)
    try:
        case = make(np.random.default_rng(seed), work)
    except Exception:
        (folder / "report").write_text(json.dumps({"problem": "no case was made: " + traceback.format_exc()}))
        return
    command = " ".join([case.main.__module__.rpartition(".")[2], *case.arguments])
    report = {"command": ascii(command)[:400], "problem": "did not come to an end"}
    (folder / "report").write_text(json.dumps(report))
    code, problem = _ran(case, folder)
    out, err = ((folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
    report |= {"code": code, "problem": problem or _judged(case, code, out, err), "said": err[-1500:]}
    (folder / "report").write_text(json.dumps(report))


def _ran(case: Case, folder: Path) -> tuple[int | None, str]:
    """(exit code, problem) of the command with its output in files; an accepted case is looked at, too."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        place = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(place, number)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, errors="backslashreplace") for number in (1, 2))
    try:
        code = case.main(list(case.arguments))
    except SystemExit as error:  # --help
        code = error.code or 0
    except BaseException:
        return None, traceback.format_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    return code, _accepted(case) if code == 0 else ""


def _accepted(case: Case) -> str:
    try:
        return case.accepted()
    except Exception:
        return "while it was judged: " + traceback.format_exc()


def _judged(case: Case, code: int | None, out: str, err: str) -> str:
    if code not in case.codes:
        return f"exit code {code}"
    if "Traceback" in err or "Traceback" in out or "Exception ignored" in err:
        return "a traceback"
    if "--json" in case.arguments and "--help" not in case.arguments and "-h" not in case.arguments:
        try:
            if out.count("\n") != 1 or not isinstance(json.loads(out), dict):
                return "stdout is not one JSON object"
        except ValueError:
            return "stdout is not JSON"
    elif code != 0 and ": error: " not in err and '{"event": "error", ' not in err:
        return "no error was said"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--show", action="store_true", help="print every ending, and keep the folders")
    given = parser.parse_args()
    make = make_of(given.kind)
    for name in _IMPORTED_LATE:
        importlib.import_module(name)
    codes, wrong, cpu_s, peak_mb = Counter(), 0, 0.0, 0.0
    with tempfile.TemporaryDirectory(prefix="fuzz-cache-") as cache:
        os.environ["LOGNET_CACHE"] = cache
        os.environ["LOGNET_DEBUG"] = ""
        for seed in range(given.first, given.first + given.count):
            ending = run_case(make, given.kind, seed, given.show)
            codes[str(ending.code)] += 1
            cpu_s, peak_mb = cpu_s + ending.cpu_s, max(peak_mb, ending.peak_mb)
            wrong += bool(ending.problem)
            if ending.problem or given.show:
                print(json.dumps(asdict(ending)), flush=True)
    counts = {"cases": given.count, "wrong": wrong, "codes": dict(sorted(codes.items()))}
    print(json.dumps({**counts, "cpu_s": round(cpu_s, 1), "peak_mb": round(peak_mb)}))
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())

"""Overlays in Verilator behind cocotb: compiled with its VPI library by the package's own build, run by its runner."""

from __future__ import annotations

import xml.etree.ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.verify.simulator import Bench, compile_simulator
from tests.conformance.case import CASE_FILE

CASES = "tests.conformance.cases"
TOP = "lognet_overlay"


def build(design: VerilogDesign) -> Path:
    """The simulator of an overlay; the contents of its memories lie beside it."""
    return compile_simulator(design, bench=cocotb_bench(design))


def cocotb_bench(design: VerilogDesign) -> Bench:
    """cocotb's main program for Verilator; of the design only the ports of its top module can be seen."""
    from cocotb_tools.config import libs_dir, share_dir

    main = Path(share_dir) / "lib" / "verilator" / "verilator.cpp"
    files = (
        ("cocotb_main.cpp", main.read_text(encoding="utf-8")),
        ("Vtop.h", '#include "Vdesign.h"\nusing Vtop = Vdesign;\n'),
        ("ports.vlt", f'`verilator_config\npublic_flat_rw -module "{design.top}" -var "*"\n'),
    )
    return Bench(files, ("--vpi",), link_flags=(f"-L{libs_dir}", f"-Wl,-rpath,{libs_dir}", "-lcocotbvpi_verilator"))


class SavedCase(Protocol):
    """What a test in the simulator reads back.  seed: of everything random."""

    @property
    def seed(self) -> int: ...

    def save(self, path: Path) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """failures: test -> what cocotb says of it, for those that failed; passed: those that did not.  log: the end of
    what the simulator printed."""

    passed: tuple[str, ...]
    failures: dict[str, str]
    log: str


def simulate(
    executable: Path, case: SavedCase, tests: str, folder: Path, module: str = CASES, top: str = TOP
) -> Outcome:
    """Run the cocotb tests of module whose names match the expression, in one simulation, in an empty folder."""
    from cocotb_tools.runner import get_runner

    for path in executable.parent.iterdir():
        (folder / (top if path == executable else path.name)).symlink_to(path)
    case.save(folder / "case.pickle")
    log, results = folder / "log.txt", folder / "results.xml"
    try:
        get_runner("verilator").test(
            module,
            top,
            hdl_toplevel_lang="verilog",
            build_dir=folder,
            test_dir=folder,
            results_xml=str(results),
            log_file=log,
            seed=case.seed,
            test_filter=tests,
            plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{case.seed}"],
            extra_env={CASE_FILE: str(folder / "case.pickle"), "COCOTB_LOG_LEVEL": "ERROR"},
        )
    except (SystemExit, RuntimeError):  # a test failed, or the simulator itself: the results tell which
        pass
    return _outcome(results, log)


def _outcome(results: Path, log: Path) -> Outcome:
    printed = log.read_text(errors="replace") if log.exists() else ""
    passed, failures = [], {}
    for test in xml.etree.ElementTree.parse(results).iter("testcase") if results.exists() else ():
        failure = next((child for child in test if child.tag in ("failure", "error")), None)
        if failure is None:
            passed.append(test.get("name", ""))
        else:
            failures[test.get("name", "")] = f"{failure.get('message', '')}\n{failure.text or ''}"
    return Outcome(tuple(passed), failures, printed[-6000:])

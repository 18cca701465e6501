"""Mutants judged as lognet-deploy judges its Verilog: simulated, every activation compared with the NumPy reference."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lognet_fpga.ir.design import VerilogDesign, is_verilog
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.verify.check import CHOKE_PERCENT, IDLE_PERCENT, STALL_PERCENT, measure_cycles
from lognet_fpga.verify.rtl import RtlRun, run_rtl, settled_after
from lognet_fpga.verify.simulator import compile_simulator
from tests.mutants.netlist import SELECT, SELECT_BITS

CHOICE = "mutant.mem"  # read by the design when it starts: the number of the mutant that is alive


@dataclass(frozen=True)
class Subject:
    """A small overlay; model_words: what its registers say of the model."""

    design: VerilogDesign
    quant: QuantGraph
    plan: HardwarePlan
    frames: np.ndarray
    model_words: tuple[int, ...]


def choosing(design: VerilogDesign, mutated: str) -> VerilogDesign:
    """The design with the mutated netlist in its place, inside a module with the same name and ports."""
    text = dict(design.files)[f"{design.top}.v"]
    ports = re.findall(r"^    (?:input|output) wire .*?(\w+),?$", text, re.MULTILINE)
    head = text[text.index(f"module {design.top}") : text.index(");") + 2]
    wires = "".join(f"    .{port}({port}),\n" for port in ports)
    wrapper = f"""\
{head}
reg [{SELECT_BITS - 1}:0] chosen [0:0];
initial $readmemh("{CHOICE}", chosen);
mutated netlist (
{wires}    .{SELECT}(chosen[0])
);
endmodule
"""
    contents = [(name, content) for name, content in design.files if not is_verilog(name)]
    renamed = re.sub(rf"\bmodule {design.top}\b", "module mutated", mutated)
    files = [*contents, ("mutated.v", renamed), (f"{design.top}.v", wrapper), (CHOICE, "0\n")]
    return replace(design, files=tuple(sorted(files)))


class Court:
    """The simulator of all mutants of a subject, compiled once."""

    def __init__(self, subject: Subject, mutated: str, folder: Path) -> None:
        self._subject, self._folder = subject, folder
        self._design = choosing(subject.design, mutated)
        self._simulator = compile_simulator(self._design)
        self._expected = dict(
            zip((layer.name for layer in subject.quant.layers), subject.quant.run_layers(subject.frames))
        )

    def complaint(self, number: int) -> str | None:
        """What is wrong with a mutant, as the first judge to see it says; None where all are content."""
        subject, simulator = self._subject, self._simulator_of(number)
        frames, plan = subject.frames, subject.plan
        cap = 4 * (plan.latency_cycles + plan.cycles_per_frame) + 1000
        settle = settled_after(plan.cycles_per_frame)
        addresses = (0, 4, 8, 0xC, 0x10, 0x14, *range(0x40, 0x60, 4))
        free = run_rtl(
            simulator, self._design, frames, cycle_cap=cap + settle, settle_cycles=settle, register_addresses=addresses
        )
        if complaint := self._differs(free):
            return f"free: {complaint}"
        if not measure_cycles(free, plan).as_planned:
            return "free: other cycles than planned"
        if free.registers != (0x4C4F474E, 1, 0, 0, len(frames), len(frames), *subject.model_words):
            return "free: registers"
        for seed in (1, 2):
            stalled = run_rtl(
                simulator,
                self._design,
                frames,
                idle_percent=IDLE_PERCENT,
                stall_percent=STALL_PERCENT,
                seed=seed,
                cycle_cap=10 * cap,
                random_state=True,
            )
            if complaint := self._differs(stalled):
                return f"stalled: {complaint}"
        choked = run_rtl(simulator, self._design, frames, stall_percent=CHOKE_PERCENT, seed=1, cycle_cap=40 * cap)
        if complaint := self._differs(choked):
            return f"choked: {complaint}"
        return None

    def _differs(self, run: RtlRun) -> str | None:
        if run.problems:
            return run.problems[0]
        for name, expected in self._expected.items():
            if not np.array_equal(run.activations[name], expected):
                return f"activations of {name}"
        return None if np.array_equal(run.sink, expected) else "output stream"

    def _simulator_of(self, number: int) -> Path:
        """The simulator reads its memories' contents, and so the mutant, from the folder that it lies in."""
        home = self._folder / f"mutant{number}"
        home.mkdir()
        for path in self._simulator.parent.iterdir():
            if path.name == "simulator":
                os.symlink(path, home / path.name)
            elif path.name != CHOICE:
                shutil.copy(path, home / path.name)
        (home / CHOICE).write_text(f"{number:x}\n", encoding="utf-8")
        return home / "simulator"

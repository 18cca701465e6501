"""A bundle's Verilog as a Device: compiled by Verilator, bit- and cycle-true by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from lognet_fpga.bundle import VERILOG_FOLDER, Bundle
from lognet_fpga.errors import BundleError, VerificationError
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.runtime.device import DeviceRun
from lognet_fpga.runtime.values import Simulated
from lognet_fpga.verify.rtl import run_rtl, settled_after
from lognet_fpga.verify.simulator import compile_simulator

TOP = "lognet_overlay"


def design_of(bundle: Bundle) -> VerilogDesign:
    """The design in the bundle, without monitors; raises BundleError where it has none."""
    files = bundle.verilog
    if f"{TOP}.v" not in files:
        raise BundleError(
            f"the bundle {bundle.name} has no Verilog of an overlay: {VERILOG_FOLDER}/{TOP}.v is not in it"
        )
    return VerilogDesign(TOP, tuple(sorted(files.items())), bundle.source, bundle.sink, (), ())


class RtlDevice:
    """Compiles when opened, from the cache where it can; a batch takes seconds.

    Raises MissingToolError without Verilator or a C++ compiler, ToolError when one of them fails, VerificationError
    when the Verilog does not keep the stream contract.
    """

    kind = "rtl"

    def __init__(self, bundle: Bundle, progress: Progress = NoProgress()) -> None:
        self._bundle, self._progress = bundle, progress
        self._design = design_of(bundle)
        self._simulator: Path | None = None
        self.description = (
            f"the overlay's Verilog for a {bundle.board_title} in Verilator: bit- and cycle-true; no board was used"
        )

    def open(self) -> None:
        self._simulator = self._compile()

    def run(self, frames: np.ndarray) -> DeviceRun:
        if self._simulator is None:
            self._simulator = self._compile()
        plan = self._bundle
        settle = settled_after(plan.cycles_per_frame)
        run = run_rtl(
            self._simulator,
            self._design,
            frames,
            settle_cycles=settle,
            cycle_cap=4 * (plan.latency_cycles + plan.cycles_per_frame) + settle + 10_000,
            progress=self._progress,
        )
        if run.problems:
            raise VerificationError("the Verilog of the bundle does not run as it should", context=run.problems)
        cycles = int(run.last_out_cycle[-1] - run.first_in_cycle[0])
        activations = np.ascontiguousarray(run.sink.transpose(0, 2, 3, 1))
        return DeviceRun(activations, cycles, plan.clk_mhz)

    def _compile(self) -> Path:
        return compile_simulator(self._design, self._progress)

    def runs(self, batches: Iterable[np.ndarray | None]) -> Iterator[DeviceRun]:
        return (self.run(batch) for batch in batches if batch is not None)

    def figure(self, value: float, unit: str) -> Simulated:
        return Simulated(value, unit, f"Verilog in Verilator, at {mhz_text(self._bundle.clk_mhz)} MHz")

    def power(self) -> str:
        return f"not measured: no board was used (sensor of a {self._bundle.board_title}: {self._bundle.power_sensor})"

    def close(self) -> None:
        self._simulator = None

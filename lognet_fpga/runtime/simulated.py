"""The device that is always there: bit-exact values, cycle-true time, no board."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from lognet_fpga.bundle import EXECUTION, GOLDEN, Bundle
from lognet_fpga.errors import BundleError
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.runtime.device import DeviceRun
from lognet_fpga.runtime.onnx_function import OnnxFunction
from lognet_fpga.runtime.values import Simulated


class SimulatedDevice:
    """Values are golden.onnx's, the integer graph that the Verilog equals bit for bit, by execution.onnx where the
    bundle has it; time is the plan's, whose cycles the Verilog's simulation equals.

    threads: that share the work of one run; None: one a core.
    """

    kind = "simulated"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self._bundle, self._threads = bundle, threads
        self._file = EXECUTION if EXECUTION in bundle.files else GOLDEN
        self._function: OnnxFunction | None = None
        self.description = (
            f"simulated {bundle.board_title}: bit-exact values, cycle-true time at "
            f"{mhz_text(bundle.clk_mhz)} MHz; no board was used"
        )

    def open(self) -> None:
        self._function = self._load()

    def run(self, frames: np.ndarray) -> DeviceRun:
        if self._function is None:
            self._function = self._load()
        activations = self._to_nhwc(self._function(frames), len(frames))
        cycles = self._bundle.latency_cycles + (len(frames) - 1) * self._bundle.cycles_per_frame
        return DeviceRun(activations, cycles, self._bundle.clk_mhz)

    def runs(self, batches: Iterable[np.ndarray | None]) -> Iterator[DeviceRun]:
        return (self.run(batch) for batch in batches if batch is not None)

    def figure(self, value: float, unit: str) -> Simulated:
        return Simulated(value, unit, f"PL, cycle-true at {mhz_text(self._bundle.clk_mhz)} MHz")

    def power(self) -> str:
        return f"not measured: no board was used (sensor of a {self._bundle.board_title}: {self._bundle.power_sensor})"

    def close(self) -> None:
        self._function = None

    def _load(self) -> OnnxFunction:
        return OnnxFunction(self._bundle, self._file, self._threads)

    def _to_nhwc(self, activations: np.ndarray, count: int) -> np.ndarray:
        """The graph gives (n, C, H, W); the FPGA sends channels last."""
        if activations.shape != (count, *self._bundle.output_shape):
            raise BundleError(
                f"{self._file} of the bundle gives shape {activations.shape}, not "
                f"{(count, *self._bundle.output_shape)} as its manifest says"
            )
        return np.ascontiguousarray(activations.transpose(0, 2, 3, 1), self._bundle.sink.dtype)

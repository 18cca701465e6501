"""The open tools' whole system but for the processor's cell: a model's frames through DMA and overlay in Verilator."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lognet_fpga.bitstream.open_tools.top import FABRIC, system_files
from lognet_fpga.bitstream.overlay_system import system_of
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.verify.simulator import compile_simulator
from tests import small_bundle
from tests.bitstream.bundles import generated_bundle
from tests.conformance.simulation import cocotb_bench, simulate


@dataclass(frozen=True, eq=False)
class FabricCase:
    """frames, expected: (n, channels, height, width) uint8."""

    source: StreamFormat
    sink: StreamFormat
    frames: np.ndarray
    expected: np.ndarray
    golden: bytes
    model_sha256: str
    cycles_per_frame: int
    seed: int

    def save(self, path: Path) -> None:
        path.write_bytes(pickle.dumps(self))


def test_the_whole_system(tmp_path, require_tool):
    require_tool("myhdl")
    require_tool("da4ml")
    import hashlib

    bundle = generated_bundle()
    files = tuple((name, text) for name, text in system_files(system_of(bundle)) if name != "lognet_system.v")
    design = VerilogDesign(FABRIC, files, bundle.source, bundle.sink, (), ())
    frames, golden = small_bundle.frames(3, seed=5), bundle.file("golden.onnx")
    case = FabricCase(
        bundle.source,
        bundle.sink,
        frames,
        small_bundle.quant_graph().run(frames),
        golden,
        hashlib.sha256(golden).hexdigest(),
        bundle.cycles_per_frame,
        seed=1,
    )
    executable = compile_simulator(design, bench=cocotb_bench(design))
    outcome = simulate(executable, case, ".*", tmp_path, "tests.dma.fabric_cases", FABRIC)
    assert not outcome.failures, outcome.failures
    assert len(outcome.passed) == 2, outcome.log

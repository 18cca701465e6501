"""Every kind of operator from the ONNX file to Verilog: quantized float models in Verilator against golden.onnx."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.codegen import generate
from lognet_fpga.config import Preprocessing
from lognet_fpga.frontend import load
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.partition import partition, run_float_layers
from lognet_fpga.quantize import quantize
from lognet_fpga.verify.check import verify
from tests.models import ModelBuilder, save
from tests.quant_models import frame_cycles, make_plan, solved
from tests.quantize.test_quantize import smooth_frames
from tests.shallow import shallow

PREPROCESSING = Preprocessing(scale=1 / 64, mean=(2.0,), std=(1.0,))
SHAPE = (2, 8, 7)


def chain() -> ModelBuilder:
    return ModelBuilder(SHAPE, seed=3)


PADDED = {"pads": [1, 1, 0, 1], "count_include_pad": 1}
MODELS = {
    "relu6": lambda: chain().conv(4).clip(0, 0.8).pool().conv(5).clip(0, 0.5),
    "averages": lambda: chain().conv(4).relu().average_pool(3, 2).conv(5).relu().average_pool(3, 1, **PADDED),
    "global average": lambda: (
        chain().conv(4).relu().conv(5).relu().add("GlobalAveragePool").conv(6, 1).relu().flatten().gemm(6)
    ),
    "fire module": lambda: (
        chain()
        .conv(3, 1)
        .relu()
        .parallel(lambda m: m.conv(3, 1).relu(), lambda m: m.conv(4).relu())
        .pool(3, 2)
        .conv(4)
        .relu()
    ),
    "pads": lambda: (
        chain().pad(1, 0, 0, 1).conv(4).relu().pad(0, 1, 1, 0).pool().pad(1, 1, 1, 1).conv(5, pads=[0] * 4).relu()
    ),
}
QUICK = {("relu6", "middle"), ("fire module", "middle"), ("global average", "slowest")}
CASES = [
    pytest.param(name, speed, marks=[] if (name, speed) in QUICK else pytest.mark.slow, id=f"{name}-{speed}")
    for name in MODELS
    for speed in ("slowest", "middle", "fastest")
]


@pytest.mark.parametrize("name,speed", CASES)
def test_from_onnx_to_verilog(name: str, speed: str, tmp_path: Path, require_tool) -> None:
    for tool in ("verilator", "g++", "onnxruntime"):
        require_tool(tool)
    parts = partition(load(save(MODELS[name]().model(), tmp_path)))
    frames = smooth_frames(32, 1, SHAPE)
    quant = quantize(parts, frames, PREPROCESSING)
    wanted = run_float_layers(parts, PREPROCESSING.apply(frames))[-1]
    found = quant.run(frames) * quant.layers[-1].out_scale.reshape(1, -1, 1, 1)
    assert np.sqrt(np.mean((found - wanted) ** 2) / np.mean(wanted**2)) < 0.3
    plan = make_plan(solved(quant), frame_cycles(quant, speed))
    design = shallow(generate, plan, "ab" * 32)
    verdict = verify(design, quant, golden_onnx(quant), frames[:6], plan)
    assert verdict.failures() == () and verdict.differing_bits == 0
    assert verdict.cycles.as_planned

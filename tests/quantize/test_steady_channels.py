"""A channel that training has switched off (tiny weights and a bias) must not cost the others their accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from lognet_fpga.frontend import load
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition import partition, run_float_layers
from lognet_fpga.quantize import quantize
from tests.models import save, small_cnn


@pytest.mark.parametrize("bias", [0.3, -0.3])
@pytest.mark.parametrize("factor", [1e-4, 1e-6, 1e-9, 0.0])
def test_the_other_channels_stay_as_good(factor: float, bias: float, tmp_path: Path) -> None:
    model = small_cnn(3)
    tensors = list(model.graph.initializer)
    for weight, offset in zip(tensors[0:6:2], tensors[1:6:2]):
        values, biases = (numpy_helper.to_array(tensor).copy() for tensor in (weight, offset))
        values[1] *= factor
        biases[1] = bias
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))
        offset.CopyFrom(numpy_helper.from_array(biases, offset.name))
    split = partition(load(save(model, tmp_path)))
    frames = np.random.default_rng(1).integers(0, 256, (24, 3, 16, 16), dtype=np.uint8)
    preprocessing = Preprocessing(scale=1 / 255)
    quant = quantize(split, frames, preprocessing)
    golden_onnx(quant)  # raises where a bias passes 32 bits
    wanted = run_float_layers(split, preprocessing.apply(frames))
    for layer, found, value in zip(quant.layers, quant.run_layers(frames), wanted):
        error = ((found * layer.out_scale.reshape(1, -1, 1, 1) - value) ** 2).sum() / (value**2).sum()
        assert error < 0.05
        assert np.abs(layer.bias).max() < 2**24

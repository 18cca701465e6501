"""The float layers with quantized weights against the integer layers' formula, computed without rounding."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.frontend import load
from lognet_fpga.ir import reference
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.partition import partition, run_float_layers
from lognet_fpga.quantize import quantize, with_quantized_weights
from tests.models import ModelBuilder, save


def without_rounding(layer: QuantLayer, x: np.ndarray) -> np.ndarray:
    """The layer's formula on real numbers: no floor, so no half LSB before it, and no upper limit."""
    padded = reference.pad(x, layer.pads, layer.pad_value.astype(np.float64))
    sums = reference.conv(padded, layer.weights.astype(np.float64), layer.stride)
    bias = layer.bias - 2.0 ** (layer.shift - 1) if layer.shift else layer.bias
    return reference.run_pool(np.maximum((sums + bias.reshape(1, -1, 1, 1)) / 2.0**layer.shift, 0), layer.pool)


@pytest.mark.parametrize("prune", [0.0, 0.6])
def test_only_the_weights_are_quantized(tmp_path, prune):
    chain = ModelBuilder((3, 12, 10), seed=4).conv(6).relu().pool().conv(5, bias=False).batch_norm(positive=True).relu()
    graph = load(save(chain.conv(7).relu().flatten().gemm(7 * 6 * 5, 4).model(), tmp_path))
    parts = partition(graph, 3)
    preprocessing = Preprocessing(1 / 255, (0.2, 0.4, 0.6), (0.5, 0.25, 0.5))  # 0 is pixel value 51, 102 or 153
    frames = np.random.default_rng(0).integers(0, 256, (20, 3, 12, 10), dtype=np.uint8)
    quant = quantize(parts, frames, preprocessing, prune=prune)
    x = frames.astype(np.float64)
    found = run_float_layers(with_quantized_weights(parts, quant, preprocessing), preprocessing.apply(frames))
    floats = run_float_layers(parts, preprocessing.apply(frames))
    for layer, activations, other in zip(quant.layers, found, floats):
        x = without_rounding(layer, x)
        wanted = x * layer.out_scale.reshape(1, -1, 1, 1)
        np.testing.assert_allclose(activations, wanted, atol=1e-4 * wanted.max())
        assert np.abs(activations - other).max() > 1e-3 * wanted.max()  # it is not the float model

"""The sketch of an integer graph against the one that quantize makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.config import Preprocessing
from lognet_fpga.engines.clb.foldings import accumulator_bits
from lognet_fpga.frontend import load
from lognet_fpga.partition import partition
from lognet_fpga.quantize import quantize, sketch
from tests.models import save, small_cnn


@pytest.mark.parametrize("act_bits", [4, 8])
def test_widths_and_zeros_are_near_those_of_the_quantizer(act_bits: int) -> None:
    """On the shipped model, two layers of it, and frames that it knows."""
    place = Path(__file__).parents[2] / "models" / "cifar10_64x3"
    parts = partition(load(place / "model.onnx"), 2)
    frames = np.load(place / "test_frames.npz")["frames"][:16]
    frames = frames if frames.shape[1] == 3 else frames.transpose(0, 3, 1, 2)
    real = quantize(parts, np.ascontiguousarray(frames), Preprocessing(), act_bits=act_bits)
    drawn = sketch.sketch_graph("model", parts.layers, parts.sources, act_bits=act_bits)
    for one, other in zip(real.layers, drawn.layers):
        assert abs(one.sparsity - other.sparsity) < 0.02
        assert abs(accumulator_bits(one) - accumulator_bits(other)) <= 2


@pytest.mark.parametrize("prune", [0.0, 0.5])
def test_shapes_are_those_of_the_quantizer_and_zeros_near(tmp_path: Path, prune: float) -> None:
    parts = partition(load(save(small_cnn(2, channels=(16, 24, 24)), tmp_path)))
    frames = np.random.default_rng(1).integers(0, 256, (16, 3, 16, 16), dtype=np.uint8)
    real = quantize(parts, frames, Preprocessing(1 / 255), act_bits=4, prune=prune)
    drawn = sketch.sketch_graph("model", parts.layers, parts.sources, act_bits=4, prune=prune)
    same = ("name", "in_shape", "out_shape", "in_bits", "out_bits", "kernel", "stride", "pads", "pool")
    for one, other in zip(real.layers, drawn.layers):
        assert [getattr(one, field) for field in same] == [getattr(other, field) for field in same]
        assert abs(one.sparsity - other.sparsity) < 0.06 and other.sparsity >= prune


def test_alphas_of_a_sample_give_as_many_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = partition(load(save(small_cnn(3, channels=(16, 48, 8)), tmp_path))).layers[1]
    whole = sketch.sketch_layer(layer, 8, 8)
    monkeypatch.setattr(sketch, "SAMPLED_WEIGHTS", 800)
    assert abs(sketch.sketch_layer(layer, 8, 8).sparsity - whole.sparsity) < 0.02

"""Weights that are log2 codes already are taken over as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from lognet_fpga.config import Preprocessing
from lognet_fpga.frontend import load
from lognet_fpga.partition import partition
from lognet_fpga.quantize import quantize
from lognet_fpga.quantize.grid import bias_shift, given_codes, pinned_bits
from tests.models import ModelBuilder, save
from tests.quantize.test_quantize import smooth_frames


@pytest.mark.parametrize("seed", range(5))
def test_codes_come_back_whatever_their_lsb(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = np.where(rng.random((6, 20)) < 0.5, 0, 2.0 ** rng.integers(0, 7, (6, 20)) * rng.choice([-1, 1], (6, 20)))
    codes[:, 0] = 1  # so that no code can stand for half of it
    codes[2] = 0
    drop, lsb = rng.integers(-3, 12, 6), rng.uniform(0.01, 9, 6)
    rows = (codes * (lsb / 2.0**drop)[:, None]).astype(np.float32).astype(np.float64)
    found = given_codes(rows, lsb)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.empty, [False, False, True, False, False, False])
    np.testing.assert_array_equal(found.drop[~found.empty], drop[~found.empty])


@pytest.mark.parametrize(
    "change",
    [
        lambda rows, lsb: (rows * 1.001, lsb),
        lambda rows, lsb: (np.where(rows == 64, 128, rows), lsb),
        lambda rows, lsb: (rows, np.where(lsb == lsb[0], np.inf, lsb)),
        lambda rows, lsb: (rows + (rows == 2), lsb),
    ],
    ids=["no powers of two", "too far apart", "no bound", "a three"],
)
def test_others_are_none(change) -> None:
    rows, lsb = np.array([[1.0, -2, 64, 0], [4, 1, 2, 1]]), np.array([0.5, 2.0])
    assert given_codes(rows, lsb) is not None
    assert given_codes(*change(rows, lsb)) is None


def test_bits_behind_the_point() -> None:
    assert bias_shift(np.array([1.0, -3.0]), 0) == 0
    assert bias_shift(np.array([0.25, -3.5]), 0) == 2
    assert bias_shift(np.array([0.25, -3.5]), 5) == 5
    assert bias_shift(np.array([1 / 3]), 4) == 4


@pytest.mark.parametrize("bits", [4, 8])
def test_a_model_of_codes_is_deployed_unchanged(bits: int, tmp_path: Path) -> None:
    """Against the arithmetic that the float model states: clip(floor(sum + bias + 1/2), 0, top), by hand."""
    top, rng = 2.0**bits - 1, np.random.default_rng(bits)
    chain = ModelBuilder((3, 12, 12), seed=bits)
    for channels in (6, 8):
        chain.conv(channels).clip(0, top).pool()
    exact = []
    for tensor in chain.tensors:
        value = numpy_helper.to_array(tensor)
        if value.ndim == 4:
            codes = 2.0 ** rng.integers(0, 7, value.shape) * rng.choice([-1, 0, 1], value.shape)
            value = codes * 2.0 ** -rng.integers(8, 11, (len(codes), 1, 1, 1))
            exact.append(value)
        elif value.ndim == 1:
            value = np.rint(rng.normal(3, 2, value.shape) * 64) / 64
            exact.append(value)
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))
    graph = load(save(chain.model(), tmp_path))
    assert pinned_bits(graph) == ((4, 4) if bits == 4 else ())
    frames = smooth_frames(16, bits, (3, 12, 12))
    quant = quantize(partition(graph), frames, Preprocessing(), act_bits=bits)
    x = frames.astype(np.float64)
    for layer, weight, bias in zip(quant.layers, exact[::2], exact[1::2]):
        np.testing.assert_array_equal(layer.weights / 2.0**layer.shift, weight)
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        y = np.einsum("nchwyx,ocyx->nohw", windows, weight) + bias.reshape(1, -1, 1, 1)
        y = np.clip(np.floor(y + 0.5), 0, top)
        x = y.reshape(*y.shape[:2], y.shape[2] // 2, 2, y.shape[3] // 2, 2).max(axis=(3, 5))
        assert len(np.unique(x)) > 3
    np.testing.assert_array_equal(quant.run(frames), x)


def test_other_models_leave_the_bits_open(tmp_path: Path) -> None:
    for number, chain in enumerate((ModelBuilder().conv(4).relu(), ModelBuilder().conv(4).clip(0, 6))):
        assert pinned_bits(load(save(chain.model(), tmp_path, f"{number}.onnx"))) == ()

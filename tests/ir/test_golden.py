"""golden.onnx in plain onnxruntime equals the NumPy reference on every bit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import onnx
import onnxruntime
import pytest

from lognet_fpga.errors import ModelError
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.graph import AveragePool, MaxPool, Pool
from lognet_fpga.ir.quant import Average, QuantGraph, QuantLayer

POOLS = (
    None,
    MaxPool((2, 2), (2, 2)),
    MaxPool((3, 3), (2, 2)),
    AveragePool((3, 3), (2, 2)),
    AveragePool((2, 3), (1, 2)),
    AveragePool((3, 3), (2, 2), (0, 0, 1, 1), (0, 0, 1, 1)),
    AveragePool((5, 2), (2, 1), (2, 1, 3, 0), (2, 1, 2, 0)),
)


def random_layer(
    rng: np.random.Generator,
    name: str,
    in_shape: tuple[int, int, int],
    in_bits: int,
    kernel: int,
    pool: Pool | None,
    stride: tuple[int, int] = (1, 1),
) -> QuantLayer:
    outs, ins = int(rng.integers(2, 9)), in_shape[0]
    field = rng.integers(0, 8, (outs, ins, kernel, kernel))
    codes = np.where(field == 0, 0, 1 << np.maximum(field - 1, 0)) * rng.choice([-1, 1], field.shape)
    channel_shift = rng.integers(0, 4, outs)
    out_bits = int(rng.choice([4, 8]))
    average, leaving = None, out_bits
    if isinstance(pool, AveragePool):  # some leave with more bits than they add up, some reach their largest value
        leaving = min(8, out_bits + int(rng.integers(0, pool.sum_bits + 1)))
        average = Average(out_bits, out_bits + pool.sum_bits - leaving - int(rng.integers(0, 3)))
        average = Average(out_bits, max(0, average.shift))
    typical = 2**in_bits * 30 * (ins * kernel * kernel) ** 0.5 * 4
    return QuantLayer(
        name=name,
        in_shape=in_shape,
        in_bits=in_bits,
        out_bits=leaving,
        codes=codes.astype(np.int8),
        channel_shift=channel_shift.astype(np.int64),
        bias=rng.integers(-typical / 4, typical, outs),
        shift=max(0, int(np.log2(typical)) - out_bits + 1),
        stride=stride,
        pads=tuple(int(value) for value in rng.integers(0, kernel // 2 + 1, 4)),
        pad_value=rng.integers(0, 2**in_bits, ins) * int(rng.integers(0, 2)),
        pool=pool,
        alpha=np.ones(outs),
        out_scale=np.ones(outs),
        nmse=0.0,
        average=average,
    )


def random_graph(seed: int) -> QuantGraph:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 5)), int(rng.integers(28, 34)), int(rng.integers(28, 34)))
    layers = []
    in_shape, in_bits = shape, 8
    for number, kernel in enumerate(rng.permutation([1, 3, 5]), 1):
        pool = POOLS[rng.integers(0, 2 if number > 1 else len(POOLS))]
        stride = tuple(int(value) for value in rng.integers(1, 3, 2)) if number == 1 and pool is None else (1, 1)
        layers.append(random_layer(rng, f"conv{number}", in_shape, in_bits, int(kernel), pool, stride))
        in_shape, in_bits = layers[-1].out_shape, layers[-1].out_bits
    return QuantGraph("random", shape, tuple(layers))


def run_golden(quant: QuantGraph, frames: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(golden_onnx(quant), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == [layer.name for layer in quant.layers]
    return session.run(None, {"frames": frames})


@pytest.mark.parametrize("seed", range(24))
def test_golden_equals_the_reference(seed: int) -> None:
    quant = random_graph(seed)
    frames = np.random.default_rng(seed).integers(0, 256, (3, *quant.input_shape), dtype=np.uint8)
    wanted = quant.run_layers(frames)
    assert len(np.unique(wanted[0])) > 3
    for found, expected in zip(run_golden(quant, frames), wanted, strict=True):
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


def test_random_graphs_cover_the_cases() -> None:
    layers = [layer for seed in range(24) for layer in random_graph(seed).layers]
    assert {layer.kernel[0] for layer in layers} == {1, 3, 5}
    assert {layer.pool for layer in layers} == set(POOLS)
    assert {layer.act_bits for layer in layers} == {4, 8}
    averages = [layer for layer in layers if layer.average]
    assert any(layer.out_bits > layer.act_bits for layer in averages)
    assert any(layer.average.shift < layer.act_bits + layer.pool.sum_bits - layer.out_bits for layer in averages)
    assert any(layer.stride[0] != layer.stride[1] for layer in layers)
    assert any(layer.pads[0] != layer.pads[2] and layer.pad_value.any() for layer in layers)
    assert any(any(layer.pads) and not layer.pad_value.any() for layer in layers)


@pytest.mark.parametrize("sign", [-1, 1])
def test_extreme_products_do_not_saturate(sign: int) -> None:
    """All frames 255, all codes 64 in magnitude: each pair of products is 32,640."""
    layer = random_layer(np.random.default_rng(0), "conv1", (16, 5, 5), 8, 3, None)
    codes = np.full(layer.codes.shape, 64 * sign, np.int8)
    total = 16 * 9 * 255 * 64
    bias = np.full(len(codes), 0 if sign > 0 else total + 77 * 2**16)
    layer = QuantLayer(
        **{
            **vars(layer),
            "codes": codes,
            "channel_shift": np.zeros(len(codes), np.int64),
            "bias": bias,
            "shift": 16,
            "out_bits": 8,
            "pads": (0, 0, 0, 0),
        }
    )
    (found,) = run_golden(QuantGraph("extreme", (16, 5, 5), (layer,)), np.full((1, 16, 5, 5), 255, np.uint8))
    assert np.all(found == (total >> 16 if sign > 0 else 77))


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (5, 7), (7, 7), (8, 8), (13, 11), (64, 64), (1, 4096)])
def test_average_of_a_whole_frame(kernel: tuple[int, int]) -> None:
    """Every sum that a window can have, or 2,000 of the halves, which are rounded up: the quotients, by hand."""
    pool, count = AveragePool(kernel, kernel), kernel[0] * kernel[1]
    layer = random_layer(np.random.default_rng(0), "conv1", (1, *kernel), 8, 1, pool)
    identity = {"codes": np.ones((1, 1, 1, 1), np.int8), "channel_shift": np.zeros(1, np.int64), "shift": 0}
    layer = QuantLayer(**{**vars(layer), **identity, "bias": np.zeros(1, np.int64), "pads": (0,) * 4, "out_bits": 8})
    power = 1 << int(np.ceil(np.log2(count)))
    layer = replace(layer, average=Average(8, pool.sum_bits))
    sums = np.arange(255 * count + 1)
    sums = sums if count < 64 else np.append(sums[power // 2 :: power][:2000], sums[-1])
    level, rest = np.divmod(sums, count)  # rest elements are one more than level
    frames = (level[:, None] + (np.arange(count) < rest[:, None])).astype(np.uint8).reshape(-1, 1, *kernel)
    (found,) = run_golden(QuantGraph("mean", (1, *kernel), (layer,)), frames)
    wanted = [floor(Fraction(int(total), power) + Fraction(1, 2)) for total in sums]
    assert found.reshape(-1).tolist() == wanted
    np.testing.assert_array_equal(layer.run(frames), found)


@pytest.mark.parametrize("act_bits, kernel, bits, shift", [(4, 4, 8, 0), (4, 8, 8, 1), (4, 2, 4, 1), (8, 3, 8, 2)])
def test_average_with_bits_of_its_own(act_bits: int, kernel: int, bits: int, shift: int) -> None:
    """Sums kept whole, and sums that end at the largest value: by hand, for every sum."""
    pool, count = AveragePool((kernel, kernel), (kernel, kernel)), kernel * kernel
    layer = random_layer(np.random.default_rng(0), "conv1", (1, kernel, kernel), 8, 1, None)
    identity = {"codes": np.ones((1, 1, 1, 1), np.int8), "channel_shift": np.zeros(1, np.int64), "shift": 0}
    changes = {"bias": np.zeros(1, np.int64), "pads": (0,) * 4, "pool": pool, "out_bits": bits}
    layer = replace(layer, **identity, **changes, average=Average(act_bits, shift))
    level, rest = np.divmod(np.arange((2**act_bits - 1) * count + 1), count)
    frames = (level[:, None] + (np.arange(count) < rest[:, None])).astype(np.uint8).reshape(-1, 1, kernel, kernel)
    (found,) = run_golden(QuantGraph("mean", (1, kernel, kernel), (layer,)), frames)
    wanted = [min(floor(Fraction(s, 2**shift) + Fraction(1, 2)), 2**bits - 1) for s in range(len(level))]
    assert found.reshape(-1).tolist() == wanted
    np.testing.assert_array_equal(layer.run(frames), found)


def test_too_large_an_average_is_refused() -> None:
    pool = AveragePool((64, 65), (64, 65))
    layer = random_layer(np.random.default_rng(0), "conv1", (1, 64, 65), 8, 1, pool)
    with pytest.raises(ModelError, match="averages 4,160 elements"):
        golden_onnx(QuantGraph("mean", (1, 64, 65), (layer,)))


def test_model_is_standard_onnx() -> None:
    model = onnx.load_from_string(golden_onnx(random_graph(0)))
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]


@pytest.mark.parametrize("change", [{"bias": 2**31}, {"bias": -(2**31) - 1}, {"shift": 31}, {"channel_shift": 30}])
def test_sums_beyond_32_bits_are_refused(change: dict[str, int]) -> None:
    layer = random_layer(np.random.default_rng(0), "conv1", (4, 8, 8), 8, 3, None)
    values = {name: value if name == "shift" else np.full(len(layer.codes), value) for name, value in change.items()}
    layer = QuantLayer(**{**vars(layer), **values})
    with pytest.raises(ModelError, match="conv1"):
        golden_onnx(QuantGraph("wide", (4, 8, 8), (layer,)))

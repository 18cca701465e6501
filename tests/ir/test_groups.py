"""Grouped kernels: made dense and back, and their convolution against onnxruntime's."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.ir import reference
from lognet_fpga.ir.groups import dense_kernel, dense_places, grouped_kernel, of_own_inputs
from tests.models import run_onnx

GROUPS = [(1, 3, 4), (2, 6, 4), (4, 4, 4), (4, 4, 8), (3, 9, 6)]  # groups, inputs, outputs


def kernel(groups: int, inputs: int, outputs: int) -> np.ndarray:
    return np.random.default_rng(groups).standard_normal((outputs, inputs // groups, 3, 2))


@pytest.mark.parametrize("groups, inputs, outputs", GROUPS)
def test_the_convolution_is_onnxruntime_s(groups: int, inputs: int, outputs: int) -> None:
    weight = kernel(groups, inputs, outputs).astype(np.float32)
    x = np.random.default_rng(1).standard_normal((2, inputs, 7, 8)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=groups, strides=[2, 1])
    sizes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    graph = helper.make_graph([node], "conv", sizes[:1], sizes[1:], [numpy_helper.from_array(weight, "w")])
    (wanted,) = run_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), x)
    np.testing.assert_allclose(reference.conv(x, weight, (2, 1)), wanted, atol=1e-5)
    np.testing.assert_allclose(reference.conv(x, dense_kernel(weight, groups), (2, 1)), wanted, atol=1e-5)


@pytest.mark.parametrize("groups, inputs, outputs", GROUPS)
def test_dense_and_back(groups: int, inputs: int, outputs: int) -> None:
    weight = kernel(groups, inputs, outputs)
    dense = dense_kernel(weight, groups)
    assert dense.shape == (outputs, inputs, 3, 2) and np.count_nonzero(dense) == weight.size
    np.testing.assert_array_equal(grouped_kernel(dense, groups), weight)


@pytest.mark.parametrize("groups, inputs, outputs", GROUPS)
def test_places_and_inputs_follow(groups: int, inputs: int, outputs: int) -> None:
    weight, rng = kernel(groups, inputs, outputs), np.random.default_rng(2)
    dense = dense_kernel(weight, groups)
    places = rng.integers(0, weight[0].size, outputs)
    places[0] = -1
    moved = dense_places(places, weight, groups)
    rows = np.arange(1, outputs)
    assert moved[0] == -1
    np.testing.assert_array_equal(
        dense.reshape(outputs, -1)[rows, moved[1:]], weight.reshape(outputs, -1)[rows, places[1:]]
    )
    factors = rng.uniform(1, 2, inputs)
    scaled = weight * of_own_inputs(factors, groups, outputs)
    np.testing.assert_array_equal(dense_kernel(scaled, groups), dense * factors.reshape(1, -1, 1, 1))

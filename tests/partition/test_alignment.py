"""Weights of the host's part lie where NumPy can use them, in files that stay ONNX."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from lognet_fpga.bundle import read_bundle, write_bundle  # noqa: E402
from lognet_fpga.partition.alignment import ALIGNMENT, aligned_onnx  # noqa: E402
from lognet_fpga.runtime.numpy_function import NumpyFunction  # noqa: E402
from lognet_fpga.runtime.onnx_file import read_onnx  # noqa: E402
from tests import small_bundle  # noqa: E402

BIG = 1024  # inputs and outputs of the large layer: 4 MB of weights


def model_of(tensors: list[onnx.TensorProto], nodes=(), inputs=1) -> onnx.ModelProto:
    nodes = list(nodes) or [helper.make_node("Identity", ["x"], ["y"])]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", inputs]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def arrays_of(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    kinds = [np.float32, np.int64, np.int16, np.float64, np.int8, np.float16]
    sizes = rng.choice([0, 1, 3, 14, 15, 16, 30, 31, 32, 33, 100, 125, 127, 128, 4000, 16_382], count)
    return [(rng.normal(size=size) * 9).round().astype(rng.choice(kinds)) for size in sizes]


def addresses(content: bytes, names: list[str]) -> list[int]:
    """Where the raw data of tensors are: found by name and content, without a reader of the format."""
    model = onnx.ModelProto.FromString(content)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    return [content.index(tensors[name].raw_data, content.index(name.encode())) for name in names]


@pytest.mark.parametrize("seed", range(20))
def test_every_weight_is_aligned_and_the_file_is_the_same_model(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    arrays = {f"tensor_{i:03}" + "n" * rng.integers(200): a for i, a in enumerate(arrays_of(rng, rng.integers(1, 60)))}
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    for tensor in tensors:
        tensor.doc_string = "d" * int(rng.choice([0, 0, 1, 64, 120, 127, 128, 300]))
    model = model_of(tensors)
    model.doc_string = "m" * int(rng.choice([0, 63, 127]))
    content = aligned_onnx(onnx.ModelProto.FromString(model.SerializeToString()))
    onnx.checker.check_model(content)
    after = onnx.ModelProto.FromString(content)
    for before, tensor in zip(model.graph.initializer, after.graph.initializer):
        assert tensor.doc_string.rstrip(" ") == before.doc_string
        assert np.array_equal(numpy_helper.to_array(tensor), arrays[tensor.name])
    large = [name for name, array in arrays.items() if array.nbytes > 100]
    assert all(place % ALIGNMENT == 0 for place in addresses(content, large))
    assert all(address_of(array) % 16 == 0 for array in read_onnx(content).constants.values() if array.nbytes)


def address_of(array: np.ndarray) -> int:
    return array.ctypes.data


def test_numbers_in_other_fields_become_raw():
    tensors = [
        helper.make_tensor("f", TensorProto.FLOAT, [3], [1.5, -2, 3]),
        helper.make_tensor("i", TensorProto.INT64, [2], [-1, 1 << 40]),
    ]
    content = aligned_onnx(model_of(tensors))
    constants = read_onnx(content).constants
    assert constants["f"].tolist() == [1.5, -2, 3] and constants["i"].tolist() == [-1, 1 << 40]
    assert all(tensor.HasField("raw_data") for tensor in onnx.ModelProto.FromString(content).graph.initializer)


def large_model() -> onnx.ModelProto:
    weight = np.random.default_rng(0).normal(size=(BIG, BIG)).astype(np.float32)
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1), helper.make_node("MatMul", ["h", "w"], ["y"])]
    bias = numpy_helper.from_array(np.ones(BIG, np.float32), "b")
    return model_of([bias, numpy_helper.from_array(weight, "w")], nodes, BIG)


def peak_of_a_call(function: NumpyFunction) -> int:
    """Bytes that a call takes at most beside what is there before."""
    frame = np.ones((1, BIG), np.float32)
    function(frame)
    tracemalloc.start()
    function(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("off", range(4))
def test_no_call_copies_weights_wherever_they_lie_in_a_foreign_file(off):
    """Four files whose weights begin at each place within four bytes: copied once, when read."""
    model = large_model()
    model.doc_string = "x" * off
    assert peak_of_a_call(NumpyFunction(model.SerializeToString(), "tail.onnx")) < BIG * BIG


def test_aligned_weights_are_not_even_copied_once():
    content = aligned_onnx(large_model())
    tracemalloc.start()
    function = NumpyFunction(content, "tail.onnx")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < BIG * BIG and peak_of_a_call(function) < BIG * BIG
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    frame = np.random.default_rng(1).normal(size=(2, BIG)).astype(np.float32)
    expected = session.run(None, {"x": frame})[0]
    assert np.allclose(function(frame), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("place", ["folder", "zip"])
def test_in_a_bundle_too(tmp_path, place):
    files = {**small_bundle.files(), "tail.onnx": aligned_onnx(large_model())}
    paths = write_bundle(files, small_bundle.manifest(), tmp_path)
    bundle = read_bundle(getattr(paths, place))
    constants = read_onnx(bundle.file("tail.onnx")).constants
    whole = np.frombuffer(bundle.file("tail.onnx"), np.uint8)
    for array in constants.values():
        assert array.flags.aligned and address_of(array) % 16 == 0 and np.shares_memory(array, whole)

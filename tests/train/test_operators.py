"""The host's part in PyTorch gives what onnxruntime gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.frontend import load
from tests.models import ModelBuilder, run_onnx, save

FIXTURES = sorted((Path(__file__).parents[1] / "exporters" / "fixtures").glob("*.onnx"))
TOLERANCE = 1e-4


@pytest.fixture(autouse=True)
def torch(require_tool):
    require_tool("torch")
    return pytest.importorskip("torch")


def module_of(content: bytes):
    from lognet_fpga.train.graph_module import GraphModule

    return GraphModule(content, "the model")


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_models_as_exporters_write_them(path: Path, torch) -> None:
    content = load(path, input_shape=(3, 16, 16) if path.stem.endswith("_sizes") else None).onnx_model
    try:
        module = module_of(content)
    except UnsupportedModelError:
        assert path.stem in ("dynamo_resize", "script_resize")
        return
    shape = [
        part.dim_value or 3 for part in onnx.ModelProto.FromString(content).graph.input[0].type.tensor_type.shape.dim
    ]
    x = np.random.default_rng(len(path.stem)).uniform(0, 1, shape).astype(np.float32)
    wanted = run_onnx(content, x)[-1]
    with torch.no_grad():
        got = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(
        got, wanted.reshape(got.shape), rtol=0, atol=TOLERANCE * max(1, float(np.abs(wanted).max()))
    )


CHAINS = {
    "gemm": lambda chain: chain.conv(4).relu().pool().flatten().gemm(4 * 64),
    "lrn": lambda chain: chain.conv(6).add("LRN", size=3, alpha=0.3, beta=0.5, bias=2.0),
    "ceil": lambda chain: chain.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "average": lambda chain: chain.add(
        "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1
    ),
    "counted": lambda chain: chain.add(
        "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "same": lambda chain: chain.conv(4, auto_pad="SAME_LOWER", strides=[2, 2]),
    "groups": lambda chain: chain.conv(6, group=3, dilations=[2, 2], pads=[2, 1, 2, 3]),
    "softmax": lambda chain: chain.add("GlobalAveragePool").flatten().add("Softmax"),
    "global": lambda chain: chain.add("GlobalMaxPool").flatten().add("LogSoftmax"),
    "leaky": lambda chain: chain.conv(4).add("LeakyRelu", alpha=0.2).add("HardSwish").add("Sigmoid"),
    "norm": lambda chain: chain.batch_norm().add("Transpose", perm=[0, 2, 3, 1]),
    "clip": lambda chain: chain.conv(4).clip(0, 0.5).pad(1, 0, 2, 1),
}


@pytest.mark.parametrize("name", CHAINS)
def test_operators(name: str, torch) -> None:
    model = CHAINS[name](ModelBuilder((3, 16, 16), seed=3)).model()
    x = np.random.default_rng(4).standard_normal((2, 3, 16, 16)).astype(np.float32)
    (wanted,) = run_onnx(model, x)
    with torch.no_grad():
        got = module_of(model.SerializeToString())(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(got, wanted.reshape(got.shape), rtol=0, atol=TOLERANCE)


def test_gradients_are_the_slopes_of_onnxruntime(torch) -> None:
    """Central differences of a weighted sum of scores, by every weight of the last layer and some of the others."""
    chain = ModelBuilder((2, 6, 6), seed=5).conv(3).relu().pool().flatten().gemm(27, 4)
    model, rng = chain.model(), np.random.default_rng(6)
    x, weigh = rng.standard_normal((2, 2, 6, 6)).astype(np.float32), rng.standard_normal((2, 4)).astype(np.float32)
    module = module_of(model.SerializeToString())
    (module(torch.from_numpy(x)) * torch.from_numpy(weigh)).sum().backward()
    gradients = {name: parameter.grad.numpy() for name, parameter in module._trained.items()}
    assert len(gradients) == 4
    for tensor in model.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        for place in rng.choice(value.size, min(5, value.size), replace=False):
            sums = []
            for step in (-1e-3, 1e-3):
                changed = value.copy()
                changed.flat[place] += step
                other = onnx.ModelProto.FromString(model.SerializeToString())
                next(t for t in other.graph.initializer if t.name == tensor.name).CopyFrom(
                    onnx.numpy_helper.from_array(changed, tensor.name)
                )
                sums.append(float((run_onnx(other, x)[0].astype(np.float64) * weigh).sum()))
            slope = (sums[1] - sums[0]) / 2e-3
            assert abs(gradients[tensor.name].flat[place] - slope) < 2e-2 * max(1.0, abs(slope))


def test_unknown_operators_are_named(tmp_path: Path, torch) -> None:
    model = ModelBuilder((3, 8, 8)).conv(4).add("Celu").model()
    with pytest.raises(UnsupportedModelError, match="cannot be trained through\n  Celu_1 "):
        module_of(load(save(model, tmp_path)).onnx_model)

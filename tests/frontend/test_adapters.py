"""Inputs of other layouts and ranks: the frames that the graph takes are the file's, pixel by pixel, and its layers are
those of the same model written for (batch, channels, height, width)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.errors import LogNetError, UnsupportedModelError
from lognet_fpga.frontend import load
from lognet_fpga.frontend.evaluate import host_evaluator
from lognet_fpga.ir.execute import execute
from lognet_fpga.partition.reach import reach
from tests.models import ModelBuilder, run_onnx, save
from tests.partition.test_float_equality import check_equal

HEIGHT, WIDTH = 8, 6


class Adapted(ModelBuilder):
    """A model whose input has any dimensions; `frame` makes (n, channels, 8, 6) into it."""

    def __init__(
        self, dims: tuple, channels: int = 1, *, opset: int = 17, batch: str | int = "N", kind: int = 1
    ) -> None:
        super().__init__((channels, HEIGHT, WIDTH), seed=3, opset=opset, batch=batch)
        self.inputs = [helper.make_tensor_value_info("image", kind, [batch, *dims])]

    def numbers(self, op_type: str, *values: int, **attributes: object) -> Adapted:
        """op_type with numbers as its second input."""
        return self.add(op_type, self.constant(np.array(values, np.int64)), **attributes)

    def axes(self, op_type: str, *values: int) -> Adapted:
        """Squeeze or Unsqueeze."""
        return self.add(op_type, axes=list(values)) if self.opset < 13 else self.numbers(op_type, *values)

    def scale(self, op_type: str, value: float) -> Adapted:
        return self.add(op_type, self.constant(np.float32(value)))

    def table(self, op_type: str, *shape: int) -> Adapted:
        return self.add(op_type, self.constant(self.rng.uniform(0.5, 1.5, shape).astype(np.float32)))

    def layers(self) -> Adapted:
        return self.conv(4).relu().pool().conv(3).relu().flatten()

    def viewed(self) -> Adapted:
        """x.view(x.size(0), 1, 8, 6), as PyTorch traces it."""
        start = self.tensor
        self.add("Shape")
        self.add("Gather", self.constant(np.array(0, np.int64)), axis=0).axes("Unsqueeze", 0)
        self.add("Concat", self.constant(np.array([1, HEIGHT, WIDTH], np.int64)), axis=0)
        shape, self.tensor = self.tensor, start
        return self.add("Reshape", shape)


ONE = (HEIGHT, WIDTH, 1)
PIXELS = HEIGHT * WIDTH
# Inputs of one channel, and what leads them to the first layer.
FORMS: dict[str, Callable[[], Adapted]] = {
    "nhwc, reshape": lambda: Adapted(ONE).numbers("Reshape", -1, 1, HEIGHT, WIDTH),
    "nhwc, reshape with 0": lambda: Adapted(ONE).numbers("Reshape", 0, 1, HEIGHT, WIDTH),
    "nhwc, reshape with 0 and -1": lambda: Adapted(ONE).numbers("Reshape", 0, 1, HEIGHT, -1),
    "nhwc, reshape, one frame": lambda: Adapted(ONE, batch=1).numbers("Reshape", 1, 1, HEIGHT, WIDTH),
    "nhwc, reshape, four frames": lambda: Adapted(ONE, batch=4).numbers("Reshape", 4, 1, HEIGHT, WIDTH),
    "nhwc, reshape, many frames": lambda: Adapted(ONE, batch=16).numbers("Reshape", 16, 1, HEIGHT, WIDTH),
    "nhwc, reshape, no frame": lambda: Adapted(ONE, batch=0).numbers("Reshape", -1, 1, HEIGHT, WIDTH),
    "nhwc, identity, reshape": lambda: Adapted(ONE).add("Identity").numbers("Reshape", -1, 1, HEIGHT, WIDTH),
    "nhwc, transpose": lambda: Adapted(ONE).add("Transpose", perm=[0, 3, 1, 2]),
    "nhwc, squeeze, unsqueeze": lambda: Adapted(ONE).axes("Squeeze", 3).axes("Unsqueeze", 1),
    "nhwc, squeeze, unsqueeze, opset 11": lambda: Adapted(ONE, opset=11).axes("Squeeze", 3).axes("Unsqueeze", 1),
    "nhwc, flat in between": lambda: Adapted(ONE).add("Flatten").numbers("Reshape", -1, 1, HEIGHT, WIDTH),
    "nhwc, squeeze, reshape": lambda: Adapted(ONE).axes("Squeeze", -1).numbers("Reshape", -1, 1, HEIGHT, WIDTH),
    "nhwc, viewed": lambda: Adapted(ONE).viewed(),
    "nhwc, scaled, reshape": lambda: (
        Adapted(ONE).scale("Mul", 1 / 4).scale("Sub", 0.2).numbers("Reshape", -1, 1, HEIGHT, WIDTH)
    ),
    "nhwc, table, reshape": lambda: Adapted(ONE).table("Mul", 1).numbers("Reshape", -1, 1, HEIGHT, WIDTH),
    "nhwc, padded, reshape": lambda: (
        Adapted((HEIGHT - 2, WIDTH - 1, 1))
        .numbers("Pad", 0, 1, 0, 0, 0, 1, 1, 0)
        .numbers("Reshape", -1, 1, HEIGHT, WIDTH)
    ),
    "nhwc, squeeze, scaled, unsqueeze": lambda: Adapted(ONE).axes("Squeeze", 3).scale("Div", 3).axes("Unsqueeze", 1),
    "nhwc bytes, cast, scaled, reshape": lambda: (
        Adapted(ONE, kind=TensorProto.UINT8)
        .add("Cast", to=1)
        .scale("Mul", 1 / 255)
        .numbers("Reshape", -1, 1, HEIGHT, WIDTH)
    ),
    "nhwc bytes, reshape, cast": lambda: (
        Adapted(ONE, kind=TensorProto.UINT8).numbers("Reshape", -1, 1, HEIGHT, WIDTH).add("Cast", to=1)
    ),
    "hw, unsqueeze": lambda: Adapted((HEIGHT, WIDTH)).axes("Unsqueeze", 1),
    "hw, unsqueeze, opset 11": lambda: Adapted((HEIGHT, WIDTH), opset=11).axes("Unsqueeze", 1),
    "hw, unsqueeze behind": lambda: Adapted((HEIGHT, WIDTH)).axes("Unsqueeze", -1).add("Transpose", perm=[0, 3, 1, 2]),
    "hw, unsqueeze behind, reshape": lambda: (
        Adapted((HEIGHT, WIDTH)).axes("Unsqueeze", 3).numbers("Reshape", -1, 1, HEIGHT, WIDTH)
    ),
    "hw, reshape": lambda: Adapted((HEIGHT, WIDTH)).numbers("Reshape", -1, 1, HEIGHT, WIDTH),
    "hw, scaled, unsqueeze": lambda: Adapted((HEIGHT, WIDTH)).scale("Mul", 1 / 4).axes("Unsqueeze", 1),
    "hw, scaled, unsqueeze, scaled": lambda: (
        Adapted((HEIGHT, WIDTH)).scale("Mul", 1 / 4).axes("Unsqueeze", 1).scale("Add", 0.5)
    ),
    "hw bytes, cast, unsqueeze": lambda: (
        Adapted((HEIGHT, WIDTH), kind=TensorProto.UINT8).add("Cast", to=1).axes("Unsqueeze", 1)
    ),
    "hw, one frame": lambda: Adapted((HEIGHT, WIDTH), batch=1).axes("Unsqueeze", 1),
    "flat, reshape": lambda: Adapted((PIXELS,)).numbers("Reshape", -1, 1, HEIGHT, WIDTH),
    "flat, reshape with 0 and -1": lambda: Adapted((PIXELS,)).numbers("Reshape", 0, 1, -1, WIDTH),
    "flat, viewed": lambda: Adapted((PIXELS,)).viewed(),
    "flat, scaled, reshape": lambda: Adapted((PIXELS,)).scale("Div", 3).numbers("Reshape", -1, 1, HEIGHT, WIDTH),
    "flat, reshape to nhwc, transpose": lambda: (
        Adapted((PIXELS,)).numbers("Reshape", -1, *ONE).add("Transpose", perm=[0, 3, 1, 2])
    ),
    "flat, scaled, nhwc, scaled, transpose": lambda: (
        Adapted((PIXELS,))
        .scale("Div", 3)
        .numbers("Reshape", -1, *ONE)
        .scale("Sub", 0.2)
        .add("Transpose", perm=[0, 3, 1, 2])
    ),
    "flat of four dimensions": lambda: Adapted((1, 1, PIXELS)).numbers("Reshape", -1, 1, HEIGHT, WIDTH),
    "five dimensions": lambda: Adapted((1, 1, HEIGHT, WIDTH)).axes("Squeeze", 1),
    "channel in between": lambda: Adapted((HEIGHT, 1, WIDTH)).numbers("Reshape", -1, 1, HEIGHT, WIDTH),
}


def file_output(model: onnx.ModelProto, frames: np.ndarray) -> np.ndarray:
    """What the file computes of frames, (n, channels, height, width), laid out as its input is."""
    kind = model.graph.input[0].type.tensor_type
    batch, *dims = (dim.dim_value for dim in kind.shape.dim)
    values = frames.reshape(len(frames), *dims) if frames.shape[1] == 1 else frames.transpose(0, 2, 3, 1)
    values = values.reshape(len(frames), *dims).astype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    step = batch or len(frames)
    if not batch:  # onnxruntime takes 0 by the letter
        model = onnx.ModelProto.FromString(model.SerializeToString())
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    return np.concatenate([run_onnx(model, values[at : at + step])[0] for at in range(0, len(frames), step)])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_one_channel_gives_the_layers_of_the_plain_model(form: str, tmp_path: Path) -> None:
    model = FORMS[form]().layers().model()
    graph = load(save(model, tmp_path))
    padded = (HEIGHT - 2, WIDTH - 1) if "padded" in form else (HEIGHT, WIDTH)
    assert graph.input_shape == (1, *padded)
    assert reach(graph).counts == (1, 2), [node.op_type for node in graph.nodes]
    assert not {"Reshape", "Transpose", "Squeeze", "Unsqueeze"} & {node.op_type for node in graph.nodes[:-1]}
    frames = np.random.default_rng(1).integers(0, 256, (16, 1, *padded)).astype(np.float32)
    found = execute(graph, frames, host_evaluator(graph))
    wanted = file_output(model, frames)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize(
    "lead",
    [
        lambda m: m.add("Transpose", perm=[0, 3, 1, 2]),
        lambda m: m.table("Mul", 3).table("Sub", 1, 1, 1, 3).add("Transpose", perm=[0, 3, 1, 2]),
        lambda m: m.add("Identity").add("Cast", to=1).add("Transpose", perm=[0, 3, 1, 2]),
        lambda m: m.axes("Unsqueeze", 1).axes("Squeeze", 1).add("Transpose", perm=[0, 3, 1, 2]),
        lambda m: (
            m.numbers("Reshape", -1, PIXELS, 3)
            .numbers("Reshape", -1, HEIGHT, WIDTH, 3)
            .add("Transpose", perm=[0, 3, 1, 2])
        ),
        lambda m: (
            m.numbers("Reshape", -1, PIXELS, 3)
            .add("Transpose", perm=[0, 2, 1])
            .numbers("Reshape", -1, 3, HEIGHT, WIDTH)
        ),
    ],
)
def test_frames_of_three_channels(lead, tmp_path: Path) -> None:
    model = lead(Adapted((HEIGHT, WIDTH, 3), 3)).layers().model()
    graph = load(save(model, tmp_path))
    assert graph.input_shape == (3, HEIGHT, WIDTH) and reach(graph).counts == (1, 2)
    frames = np.random.default_rng(1).standard_normal((3, 3, HEIGHT, WIDTH)).astype(np.float32)
    wanted = file_output(model, frames)
    np.testing.assert_allclose(execute(graph, frames, host_evaluator(graph)), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"])
@pytest.mark.parametrize("shape", [(WIDTH,), (HEIGHT, 1), (1, HEIGHT, WIDTH), (1, 1, WIDTH), (1,), ()])
def test_a_change_of_rank_and_arithmetic_change_places(op_type: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    """A table of constants goes along, in whatever shape it spreads over the frame."""
    model = (
        Adapted((HEIGHT, WIDTH)).scale("Max", 0.1).table(op_type, *shape).axes("Unsqueeze", 1).conv(4).relu().model()
    )
    graph = load(save(model, tmp_path))
    assert graph.input_shape == (1, HEIGHT, WIDTH)
    frames = np.random.default_rng(1).standard_normal((3, 1, HEIGHT, WIDTH)).astype(np.float32)
    wanted = file_output(model, frames)
    np.testing.assert_allclose(execute(graph, frames, host_evaluator(graph)), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("batch", [64, 3_000_000, 2**31])
@pytest.mark.parametrize(
    "dims, lead",
    [
        (ONE, lambda m, batch: m.numbers("Reshape", batch, 1, HEIGHT, WIDTH)),
        ((PIXELS,), lambda m, batch: m.numbers("Reshape", batch, 1, HEIGHT, WIDTH)),
        ((HEIGHT, WIDTH), lambda m, batch: m.axes("Unsqueeze", 1)),
        ((HEIGHT, WIDTH), lambda m, batch: m.scale("Mul", 0.5).axes("Unsqueeze", 1)),
        ((PIXELS,), lambda m, batch: m.scale("Mul", 0.5).numbers("Reshape", batch, 1, HEIGHT, WIDTH)),
    ],
)
def test_a_batch_that_nobody_could_run(batch: int, dims: tuple, lead, tmp_path: Path) -> None:
    """Fixed in the file, and in its Reshape: the adapter goes, and the batch becomes free."""
    model = lead(Adapted(dims, batch=batch), batch).conv(4).relu().model()
    graph = load(save(model, tmp_path))
    assert graph.input_shape == (1, HEIGHT, WIDTH) and reach(graph).counts == (1,)


@pytest.mark.parametrize(
    "lead",
    [
        lambda m: m.numbers("Reshape", -1, 3, HEIGHT, WIDTH),
        lambda m: m.add("Transpose", perm=[0, 3, 2, 1]),
        lambda m: m.add("Flatten").numbers("Reshape", -1, 3, HEIGHT, WIDTH),
    ],
)
def test_what_mixes_the_pixels_is_no_adapter(lead, tmp_path: Path) -> None:
    """(batch, height, width, 3) read as (batch, 3, height, width): valid, and no layout of a picture.  The frames stay
    what they are in the file."""
    model = lead(Adapted((HEIGHT, WIDTH, 3), 3)).conv(4).relu().model()
    graph = load(save(model, tmp_path))
    assert graph.input_shape == (HEIGHT, WIDTH, 3) and not reach(graph).counts
    frames = np.random.default_rng(1).standard_normal((2, HEIGHT, WIDTH, 3)).astype(np.float32)
    found = execute(graph, frames, host_evaluator(graph))
    np.testing.assert_allclose(found, run_onnx(model, frames)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("lead", ["Transpose", "Unsqueeze", "both"])
def test_open_sizes(lead: str, tmp_path: Path) -> None:
    """What the file leaves open is told in the order of the options, and can be given there."""
    if lead == "Transpose":
        start = Adapted(("h", "w", 1)).add("Transpose", perm=[0, 3, 1, 2])
    elif lead == "Unsqueeze":
        start = Adapted(("h", "w")).axes("Unsqueeze", 1)
    else:
        start = Adapted(("h", "w")).axes("Unsqueeze", 3).add("Transpose", perm=[0, 3, 1, 2])
    place = save(start.conv(4).relu().model(), tmp_path)
    with pytest.raises(LogNetError, match=r"is 1,\?,\? \(channels, height, width\)"):
        load(place)
    graph = load(place, input_shape=(1, HEIGHT, WIDTH))
    assert graph.input_shape == (1, HEIGHT, WIDTH) and reach(graph).counts == (1,)


def test_open_sizes_that_a_reshape_states(tmp_path: Path) -> None:
    start = Adapted(("h", "w", 1)).numbers("Reshape", -1, 1, HEIGHT, WIDTH)
    graph = load(save(start.conv(4).relu().model(), tmp_path), input_shape=(1, HEIGHT, WIDTH))
    assert graph.input_shape == (1, HEIGHT, WIDTH) and reach(graph).counts == (1,)


def test_what_reads_the_shape_of_the_input_elsewhere_keeps_its_adapter(tmp_path: Path) -> None:
    """The size of the frames before the Unsqueeze is asked for further on: it must not become another one."""
    start = Adapted((HEIGHT, WIDTH)).axes("Unsqueeze", 1).conv(4).relu()
    start.nodes.append(helper.make_node("Shape", ["image"], ["sizes"], name="sizes"))
    start.nodes.append(helper.make_node("Cast", ["sizes"], ["numbers"], name="numbers", to=1))
    start.nodes.append(helper.make_node("ReduceSum", ["numbers"], ["sum"], name="sum", keepdims=0))
    start.add("Div", "sum")
    model = start.model()
    try:
        graph = load(save(model, tmp_path))
    except UnsupportedModelError as refusal:
        assert "3 dimensions" in refusal.message
        return
    frames = np.ones((2, *graph.input_shape), np.float32)  # pictures, or one-dimensional frames of HEIGHT channels
    wanted = run_onnx(model, frames.reshape(2, HEIGHT, WIDTH))[0]
    np.testing.assert_allclose(execute(graph, frames, host_evaluator(graph)), wanted, rtol=0, atol=1e-5)


def test_a_model_of_vectors_has_frames_of_one_position(tmp_path: Path) -> None:
    model = Adapted((PIXELS,)).gemm(PIXELS).model()
    graph = load(save(model, tmp_path))
    assert graph.input_shape == (PIXELS, 1, 1)
    rows = np.random.default_rng(1).standard_normal((3, PIXELS)).astype(np.float32)
    (found,) = run_onnx(graph.onnx_model, rows[:, :, None, None])
    np.testing.assert_allclose(found, run_onnx(model, rows)[0], rtol=1e-5, atol=1e-5)


def test_a_keras_model_of_one_channel_goes_the_whole_way(tmp_path: Path) -> None:
    """As tf2onnx writes MLPerf Tiny's keyword spotter: Reshape in front, weights behind DequantizeLinear or not."""
    plain = FORMS["nhwc, reshape"]().layers().model()
    behind = onnx.ModelProto.FromString(plain.SerializeToString())
    nodes = []
    for tensor in [tensor for tensor in behind.graph.initializer if len(tensor.dims) == 4]:
        weights = numpy_helper.to_array(tensor)
        scale = np.float32(np.abs(weights).max() / 127)
        codes = np.rint(weights / scale).astype(np.int8)
        for model in (plain, behind):  # both with the weights that the codes stand for
            own = next(each for each in model.graph.initializer if each.name == tensor.name)
            own.CopyFrom(numpy_helper.from_array((codes * scale).astype(np.float32), tensor.name))
        parts = (codes, scale, np.int8(0))
        names = [f"{tensor.name}_{part}" for part in ("codes", "scale", "zero")]
        behind.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), n) for v, n in zip(parts, names))
        nodes.append(helper.make_node("DequantizeLinear", names, [tensor.name], name=f"{tensor.name}_dequant"))
    kept = [tensor for tensor in behind.graph.initializer if tensor.name not in {node.output[0] for node in nodes}]
    copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
    del behind.graph.initializer[:]
    behind.graph.initializer.extend(copies)
    rest = [onnx.NodeProto.FromString(node.SerializeToString()) for node in behind.graph.node]
    del behind.graph.node[:]
    behind.graph.node.extend([*nodes, *rest])
    graphs = [load(save(model, tmp_path, name)) for model, name in ((plain, "a.onnx"), (behind, "b.onnx"))]
    one, two = (reach(graph).spans[-1].layers for graph in graphs)
    assert len(one) == len(two) == 2
    for ours, theirs in zip(one, two):
        np.testing.assert_array_equal(ours.weight, theirs.weight)


def test_layers_and_tail_of_an_adapted_model(tmp_path: Path) -> None:
    model = Adapted((PIXELS,)).scale("Div", 2).numbers("Reshape", -1, 1, HEIGHT, WIDTH).layers().model()
    graph = load(save(model, tmp_path))
    reading = onnx.ModelProto.FromString(graph.onnx_model)
    del reading.graph.value_info[:]
    check_equal(reading, tmp_path, 2)

"""The counts of accuracy against plain onnxruntime runs of the user's model and of the bundle's two graphs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lognet_fpga.errors import InputError, ModelError
from lognet_fpga.frontend import load
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.partition import Partition, make_tail, partition
from lognet_fpga.quantize import quantize, with_quantized_weights
from lognet_fpga.verify.accuracy import Accuracy
from lognet_fpga.verify.measure import STEPS_FRAMES, affordable_steps, measure_accuracy, multiplications
from tests.models import ModelBuilder, run_onnx, save, small_cnn

PREPROCESSING = Preprocessing(1 / 64, (2.0,))
FRAMES = 130  # more than a batch


@dataclass(frozen=True)
class Case:
    model: onnx.ModelProto
    graph: Graph
    parts: Partition
    quant: QuantGraph
    frames: np.ndarray

    def measure(self, labels: np.ndarray | None, frames: np.ndarray | None = None, **options) -> Accuracy:
        execution, tail = execution_onnx(self.quant), make_tail(self.parts, self.quant)
        frames = self.frames if frames is None else frames
        return measure_accuracy(self.parts, self.quant, execution, tail, frames, labels, PREPROCESSING, **options)

    def float_scores(self) -> np.ndarray:
        return run_onnx(self.model, PREPROCESSING.apply(self.frames))[0]

    def scores(self, count: int) -> np.ndarray:
        """With the first count layers quantized: their integers, and behind them the model cut there."""
        quant = QuantGraph("first", self.quant.input_shape, self.quant.layers[:count])
        activations = run_onnx(golden_onnx(quant), self.frames)[-1]
        tail = make_tail(partition(self.graph, count), quant)
        return run_onnx(tail, np.ascontiguousarray(activations.transpose(0, 2, 3, 1)))[0]


def make_case(model: onnx.ModelProto, folder, layers: int = 3, count: int = FRAMES) -> Case:
    graph = load(save(model, folder))
    parts = partition(graph, layers)
    frames = np.random.default_rng(7).integers(0, 256, (count, *graph.input_shape), dtype=np.uint8)
    quant = quantize(parts, frames[:16], PREPROCESSING, act_bits=4, prune=0.5)  # rough, so that the models differ
    return Case(model, graph, parts, quant, frames)


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    return make_case(small_cnn(seed=2), tmp_path_factory.mktemp("evaluate"))


@pytest.fixture(scope="module")
def labels(case) -> np.ndarray:
    """The float model's classes, a third of them wrong."""
    rng = np.random.default_rng(1)
    return np.where(rng.random(FRAMES) < 1 / 3, rng.integers(0, 10, FRAMES), case.float_scores().argmax(axis=1))


def top(scores: np.ndarray, labels: np.ndarray, count: int) -> float:
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return float(np.mean([label in some for label, some in zip(labels, best)]))


def agreement(scores: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(scores.argmax(axis=1) == other.argmax(axis=1)))


def test_every_figure_is_onnxruntime_s(case, labels):
    found = case.measure(labels)
    stages = [case.float_scores(), *(case.scores(count) for count in (1, 2, 3))]
    assert agreement(stages[0], stages[3]) < 0.95
    got = [found.float_model, *(step.shares for step in found.steps)]
    for shares, scores in zip(got, stages):
        assert shares.top1 == pytest.approx(top(scores, labels, 1))
        assert shares.top5 == pytest.approx(top(scores, labels, 5))
        assert shares.agreement == pytest.approx(agreement(scores, stages[0]))
    assert found.deployed == found.steps[-1].shares and found.steps_from == found.float_model
    assert (found.frames, found.steps_frames) == (FRAMES, FRAMES)
    losses = [step.loss.points for step in found.steps]
    assert losses == pytest.approx([100 * (a.top1 - b.top1) for a, b in zip(got, got[1:])])
    assert found.loss.points == pytest.approx(sum(losses))
    assert [step.layer for step in found.steps] == [layer.name for layer in case.quant.layers]


def test_the_weights_alone_are_the_user_s_model_with_other_weights(case, labels):
    """small_cnn has nothing to fold, so the layers' weights and biases can stand in its own initializers."""
    changed = with_quantized_weights(case.parts, case.quant, PREPROCESSING)
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    for index, layer in enumerate(changed.layers):
        for tensor, value in zip(model.graph.initializer[2 * index :], (layer.weight, layer.bias)):
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))
    scores, floats = run_onnx(model, PREPROCESSING.apply(case.frames))[0], case.float_scores()
    found = case.measure(labels)
    assert found.weights.top1 == pytest.approx(top(scores, labels, 1))
    assert found.weights.top5 == pytest.approx(top(scores, labels, 5))
    assert found.weights.agreement == pytest.approx(agreement(scores, floats))
    assert found.weights_loss.points == pytest.approx(100 * (top(floats, labels, 1) - found.weights.top1))
    assert found.weights != found.deployed


def test_without_labels_losses_are_of_agreement(case):
    found = case.measure(None)
    assert found.float_model.top1 is None and found.deployed.top5 is None and not found.labelled
    assert found.float_model.agreement == 1
    assert found.deployed.agreement == pytest.approx(agreement(case.scores(3), case.float_scores()))
    assert found.loss.points == pytest.approx(100 * (1 - found.deployed.agreement))
    found.require(0)


@pytest.mark.parametrize("some", [1, 100, 117])
def test_some_frames_layer_by_layer(case, labels, some):
    whole, first = case.measure(labels, steps_frames=some), case.measure(labels[:some], case.frames[:some])
    assert whole.steps_frames == some
    assert (whole.steps, whole.steps_from) == (first.steps, first.steps_from)
    assert whole.deployed == case.measure(labels).deployed


def test_signed_activations_layer_by_layer(tmp_path):
    """A layer without a ReLU leaves codes of which one half stands for numbers below zero."""
    model = ModelBuilder((3, 8, 8), seed=2).conv(6).relu().pool().conv(8).conv(6).relu().flatten().gemm(6 * 16)
    signed = make_case(model.model(), tmp_path)
    assert [bool(layer.out_zero) for layer in signed.quant.layers] == [False, True, False]
    found = signed.measure(None)
    for count, step in enumerate(found.steps, 1):
        assert step.shares.agreement == pytest.approx(agreement(signed.scores(count), signed.float_scores()))


def test_a_model_of_a_fixed_batch(case, labels):
    """As the front end leaves a model whose batch it cannot free."""
    model = onnx.load_from_string(case.graph.onnx_model)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    graph = dataclasses.replace(case.graph, onnx_model=model.SerializeToString())
    fixed = dataclasses.replace(case, parts=dataclasses.replace(case.parts, graph=graph))
    with pytest.raises(Exception, match="Expected: 4"):
        run_onnx(model, PREPROCESSING.apply(case.frames))
    assert fixed.measure(labels).to_json() == case.measure(labels).to_json()


def test_five_classes_have_no_top5(tmp_path):
    few = make_case(ModelBuilder((1, 8, 8)).conv(3).relu().flatten().gemm(3 * 64, 5).model(), tmp_path, 1, 20)
    found = few.measure(np.arange(20) % 5)
    assert found.float_model.top5 is None and found.float_model.top1 is not None and len(found.steps) == 1


def test_labels_that_are_no_classes(case, labels):
    with pytest.raises(InputError, match="10 scores"):
        case.measure(np.where(labels == 3, 10, labels))


def test_a_model_that_onnxruntime_does_not_take_is_named(case, labels):
    with pytest.raises(ModelError, match="does not run tail.onnx"):
        measure_accuracy(case.parts, case.quant, golden_onnx(case.quant), b"?", case.frames, labels, PREPROCESSING)


def test_multiplications_and_the_frames_they_allow(tmp_path, case, monkeypatch):
    """small_cnn: 16 x 16 x 8 x 27, 8 x 8 x 8 x 72, 4 x 4 x 12 x 72, and 48 x 10."""
    counts = 16 * 16 * 8 * 27, 8 * 8 * 8 * 72, 4 * 4 * 12 * 72
    assert multiplications(case.graph) == sum(counts) + 480
    assert affordable_steps(case.parts) == STEPS_FRAMES
    work = counts[1] + 2 * counts[2] + 2 * 480
    monkeypatch.setattr("lognet_fpga.verify.measure.STEPS_MULTIPLICATIONS", 50 * work)
    assert affordable_steps(case.parts) == 50

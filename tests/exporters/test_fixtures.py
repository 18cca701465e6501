"""Files that PyTorch's two exporters and tf2onnx wrote, against what PyTorch and Keras computed themselves.

`make_fixtures.py` wrote the files and the outputs.
"""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.frontend import load
from lognet_fpga.frontend.evaluate import host_evaluator
from lognet_fpga.frontend.file import opset_of
from lognet_fpga.ir.execute import execute
from lognet_fpga.partition import partition
from tests.exporters.reference import FIXTURES, read_reference, reference_frames
from tests.float_tail import run_split

REFERENCE = read_reference()
USUAL_LAYERS = 2
# Where it is not two layers: how many fit at most, and why not one more.  By the name without the exporter.
CUTS = {
    "script_dilated": (1, "one convolution layer in sequence"),
    "dynamo_dilated": (1, "one convolution layer in sequence"),
    "script_weight_norm": (1, "one convolution layer in sequence"),
    "dynamo_weight_norm": (1, "one convolution layer in sequence"),
    "keras_average": (1, "one convolution layer in sequence"),
    "script_groups": (3, "3 convolution layers in sequence"),
    "dynamo_groups": (3, "3 convolution layers in sequence"),
    "keras_mobile": (3, "3 convolution layers in sequence"),
    "script_pad_reflect": (0, r"\(Pad\): it pads by values of the frame"),
    "dynamo_pad_reflect": (0, r"\(Pad\): it pads by values of the frame"),
    "script_resize": (0, r"1 node within .*\s.*\(Resize\)"),
    "dynamo_resize": (0, r"1 node within .*\s.*\(Resize\)"),
}


def test_every_fixture_has_its_reference() -> None:
    assert {path.stem for path in FIXTURES.glob("*.onnx")} == REFERENCE.keys() and len(REFERENCE) > 80
    assert CUTS.keys() <= REFERENCE.keys()
    assert max(path.stat().st_size for path in FIXTURES.glob("*.onnx")) < 15_000


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_graph_and_cut_equal_the_framework(name: str) -> None:
    place, entry = FIXTURES / f"{name}.onnx", REFERENCE[name]
    if opset_of(onnx.load(place)) > onnx.defs.onnx_opset_version():
        pytest.skip("newer than the installed onnx")
    graph = load(place, input_shape=(3, 16, 16) if name.endswith("_sizes") else None)
    frames = reference_frames(entry["kind"], tuple(entry["shape"])).astype(np.float32)
    if frames.shape[1:] != graph.input_shape:
        frames = np.ascontiguousarray(frames.transpose(0, 3, 1, 2))
    wanted = np.array(entry["output"]).reshape(entry["output_shape"])
    tolerance = (2e-3 if name.endswith("_half") else 1e-4) * np.abs(wanted).max()
    assert wanted.std() > 1e-2

    found = execute(graph, frames, host_evaluator(graph))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)

    layers, reason = CUTS.get(name, (USUAL_LAYERS, "2 convolution layers in sequence"))
    if layers:
        split = partition(graph, layers)
        np.testing.assert_allclose(run_split(split, frames), wanted, rtol=0, atol=tolerance)
    with pytest.raises(UnsupportedModelError) as caught:
        partition(graph, layers + 1)
    assert re.search(reason, str(caught.value)), caught.value


@pytest.mark.parametrize("name", ["keras_rescaled", "script_pad", "dynamo_unfolded", "script_bytes"])
def test_nothing_is_left_of_what_the_exporter_added(name: str) -> None:
    """Transposes, padding, computed biases and casts are folded: the chain of a model made for the FPGA."""
    kinds = [node.op_type for node in load(FIXTURES / f"{name}.onnx").nodes]
    assert not {"Transpose", "Pad", "Cast", "Expand", "Shape"} & set(kinds[: kinds.index("MaxPool")]), kinds

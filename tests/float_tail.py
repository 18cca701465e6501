"""The FPGA layers and the tail in floating point, one after the other."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import onnx
from onnx import TensorProto

from lognet_fpga.partition import Partition, make_tail, run_float_layers
from tests.models import run_onnx


def float_tail(split: Partition) -> onnx.ModelProto:
    """The tail with its Cast from uint8 taken out, so that it takes float activations of scale 1."""
    quant = SimpleNamespace(layers=[SimpleNamespace(out_scale=np.ones(split.cut_shape[0]), out_bits=8, out_zero=0)])
    tail = onnx.load_from_string(make_tail(split, quant))
    cast = tail.graph.node[0]
    assert cast.op_type == "Cast" and tail.graph.input[0].name == "activations"
    tail.graph.node[1].input[0] = "activations"
    tail.graph.node.remove(cast)
    tail.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    return tail


def run_split(split: Partition, frames: np.ndarray) -> np.ndarray:
    """What layers and tail compute on frames, (n, channels, h, w) float32."""
    activations = run_float_layers(split, frames)[-1]
    return run_onnx(float_tail(split), np.ascontiguousarray(activations.transpose(0, 2, 3, 1)))[0]

"""A bundle small enough to make by hand: one conv layer of 3 channels and a linear tail of 4 classes."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

from lognet_fpga.ir.output import ModelOutput, OutputTensor
from lognet_fpga.ir.quant import QuantGraph, QuantLayer

SHAPE = (3, 6, 5)  # height and width differ, so that a transposed frame shows
CYCLES_PER_FRAME, LATENCY_CYCLES, CLK_MHZ = 30, 47, 100.0
MANIFEST = {
    "name": "small",
    "board": {"name": "PYNQ-Z2", "part": "xc7z020clg400-1", "power_sensor": "board PYNQ-Z2 has no power sensor"},
    "clk_mhz": CLK_MHZ,
    "model": {"file": "small.onnx", "sha256": "0" * 64},
    "input": {"shape": SHAPE, "dtype": "uint8", "preprocessing": {"scale": 1.0, "mean": [0.0], "std": [1.0]}},
    "output": {"shape": SHAPE, "bits": 8},
    "source": {"shape": SHAPE, "bits": 8, "channels_per_beat": 3, "tdata_bits": 32},
    "sink": {"shape": SHAPE, "bits": 8, "channels_per_beat": 2, "tdata_bits": 16},
    "plan": {
        "fps": 1e8 / 30,
        "cycles_per_frame": CYCLES_PER_FRAME,
        "latency_cycles": LATENCY_CYCLES,
        "layers": [{"name": "conv"}],
    },
    "verification": {},
    "accuracy": {"frames": 10, "float_top1": 0.9, "deployed_top1": 0.8, "agreement": 0.7},
}


def quant_graph() -> QuantGraph:
    rng = np.random.default_rng(1)
    codes = (rng.choice([-1, 1], (3, 3, 3, 3)) * 2 ** rng.integers(0, 7, (3, 3, 3, 3))).astype(np.int8)
    layer = QuantLayer(
        "conv",
        SHAPE,
        8,
        8,
        codes,
        np.zeros(3, np.int64),
        np.array([64, 900, -300]),
        7,
        (1, 1),
        (1, 1, 1, 1),
        np.zeros(3, np.int64),
        None,
        np.ones(3),
        np.ones(3),
        0.0,
    )
    return QuantGraph("small", SHAPE, (layer,))


def tail_weight() -> np.ndarray:
    """(positions * channels, 4) float32, for activations flattened from (h, w, c)."""
    return np.random.default_rng(2).normal(size=(int(np.prod(SHAPE)), 4)).astype(np.float32)


def files() -> dict[str, bytes]:
    batch = frames(4, seed=7)
    return {
        "golden.onnx": golden_onnx(),
        "tail.onnx": tail_onnx(),
        "vectors.npz": saved(np.savez, frames=batch, conv=quant_graph().run(batch)),
        "scores.npy": saved(np.save, expected_scores(batch).astype(np.float32)),
        "verilog/top.v": b"module top; endmodule\n",
        "empty.txt": b"",
    }


def model_output() -> dict[str, object]:
    """What bundles say of it that lognet-deploy makes now."""
    return ModelOutput("scores", (OutputTensor("scores", "float32", (4,)),), classes=4).to_dict()


def manifest(**changes: object) -> dict[str, object]:
    return {**MANIFEST, **changes}


def golden_onnx() -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    layer = quant_graph().layers[0]
    constants = [
        numpy_helper.from_array(array, name)
        for name, array in {
            "codes": (layer.codes.astype(np.int16) + 128).astype(np.uint8),
            "bias": layer.bias.astype(np.int32).reshape(1, 3, 1, 1),
            "zero": np.uint8(0),
            "middle": np.uint8(128),
            "unit": np.float32(2.0**-layer.shift),
            "low": np.float32(0),
            "high": np.float32(255),
        }.items()
    ]
    # uint8 weights around 128: onnxruntime up to 1.23, the last for Python 3.10, has no ConvInteger of int8 weights.
    nodes = [
        helper.make_node("ConvInteger", ["frames", "codes", "zero", "middle"], ["sum"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["sum", "bias"], ["acc"]),
        helper.make_node("Cast", ["acc"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "unit"], ["scaled"]),
        helper.make_node("Floor", ["scaled"], ["whole"]),
        helper.make_node("Clip", ["whole", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["out"], to=TensorProto.UINT8),
    ]
    return _model(
        nodes, constants, ("frames", TensorProto.UINT8, ["n", *SHAPE]), ("out", TensorProto.UINT8, ["n", *SHAPE])
    )


def tail_onnx() -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["activations"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["real"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["scores"]),
    ]
    channels, height, width = SHAPE
    return _model(
        nodes,
        [numpy_helper.from_array(tail_weight(), "weight")],
        ("activations", TensorProto.UINT8, ["n", height, width, channels]),
        ("scores", TensorProto.FLOAT, ["n", 4]),
    )


def frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE)).astype(np.uint8)


def expected_scores(batch: np.ndarray) -> np.ndarray:
    """Through NumPy only: the quantized graph's own reference, then the matrix product."""
    activations = quant_graph().run(batch).transpose(0, 2, 3, 1).reshape(len(batch), -1)
    return activations.astype(np.float64) @ tail_weight()


def saved(save: Callable[..., None], *arrays: np.ndarray, **named: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *arrays, **named)
    return buffer.getvalue()


def _model(nodes: list, constants: list, source: tuple, sink: tuple) -> bytes:
    from onnx import helper

    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info(*source)], [helper.make_tensor_value_info(*sink)], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()

"""Models that give every kind of output behind one and the same FPGA layer, and frames whose answers are clear.

The layer passes the three colours on, so that its weights lie on the log2 grid; frames of 9 x 9 are too large for a
global average on the FPGA, so that everything else is the host's.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser

SHAPE, FRAMES = (3, 9, 9), 24
_TRUNK = "c = Conv (x, w) r = Relu (c) g = GlobalAveragePool (r) m = Flatten (g)"
_CONSTANTS = (
    "float[3,3,1,1] w = {1,0,0,0,1,0,0,0,1}, float[3,1] red = {8,-4,-4}, float[1] half = {0.45}, int64[1] one = {1}"
)
_TOKEN = (
    "f = Reshape (r, rows) t = Transpose <perm=[0,2,1]> (f) j = Concat <axis=1> (token, t) "
    "y = ReduceMean <axes=[1], keepdims=0> (j)",
    "int64[3] rows = {0,3,81}, float[1,1,3] token = {0.5,0.25,0.125}",
)

# name: (output, what follows on m, the colours' means, (n, 3); further constants, batch)
HEADS: dict[str, tuple[str, str, str, str]] = {
    "scores": ("float[N,3] y", "y = Identity (m)", "", "N"),
    "scores of four axes": ("float[N,3,1,1] y", "y = Identity (g)", "", "N"),
    "softmax of two": ("float[N,2] y", "t = Gemm (m, k) y = Softmax <axis=1> (t)", "float[3,2] k = {1,0,0,1,0,0}", "N"),
    "no shape": ("float y", "y = Identity (m)", "", "N"),
    "argmax": ("int64[N] y", "y = ArgMax <axis=1, keepdims=0> (m)", "", "N"),
    "argmax, axes kept": ("int64[N,1] y", "y = ArgMax <axis=1> (m)", "", "N"),
    "argmax of four axes": ("int64[N,1,1,1] y", "y = ArgMax <axis=1> (g)", "", "N"),
    "argmin": ("int64[N] y", "y = ArgMin <axis=-1, keepdims=0> (m)", "", "N"),
    "int32": ("int32[N] y", "t = ArgMax <axis=1, keepdims=0> (m) y = Cast <to=6> (t)", "", "N"),
    "argmax as float": ("float[N,1] y", "t = ArgMax <axis=1> (m) y = Cast <to=1> (t)", "", "N"),
    "bool": ("bool[N,1] y", "t = MatMul (m, red) y = Greater (t, half)", "", "N"),
    "argmax of a fixed batch": ("int64 y", "t = ArgMax <axis=1, keepdims=0> (m) y = Squeeze (t)", "", "1"),
    "sigmoid": ("float[N,1] y", "t = MatMul (m, red) y = Sigmoid (t)", "", "N"),
    "sigmoid, one axis": ("float[N] y", "t = MatMul (m, red) s = Sigmoid (t) y = Squeeze (s, one)", "", "N"),
    "sigmoid, four axes": (
        "float[N,1,1,1] y",
        "t = MatMul (m, red) s = Sigmoid (t) y = Reshape (s, four)",
        "int64[4] four = {-1,1,1,1}",
        "N",
    ),
    "one of softmax": (
        "float[N] y",
        "t = MatMul (m, k) s = Softmax <axis=1> (t) y = Gather <axis=1> (s, zero)",
        "float[3,2] k = {4,0,0,4,0,0}, int64 zero = {0}",
        "N",
    ),
    "logit": ("float[N,1] y", "y = MatMul (m, red)", "", "N"),
    "class token": ("float[1,3] y", *_TOKEN, "1"),
    "class token, open batch": ("float[N,3] y", *_TOKEN, "N"),
    "reshape to one": ("float[1,3] y", "y = Reshape (m, flat)", "int64[2] flat = {1,3}", "N"),
    "rows that vary": ("int64[K,2] y", "t = Greater (m, half) z = NonZero (t) y = Transpose <perm=[1,0]> (z)", "", "N"),
    "non-maximum suppression": (
        "int64[K,3] y",
        "s = Reshape (m, rows) y = NonMaxSuppression (boxes, s, most, overlap, least)",
        "int64[3] rows = {1,1,3}, float[1,3,4] boxes = {0,0,1,1,0,0,1,1,2,2,3,3}, int64[1] most = {3}, "
        "float[1] overlap = {0.5}, float[1] least = {0.3}",
        "N",
    ),
    "mask": ("float[N,2,9,9] y", "y = Conv (r, k)", "float[2,3,1,1] k = {1,-1,0,0,1,-1}", "N"),
    "class map": ("int64[N,9,9] y", "y = ArgMax <axis=1, keepdims=0> (r)", "", "N"),
    "text": (
        "string[N] y",
        "t = ArgMax <axis=1, keepdims=0> (m) y = Gather <axis=0> (names, t)",
        'string[3] names = {"red", "green", "blue"}',
        "N",
    ),
    "empty": ("float[N,0] y", "y = Slice (m, low, low, one)", "int64[1] low = {0}", "N"),
    "scalar": ("float y", "y = ReduceMean <axes=[0,1], keepdims=0> (m)", "", "N"),
    "mean over the batch": ("float[3] y", "y = ReduceMean <axes=[0], keepdims=0> (m)", "", "N"),
}


def head_model(name: str, batch: str | None = None) -> onnx.ModelProto:
    """The model of that head; batch: another than the head's own."""
    output, nodes, constants, own = HEADS[name]
    batch = batch or own
    if batch != "N":
        output = output.replace("[N", f"[{batch}")
    shape = ",".join(map(str, (batch, *SHAPE)))
    more = f", {constants}" if constants else ""
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> net (float[{shape}] x) => ({output}) '
        f"<{_CONSTANTS}{more}> {{ {_TRUNK} {nodes} }}"
    )
    if name == "no shape":
        model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def clear_frames() -> np.ndarray:
    """(FRAMES, *SHAPE) uint8: one colour is well above the others; which of them is no pattern."""
    rng = np.random.default_rng(5)
    frames = rng.integers(0, 90, (FRAMES, *SHAPE))
    levels = np.array([0, 40, 90])
    for frame in frames:
        frame += rng.permutation(levels)[:, None, None]
    frames[0, 0, 0] = 255  # the whole range, so that a code of the FPGA is 1 / 255
    return frames.astype(np.uint8)


# name: (outputs, what follows on m); the first output always is scores.
SEVERAL = {
    "mask": ("float[N,3] y, float[N,2,9,9] b", "y = Softmax (m) b = Conv (r, k)"),
    "in front of the layer's average": ("float[N,3] y, float[N,3,9,9] r", "y = Softmax (m)"),
    "text and rows": (
        "float[N,3] y, string[N] t, int64[K,2] z",
        "y = Softmax (m) a = ArgMax <axis=1, keepdims=0> (m) t = Gather <axis=0> (names, a) o = Greater (m, half) "
        "n = NonZero (o) z = Transpose <perm=[1,0]> (n)",
    ),
    "inside the FPGA's layer": ("float[N,3] y, float[N,3,9,9] c", "y = Softmax (m)"),
    "beside the FPGA's layer": ("float[N,3] y, float[N,2,9,9] b", "y = Softmax (m) b = Conv (x, k)"),
    "the frames themselves": ("float[N,3] y, float[N,3,9,9] x", "y = Softmax (m)"),
}


def several_model(name: str) -> onnx.ModelProto:
    """A model of several outputs, the first of them scores."""
    outputs, nodes = SEVERAL[name]
    shape = ",".join(map(str, SHAPE))
    more = 'float[2,3,1,1] k = {1,-1,0,0,1,-1}, string[3] names = {"red", "green", "blue"}'
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> net (float[N,{shape}] x) => ({outputs}) '
        f"<{_CONSTANTS}, {more}> {{ {_TRUNK} {nodes} }}"
    )

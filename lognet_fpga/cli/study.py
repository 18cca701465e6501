"""lognet-study: what quantizing the weights and activations of a model costs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.cli import options, runner
from lognet_fpga.cli.files import make_folder, write_text
from lognet_fpga.cli.input_options import add_input, preprocessing_of
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import MissingToolError

PROGRAM = "lognet-study"
EXAMPLES = """\
examples:
  lognet-study model.onnx --data test.npz --input-scale 1/255 --out study
  lognet-study model.onnx --data photos/ --input-preset imagenet --limit 400
  lognet-study model.onnx --data test.npz --log-add 200
  lognet-study weights.npz
  lognet-study model.onnx --bits 3..5 --base 1.4142 --json
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Quantize the weights and activations of a float ONNX model, linearly and logarithmically,\n"
        "and measure error, sparsity and accuracy: the simulations of the LogNet paper. Writes\n"
        "report.html, CSV files and study.json. An interrupted study resumes where it stopped.",
        EXAMPLES,
    )
    this.add_argument("model", type=Path, metavar="MODEL", help="the ONNX file, or an .npz file with weights alone")
    this.add_argument(
        "--data",
        type=Path,
        metavar="SRC",
        help="frames with labels: .npz or a folder of images (default: only the errors of the weights)",
    )
    this.add_argument(
        "--limit",
        type=options.positive_or_all,
        default=1000,
        metavar="N",
        help="use the first N frames, or all (default: %(default)s)",
    )
    schemes = this.add_argument_group("quantizers")
    schemes.add_argument(
        "--bits",
        type=options.ranges,
        default=tuple(range(1, 9)),
        metavar="LIST",
        help="bits to measure the errors at, such as 1..8 or 3,4 (default: 1..8)",
    )
    schemes.add_argument(
        "--fsr",
        choices=("max", "nmse", "output"),
        default="max",
        help="full scale range where single layers are quantized: by the greatest magnitude, the smallest NMSE or the "
        "smallest error of the layer's sums; the other tables compare all three (default: %(default)s)",
    )
    schemes.add_argument(
        "--base", type=options.number, default=2.0, metavar="B", help="base of the logarithm (default: 2)"
    )
    schemes.add_argument(
        "--rounding",
        choices=("geometric", "arithmetic"),
        default="geometric",
        help="how log codes are rounded: to the nearest logarithm, as in the paper, or to the nearest value "
        "(default: %(default)s)",
    )
    schemes.add_argument(
        "--small",
        choices=("zero", "smallest"),
        default="zero",
        help="what weights below the smallest power become (default: %(default)s)",
    )
    schemes.add_argument(
        "--log-add",
        type=options.positive,
        default=0,
        metavar="N",
        help="also deploy the first layers with 4-bit log2 weights and 8-bit activations, and add in the log domain on "
        "N frames; takes up to several seconds per frame (default: no)",
    )
    this.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="measure the accuracies on the workers of this Dask scheduler, such as tcp://host:8786 (default: here)",
    )
    this.add_argument(
        "--out",
        type=Path,
        default=Path("study"),
        metavar="DIR",
        help="folder that gets the files (default: %(default)s)",
    )
    add_input(this)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from lognet_fpga.study.html import html_page
    from lognet_fpga.study.plots import plots
    from lognet_fpga.study.schemes import Scheme
    from lognet_fpga.study.simulations import StudyConfig, run_study
    from lognet_fpga.study.tables import csv_files, study_report

    preprocessing, _ = preprocessing_of(arguments)
    config = StudyConfig(
        model=arguments.model,
        data=arguments.data,
        limit=arguments.limit,
        bits=arguments.bits,
        choice=arguments.fsr,
        template=Scheme("log", 4, base=arguments.base, rounding=arguments.rounding, small=arguments.small),
        preprocessing=preprocessing,
        input_shape=arguments.input_shape,
        log_add=arguments.log_add,
        dask=arguments.dask,
    )
    make_folder(arguments.out)
    study = run_study(config, reporter)
    report = study_report(study)
    try:
        drawn = plots(study)
    except MissingToolError as error:
        drawn = {}
        reporter.warning(f"no plots: {error}")
    files = {
        "report.html": html_page(report, drawn),
        **csv_files(study),
        "study.json": json.dumps(report.data, indent=1) + "\n",
    }
    for name, text in files.items():
        write_text(arguments.out / name, text)
    reporter.result(report)
    reporter.after(f"written to {arguments.out}: {', '.join(files)}")


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())

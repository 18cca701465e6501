#!/usr/bin/env python3
"""Processor seconds of every stage of lognet-deploy from an empty cache, and the size of the Verilog it makes.

    python benchmarks/deploy_stages.py                                  # the shipped model, without verification
    python benchmarks/deploy_stages.py --verify
    python benchmarks/deploy_stages.py model.onnx --frames photos/

Processor time of this process and of the programs that it starts, those of compilers that run side by side together.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lognet_fpga.config import DeployConfig  # noqa: E402
from lognet_fpga.flow.deploy import deploy  # noqa: E402
from lognet_fpga.progress import NoProgress  # noqa: E402
from lognet_fpga.report import Table  # noqa: E402

MODEL = ROOT / "models" / "cifar10_64x3"


def processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


class StageTimes(NoProgress):
    """A Progress that notes each stage's processor time, with that of the stages inside it."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[object]:
        place, began = len(self.rows), processor_seconds()
        self.rows.append((name, 0.0))
        with super().stage(name) as stage:
            yield stage
        self.rows[place] = name, processor_seconds() - began


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", nargs="?", type=Path, default=MODEL / "model_log2.onnx")
    options.add_argument("--frames", type=Path, default=MODEL / "test_frames.npz")
    options.add_argument("--board", default="pynq-z2")
    options.add_argument("--verify", action="store_true", help="compile and simulate the Verilog too")
    arguments = options.parse_args()
    times = StageTimes()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOGNET_CACHE"] = str(Path(folder) / "cache")
        config = DeployConfig(
            arguments.model, arguments.board, Path(folder), frames=arguments.frames, verify=arguments.verify
        )
        bundle = deploy(config, times).bundle_path
        files = [path.read_text() for path in sorted((bundle / "verilog").glob("*.v"))]
    print("\n".join(Table(("stage", "processor s"), tuple(times.rows)).text_lines()))
    print(f"Verilog: {sum(text.count(chr(10)) for text in files):,} lines, {sum(map(len, files)):,} bytes", end=" ")
    print(f"in {len(files)} files")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

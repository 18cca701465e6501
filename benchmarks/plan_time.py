"""Processor seconds of a plan whose adder graphs are at hand, now and as an earlier version had it: a section of
tool_time.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.command_time import resnet8, sources
from lognet_fpga.progress import Progress
from lognet_fpga.report import Section, Table
from tests.models import save

LAYERS, BOARD = 7, "pynq-z2"

# Of whatever version is first on the path; a line for each time it plans.  Weights are rounded plainly: what they are
# decides little about the time, how many are zero does.
_PLANS = f"""
import sys, time, warnings
import numpy as np
from lognet_fpga.config import DeployConfig
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.flow.layer_choice import target_of
from lognet_fpga.frontend import load
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition import partition
from lognet_fpga.plan.planner import plan_hardware
from lognet_fpga.quantize import quantize
warnings.simplefilter("ignore")
frames = np.random.default_rng(0).integers(0, 256, (16, 3, 32, 32), dtype=np.uint8)
quant = quantize(partition(load(sys.argv[1]), {LAYERS}), frames, Preprocessing(), act_bits=8, prune=0.8)
target = target_of(DeployConfig(sys.argv[1]), load_board("{BOARD}"))
begun = time.process_time()
plan = plan_hardware(quant, target)
print(time.process_time() - begun, plan.cycles_per_frame, plan.latency_cycles)
"""


def section(progress: Progress, before: str | None) -> tuple[Section, object]:
    """before: a commit to plan the same with, first."""
    name, data = f"plan of {LAYERS} layers of ResNet-8, 80% zeros, {BOARD}, adder graphs at hand", {}
    with TemporaryDirectory() as folder, sources(before, Path(folder)) as places:
        model = save(resnet8(), Path(folder))
        for version, place in places.items():
            with progress.stage(f"{name}: {version}"):
                environment = {**os.environ, "PYTHONPATH": str(place), "LOGNET_CACHE": f"{folder}/cache {version}"}
                command = [sys.executable, "-c", _PLANS, str(model)]
                for _ in ("the adder graphs are searched", "they are at hand"):
                    done = subprocess.run(
                        command, env=environment, cwd=folder, capture_output=True, text=True, check=True
                    )
                seconds, cycles, latency = map(float, done.stdout.split())
                data[version] = {"seconds": seconds, "cycles_per_frame": cycles, "latency_cycles": latency}
    note = "processor seconds of the planning alone, with Python's own settings for what it searches for cycles"
    row = (name, *(f"{data[version]['seconds']:.1f}" for version in places))
    return Section("Plan", (note,), Table(("what", *places), (row,))), data

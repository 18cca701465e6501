"""Processor seconds and memory of whole commands, now and as an earlier version had them: a section of tool_time.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from lognet_fpga.errors import UsageError
from lognet_fpga.progress import Progress
from lognet_fpga.report import Section, Table
from tests.models import ModelBuilder, save

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "models" / "cifar10_64x3"
GIVEN_UP_S = 120  # processor seconds, of an earlier version


@dataclass(frozen=True)
class Use:
    """seconds: processor time, user and system, of the command and all that it started; None: given up.  peak_mb: of
    the largest of these processes."""

    seconds: float | None
    peak_mb: float

    @property
    def text(self) -> str:
        return f"> {GIVEN_UP_S}, given up" if self.seconds is None else f"{self.seconds:.1f}"


def section(progress: Progress, before: str | None) -> tuple[Section, object]:
    """before: a commit to run the same commands of, each beside its own."""
    rows, data = [], {}
    with TemporaryDirectory() as folder, sources(before, Path(folder)) as places:
        for name, arguments in commands(Path(folder)).items():
            with progress.stage(name):
                used = {version: run(place, arguments, Path(folder)) for version, place in places.items()}
            now = used["now"]
            earlier = [used[version].text for version in used if version != "now"]
            rows.append((name, *earlier, now.text, round(now.peak_mb)))
            data[name] = {version: {"seconds": use.seconds, "peak_mb": use.peak_mb} for version, use in used.items()}
    note = "processor seconds, user and system together, from an empty cache; memory: of the largest process"
    columns = ("command", *([before] if before else []), "now", "MB")
    return Section("Commands", (note,), Table(columns, tuple(rows))), data


def commands(folder: Path) -> dict[str, list[str]]:
    """Module and arguments, by what they show."""
    networks = {
        **{"resnet8": resnet8(), "mobilenet": mobilenet(), "vgg16": vgg16(), "tiny": tiny()},
        **{"mobilenet_v2": mobilenet_v2(), "resnet18": resnet18()},
    }
    places = {name: str(save(model, folder, f"{name}.onnx")) for name, model in networks.items()}
    frames = folder / "tiny.npz"
    np.savez(frames, frames=np.random.default_rng(1).integers(0, 256, (40, 3, 12, 12), dtype=np.uint8))
    shipped = [str(SHIPPED / "model_log2.onnx"), "--frames", str(SHIPPED / "test_frames.npz")]
    return {
        "inspect ResNet-8, all boards": ["inspect", places["resnet8"]],
        "inspect MobileNetV1 0.25, 27 layers, one board": ["inspect", places["mobilenet"], "--board", "pynq-z2"],
        "inspect VGG16's convolutions, 59 MB, one board": ["inspect", places["vgg16"], "--board", "pynq-z2"],
        "inspect MobileNetV2 0.35, 53 layers": ["inspect", places["mobilenet_v2"], "--fpga-layers", "all"],
        "inspect ResNet-18 at 64 x 64": ["inspect", places["resnet18"], "--fpga-layers", "all"],
        "deploy three layers of 730 weights": ["deploy", places["tiny"], "--frames", str(frames)],
        "deploy the shipped model, without verification": ["deploy", *shipped, "--no-verify"],
        "deploy the shipped model": ["deploy", *shipped],
    }


def run(source: Path, arguments: Sequence[str], folder: Path) -> Use:
    """One command of the package in `source`, with a cache and an output folder of its own."""
    with TemporaryDirectory(dir=folder) as own:
        environment = {**os.environ, "PYTHONPATH": str(source), "LOGNET_CACHE": f"{own}/cache"}
        out = ["--out", own] if arguments[0] == "deploy" else []
        measure = [sys.executable, "-c", _MEASURED, f"lognet_fpga.cli.{arguments[0]}", *arguments[1:], *out]
        done = subprocess.run(measure, env=environment, cwd=own, capture_output=True, text=True)
    if done.returncode or not done.stdout:
        raise AssertionError(f"{' '.join(arguments)} of {source} failed:\n{done.stderr[-2000:]}")
    status, seconds, peak_kb = done.stdout.split()
    if int(status) < 0:
        return Use(None, float(peak_kb) / 1024)
    if int(status):
        raise AssertionError(f"{' '.join(arguments)} of {source} ended with {status}:\n{done.stderr[-2000:]}")
    return Use(float(seconds), float(peak_kb) / 1024)


# In a process between, whose only child the command is: what children used is counted together.
_MEASURED = f"""
import resource, subprocess, sys
limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, ({GIVEN_UP_S}, {GIVEN_UP_S} + 5))
command = subprocess.Popen([sys.executable, "-m", *sys.argv[1:]], stdout=subprocess.DEVNULL, preexec_fn=limit)
status = command.wait()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
given_up = status and used.ru_utime + used.ru_stime > 0.9 * {GIVEN_UP_S}  # the two count differently
print(-1 if given_up else status, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


@contextmanager
def sources(before: str | None, folder: Path) -> Iterator[Mapping[str, Path]]:
    """The checkouts by version, the earlier one first."""
    if before is None:
        yield {"now": ROOT}
        return
    place = folder / "before"
    added = subprocess.run(
        ["git", "-C", str(ROOT), "worktree", "add", "--detach", str(place), before], capture_output=True, text=True
    )
    if added.returncode:
        raise UsageError(f"no such version: {added.stderr.strip()}", hint="give a commit of this repository")
    try:
        yield {before: place, "now": ROOT}
    finally:
        subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(place)], capture_output=True)


def tiny() -> onnx.ModelProto:
    """Three convolutions of 730 weights in all."""
    chain = ModelBuilder((3, 12, 12), seed=7).conv(5).relu().pool().conv(7).relu().conv(4, 3, bias=False).relu()
    return chain.flatten().gemm(4 * 36, 5).model()


def resnet8() -> onnx.ModelProto:
    """The shapes of MLPerf Tiny's ResNet-8."""
    chain = ModelBuilder((3, 32, 32), seed=8).conv(16).relu()
    chain.residual(lambda block: block.conv(16).relu().conv(16)).relu()
    for channels in (32, 64):
        chain.residual(
            lambda block, c=channels: block.conv(c, strides=[2, 2], pads=[0, 0, 1, 1]).relu().conv(c),
            lambda block, c=channels: block.conv(c, 1, strides=[2, 2]),
        ).relu()
    return chain.average_pool(8, 8).flatten().gemm(64, 10).model()


def mobilenet() -> onnx.ModelProto:
    """The shapes of MobileNetV1 0.25 at 96 x 96."""
    chain = ModelBuilder((3, 96, 96), seed=9).conv(8, strides=[2, 2], pads=[0, 0, 1, 1]).relu()
    channels = 8
    for out, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)):
        pads = [0, 0, 1, 1] if stride == 2 else [1, 1, 1, 1]
        chain.conv(channels, group=channels, strides=[stride, stride], pads=pads).relu().conv(out, 1).relu()
        channels = out
    return chain.average_pool(3, 3).flatten().gemm(256, 2).model()


def mobilenet_v2() -> onnx.ModelProto:
    """The shapes of MobileNetV2 0.35 at 96 x 96."""

    def block(net: ModelBuilder, wide: int, out: int, stride: int) -> None:
        if wide > net.channels:
            net.conv(wide, 1).clip()
        pads = [0, 0, 1, 1] if stride == 2 else [1, 1, 1, 1]
        net.conv(wide, group=wide, strides=[stride, stride], pads=pads).clip().conv(out, 1)

    chain = ModelBuilder((3, 96, 96), seed=10).conv(16, strides=[2, 2], pads=[0, 0, 1, 1]).clip()
    block(chain, 16, 8, 1)
    for out, stride, count in ((8, 2, 2), (16, 2, 3), (24, 2, 4), (32, 1, 3), (56, 2, 3), (112, 1, 1)):
        for number in range(count):
            wide = 6 * chain.channels
            if number:
                chain.residual(lambda net, wide=wide, out=out: block(net, wide, out, 1))
            else:
                block(chain, wide, out, stride)
    return chain.conv(1280, 1).clip().average_pool(3, 3).flatten().gemm(1280, 2).model()


def resnet18() -> onnx.ModelProto:
    """The shapes of ResNet-18 at 64 x 64, with ten classes."""
    chain = ModelBuilder((3, 64, 64), seed=18).conv(64, 7, strides=[2, 2]).relu()
    chain.pool(3, 2, pads=[1, 1, 1, 1])
    for channels, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        steps = {"strides": [stride, stride]}
        ways = [lambda net, c=channels, steps=steps: net.conv(c, **steps).relu().conv(c)]
        if stride == 2:
            ways.append(lambda net, c=channels, steps=steps: net.conv(c, 1, **steps))
        chain.residual(*ways).relu()
    return chain.average_pool(2, 2).flatten().gemm(512, 10).model()


def vgg16() -> onnx.ModelProto:
    """The convolutions of VGG16 at 224 x 224, with a head of ten classes."""
    chain = ModelBuilder((3, 224, 224), seed=16)
    for count, channels in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(count):
            chain.conv(channels).relu()
        chain.pool()
    return chain.flatten().gemm(512 * 49, 10).model()

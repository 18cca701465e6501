"""What grows how: inspecting and deploying more layers, wider ones, larger frames.  A section of tool_time.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from benchmarks.command_time import ROOT, run
from lognet_fpga.progress import Progress
from lognet_fpga.report import Section, Table
from tests.models import ModelBuilder, save


@dataclass(frozen=True)
class Axis:
    """values: ascending.  command: with its options, for a model that `model` makes of a value."""

    title: str
    values: tuple[int, ...]
    model: Callable[[int], onnx.ModelProto]
    command: tuple[str, ...]


INSPECT = ("inspect", "--board", "pynq-z2")
DEPLOY = ("deploy", "--board", "vc707", "--no-verify", "--weights", "bram")


def chain(layers: int = 3, channels: int = 16, size: int = 32) -> onnx.ModelProto:
    """Convolutions 3 x 3 with ReLU, a pool behind every fourth while there is room."""
    net, side = ModelBuilder((3, size, size), seed=layers), size
    for number in range(1, layers + 1):
        net.conv(channels).relu()
        if number % 4 == 0 and side >= 8:
            net.pool()
            side //= 2
    return net.model()


AXES = (
    Axis("lognet-inspect by layers", (3, 6, 12, 25, 50), lambda n: chain(layers=n), INSPECT),
    Axis("lognet-inspect by channels", (8, 32, 128, 512), lambda n: chain(channels=n), INSPECT),
    Axis("lognet-inspect by frame size", (32, 112, 224, 448), lambda n: chain(size=n), INSPECT),
    Axis(
        "deploy without verification, all layers, by layers",
        (3, 6, 12, 25),
        lambda n: chain(layers=n, channels=8),
        (*DEPLOY, "--fpga-layers", "{value}"),
    ),
    Axis("deploy without verification by channels", (8, 32, 128), lambda n: chain(channels=n), DEPLOY),
    Axis("deploy without verification by frame size", (32, 112, 224), lambda n: chain(channels=8, size=n), DEPLOY),
)


def section(progress: Progress) -> tuple[Section, object]:
    """Processor seconds and memory for each value, and the exponents that fit them."""
    rows, data = [], {}
    with TemporaryDirectory() as folder:
        for axis in AXES:
            with progress.stage(axis.title) as stage:
                used = []
                for done, value in enumerate(axis.values):
                    stage.update(done, len(axis.values), str(value))
                    place = save(axis.model(value), Path(folder))
                    options = [option.format(value=value) for option in axis.command[1:]]
                    used.append(run(ROOT, [axis.command[0], str(place), *options], Path(folder)))
            seconds, memory = [use.seconds for use in used], [use.peak_mb for use in used]
            rows.append(
                (
                    axis.title,
                    ", ".join(map(str, axis.values)),
                    ", ".join("-" if each is None else f"{each:.1f}" for each in seconds),
                    exponent(axis.values, seconds),
                    ", ".join(f"{each:.0f}" for each in memory),
                    exponent(axis.values, memory),
                )
            )
            data[axis.title] = {"values": axis.values, "seconds": seconds, "peak_mb": memory}
    note = (
        "processor seconds and MB of the largest process; exponents: of the growth over the first value's, the last two"
    )
    columns = ("what", "values", "processor s", "exponent", "MB", "exponent")
    return Section("Scale", (note,), Table(columns, tuple(rows))), data


def exponent(values: Sequence[int], figures: Sequence[float | None]) -> str:
    """Of the last two values: a program's start, which all of them have, is most of the first ones."""
    first, (before, last) = figures[0], figures[-2:]
    if first is None or before is None or last is None:
        return "-"
    grown = [max(figure - first, 0.05 * first) for figure in (before, last)]
    return f"{np.log(grown[1] / grown[0]) / np.log(values[-1] / values[-2]):.1f}"

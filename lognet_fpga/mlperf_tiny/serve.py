"""A bundle behind the runner's protocol, at a serial port or a pseudo-terminal."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import BoardError, UsageError
from lognet_fpga.ir.output import SCORES
from lognet_fpga.mlperf_tiny.benchmark_device import BenchmarkDevice, Infer
from lognet_fpga.mlperf_tiny.tasks import TOP1, Task
from lognet_fpga.runtime.session import Session

_CHUNK = 1 << 12
_POLL_S = 0.5


def require_task(bundle: Bundle, task: Task) -> None:
    """Raise UsageError for a bundle that does not take the task's frames."""
    height, width, channels = task.shape
    have = bundle.preprocessing.dtype or "uint8"
    if bundle.input_shape != (channels, height, width) or have != task.dtype:
        raise UsageError(
            f"{bundle.name} takes {have} frames of {' x '.join(map(str, bundle.input_shape))} (channels x height x "
            f"width), and the runner sends {task.dtype} of {channels} x {height} x {width} for {task.name}",
            hint=f"deploy it with lognet-mlperf {task.name}",
        )
    output = bundle.model_output
    if task.metric == TOP1 and (output is None or output.kind != SCORES or output.classes != task.classes):
        have = "outputs that it does not describe" if output is None else f"{output.classes} classes, as {output.kind}"
        raise UsageError(
            f"{bundle.name} gives {have}, and the runner wants the scores of {task.classes} classes for {task.name}",
            hint=f"deploy it with lognet-mlperf {task.name}",
        )


def inference(session: Session) -> Infer:
    """One frame through an open session, FPGA and host."""

    def infer(frame: np.ndarray) -> np.ndarray:
        return session.outputs(session.fpga(np.ascontiguousarray(frame)).activations)[0]

    return infer


def serve(
    device: BenchmarkDevice, descriptor: int, *, greet: bool, stop: Callable[[], bool], on_answer: Callable[[], None]
) -> None:
    """Answer what comes from an open descriptor until stop says so.  greet: say first what the firmware says.

    Raises BoardError where the port goes away.
    """
    try:
        if greet:
            for line in device.greeting():
                _write(descriptor, line)
        while not stop():
            if not select.select([descriptor], [], [], _POLL_S)[0]:
                continue
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:  # somebody else was faster
                continue
            if not data:
                raise BoardError("the serial port is gone", hint="plug it in, and start again")
            for line in device.feed(data):
                _write(descriptor, line)
                on_answer()
    except OSError as error:
        raise BoardError(f"the serial port is gone: {error.strerror}", hint="plug it in, and start again") from error


def _write(descriptor: int, line: bytes) -> None:
    while line:
        select.select([], [descriptor], [])
        line = line[os.write(descriptor, line) :]


def link_to(other_end: str, name: Path) -> None:
    """A link called name to a pseudo-terminal's other end.  Raises UsageError where something else is there."""
    if name.is_symlink():
        name.unlink()
    try:
        name.symlink_to(other_end)
    except OSError as error:
        raise UsageError(f"no link to the pseudo-terminal at {name}: {error.strerror}", hint="give another name") from (
            error
        )

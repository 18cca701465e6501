"""Run frames through a compiled design and read back what came out, and when."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError, ToolError, UsageError
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.verify.simulator import monitor_bytes

DEFAULT_CYCLE_CAP = 10_000_000
_RESET_CYCLES = 2_000  # longer than any overlay's internal reset


@dataclass(frozen=True, eq=False)
class RtlRun:
    """What a run gave.  Where the design stopped early, arrays hold the whole frames that came.

    activations: layer name -> (frames, *shape) uint8, from the monitors.  sink: (frames, *shape) uint8.
    first_in_cycle, last_out_cycle: cycle in which a frame's first beat was taken in and its last given out, counted
    from the end of reset.  problems: what broke the stream contract, in words; empty for a good run.  registers:
    the values of the AXI4-Lite addresses asked for.
    """

    activations: dict[str, np.ndarray]
    sink: np.ndarray
    first_in_cycle: np.ndarray
    last_out_cycle: np.ndarray
    tlast_ok: bool
    cycles: int
    problems: tuple[str, ...]
    registers: tuple[int, ...]


def settled_after(cycles_per_frame: int) -> int:
    """Cycles after reset in which an overlay comes to rest; the padding that it does then takes less than a frame."""
    return _RESET_CYCLES + cycles_per_frame


def run_rtl(
    executable: Path,
    design: VerilogDesign,
    frames: np.ndarray,
    *,
    idle_percent: int = 0,
    stall_percent: int = 0,
    seed: int = 1,
    cycle_cap: int = DEFAULT_CYCLE_CAP,
    settle_cycles: int = 0,
    random_state: bool = False,
    register_addresses: Sequence[int] = (),
    progress: Progress = NoProgress(),
    step: str = "simulate the Verilog",
) -> RtlRun:
    """Stream frames, (n, channels, h, w) uint8, through the simulator that compile_simulator made from design.

    idle_percent, stall_percent: how often, 0..90, the source idles and the sink stalls; 0 for never.  With other values
    there are also whole stretches of pause and of none, all of them following from seed.  cycle_cap: cycles without a
    finished frame after which the run ends as a deadlock.  settle_cycles: cycles after reset in which the source is
    silent, so that the first frame finds an idle overlay.  random_state: registers and memories without an initial
    value start with random bits and not with zeros.  register_addresses: AXI4-Lite addresses to read in the end.
    step: what progress calls the run.
    """
    _check(design, frames, idle_percent, stall_percent)
    packed = design.source.pack(frames)
    with tempfile.TemporaryDirectory(prefix="lognet-rtl-") as name, progress.stage(step) as stage:
        folder = Path(name).absolute()
        packed.tofile(folder / "frames.bin")
        arguments = {
            "frames": folder / "frames.bin",
            "out": folder,
            "nframes": len(frames),
            "idle": idle_percent,
            "stall": stall_percent,
            "seed": seed,
            "cap": cycle_cap,
            "settle": settle_cycles,
            "random_state": int(random_state),
            "reads": ",".join(str(address) for address in register_addresses),
        }
        command = [str(executable.absolute()), *(f"{key}={value}" for key, value in arguments.items())]
        # The design reads the contents of its memories from the folder it runs in.
        with _started(command, executable.parent) as process:
            assert process.stdout is not None  # asked for by _started
            last_words = ""
            for line in process.stdout:
                if line.startswith("frames "):
                    stage.update(int(line.split()[1]), len(frames))
                else:
                    last_words = line.strip() or last_words
            status = process.wait()
        if status != 0:
            raise ToolError(
                f"the simulator of {design.top} ended with status {status}",
                context=(last_words,) if last_words else (),
                hint="check the space left in the folder for temporary files",
            )
        return _read_results(folder, design, len(frames))


def _check(design: VerilogDesign, frames: np.ndarray, idle_percent: int, stall_percent: int) -> None:
    if frames.ndim != 4 or frames.shape[1:] != design.source.shape or frames.dtype != np.uint8 or not len(frames):
        raise InputError(
            f"frames must be uint8 of shape (n, {', '.join(map(str, design.source.shape))}) with n > 0, "
            f"not {frames.dtype} of shape {frames.shape}"
        )
    for name, value in (("idle_percent", idle_percent), ("stall_percent", stall_percent)):
        if not 0 <= value <= 90:
            raise UsageError(f"{name} must be within 0 to 90, not {value}")


@contextlib.contextmanager
def _started(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The running program, killed if the caller leaves before its end."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _read_results(folder: Path, design: VerilogDesign, n_frames: int) -> RtlRun:
    lines = [line.partition(" ") for line in (folder / "result.txt").read_text().splitlines()]
    fields = {key: value for key, _, value in lines}
    cycles, sent, received, excess, unstable, unstable_cycle = map(int, fields["counts"].split())
    beats = design.sink.beats_per_frame
    last = np.fromfile(folder / "last.bin", np.uint8)
    expected_last = np.arange(len(last)) % beats == beats - 1
    problems = []
    if fields["status"] == "deadlock":
        problems.append(
            f"deadlock: no frame finished for too long; {sent} of "
            f"{n_frames * design.source.beats_per_frame} beats were taken in and {received} of "
            f"{n_frames * beats} given out by cycle {cycles}"
        )
    elif fields["status"] != "ok":
        problems.append(fields["status"])
    if excess:
        problems.append(f"{excess} beats too many after the last frame")
    if unstable:
        problems.append(
            f"a stalled output beat was changed or withdrawn {unstable} times, first in cycle {unstable_cycle}"
        )
    tlast_ok = bool(np.array_equal(last != 0, expected_last))
    if not tlast_ok:
        at = int(np.flatnonzero((last != 0) != expected_last)[0])
        problems.append(
            f"TLAST is {int(last[at])} at beat {at % beats} of frame {at // beats}, where frames have {beats} beats"
        )
    sink, _ = _read_beats(folder / "sink.bin", design.sink, design.sink.tdata_bits // 8)
    repacked = design.sink.pack(sink).tobytes()
    if repacked != (folder / "sink.bin").read_bytes()[: len(repacked)]:
        problems.append("unused bits of the output's TDATA are not zero")
    activations = {}
    for index, monitor in enumerate(design.monitors):
        shown, rest = _read_beats(folder / f"monitor_{index}.bin", monitor.format, monitor_bytes(monitor.format))
        activations[monitor.layer] = shown
        if fields["status"] == "ok" and (len(shown) != n_frames or rest):
            problems.append(
                f"the monitor of layer {monitor.layer} gave {len(shown)} frames and {rest} beats, not {n_frames} frames"
            )
    return RtlRun(
        activations,
        sink,
        _integers(fields["first_in"]),
        _integers(fields["last_out"]),
        tlast_ok,
        cycles,
        tuple(problems),
        tuple(int(value) for value in fields["registers"].split()),
    )


def _read_beats(path: Path, form: StreamFormat, n_bytes: int) -> tuple[np.ndarray, int]:
    """Whole frames in the file of n_bytes a beat at path, (frames, *shape) uint8, and how many beats are left over."""
    beats = np.fromfile(path, np.uint8).reshape(-1, n_bytes)
    n_frames, rest = divmod(len(beats), form.beats_per_frame)
    whole = beats[: n_frames * form.beats_per_frame].reshape(n_frames, form.beats_per_frame, n_bytes)
    return form.unpack(whole), rest


def _integers(text: str) -> np.ndarray:
    return np.array([int(value) for value in text.split()], np.int64)

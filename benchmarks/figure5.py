"""Frames per second and watts of the paper's two three-layer networks on this machine's processor and GPU, beside the
rate of overlays, cycle-true in simulation.

`python benchmarks/figure5.py --help` says how to run it.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.figures import overlay_figures  # noqa: E402
from benchmarks.paper_network import model  # noqa: E402
from lognet_fpga.cli import options, runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.errors import DoesNotFitError, LogNetError, UsageError, VerificationError  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402
from lognet_fpga.runtime.power import PowerResult, Sampler, open_meter  # noqa: E402
from lognet_fpga.runtime.values import Estimated, Measured, Simulated, Value  # noqa: E402

EXAMPLES = """\
examples:
  python benchmarks/figure5.py
  python benchmarks/figure5.py --board vc707 --seconds 30 --json
  python benchmarks/figure5.py --no-verify
"""
NETWORKS = {"conv-ReLU-maxpool x3": True, "conv-ReLU x3": False}
CPU, GPU = "CPUExecutionProvider", "CUDAExecutionProvider"
SENSORS = {CPU: "rapl", GPU: "nvidia-smi"}


@dataclass(frozen=True)
class Row:
    """What one machine does with one network.  power: measured, None where there is no sensor; note: why there is
    none, or no rate at all (fps None)."""

    network: str
    machine: str
    fps: Value | None
    power: PowerResult | None
    note: str

    def to_dict(self) -> dict[str, object]:
        return {
            "network": self.network,
            "machine": self.machine,
            "fps": self.fps and self.fps.to_dict(),
            "power": self.power and self.power.to_dict(),
            "note": self.note,
        }


def parser() -> runner.Parser:
    this = runner.Parser(
        "figure5.py",
        "The paper's networks (64-64-64 filters 3x3 on 224x224, random weights), batch 1, float32 in\n"
        "onnxruntime on the processor and, with onnxruntime-gpu, on the GPU: measured frames per\n"
        "second, and watts where RAPL or nvidia-smi gives them. Beside them the fastest overlay that\n"
        "each board holds by estimate: two frames of noise through its Verilog in Verilator, compared\n"
        "bit by bit, and its rate by their cycles. Nothing of it is measured on hardware. The first\n"
        "run takes a quarter of an hour and more; its overlays are kept.",
        EXAMPLES,
    )
    this.add_argument("--board", action="append", help="to plan for; may be given again (default: vc707, pynq-z2)")
    this.add_argument("--size", type=options.positive, default=224, help="of a frame (default: %(default)s)")
    this.add_argument("--filters", type=options.positive, default=64, help="of each layer (default: %(default)s)")
    this.add_argument(
        "--zeros", type=options.number, default=0.67, help="of the overlay's weights (default: %(default)s)"
    )
    this.add_argument("--act-bits", type=int, choices=(4, 8), default=4, help="of the overlay (default: %(default)s)")
    this.add_argument("--no-verify", action="store_true", help="rates as planned, without Verilator")
    this.add_argument("--seconds", type=options.number, default=10.0, help="of each measurement (default: %(default)s)")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    if not 0 <= arguments.zeros < 1:
        raise UsageError(f"the share of zeros must be at least 0 and below 1, not {arguments.zeros}")
    rows: list[Row] = []
    for network, pools in NETWORKS.items():
        content = model(arguments.size, arguments.filters, pools).SerializeToString()
        shape = (1, 3, arguments.size, arguments.size)
        for provider in (CPU, GPU):
            with reporter.stage(f"{network}, {provider}"):
                rows.append(measured(network, content, shape, provider, arguments.seconds))
        for board in arguments.board or ("vc707", "pynq-z2"):
            with reporter.stage(f"{network}, {board}"):
                rows.append(overlay(network, pools, board, arguments, reporter))
    cells = tuple((row.network, row.machine, row.fps or "-", _watts(row), row.note or "-") for row in rows)
    table = Table(("network", "machine", "frames a second", "watts", "note"), cells)
    reporter.result(
        Report(
            "The paper's networks on processor, GPU and overlay",
            (Section("", (f"frames {arguments.size} x {arguments.size}, batch 1",), table),),
            {
                **{name: getattr(arguments, name) for name in ("size", "filters", "zeros", "act_bits")},
                "rows": [row.to_dict() for row in rows],
            },
        )
    )


def measured(network: str, content: bytes, shape: tuple[int, ...], provider: str, seconds: float) -> Row:
    """The float network in onnxruntime, one frame at a time, after a second's warming up."""
    import onnxruntime

    if provider not in onnxruntime.get_available_providers():
        return Row(network, provider, None, None, f"this onnxruntime has no {provider}")
    session = onnxruntime.InferenceSession(content, providers=[provider])
    name, frame = session.get_inputs()[0].name, np.random.default_rng(0).random(shape, np.float32)
    with ExitStack() as stack:
        sampler, note = None, ""
        try:
            meter = stack.enter_context(closing(open_meter(SENSORS[provider], on_board=False)))
            sampler = stack.enter_context(Sampler(meter))
        except LogNetError as error:
            note = f"watts not measured: {error.message}"
        idle_begin = time.perf_counter()
        time.sleep(min(2.0, seconds) if sampler else 0.0)
        idle = sampler and sampler.phase(idle_begin, time.perf_counter())
        _run(session, name, frame, min(1.0, seconds))
        begin = time.perf_counter()
        count = _run(session, name, frame, seconds)
        end = time.perf_counter()
        fps = count / (end - begin)
        running = sampler and sampler.phase(begin, end)
        power = PowerResult(sampler.meter.name, idle, running, fps, sampler.failure) if sampler else None
    return Row(network, provider, Measured(fps, "fps", f"float32, {count:,} frames"), power, note)


def _run(session, name: str, frame: np.ndarray, seconds: float) -> int:
    """Frames one after the other for that long; how many."""
    deadline, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < deadline or not count:
        session.run(None, {name: frame})
        count += 1
    return count


def overlay(network: str, pools: bool, board: str, arguments: argparse.Namespace, reporter: Reporter) -> Row:
    """The fastest of all three layers that fits the board."""
    try:
        figures = overlay_figures(
            model(arguments.size, arguments.filters, pools),
            board,
            fps=None,
            prune=arguments.zeros,
            act_bits=arguments.act_bits,
            synth=False,
            simulate=not arguments.no_verify,
            must_fit=True,
            progress=reporter,
        )
    except DoesNotFitError:
        return Row(network, board, None, None, "three layers do not fit, by estimate")
    run, clock = figures["simulation"], f"at {figures['clk_mhz']:g} MHz"
    weights = f"{100 * arguments.zeros:g}% zeros, {arguments.act_bits}-bit"
    if run is None:
        fps: Value = Estimated(figures["fps"], "fps", f"cycles of the plan {clock}, {weights}")
    elif run["failures"]:
        raise VerificationError(f"{network} on {board}: {run['failures'][0]}")
    else:
        how = f"cycle-true {clock}, {run['differing_bits']} of {run['bits']:,} bits differ, {weights}"
        fps = Simulated(figures["fps"], "fps", how)
    return Row(network, board, fps, None, "watts not measured: no board")


def _watts(row: Row) -> str:
    return "-" if row.power is None or row.power.running is None else f"{row.power.running} ({row.power.sensor})"


def main() -> int:
    return runner.run(parser(), command)


if __name__ == "__main__":
    raise SystemExit(main())

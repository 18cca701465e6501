"""lognet-dut: a bundle as the device under test of MLPerf Tiny's runner."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lognet_fpga.cli import options, runner
from lognet_fpga.cli.devices import add_device_options, device_of, devices_of
from lognet_fpga.cli.mlperf import TASK_NAMES
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import UsageError

PROGRAM = "lognet-dut"
PTY = "pty"
EXAMPLES = """\
examples:
  lognet-dut ic01.lognet --task ic --port pty                 # says which pseudo-terminal
  lognet-dut ic01.lognet --task ic --port pty:/tmp/dut        # and a link to it
  lognet-dut ic01.lognet --task ic --port /dev/ttyGS0 --device pynq
  lognet-dut kws01.lognet --task kws --port /dev/ttyUSB0 --baud 921600 --device http://pynq:8421

Ctrl-C ends it.  The runner is that of github.com/mlcommons/tiny, benchmark/runner.
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Answer MLPerf Tiny's runner over a serial port or a pseudo-terminal, running a bundle on\n"
        "any device.  Times are measured here, around the inferences; those of a simulated device\n"
        "are the simulation's, and the device's name says so.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.lognet or NAME.lognet.zip")
    this.add_argument(
        "--task",
        choices=TASK_NAMES,
        required=True,
        metavar="TASK",
        help=f"task that the bundle does: {', '.join(TASK_NAMES)}",
    )
    this.add_argument(
        "--port",
        default=PTY,
        metavar="PORT",
        help="a serial port; pty: a new pseudo-terminal; pty:LINK: one with a link to it (default: %(default)s)",
    )
    this.add_argument(
        "--baud",
        type=options.positive,
        default=115200,
        metavar="N",
        help="rate of a serial port (default: %(default)s)",
    )
    add_device_options(this)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    # Imported here, so that --help and wrong options answer at once.
    from lognet_fpga.bundle import read_bundle
    from lognet_fpga.mlperf_tiny.benchmark_device import BenchmarkDevice
    from lognet_fpga.mlperf_tiny.serve import inference, require_task, serve
    from lognet_fpga.mlperf_tiny.submission import device_name
    from lognet_fpga.mlperf_tiny.tasks import TASKS
    from lognet_fpga.report import Report, Section
    from lognet_fpga.runtime.session import Session

    devices_of(arguments)
    task = TASKS[arguments.task]
    with reporter.stage("read bundle") as stage:
        bundle = read_bundle(arguments.bundle)
        require_task(bundle, task)
        stage.note(f"{bundle.name} for {bundle.board_title}, SHA-256 {bundle.digest[:12]}")
    stopped: list[int] = []
    with reporter.stage("serve") as stage, _stopping(stopped):
        with Session(bundle, device_of(arguments, bundle, reporter)) as session, _port(arguments) as (port, shown):
            stage.note(session.device.description)
            stage.note(f"listening at {shown}")
            device = BenchmarkDevice(task, device_name(bundle, session.device), inference(session))
            serve(
                device,
                port,
                greet=not arguments.port.startswith(PTY),
                stop=lambda: bool(stopped),
                on_answer=lambda: stage.update(device.inferences, None),
            )
    line = f"{device.inferences:,} inferences"
    reporter.result(
        Report(f"{bundle.name} was served", (Section("", (line,)),), {"inferences": device.inferences, "port": shown})
    )


@contextmanager
def _stopping(stopped: list[int]) -> Iterator[None]:
    """SIGINT and SIGTERM, the usual end here, go into the list."""
    before = {
        number: signal.signal(number, lambda caught, _: stopped.append(caught))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _port(arguments: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """(an open descriptor, what the user calls its place)."""
    from lognet_fpga.machine.serial_port import open_pseudo_terminal, open_serial_port
    from lognet_fpga.mlperf_tiny.serve import link_to

    kind, _, link = arguments.port.partition(":")
    if kind != PTY:
        descriptor = open_serial_port(Path(arguments.port), arguments.baud, os.O_RDWR)
        try:
            yield descriptor, f"{arguments.port}, {arguments.baud:,} baud"
        finally:
            os.close(descriptor)
        return
    if arguments.port.endswith(":"):
        raise UsageError("--port pty: names no link", hint="give pty, or pty:LINK")
    ours, other, place = open_pseudo_terminal()
    try:
        if link:
            link_to(place, Path(link))
        yield ours, link or place
    finally:
        os.close(ours)
        os.close(other)
        if link:
            Path(link).unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())

#!/usr/bin/env python3
"""What a request to lognet-serve costs beside its frames, this version and an earlier one in the same run.

`python benchmarks/request_overhead.py --help` says how to run it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, os.environ.get("LOGNET_OVERHEAD_ROOT", str(ROOT)))

import numpy as np  # noqa: E402

from lognet_fpga.bundle import Bundle, read_bundle  # noqa: E402
from lognet_fpga.cli import options, runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402
from lognet_fpga.runtime.device import DeviceRun  # noqa: E402
from lognet_fpga.runtime.values import Simulated  # noqa: E402

FAST = 10  # %
TOKEN = "a-token-for-the-benchmark"
EXAMPLES = """\
examples:
  python benchmarks/request_overhead.py build/demo/model_log2.lognet --before cfcec8d
  python benchmarks/request_overhead.py build/demo/model_log2.lognet --before cfcec8d --batches 1,16,64 --json
"""


class InstantDevice:
    """Gives the same activations at once: what is left is the request."""

    kind, description = "instant", "no device"

    def __init__(self, bundle: Bundle) -> None:
        channels, height, width = bundle.output_shape
        self._activations = np.random.default_rng(0).integers(0, 256, (1024, height, width, channels), np.uint8)

    def open(self) -> None:
        pass

    def run(self, frames: np.ndarray) -> DeviceRun:
        return DeviceRun(self._activations[: len(frames)], 1000, 100.0)

    def figure(self, value: float, unit: str) -> Simulated:
        return Simulated(value, unit, "nothing")

    def power(self) -> str:
        return "none"

    def close(self) -> None:
        pass


def serve(bundle: Bundle) -> None:
    """Until stdin ends; the address, and in the end the processor seconds, on stdout."""
    from lognet_fpga.runtime.remote.server import DeviceServer

    async def run() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
        server = DeviceServer(bundle, InstantDevice(bundle), TOKEN)
        await server.serve("127.0.0.1", 0, stop, on_ready=lambda host, port: print(f"http://{host}:{port}", flush=True))

    asyncio.run(run())


def ask(bundle: Bundle, url: str, server: int) -> None:
    """For each line on stdin, a batch and a number of requests: a line with the seconds of each, and the processor
    seconds of client and server together."""
    from lognet_fpga.runtime.remote.client import RemoteDevice

    device = RemoteDevice(bundle, url, TOKEN)
    device.open()
    for line in sys.stdin:
        batch, count = map(int, line.split())
        frames = np.random.default_rng(1).integers(0, 256, (batch, *bundle.input_shape), np.uint8)
        took = []
        before = time.process_time() + _processor_s(server)
        for _ in range(count):
            begin = time.perf_counter()
            device.run(frames)
            took.append(time.perf_counter() - begin)
        print(json.dumps([took, time.process_time() + _processor_s(server) - before]), flush=True)


def _processor_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Version:
    """A server and a client of the version in a folder, each in a process."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self._environment = {**os.environ, "LOGNET_OVERHEAD_ROOT": str(folder), "PYTHONPATH": str(folder)}
        self._server = self._start(bundle, "--role", "server")
        url = self._server.stdout.readline().strip()
        self._client = self._start(bundle, "--role", url, "--server", str(self._server.pid))

    def _start(self, *arguments: object) -> subprocess.Popen:
        command = [sys.executable, str(Path(__file__).resolve()), *map(str, arguments)]
        return subprocess.Popen(
            command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, batch: int, count: int) -> tuple[list[float], float]:
        self._client.stdin.write(f"{batch} {count}\n")
        self._client.stdin.flush()
        took, processor_s = json.loads(self._client.stdout.readline())
        return took, processor_s

    def end(self) -> None:
        for process in (self._client, self._server):
            process.communicate()


def parser() -> runner.Parser:
    this = runner.Parser(
        "request_overhead.py",
        "Seconds of a request with a device that takes no time, over the loopback, by this version\n"
        "and by an earlier one: short rounds of both take turns, so that other work on the machine\n"
        "meets both. What the fastest tenth of the requests took at most, which is least of that work's;\n"
        "the ratio counts.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, help="NAME.lognet")
    this.add_argument("--before", metavar="COMMIT", help="the earlier version")
    this.add_argument("--batches", type=options.sizes, default=(1, 64), help="batch sizes (default: 1,64)")
    this.add_argument("--rounds", type=options.positive, default=100, help="of each version (default: 100)")
    this.add_argument("--requests", type=options.positive, default=50, help="a round (default: 50)")
    this.add_argument("--role", help=argparse.SUPPRESS)
    this.add_argument("--server", type=int, help=argparse.SUPPRESS)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    if arguments.role:
        bundle = read_bundle(arguments.bundle)
        if arguments.role == "server":
            return serve(bundle)
        return ask(bundle, arguments.role, arguments.server)
    with tempfile.TemporaryDirectory() as temporary:
        folders = {"now": ROOT}
        if arguments.before:
            archive = Path(temporary, "before.tar")
            subprocess.run(["git", "archive", "-o", archive, arguments.before], cwd=ROOT, check=True)
            folders["before"] = Path(temporary, "before")
            with tarfile.open(archive) as file:
                file.extractall(folders["before"], filter="data")
        versions = {name: Version(folder, arguments.bundle.resolve()) for name, folder in folders.items()}
        rows, data = [], []
        for batch in arguments.batches:
            took: dict[str, list[float]] = {name: [] for name in versions}
            processor_s = dict.fromkeys(versions, 0.0)
            with reporter.stage(f"batch {batch}") as stage:
                for turn in range(arguments.rounds):
                    for name, version in versions.items():
                        seconds, used_s = version.ask(batch, arguments.requests)
                        took[name] += seconds
                        processor_s[name] += used_s
                    stage.update(turn + 1, arguments.rounds)
            entry: dict[str, object] = {"batch": batch}
            for name in versions:
                entry[f"{name}_us"] = 1e6 * float(np.percentile(took[name], FAST))
                entry[f"{name}_processor_us"] = 1e6 * processor_s[name] / len(took[name])
            if arguments.before:
                entry["ratio"] = np.percentile(took["now"], FAST) / np.percentile(took["before"], FAST)
                entry["processor_ratio"] = processor_s["now"] / processor_s["before"]
            data.append(entry)
            rows.append(tuple(entry.values()))
        for version in versions.values():
            version.end()
    reporter.result(
        Report(
            "A request to lognet-serve, the fastest tenth, and processor time of client and server",
            (Section("", (), Table(tuple(name.replace("_", " ") for name in data[0]), tuple(rows))),),
            {"before": arguments.before, "runs": data},
        )
    )


def main() -> int:
    return runner.run(parser(), command)


if __name__ == "__main__":
    raise SystemExit(main())

#!/usr/bin/env python3
"""The rate of a good client of lognet-serve while another one opens sockets again and again.

`python benchmarks/attack.py --help` says how to run it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from benchmarks.fleet import TOKEN, PacedDevice  # noqa: E402
from lognet_fpga.bundle import Bundle, read_bundle  # noqa: E402
from lognet_fpga.cli import options, runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402
from lognet_fpga.runtime.remote.client import RemoteDevice  # noqa: E402

EXAMPLES = """\
examples:
  python benchmarks/attack.py build/demo/model_log2.lognet
  python benchmarks/attack.py build/demo/model_log2.lognet --fps 2000 --sockets 200 --json
"""
ATTACKS = {
    "silent": b"",
    "half a head": b"POST /v2/models/x/infer HTTP/1.1\r\n",
    "no token": b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02",
}
PATIENCE_S = 1.0  # of the attacker, with a socket that stays open


def serve(bundle: Bundle, fps: float) -> None:
    """Until stdin ends; the address on stdout."""
    from lognet_fpga.runtime.remote.server import DeviceServer

    async def run() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
        server = DeviceServer(bundle, PacedDevice(bundle, fps), TOKEN)
        await server.serve("127.0.0.1", 0, stop, on_ready=lambda host, port: print(f"http://{host}:{port}", flush=True))

    asyncio.run(run())


def attack(url: str, sockets: int, data: bytes) -> None:
    """Until it is killed: so many sockets, each opened again as soon as it is closed."""

    async def occupy() -> None:
        parts = urlsplit(url)
        while True:
            with suppress(OSError, asyncio.TimeoutError):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                writer.write(data)
                while await asyncio.wait_for(reader.read(1 << 16), PATIENCE_S):
                    pass
                writer.close()

    async def occupy_all() -> None:
        await asyncio.gather(*(occupy() for _ in range(sockets)))

    asyncio.run(occupy_all())


@contextmanager
def started(*arguments: object, **given) -> Iterator[subprocess.Popen]:
    command = [sys.executable, str(Path(__file__).resolve()), *map(str, arguments)]
    process = subprocess.Popen(command, **given)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def rate(bundle: Bundle, url: str, seconds: float, batch: int) -> float:
    """Frames a second of a client that comes anew."""
    frames = np.zeros((batch, *bundle.input_shape), np.uint8)
    device = RemoteDevice(bundle, url, TOKEN)
    device.open()
    begin, done = time.monotonic(), 0

    def batches() -> Iterator[np.ndarray]:
        while time.monotonic() < begin + seconds:
            yield frames

    for run in device.runs(batches()):
        done += len(run.activations)
    device.close()
    return done / (time.monotonic() - begin)


def parser() -> runner.Parser:
    this = runner.Parser(
        "attack.py",
        "Frames a second of a client with the token, from a server whose board takes as long as told,\n"
        "alone and while an attacker without it keeps so many sockets open, and opens each again when\n"
        "it is closed. Server, client and attacker are processes on this machine, and turns of both\n"
        "kinds follow each other: the ratio counts.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, help="NAME.lognet")
    this.add_argument("--fps", type=options.number, default=1000.0, help="of the board (default: 1000)")
    this.add_argument("--batch", type=options.positive, default=16, help="frames a request (default: 16)")
    this.add_argument("--sockets", type=options.positive, default=40, help="of the attacker (default: 40)")
    this.add_argument("--turns", type=options.positive, default=4, help="of each kind (default: 4)")
    this.add_argument("--seconds", type=options.number, default=1.5, help="a turn (default: 1.5)")
    this.add_argument("--role", help=argparse.SUPPRESS)
    this.add_argument("--attack", choices=ATTACKS, help=argparse.SUPPRESS)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    if arguments.attack:
        return attack(arguments.role, arguments.sockets, ATTACKS[arguments.attack])
    bundle = read_bundle(arguments.bundle)
    if arguments.role == "server":
        return serve(bundle, arguments.fps)
    rows, data = [], []
    given = (arguments.bundle, "--fps", arguments.fps, "--role", "server")
    with started(*given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        for name in ATTACKS:
            alone, attacked = [], []
            with reporter.stage(name):
                for _ in range(arguments.turns):
                    alone.append(rate(bundle, url, arguments.seconds, arguments.batch))
                    with started(arguments.bundle, "--role", url, "--sockets", arguments.sockets, "--attack", name):
                        time.sleep(0.5)
                        attacked.append(rate(bundle, url, arguments.seconds, arguments.batch))
            row = (name, statistics.median(alone), statistics.median(attacked))
            rows.append((*row, 100 * row[2] / row[1]))
            data.append(dict(zip(("attack", "alone_fps", "attacked_fps", "percent"), rows[-1])))
    columns = ("attacker", "alone, fps", "attacked, fps", "%")
    title = f"A good client beside {arguments.sockets} sockets that are opened again and again"
    reporter.result(Report(title, (Section("", (), Table(columns, tuple(rows))),), {"runs": data}))


def main() -> int:
    return runner.run(parser(), command)


if __name__ == "__main__":
    raise SystemExit(main())

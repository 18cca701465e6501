#!/usr/bin/env python3
"""One stream over simulated boards, each in a network of its own with delay and loss; some die and one slows down.

`python benchmarks/fleet.py --help` says how to run it.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import random
import selectors
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from lognet_fpga.bundle import Bundle, read_bundle  # noqa: E402
from lognet_fpga.cli import options, runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.errors import MissingToolError, UsageError  # noqa: E402
from lognet_fpga.report import Report, Section  # noqa: E402
from lognet_fpga.runtime.device import DeviceRun  # noqa: E402
from lognet_fpga.runtime.remote.client import RemoteDevice  # noqa: E402
from lognet_fpga.runtime.remote.fleet import Fleet  # noqa: E402
from lognet_fpga.runtime.values import Simulated  # noqa: E402

TOKEN = "a-token-for-the-benchmark"
PORT = 8421
INSIDE = "LOGNET_FLEET_INSIDE"  # set in the network namespace that the command gives itself
SLOWER = 10
WINDOW_S = 0.5  # that a rate is taken over
EXAMPLES = """\
examples:
  python benchmarks/fleet.py build/demo/model_log2.lognet
  python benchmarks/fleet.py build/demo/model_log2.lognet --boards 4 --fps 800 --delay 5 --loss 1 --json
"""
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


class PacedDevice:
    """A board of so many frames a second; SIGUSR1 makes it SLOWER times as slow, or as fast as it was.  Its activations
    begin with the bytes that the frame begins with, by which a frame is known again."""

    kind, description = "simulated", "a paced board"

    def __init__(self, bundle: Bundle, fps: float) -> None:
        self._shape, self._fps, self._slower = bundle.output_shape, fps, 1
        signal.signal(signal.SIGUSR1, self._turn)

    def _turn(self, number: int, frame: object) -> None:
        self._slower = SLOWER if self._slower == 1 else 1

    def open(self) -> None:
        pass

    def run(self, frames: np.ndarray) -> DeviceRun:
        time.sleep(len(frames) * self._slower / self._fps)
        channels, height, width = self._shape
        activations = np.zeros((len(frames), height, width, channels), np.uint8)
        activations.reshape(len(frames), -1)[:, :4] = frames.reshape(len(frames), -1)[:, :4]
        return DeviceRun(activations, 100 * len(frames), 100.0)

    def figure(self, value: float, unit: str) -> Simulated:
        return Simulated(value, unit, "paced")

    def power(self) -> str:
        return "none"

    def close(self) -> None:
        pass


# --- processes --------------------------------------------------------------------------------------------------------


def serve(bundle: Bundle, fps: float, place: int) -> None:
    """In a network namespace of its own, whose link has been put there."""
    from lognet_fpga.runtime.remote.server import DeviceServer

    name = f"lognet{place}"
    sys.stdin.readline()
    _ip("link set lo up")
    _ip(f"addr add {_address(place)}/30 dev {name}")
    _ip(f"link set {name} up")

    async def run() -> None:
        server = DeviceServer(bundle, PacedDevice(bundle, fps), TOKEN)
        await server.serve(_address(place), PORT, asyncio.Event(), on_ready=lambda *_: print("ready", flush=True))

    asyncio.run(run())


def carry(pairs: list[tuple[int, int]], delay_s: float, loss: float, seed: int) -> None:
    """Carry packets from each of a pair of tun devices to the other, late, and some of them not at all."""
    rng = random.Random(seed)
    to = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    waiting: deque[tuple[float, int, bytes]] = deque()  # the delay is the same for all, so the first is due first
    with selectors.DefaultSelector() as selector:
        for device in to:
            os.set_blocking(device, False)
            selector.register(device, selectors.EVENT_READ)
        while True:
            late_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            for key, _ in selector.select(late_s):
                try:
                    while True:
                        packet = os.read(key.fd, 1 << 16)
                        if rng.random() >= loss:
                            waiting.append((time.monotonic() + delay_s, to[key.fd], packet))
                except BlockingIOError:
                    pass
                except OSError:  # its end is gone with the board's network
                    selector.unregister(key.fd)
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, device, packet = waiting.popleft()
                try:
                    os.write(device, packet)
                except OSError:  # its other end is down
                    pass


def _tun(name: str) -> int:
    """A new network device, whose packets are read and written at what is returned."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    os.set_inheritable(device, True)
    return device


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


def _address(place: int, end: int = 2) -> str:
    return f"10.77.{place}.{end}"


class Boards:
    """So many servers and the links to them; a context manager."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._exit = ExitStack()
        self.servers: list[subprocess.Popen] = []

    def __enter__(self) -> Boards:
        given, pairs = self._arguments, []
        script = [sys.executable, str(Path(__file__).resolve()), str(given.bundle)]
        for place in range(given.boards):
            role = ["--role", "server", "--place", str(place), "--fps", str(given.fps)]
            server = self._start(["unshare", "--net", *script, *role], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            here, there = _tun(f"here{place}"), _tun(f"lognet{place}")
            self._exit.callback(os.close, here)
            self._exit.callback(os.close, there)
            pairs.append((here, there))
            _wait_for_namespace(server.pid)
            _ip(f"link set lognet{place} netns {server.pid}")
            _ip(f"addr add {_address(place, 1)}/30 dev here{place}")
            _ip(f"link set here{place} up")
            self.servers.append(server)
        devices = [device for pair in pairs for device in pair]
        role = ["--role", ",".join(map(str, devices)), "--delay", str(given.delay), "--loss", str(given.loss)]
        self._start([*script, *role, "--seed", str(given.seed)], pass_fds=devices)
        for server in self.servers:
            server.stdin.write(b"\n")
            server.stdin.flush()
        for server in self.servers:
            server.stdout.readline()
        return self

    def __exit__(self, *exception: object) -> None:
        self._exit.close()

    def _start(self, command: list[str], **given) -> subprocess.Popen:
        process = subprocess.Popen(command, **given)
        self._exit.callback(process.wait)
        self._exit.callback(process.kill)
        return process

    def fleet(self, bundle: Bundle, count: int, seen: list[str]) -> Fleet:
        boards = [RemoteDevice(bundle, f"http://{_address(place)}:{PORT}", TOKEN) for place in range(count)]
        begin = time.monotonic()
        return Fleet(bundle, boards, on_change=lambda line: seen.append(f"{time.monotonic() - begin:6.2f} s: {line}"))


def _wait_for_namespace(process: int) -> None:
    ours = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{process}/ns/net") == ours:
        time.sleep(0.01)


# --- what is measured -------------------------------------------------------------------------------------------------


def batches(bundle: Bundle, count: int, size: int) -> Iterator[np.ndarray]:
    """Frames that begin with their number, so many at a time."""
    for first in range(0, count, size):
        numbers = np.arange(first, min(count, first + size), dtype="<u4")
        frames = np.zeros((len(numbers), int(np.prod(bundle.input_shape))), np.uint8)
        frames[:, :4] = numbers.view(np.uint8).reshape(-1, 4)
        yield frames.reshape(-1, *bundle.input_shape)


def numbers_of(run: DeviceRun) -> np.ndarray:
    activations = run.activations.reshape(len(run.activations), -1)[:, :4]
    return np.ascontiguousarray(activations).view("<u4").ravel()


def rate(boards: Boards, bundle: Bundle, count: int, frames: int, size: int) -> float:
    """Frames a second of so many boards, in order, behind the first batches."""
    with _opened(boards.fleet(bundle, count, [])) as fleet:
        begin, first = 0.0, 0
        done = 0
        for run in fleet.runs(batches(bundle, frames, size)):
            done += len(run.activations)
            if not begin and done >= 4 * size * count:
                begin, first = time.monotonic(), done
        return (done - first) / (time.monotonic() - begin)


class _opened:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def __enter__(self) -> Fleet:
        self._fleet.open()
        return self._fleet

    def __exit__(self, *exception: object) -> None:
        self._fleet.close()


def disaster(boards: Boards, bundle: Bundle, arguments: argparse.Namespace) -> dict[str, object]:
    """A third on the way two boards are killed and one slows down; at two thirds it is as fast as before."""
    seen: list[str] = []
    numbers, times = [], []
    struck = healed = float("nan")
    with _opened(boards.fleet(bundle, arguments.boards, seen)) as fleet:
        done = 0
        for run in fleet.runs(batches(bundle, arguments.frames, arguments.batch)):
            numbers.append(numbers_of(run))
            done += len(run.activations)
            times.append((time.monotonic(), done))
            if struck != struck and done >= arguments.frames / 3:
                struck = time.monotonic()
                for server in boards.servers[:2]:
                    server.kill()
                boards.servers[2].send_signal(signal.SIGUSR1)
            if healed != healed and done >= arguments.frames * 2 / 3:
                healed = time.monotonic()
                boards.servers[2].send_signal(signal.SIGUSR1)
        figures = fleet.boards()
    got = np.concatenate(numbers)
    left = arguments.boards - 3
    return {
        "frames": arguments.frames,
        "lost": int(arguments.frames - len(np.unique(got))),
        "doubled": int(len(got) - len(np.unique(got))),
        "out_of_order": int((np.diff(got.astype(np.int64)) < 0).sum()),
        "fps_before": _fps(times, times[0][0] + 1, struck),
        "fps_struck": _fps(times, struck + 2, healed),
        "fps_healed": _fps(times, healed + 3, times[-1][0]),
        "recovered_s": _recovered(times, struck, 0.9 * left * arguments.fps),
        "resent_batches": sum(board.resent for board in figures),
        "events": seen,
    }


def _fps(times: list[tuple[float, int]], begin: float, end: float) -> float:
    chosen = [(when, done) for when, done in times if begin <= when <= end]
    return (chosen[-1][1] - chosen[0][1]) / (chosen[-1][0] - chosen[0][0]) if len(chosen) > 2 else float("nan")


def _recovered(times: list[tuple[float, int]], struck: float, fps: float) -> float:
    """Seconds from the strike to the beginning of the first WINDOW_S with at least that rate."""
    for begin in np.arange(struck, times[-1][0] - WINDOW_S, 0.05):
        done = [done for when, done in times if when <= begin][-1]
        later = [later for when, later in times if when <= begin + WINDOW_S][-1]
        if (later - done) / WINDOW_S >= fps:
            return float(begin - struck)
    return float("nan")


def parser() -> runner.Parser:
    this = runner.Parser(
        "fleet.py",
        "Simulated boards that take as long as real ones, each behind lognet-serve in a network\n"
        "namespace of its own with an address of its own; packets to and from it are late and some\n"
        "get lost. One board alone, then all, then all while two are killed and one becomes ten times\n"
        "as slow. Needs Linux with tun devices, iproute2 and util-linux, and root or user namespaces.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, help="NAME.lognet")
    this.add_argument("--boards", type=options.positive, default=8, help="4 or more (default: 8)")
    this.add_argument("--fps", type=options.number, default=400.0, help="of a board (default: 400)")
    this.add_argument("--frames", type=options.positive, default=100_000, help="of the last part (default: 100000)")
    this.add_argument("--batch", type=options.positive, default=32, help="frames a request (default: 32)")
    this.add_argument("--seconds", type=options.number, default=8.0, help="of the first two parts (default: 8)")
    this.add_argument("--delay", type=options.number, default=1.0, help="of a packet, each way, ms (default: 1)")
    this.add_argument("--loss", type=options.number, default=0.1, help="of packets, %% (default: 0.1)")
    this.add_argument("--seed", type=int, default=1, help="of the loss (default: 1)")
    this.add_argument("--role", help=argparse.SUPPRESS)
    this.add_argument("--place", type=int, help=argparse.SUPPRESS)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    if arguments.role is not None and arguments.role != "server":
        devices = [int(device) for device in arguments.role.split(",")]
        pairs = list(zip(devices[::2], devices[1::2]))
        return carry(pairs, arguments.delay / 1e3, arguments.loss / 100, arguments.seed)
    bundle = read_bundle(arguments.bundle)
    if arguments.role == "server":
        return serve(bundle, arguments.fps, arguments.place)
    if arguments.boards < 4:
        raise UsageError("--boards must be 4 or more")
    _enter_namespace()
    size, count = arguments.batch, arguments.boards
    with Boards(arguments) as boards:
        with reporter.stage("one board"):
            one = rate(boards, bundle, 1, max(20 * size, int(arguments.seconds * arguments.fps)), size)
        with reporter.stage(f"{count} boards"):
            all_of_them = rate(
                boards, bundle, count, max(20 * size * count, int(arguments.seconds * arguments.fps * count)), size
            )
        with reporter.stage("two killed, one slowed"):
            figures = disaster(boards, bundle, arguments)
    link = f"each behind {arguments.delay:g} ms a way and {arguments.loss:g}% loss"
    lines = (
        f"{count} simulated boards of {arguments.fps:g} fps, {link}, batches of {size}",
        f"one board: {one:,.1f} fps; {count} boards, in order: {all_of_them:,.1f} fps, {all_of_them / one:.2f} times",
        f"{figures['frames']:,} frames, two boards killed and one {SLOWER} times as slow from a third to two thirds:",
        f"lost {figures['lost']}, doubled {figures['doubled']}, out of order {figures['out_of_order']}; "
        f"sent again {figures['resent_batches']} batches",
        f"fps before {figures['fps_before']:,.0f}, with {count - 3} boards left {figures['fps_struck']:,.0f}, "
        f"with {count - 2} {figures['fps_healed']:,.0f}",
        f"at 90% of {count - 3} boards' rate again {figures['recovered_s']:.2f} s after the strike",
        *figures["events"],
    )
    data = {"one_fps": one, "all_fps": all_of_them, "ratio": all_of_them / one, **figures}
    reporter.result(Report("One stream over many boards, simulated", (Section("", lines),), data))


def _enter_namespace() -> None:
    """Begin anew in a network of our own, so that nothing is changed on this machine."""
    if INSIDE in os.environ:
        return
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    for program in ("unshare", "ip"):
        if shutil.which(program) is None:
            raise MissingToolError(f"{program} is not installed", hint="apt install iproute2 util-linux")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", *user, "--net", sys.executable, *sys.argv])


def main() -> int:
    return runner.run(parser(), command)


if __name__ == "__main__":
    raise SystemExit(main())

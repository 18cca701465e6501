"""Signals that end a deployment."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from lognet_fpga import errors
from lognet_fpga.bundle import read_bundle
from tests.deploy.workplace import OPTIONS, snapshot
from tests.patience import HANG_S


@pytest.mark.parametrize(
    "stage, behind, cached, kind",
    [
        ("generate Verilog", "plan for PYNQ-Z2: done", "adders", signal.SIGHUP),
        ("compile the simulator", "Verilog to C++: done", "verilog", signal.SIGINT),
    ],
)
def test_a_signal_leaves_nothing(place, deployed, bundle, stage, behind, cached, kind):
    """Interrupted half a second into the stage that follows the one that is `behind`."""
    cache = bundle.parent / "cache"
    shutil.copytree(place.folder / "cache" / "adders", cache / "adders")
    shutil.copytree(place.folder / "cache" / cached, cache / cached, dirs_exist_ok=True)
    before = snapshot(bundle)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "lognet_fpga.cli.deploy",
            *map(str, OPTIONS),
            str(place.model),
            "--frames",
            str(place.frames),
            "--out",
            str(bundle.parent),
        ],
        env=place.environment({"LOGNET_CACHE": str(cache), "TMPDIR": str(bundle.parent)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while behind not in (line := process.stderr.readline()):
            assert line, "it ended before it could be interrupted"
        time.sleep(0.5)
        process.send_signal(kind)
        out, err = process.communicate(timeout=HANG_S)
    finally:
        process.kill()
    assert process.returncode == errors.EXIT_INTERRUPTED and "\nbundle: " not in out
    assert f"{stage}: interrupted" in err and err.endswith("error: interrupted; nothing was left half written\n")
    assert snapshot(bundle) == before
    assert {path.name for path in bundle.parent.iterdir()} <= {"cache", "tiny.lognet"}
    assert not list(cache.glob("*/.new-*")) and not programs_in(bundle.parent)


SEED = 60
KINDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@pytest.fixture
def again(place, deployed, bundle):
    """again(): a process that deploys over `bundle` and its archive with other options, everything slow cached."""
    cache = Path(shutil.copytree(place.folder / "cache", bundle.parent / "cache"))
    shutil.copy((place.folder / deployed["bundle"]).with_suffix(".lognet.zip"), bundle.parent)
    options = ("--no-verify", "--json", place.model, "--frames", place.frames, "--out", bundle.parent)

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "lognet_fpga.cli.deploy", *map(str, (*OPTIONS, *options))],
            env=place.environment({"LOGNET_CACHE": str(cache), "TMPDIR": str(bundle.parent)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    begin = time.monotonic()
    assert start().wait() == 0
    start.seconds = time.monotonic() - begin
    return start


def assert_whole(bundle: Path, digests: set[str]) -> None:
    assert {read_bundle(bundle).digest, read_bundle(bundle.with_suffix(".lognet.zip")).digest} <= digests
    assert not programs_in(bundle.parent)


@pytest.mark.parametrize("count", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_signals_at_random_moments(bundle, again, count):
    """Whatever the moment: the exit code, one JSON object or none, a whole bundle, and nothing beside it."""
    rng, ended = random.Random(SEED), []
    print(f"seed: {SEED}")
    digests = {read_bundle(bundle).digest}
    for number in range(count):
        kind, process = KINDS[number % len(KINDS)], again()
        time.sleep(rng.random() * again.seconds)
        process.send_signal(kind)
        out, err = process.communicate(timeout=HANG_S)
        ended.append(process.returncode)
        assert process.returncode in (errors.EXIT_INTERRUPTED, 0, -kind), err  # -kind: Python itself had not begun
        if process.returncode != -kind:
            assert "Traceback" not in err and "Exception ignored" not in err
            assert "exit_code" in json.loads(out)["error"] if process.returncode else json.loads(out)["bundle"]
        assert_whole(bundle, digests)
        assert {path.name for path in bundle.parent.iterdir()} == {"cache", "tiny.lognet", "tiny.lognet.zip"}
        assert not list((bundle.parent / "cache").glob("*/.*"))
    print(f"ended with {dict(Counter(ended))}")
    assert errors.EXIT_INTERRUPTED in ended


@pytest.mark.slow
def test_killed_outright_at_random_moments(bundle, again):
    """The bundle is whole all the same, and the next writer removes what was left."""
    rng, digests = random.Random(SEED), {read_bundle(bundle).digest}
    for _ in range(20):
        process = again()
        time.sleep(rng.random() * again.seconds)
        process.kill()
        process.communicate()
        assert_whole(bundle, digests)
    assert again().wait() == 0
    assert not list(bundle.parent.glob(".tiny.lognet*"))


def programs_in(folder: Path) -> list[str]:
    """Command lines of the processes that work in folder or below."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found

"""The driver on the simulated board, with the real pynq.  `tests/test_pynq_environments.py` runs these tests in
environments with pynq 3.1 and with pynq 4.0; where pynq is missing they are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from lognet_fpga.bundle import Bundle, make_bundle
from tests import small_bundle

pynq = pytest.importorskip("pynq", exc_type=ImportError)

ROOT = Path(__file__).parents[2]
ZYNQ, ULTRASCALE = "xc7z020clg400-1", "xczu3eg-sbva484-1"
PARTS = (ULTRASCALE,) if pynq.__version__.startswith("4") else (ZYNQ, ULTRASCALE)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return make_bundle(small_bundle.files(), small_bundle.manifest())


@pytest.fixture(scope="session")
def slow_bundle(bundle) -> Bundle:
    """As bundle, with a plan of 2 ms a frame."""
    plan = {**small_bundle.MANIFEST["plan"], "cycles_per_frame": 200_000, "latency_cycles": 300_000}
    return make_bundle(bundle.files, small_bundle.manifest(plan=plan))


@pytest.fixture(params=PARTS)
def make_board(request, bundle) -> Iterator[Callable]:
    """make_board(**options): a SimulatedBoard, which is pynq's device until the test ends."""
    from lognet_fpga.runtime.simboard.board import SimulatedBoard

    with ExitStack() as stack:
        yield lambda bundle=bundle, **options: stack.enter_context(
            SimulatedBoard(bundle, **{"part": request.param, **options})
        )


@pytest.fixture
def make_overlay(make_board, bundle) -> Callable:
    """make_overlay(timeout_s=..., bundle=..., **board options): (board, overlay)."""
    from lognet_fpga.runtime.board.overlay import LogNetOverlay

    def make(timeout_s: float | None = None, bundle=bundle, **options):
        board = make_board(bundle=bundle, **options)
        return board, LogNetOverlay(bundle, bitstream=board.bitstream, timeout_s=timeout_s)

    return make


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Path:
    """A folder with this project as pip installs it from a checkout, nothing else."""
    folder = tmp_path_factory.mktemp("install")
    source = folder / "source"  # a copy, for a build leaves files beside what it builds
    for name in ("lognet_fpga", "notebooks", "overlays"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _check([*pip, "--no-deps", "--no-index", "--no-build-isolation", "--target", str(folder / "site"), str(source)])
    return folder / "site"


@pytest.fixture(scope="session")
def run_installed(installed) -> Callable[[Sequence[str]], str]:
    """run_installed(command): what it writes on stdout, this project being installed and no checkout in sight."""
    return lambda command: _check(command, cwd=installed.parent, env={**os.environ, "PYTHONPATH": str(installed)})


def _check(command: Sequence[str], **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

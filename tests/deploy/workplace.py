"""The place where the tests of deploy run the commands as processes, on a model small enough that its Verilog compiles
in seconds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.models import ModelBuilder, save
from tests.patience import HANG_S

ROOT = Path(__file__).parents[2]
SHAPE, CLASSES, N_FRAMES = (1, 8, 8), 5, 40
OPTIONS = ("--fpga-layers", 2, "--fps", 100_000, "--input-scale", "1/255")


class Workplace:
    """A folder with a model, frames for it, a cache, and the commands run in it as processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        chain = ModelBuilder(SHAPE, seed=3).conv(3).relu().pool().conv(4).relu().flatten().gemm(4 * 16, CLASSES)
        self.onnx_model = chain.model()
        self.model = save(self.onnx_model, folder, "tiny.onnx")
        self.pixels = np.random.default_rng(0).integers(0, 256, (N_FRAMES, *SHAPE), dtype=np.uint8)
        self.labels = np.arange(N_FRAMES) % CLASSES
        self.frames = folder / "frames.npz"
        np.savez(self.frames, frames=self.pixels, labels=self.labels)

    def deploy(self, *arguments: object, **options) -> subprocess.CompletedProcess:
        return self("deploy", *OPTIONS, *arguments, **options)

    def __call__(
        self, module: str, *arguments: object, env: dict | None = None, **options
    ) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", f"lognet_fpga.cli.{module}", *map(str, arguments)],
            text=True,
            timeout=HANG_S,
            cwd=self.folder,
            env=self.environment(env),
            capture_output=True,
            **options,
        )
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
        return done

    def environment(self, more: dict | None = None) -> dict[str, str]:
        ours = {"PYTHONPATH": str(ROOT), "LOGNET_CACHE": str(self.folder / "cache"), "LOGNET_DEBUG": ""}
        return {**os.environ, **ours, **(more or {})}

    def cache_entries(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in (self.folder / "cache").glob("*/*")}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(done: subprocess.CompletedProcess, code: int, says: str) -> None:
    assert done.returncode == code, done.stderr
    assert "\nbundle: " not in done.stdout  # but what was known before
    message = done.stderr[done.stderr.index(": error: ") :]
    assert re.search(says, message, re.DOTALL), message
    assert "What to do: " in message

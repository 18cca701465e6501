"""A command as a user runs it: a process, with a cache folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.patience import HANG_S

ROOT = Path(__file__).parents[2]


class Command:
    """One command with its own cache folder."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    def __call__(self, module: str, *arguments: object, **options) -> subprocess.CompletedProcess:
        return self.run([sys.executable, "-m", f"lognet_fpga.cli.{module}"], *arguments, **options)

    def run(self, start: list[str], *arguments: object, env: dict | None = None, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        done = subprocess.run(
            [*start, *map(str, arguments)], cwd=ROOT, text=True, timeout=HANG_S, env=self.environment(env), **options
        )
        if not (env or {}).get("LOGNET_DEBUG"):
            assert "Traceback" not in (done.stderr or "") and "Exception ignored" not in (done.stderr or "")
        return done

    def environment(self, more: dict | None = None) -> dict[str, str]:
        ours = {"PYTHONPATH": str(ROOT), "LOGNET_CACHE": str(self.cache), "LOGNET_DEBUG": ""}
        return {**os.environ, **ours, **(more or {})}


def assert_error(done: subprocess.CompletedProcess, code: int) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == "" and ": error: " in done.stderr

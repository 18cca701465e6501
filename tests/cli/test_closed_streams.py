"""stdin, stdout and stderr that are closed, full, or not read to their end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import read_bundle
from tests.cli.process import ROOT, Command
from tests.models import ModelBuilder, save
from tests.patience import HANG_S

CLOSED = [("<&-", 0), (">&-", 10), ("2>&-", 0), (">&- 2>&-", 10), ("<&- >&- 2>&-", 10), ("<&- 2>&-", 0)]
FULL = [(">/dev/full", 10), ("2>/dev/full", 0), (">/dev/full 2>/dev/full", 10)]
NOT_READ = [("| true", 0), ("2>&1 | head -c 1", 0)]


def run(command: Command, redirected: str, module: str, *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that a shell started so."""
    redirection, pipe, reader = redirected.partition("|")
    started = f'({{ "$@" {redirection}; }} 3>&-; echo $? >&3) 3>status {pipe} {reader}'
    done = subprocess.run(
        ["/bin/sh", "-c", started, "sh", sys.executable, "-m", f"lognet_fpga.cli.{module}", *map(str, arguments)],
        cwd=command.cache.parent,
        env=command.environment({"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr and "defect" not in done.stderr
    return int((command.cache.parent / "status").read_text()), done.stdout, done.stderr


@pytest.mark.parametrize("redirected, code", [*CLOSED, *FULL, *NOT_READ])
def test_the_help(command: Command, redirected, code):
    assert run(command, redirected, "stream", "--help")[0] == code


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("redirected, code", [*CLOSED, *FULL, *NOT_READ])
def test_a_result(command: Command, demo, redirected, code, as_json):
    found, out, _ = run(command, redirected, "selftest", demo[0], *["--json"] * as_json)
    assert found == code
    if code == 0 and as_json and "|" not in redirected:
        assert json.loads(out)["passed"]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("redirected", [redirected for redirected, _ in (*CLOSED, *FULL, *NOT_READ)])
def test_an_error_has_its_own_exit_code(command: Command, redirected, as_json):
    assert run(command, redirected, "inspect", "/no/such.onnx", *["--json"] * as_json)[0] == 3


def test_nothing_that_is_written_gets_what_is_printed(command: Command, tmp_path, require_tool):
    """Without stdout and stderr the next file that is opened would have their numbers."""
    require_tool("onnx")
    model = ModelBuilder((1, 8, 8), seed=3).conv(3).relu().pool().flatten().gemm(3 * 16, 5).model()
    np.savez(tmp_path / "f.npz", frames=np.zeros((9, 1, 8, 8), np.uint8))
    place = save(model, tmp_path, "tiny.onnx")
    arguments = (place, "--frames", tmp_path / "f.npz", "--fps", 1000, "--no-verify", "--out", tmp_path)
    assert run(command, "<&- >&- 2>&-", "deploy", *arguments)[0] == 10
    assert read_bundle(Path(tmp_path / "tiny.lognet")).digest == read_bundle(tmp_path / "tiny.lognet.zip").digest

"""The layering of the package and the form of the code, as pyproject.toml states them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_import_contracts(require_tool, tmp_path):
    require_tool("importlinter")
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as main; main()",
            "--cache-dir",
            str(tmp_path),
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("options", [["check"], ["format", "--check"]])
def test_lint_and_format(require_tool, options):
    require_tool("ruff")
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *options, "--no-cache", "."], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr

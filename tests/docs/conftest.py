"""Shared by the tests of the documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT
from tests.patience import HANG_S


@pytest.fixture(scope="session")
def site(require_tool, tmp_path_factory) -> Path:
    """The documentation as a site."""
    for name in ("mkdocs", "material", "mkdocstrings"):
        require_tool(name)
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr  # a link that leads nowhere is an error
    return folder

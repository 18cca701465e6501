"""The nightly run: its commands are there, with options that they have; a failure is told when all of it was tried."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

RECORDER = '#!/bin/sh\necho "$(basename "$0") $@" >>"$RECORD"\nexit "${FAILS:-0}"\n'


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def nightly(folder: Path, *arguments: str, fails: int = 0) -> tuple[subprocess.CompletedProcess, list[list[str]]]:
    """The script in a clone whose programs only say that they were called: what it printed, the calls."""
    (folder / "clone" / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "nightly", folder / "clone" / ".ci")
    executable(folder / "bin" / "make", RECORDER)
    executable(folder / "clone" / ".venv" / "bin" / "python", RECORDER)
    environment = {**os.environ, "RECORD": str(folder / "record"), "FAILS": str(fails)}
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [folder / "clone" / ".ci" / "nightly", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    record = folder / "record"
    return done, [line.split() for line in record.read_text().splitlines()] if record.exists() else []


def test_its_commands_are_there(tmp_path):
    done, calls = nightly(tmp_path, "data")
    assert done.returncode == 0, done.stderr
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [target for program, target in (call[:2] for call in calls if call[0] == "make")] == ["test-all"]
    assert re.search(r"^test-all:", makefile, re.MULTILINE)
    ((script, *options),) = [call[1:] for call in calls if call[0] == "python"]
    given = runpy.run_path(str(ROOT / script))["parser"]().parse_args(options)
    assert given.compare and not given.record and given.models == tmp_path / "data" / "models"


def test_what_failed_is_told_when_all_was_tried(tmp_path):
    done, calls = nightly(tmp_path, "data", fails=1)
    assert done.returncode == 1 and [call[0] for call in calls] == ["make", "python"]
    assert done.stderr.splitlines() == ["failed: the tests", "failed: the zoo"]


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_without_a_folder_it_tells_what_it_is(tmp_path, arguments):
    done, calls = nightly(tmp_path, *arguments)
    assert done.returncode == 2 and not calls and ".ci/nightly FOLDER" in done.stderr and "#" not in done.stderr

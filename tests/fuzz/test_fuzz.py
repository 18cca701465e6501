"""Mutated models, bundles, frames, options: each command ends as documented, soon, in little memory, and takes nothing
that was changed.  `python -m tests.fuzz.runner KIND SEED 1 --show` runs a case again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COUNTS = {"models": 60, "bundles": 75, "frames": 80, "options": 45}
MANY = {"models": 1500, "bundles": 1200, "frames": 1300, "options": 1000}
FIRST_OF_MANY = int(os.environ.get("LOGNET_FUZZ_SEED", 100_000))


@pytest.mark.parametrize("kind", COUNTS)
def test_mutated_input(kind, require_tool):
    for tool in ("onnxruntime", "onnx", "PIL"):
        require_tool(tool)
    run(kind, 0, COUNTS[kind])


@pytest.mark.slow
@pytest.mark.parametrize("kind", MANY)
def test_much_mutated_input(kind):
    run(kind, FIRST_OF_MANY, MANY[kind])


def run(kind: str, first: int, count: int) -> None:
    print(f"{kind}: seeds {first} to {first + count - 1}")
    arguments = [sys.executable, "-m", "tests.fuzz.runner", kind, str(first), str(count)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout, done.stderr
    *wrong, counts = map(json.loads, done.stdout.splitlines())
    print(counts)
    told = [f"{each['kind']} {each['seed']}: {each['command']}: {each['problem']}\n{each['said']}" for each in wrong]
    assert not wrong, "\n".join(told)
    assert counts["cases"] == count and len(counts["codes"]) > 1, counts

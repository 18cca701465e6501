"""What `make dist` makes is enough: installed in an empty environment it deploys, and classifies; the same bundle under
every Python.

LOGNET_PYTHONS names more interpreters, as PATH names folders: python3.10:python3.12:...
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.models import ModelBuilder, save

ROOT = Path(__file__).parents[1]


def run(*command: object, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LOGNET_CACHE")}
    environment["LOGNET_CACHE"] = str(cwd / "cache")
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, folder: Path) -> Path:
    """The wheel or the archive of the files that git knows, so that nothing else of the folder helps."""
    source = folder / "source"
    for name in run("git", "ls-files", cwd=ROOT).splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "setup.py", "-q", kind, "--dist-dir", folder / "dist", cwd=source)
    (built,) = (folder / "dist").iterdir()
    return built


def environment(python: str, built: Path, folder: Path) -> Path:
    """The programs of an empty environment with what `built` needs to deploy."""
    run(python, "-m", "venv", folder / "env", cwd=folder)
    programs = folder / "env" / "bin"
    run(programs / "pip", "install", "-q", f"{built}[deploy]", cwd=folder)
    return programs


def small_model(folder: Path) -> None:
    chain = ModelBuilder((3, 12, 12), seed=7).conv(4).relu().pool().conv(4).relu().flatten().gemm(4 * 36, 5)
    save(chain.model(), folder)
    np.savez(folder / "frames.npz", frames=np.random.default_rng(1).integers(0, 256, (20, 3, 12, 12), np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bdist_wheel", "sdist"])
def test_an_empty_environment(kind, tmp_path):
    programs = environment(sys.executable, build(kind, tmp_path), tmp_path)
    assert "Ready" in run(programs / "lognet-doctor", "deploy", "verify", cwd=tmp_path)
    small_model(tmp_path)
    program = 'import lognet_fpga as ln; print(ln.deploy("model.onnx", "frames.npz").classify("frames.npz"))'
    assert len(run(programs / "python", "-c", program, cwd=tmp_path).split()) >= 20


@pytest.mark.slow
def test_the_same_bundle_under_every_python(tmp_path):
    """Of a small model with layers in the fabric, and in memories."""
    others = [python for python in os.environ.get("LOGNET_PYTHONS", "").split(os.pathsep) if python]
    if not others:
        pytest.skip("LOGNET_PYTHONS names no other Python")
    built, digests = build("bdist_wheel", tmp_path), {}
    for number, python in enumerate([sys.executable, *others]):
        place = tmp_path / str(number)
        place.mkdir()
        programs = environment(python, built, place)
        small_model(place)
        assert "2 of 2" in run(programs / "lognet-inspect", "model.onnx", cwd=place)
        for weights in ("clb", "bram"):
            options = ("--frames", "frames.npz", "--weights", weights, "--out", weights)
            run(programs / "lognet-deploy", "model.onnx", *options, cwd=place)
            manifest = json.loads((place / weights / "model.lognet" / "manifest.json").read_text())
            assert manifest["verification"]["passed"]
            digests.setdefault(weights, {})[python] = manifest["digest"]
    assert [len(set(its.values())) for its in digests.values()] == [1, 1], digests

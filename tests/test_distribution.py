"""What `make dist` makes is enough: installed in an empty environment it deploys, and classifies."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bdist_wheel", "sdist"])
def test_an_empty_environment(kind, tmp_path):
    """Built of the files that git knows, so that nothing else of the folder helps."""
    source = tmp_path / "source"
    for name in run("git", "ls-files", cwd=ROOT).splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "setup.py", "-q", kind, "--dist-dir", tmp_path / "dist", cwd=source)
    (built,) = (tmp_path / "dist").iterdir()
    venv.create(tmp_path / "env", with_pip=True)
    programs = tmp_path / "env" / "bin"
    run(programs / "pip", "install", "-q", f"{built}[deploy]", cwd=tmp_path)
    assert "Ready" in run(programs / "lognet-doctor", "deploy", "verify", cwd=tmp_path)
    chain = ModelBuilder((3, 12, 12), seed=7).conv(4).relu().pool().conv(4).relu().flatten().gemm(4 * 36, 5)
    save(chain.model(), tmp_path)
    np.savez(tmp_path / "frames.npz", frames=np.random.default_rng(1).integers(0, 256, (20, 3, 12, 12), np.uint8))
    program = 'import lognet_fpga as ln; print(ln.deploy("model.onnx", "frames.npz").classify("frames.npz"))'
    assert len(run(programs / "python", "-c", program, cwd=tmp_path).split()) >= 20

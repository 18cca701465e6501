from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import write_bundle
from tests import small_bundle
from tests.cli.process import Command


@pytest.fixture
def command(tmp_path) -> Command:
    return Command(tmp_path / "cache")


@pytest.fixture
def demo(tmp_path, require_tool) -> tuple[Path, Path]:
    """A bundle and labelled frames for it."""
    require_tool("onnx")
    require_tool("onnxruntime")
    frames = small_bundle.frames(9)
    np.savez(tmp_path / "f.npz", frames=frames, labels=small_bundle.expected_scores(frames).argmax(axis=1))
    return write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path).folder, tmp_path / "f.npz"

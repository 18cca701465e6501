"""Missing programs and packages, places that cannot be written, a full disk, damaged bundles."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest

from lognet_fpga.bundle import read_bundle
from tests.deploy.workplace import CLASSES, ROOT, refused, snapshot


def test_without_a_compiler_only_no_verify_works(place, deployed, tmp_path):
    nothing = {"PATH": str(tmp_path), "CXX": ""}
    done = place.deploy(place.model, "--out", tmp_path / "out", env=nothing)
    refused(done, 9, r"no C\+\+ compiler.*apt install g\+\+.*--no-verify")
    assert "quantize" not in done.stderr
    done = place.deploy(place.model, "--frames", place.frames, "--out", tmp_path / "out", "--no-verify", env=nothing)
    assert done.returncode == 0 and "not done (--no-verify)" in done.stdout
    assert not read_bundle(tmp_path / "out" / "tiny.lognet").manifest["verification"]["done"]


def test_places_that_cannot_be_written(place, deployed, tmp_path):
    (tmp_path / "file").touch()
    refused(place.deploy(place.model, "--out", tmp_path / "file"), 10, "file: .*--out")
    refused(place.deploy(place.model, "--out", tmp_path / "file" / "below"), 10, "below: .*--out")
    done = place.deploy(place.model, "--out", tmp_path / "out", env={"LOGNET_CACHE": str(tmp_path / "file")})
    refused(done, 10, "cache folder.*LOGNET_CACHE")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(place, deployed, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    refused(place.deploy(place.model, "--out", tmp_path / "out"), 10, "permission denied.*--out")


def test_a_folder_with_other_files_is_left_alone(place, deployed, bundle):
    (bundle / "notes.txt").write_text("mine")
    before = snapshot(bundle)
    done = place.deploy(place.model, "--out", bundle.parent, "--no-verify")
    refused(done, 10, "notes.txt', which is not part of the bundle; it was left as it is")
    assert snapshot(bundle) == before and "quantize" not in done.stderr


@pytest.mark.parametrize(
    "options, limit_kb, says", [(["--act-bits", 4], 1, "LOGNET_CACHE"), ([], 4, "bundle cannot be written.*--out")]
)
def test_a_full_disk_leaves_the_earlier_bundle(place, deployed, bundle, options, limit_kb, says):
    """The limit on the size of a file stands for the end of the disk: both fail in the middle of a write."""
    import resource

    before = snapshot(bundle.parent)
    done = place.deploy(
        place.model,
        "--frames",
        place.frames,
        *options,
        "--out",
        bundle.parent,
        "--no-verify",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_kb * 1024, limit_kb * 1024)),
    )
    refused(done, 10, says)
    assert snapshot(bundle.parent) == before
    assert not list((place.folder / "cache").glob("*/.new-*"))


@pytest.mark.parametrize("name", ["golden.onnx", "tail.onnx", "manifest.json", "report.txt", "verilog"])
def test_one_changed_byte_is_refused(place, bundle, name):
    path = bundle / name if name != "verilog" else next((bundle / "verilog").iterdir())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    refused_bundle(place("stream", bundle, "--frames", place.frames), path.name)


def refused_bundle(done: subprocess.CompletedProcess, says: str) -> None:
    assert done.returncode == 8 and done.stdout == "" and says in done.stderr
    assert "run lognet-deploy again" in done.stderr


def test_stream_refuses_labels_that_are_no_classes(place, bundle, tmp_path):
    np.savez(tmp_path / "f.npz", frames=place.pixels[:2], labels=[0, CLASSES])
    refused(place("stream", bundle, "--frames", tmp_path / "f.npz"), 5, "frame 1 has label 5")


def test_without_myhdl(place, tmp_path):
    (tmp_path / "myhdl.py").write_text("raise ModuleNotFoundError('no myhdl', name='myhdl')\n")
    done = place.deploy(place.model, "--out", tmp_path, env={"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))})
    refused(done, 9, "package myhdl is not installed.*pip install myhdl")

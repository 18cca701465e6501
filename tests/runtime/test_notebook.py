"""What the notebooks find, and what they say when it is not there."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.bundle import write_bundle
from lognet_fpga.errors import BundleError, InputError, ModelError, UsageError
from lognet_fpga.runtime.notebook import find_bundle, find_device, find_frames, find_model
from tests import small_bundle


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, the current one, in an empty folder."""
    for name in ("BUNDLE", "FRAMES", "MODEL", "DEVICE", "BITSTREAM"):
        monkeypatch.delenv(f"LOGNET_{name}", raising=False)
    folder = tmp_path / "above" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def put(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    return write_bundle(small_bundle.files(), small_bundle.manifest(**changes), folder)


@pytest.mark.parametrize("place", [".", "..", "build/demo", "../build/demo"])
def test_a_bundle_is_found(here, place):
    put(here / place)
    assert find_bundle().name == "small"  # NAME.lognet and NAME.lognet.zip are one bundle


def test_a_nearer_bundle_and_a_named_one_come_first(here, monkeypatch):
    put(here, name="near")
    far = put(here.parent, name="far").folder
    assert find_bundle().name == "near"
    assert find_bundle(far).name == "far"
    monkeypatch.setenv("LOGNET_BUNDLE", str(far))
    assert find_bundle().name == "far"


def test_several_bundles_and_none(here):
    with pytest.raises(BundleError, match="no bundle") as failure:
        find_bundle()
    assert str(here) in str(failure.value) and "find_bundle(" in failure.value.hint
    put(here, name="one")
    put(here, name="two")
    with pytest.raises(UsageError, match="2 bundles: one.lognet, two.lognet"):
        find_bundle()


def test_frames(here, monkeypatch):
    bundle = find_bundle(put(here).folder)
    np.testing.assert_array_equal(find_frames(bundle).frames, small_bundle.frames(4, seed=7))  # the bundle's own
    np.savez(here / "test_frames.npz", frames=np.zeros((2, 1, 9, 9), np.uint8))
    assert len(find_frames(bundle)) == 4  # of another model
    np.savez(here.parent / "test_frames.npz", frames=small_bundle.frames(3))
    assert len(find_frames(bundle)) == 3
    monkeypatch.setenv("LOGNET_FRAMES", str(here / "test_frames.npz"))
    with pytest.raises(InputError):  # asked for, so not passed over
        find_frames(bundle)


def test_a_model(here):
    with pytest.raises(ModelError, match="no ONNX file") as failure:
        find_model()
    assert "find_model(" in failure.value.hint
    folder = here.parent / "models/cifar10_64x3"
    folder.mkdir(parents=True)
    (folder / "model.onnx").touch()
    assert find_model().samefile(folder / "model.onnx")


def test_the_device(here, monkeypatch):
    bundle = find_bundle(put(here).folder)
    monkeypatch.setenv("LOGNET_DEVICE", "simulated")
    assert find_device(bundle).kind == "simulated"
    monkeypatch.setenv("LOGNET_DEVICE", "pynq")
    assert find_device(bundle).kind == "PYNQ-Z2"
    monkeypatch.setenv("LOGNET_DEVICE", "toaster")
    with pytest.raises(UsageError, match="toaster"):
        find_device(bundle)

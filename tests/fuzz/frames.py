"""Mutated frames for lognet-stream: arrays, pictures, folders, lists of labels; and mean images for lognet-deploy.

What is accepted must be what NumPy or Pillow read of the same file.
"""

from __future__ import annotations

import io
import os
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from lognet_fpga.cli import deploy, stream
from lognet_fpga.runtime.frames import load_frames
from tests.fuzz.bundles import _WHOLE as WHOLE_BUNDLE
from tests.fuzz.bundles import archive
from tests.fuzz.case import Case, damaged, one_of
from tests.small_bundle import SHAPE, frames

UNUSABLE = frozenset({0, 5})
_PIXELS = frames(6)  # (6, 3, 6, 5) uint8
_DTYPES = (
    "|u1",
    "|i1",
    "<u2",
    ">u2",
    "<i4",
    "<f2",
    "<f4",
    ">f8",
    "|b1",
    "|O",
    "|V3",
    "<U1",
    "|S1",
    "<c8",
    "|u0",
    "junk",
    "<M8[s]",
)
_SHAPES = (
    "(6, 3, 6, 5)", "(6, 6, 5, 3)", "(3, 6, 5)", "(90,)", "()", "(0, 3, 6, 5)", "(-6, 3, 6, 5)", "(6, 3, 6, 5, 1)",
    "(999999999999, 3, 6, 5)", "(6, 3, 6, 2**60)", "(True, 540)", "[6, 3, 6, 5]", "(6.0, 3, 6, 5)", "540", "None",
    "(" + "1," * 70 + "540)", "(6L, 3, 6, 5)", "(9" * 4000,
)  # fmt: skip
_PICTURES = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")


def make(rng: np.random.Generator, folder: Path) -> Case:
    kind = one_of(rng, (_npy, _npy_header, _npz, _npz_members, _picture, _picture, _picture_size, _folder, _labels))
    source, accepted = kind(rng, folder)
    if rng.random() < 0.04 and source.suffix == ".npy":
        arguments = ("nothing.onnx", "--input-mean", str(source))
        return Case(deploy.main, arguments, frozenset({3, 5}))
    (folder / "small.lognet.zip").write_bytes(archive(WHOLE_BUNDLE))
    more = ("--json",) if rng.random() < 0.3 else ()
    arguments = (str(folder / "small.lognet.zip"), "--frames", str(source), "--idle", "0", *more)
    return Case(stream.main, arguments, UNUSABLE, accepted)


def _npy_bytes(array: np.ndarray = _PIXELS) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _npy(rng: np.random.Generator, folder: Path):
    path = folder / "f.npy"
    path.write_bytes(damaged(_npy_bytes(), rng))
    return path, lambda: _as_numpy_says(path)


def _npy_header(rng: np.random.Generator, folder: Path):
    text = f"{{'descr': '{one_of(rng, _DTYPES)}', 'fortran_order': {one_of(rng, ('False', 'True', '1'))}, "
    text += f"'shape': {one_of(rng, _SHAPES)}, }}"
    path = folder / one_of(rng, ("f.npy", "f.npz"))
    length = len(text).to_bytes(2, "little")
    path.write_bytes(
        b"\x93NUMPY" + bytes([1, 0]) + length + text.encode() + _PIXELS.tobytes()[: int(rng.integers(541))]
    )
    return path, lambda: _as_numpy_says(path)


def _as_numpy_says(path: Path) -> str:
    expected = np.load(path, allow_pickle=False)
    if expected.shape[1:] == (*SHAPE[1:], SHAPE[0]):
        expected = expected.transpose(0, 3, 1, 2)
    return "" if np.array_equal(load_frames(path, SHAPE).frames, expected) else "other pixels than NumPy reads"


def _npz(rng: np.random.Generator, folder: Path):
    out, path = io.BytesIO(), folder / "f.npz"
    one_of(rng, (np.savez, np.savez_compressed))(out, frames=_PIXELS, labels=np.arange(6) % 4)
    path.write_bytes(damaged(out.getvalue(), rng))

    def accepted() -> str:
        found = load_frames(path, SHAPE)
        same = found.labels is None or found.labels.tolist() == [0, 1, 2, 3, 0, 1]
        return "" if np.array_equal(found.frames, _PIXELS) and same else "changed data was accepted"

    return path, accepted


def _npz_members(rng: np.random.Generator, folder: Path):
    """Whole archives of arrays that may be anything."""
    arrays = (
        _PIXELS, _PIXELS.astype(np.float32), _PIXELS / 255, np.arange(6), np.array(["a", "b"]), np.zeros((0, *SHAPE)),
        np.array([{}], object), np.float64(2), _PIXELS > 100, np.full(6, 2**63, np.uint64), np.full((6, 1), -1),
    )  # fmt: skip
    names = ("frames", "x", "images", "data", "labels", "y", "label", "class_names", "é", "a/b", "arr_0")
    chosen = {one_of(rng, names): one_of(rng, arrays) for _ in range(int(rng.integers(0, 5)))}
    path = folder / "f.npz"
    np.savez(path, **chosen)
    named = Path(f"{path}:{one_of(rng, names)}") if rng.random() < 0.3 else path
    return named, lambda: "" if np.array_equal(load_frames(named, SHAPE).frames, _PIXELS) else "other pixels"


def _picture_bytes(rng: np.random.Generator, size: tuple[int, int] = SHAPE[:0:-1]) -> bytes:
    mode = one_of(rng, ("RGB", "RGB", "L", "RGBA", "P", "LA", "1", "CMYK", "I;16", "F"))
    image = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3)).astype(np.uint8))
    image = Image.fromarray(np.full(size[::-1], 700, np.uint16)) if mode == "I;16" else image.convert(mode)
    more = {"save_all": True, "append_images": [image]} if rng.random() < 0.15 else {}
    out = io.BytesIO()
    try:
        image.save(out, one_of(rng, _PICTURES), **more)
    except (OSError, KeyError, ValueError):  # a format without that mode, or without several pictures
        out = io.BytesIO()
        image.save(out, "PNG" if mode not in ("F", "CMYK") else "TIFF")
    return out.getvalue()


def _picture(rng: np.random.Generator, folder: Path):
    path = folder / f"f.{one_of(rng, ('png', 'jpg', 'gif', 'bmp', 'tif', 'webp', 'PNG'))}"
    data = _picture_bytes(rng)
    path.write_bytes(damaged(data, rng) if rng.random() < 0.8 else data)
    return path, lambda: _as_pillow_says(path)


def _picture_size(rng: np.random.Generator, folder: Path):
    """Another size in the header than in the data."""
    path = folder / "f.png"
    out = io.BytesIO()
    Image.fromarray(_PIXELS[0].transpose(1, 2, 0)).save(out, "PNG")
    data = bytearray(out.getvalue())
    place = int(one_of(rng, (16, 20)))
    data[place : place + 4] = int(one_of(rng, (0, 1, 6, 65_536, 2**31 - 1, 2**32 - 1))).to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(bytes(data))
    return path, lambda: _as_pillow_says(path)


def _as_pillow_says(path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGBA").convert("RGB") if image.mode == "P" else image.convert("RGB"))
        found = load_frames(path, SHAPE).frames[0].transpose(1, 2, 0)
    return "" if np.array_equal(found, expected) else "other pixels than Pillow reads"


def _folder(rng: np.random.Generator, folder: Path):
    """Whatever a folder may hold."""
    place = folder / "photos"
    place.mkdir()
    names = (
        "a.png", "b.jpg", "ant/1.png", "bee/1.png", "cat/x.png", "dog/1.png", "10/1.png", "9/1.png", "deep/er/1.png",
        ".hidden/1.png", "note.txt", "cat/2.tif", "é/1.png", "\udcff/1.png", "labels", "\udcfe.png",
    )  # fmt: skip
    for _ in range(int(rng.integers(0, 8))):
        path = place / one_of(rng, names)
        if os.path.lexists(path) or path.parent.is_file():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        action = int(rng.integers(0, 12))
        if action == 0:
            path.mkdir()
        elif action == 1:
            path.symlink_to(one_of(rng, ("nowhere", ".", "..", path.name)))
        elif action == 2:
            os.mkfifo(path)
        elif action == 3:
            path.write_bytes(damaged(_picture_bytes(rng), rng))
        elif action == 4:
            path.write_bytes(b"")
        else:
            Image.fromarray(_PIXELS[int(rng.integers(6))].transpose(1, 2, 0)).save(path, "PNG")
    return place, lambda: ""


def _labels(rng: np.random.Generator, folder: Path):
    place = folder / "photos"
    place.mkdir()
    for number in range(4):
        Image.fromarray(_PIXELS[number].transpose(1, 2, 0)).save(place / f"{number}.png")
    lines = [f"{number}.png,{number}" for number in range(4)]
    text = "\n".join(("file,label", *lines)).encode()
    for _ in range(int(rng.integers(1, 3))):
        action = int(rng.integers(0, 6))
        if action < 3:
            text = damaged(text, rng)
        elif action == 3:
            text += b"\n" + one_of(
                rng, (b"0.png,1", b"4.png,1", b"1.png,99", b"2.png,-1", b"x" * 9000, b"../f.npy,1", b",", b"0.png,1e3")
            )
        elif action == 4:
            text = text.replace(b",", one_of(rng, (b" ", b";", b",,", b"\t", b", ")))
        else:
            text = text.replace(b"3", one_of(rng, (b"9" * 30, b"9" * 5000, "٣".encode(), b"\0", b"4", b"1")))
    name = one_of(rng, ("labels.csv", "labels.txt"))
    (place / name).write_bytes(text)

    def accepted() -> str:
        found = load_frames(place, SHAPE)
        expected = [_PIXELS[int(name[0])] for name in found.names]
        return "" if np.array_equal(found.frames, expected) else "other pixels than the files that are named"

    return place, accepted

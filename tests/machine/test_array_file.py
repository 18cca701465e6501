"""NumPy's files, damaged in every place: an error of one line, or exactly what NumPy's own load gives."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.errors import InputError
from lognet_fpga.machine.array_file import ONLY, ArrayFile

ARRAY = np.arange(48, dtype=np.uint8).reshape(4, 3, 2, 2)


def npy(array: np.ndarray = ARRAY) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(save=np.savez_compressed, **arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def with_header(header: str, data: bytes = ARRAY.tobytes(), version: int = 1) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


@pytest.mark.parametrize(
    "array",
    [
        ARRAY,
        np.asfortranarray(ARRAY),
        ARRAY.astype(">f4"),
        ARRAY[:0],
        np.float64(3),
        np.array(["cat", "dog"]),
        np.array([b"x"]),
        ARRAY > 3,
        ARRAY.astype([("a", "u1"), ("b", "f4")]),
    ],
)
@pytest.mark.parametrize("first", [None, 0, 1, 9])
def test_plain_arrays_as_numpy_loads_them(tmp_path: Path, array, first) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", a=array, b=1)
    for name, key in (("a.npy", ONLY), ("a.npz", "a")):
        file = ArrayFile(tmp_path / name)
        found, expected = file.read(key, first), np.load(tmp_path / "a.npy")
        expected = expected[:first] if expected.ndim else expected
        assert found.dtype == expected.dtype and found.shape == expected.shape and (found == expected).all()
        assert file.header(key).shape == array.shape


def test_every_byte_of_an_archive_changed_cut_or_doubled() -> None:
    """Members have check sums: what is read is what was written, or nothing is."""
    for save in (np.savez, np.savez_compressed):
        whole = npz(save, frames=ARRAY)
        for place in range(len(whole)):
            for damaged in (
                whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :],
                whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
                whole[:place],
                whole[:place] + whole[place : place + 1] + whole[place:],
                whole[:place] + whole[place + 1 :],
            ):
                try:
                    file = ArrayFile(damaged, "f.npz")
                    found = file.read(file.names[0]) if file.names else ARRAY
                except InputError as error:
                    assert "f.npz" in error.message and "\n" not in error.message
                else:
                    assert np.array_equal(found, ARRAY) and found.dtype == ARRAY.dtype, place


@pytest.mark.filterwarnings("ignore")
def test_every_byte_of_an_array_s_header_changed() -> None:
    """An .npy has no check sum: another header may be a right one, of the same number of bytes."""
    whole, rng = npy(), np.random.default_rng(0)
    for place in range(128):
        for value in rng.integers(0, 256, 12).tolist():
            try:
                found = ArrayFile(whole[:place] + bytes([value]) + whole[place + 1 :], "f.npy").read(ONLY)
            except InputError as error:
                assert "f.npy" in error.message and "\n" not in error.message
            else:
                assert found.nbytes == ARRAY.nbytes


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (100000000000000, 3), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 99999999999999999999999), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-4, -12), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 48), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 3, 2), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': 48, }",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (48,), }",
        "{'descr': '|u99999999999999999999', 'fortran_order': False, 'shape': (48,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (6,), }",
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (6,), }",
        "{'descr': None, 'fortran_order': False, 'shape': (48,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)*99, }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (48" + ",1" * 70 + "), }",
        "{'descr': '|u1', 'fortran_order': False",
        "(" * 3000,
        "'" * 3,
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4L8,), }",
        "",
    ],
)
def test_absurd_headers(header) -> None:
    for version in (1, 2):
        with pytest.raises(InputError, match="f.npy is not a whole NumPy file") as caught:
            ArrayFile(with_header(header, version=version), "f.npy").read(ONLY)
        assert "\n" not in caught.value.message and len(caught.value.message) < 400


@pytest.mark.parametrize(
    "data", [b"", b"\x93NUMPY", npy()[:100], npy()[:-1], npy() + b"\0", b"hello", npy()[:6] + b"\3"]
)
def test_files_that_are_no_whole_array(data) -> None:
    with pytest.raises(InputError, match="f.npy"):
        ArrayFile(data, "f.npy").read(ONLY)


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.save(tmp_path / "a.npy", np.array([Trap()], object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", frames=np.array([Trap()], object), x=ARRAY)
    for name, key in (("a.npy", ONLY), ("a.npz", "frames")):
        with pytest.raises(InputError, match="pickle.*never loaded"):
            ArrayFile(tmp_path / name).read(key)
    assert "frames: not readable" in ArrayFile(tmp_path / "a.npz").listing()
    assert not (tmp_path / "sprung").exists()


def test_members_that_are_junk_stop_only_who_asks_for_them(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("empty.npy", b"")
        archive.writestr("junk.npy", b"\x93NUMPY\1\0\xff\xff")
        archive.writestr("readme.txt", b"not an array")
        archive.writestr("frames.npy", npy())
    file = ArrayFile(tmp_path / "a.npz")
    assert file.names == ("empty", "junk", "frames") and np.array_equal(file.read("frames"), ARRAY)
    for name in ("empty", "junk"):
        with pytest.raises(InputError, match=f"array {name}"):
            file.read(name)
    assert file.listing() == ("empty: not readable", "junk: not readable", "frames: uint8 of shape (4, 3, 2, 2)")


def test_two_members_of_a_name(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("frames.npy", npy())
        archive.writestr("frames.npy", npy(ARRAY + 1))
    with pytest.raises(InputError, match="same name"):
        ArrayFile(tmp_path / "a.npz")


def test_an_archive_that_unpacks_to_more_than_it_says(tmp_path: Path) -> None:
    """A header of a terabyte in an archive of a kilobyte: refused by its size, nothing allocated."""
    header = with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }", b"")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("frames.npy", header + bytes(1 << 20))
    with pytest.raises(InputError, match="1,099,511,627,776 bytes, but 1,048,576 are there"):
        ArrayFile(tmp_path / "a.npz").read("frames")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(InputError, match="is not a file"):
        ArrayFile(tmp_path / "a.npy")

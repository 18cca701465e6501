"""NumPy's files, .npy and .npz, as they may come: damaged, cut, or with headers that promise what is not there.

A header is read and held against the bytes that are there before anything is allocated; objects (pickles) are never
loaded.  NumPy's own `load` allocates what a header says, and ends on damaged bytes in a dozen ways.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from lognet_fpga.errors import InputError, LogNetError

ONLY = "the array"  # what the one array of an .npy is called
_MEMBER_SUFFIX = ".npy"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class ArrayHeader:
    """What a file says of an array before its numbers come."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran_order: bool

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


class ArrayFile:
    """The arrays of an .npy or .npz file, told apart by their first bytes; nothing is kept open.

    source: the file, or its content; where: what errors call it.  names: of the arrays, in the file's order; ONLY for
    an .npy.  Every method raises InputError for a file that is not whole.
    """

    def __init__(self, source: Path | bytes, where: str = "") -> None:
        self._source, self._where = source, where or str(source)
        if isinstance(source, Path) and os.path.exists(source) and not source.is_file():  # a pipe would never end
            raise InputError(f"{self._where} is not a file", hint="give an .npz or .npy file")
        with self._whole(), self._open() as stream:
            self.is_archive = stream.read(2) == b"PK"
            if self.is_archive:
                with zipfile.ZipFile(stream) as archive:
                    members = [name for name in archive.namelist() if name.endswith(_MEMBER_SUFFIX)]
                if len(members) != len(set(members)):
                    raise ValueError("two of its arrays have the same name")
                self.names = tuple(name[: -len(_MEMBER_SUFFIX)] for name in members)
            else:
                self.names = (ONLY,)

    def header(self, name: str) -> ArrayHeader:
        """The header of an array, which agrees with the bytes behind it."""
        with self._whole(name), self._member(name) as (stream, size):
            return _header(stream, size)

    def read(self, name: str, first: int | None = None) -> np.ndarray:
        """An array; its first `first` rows where given."""
        with self._whole(name), self._member(name) as (stream, size):
            header = _header(stream, size)
            if first is not None and header.shape and first < header.shape[0] and not header.fortran_order:
                header = ArrayHeader(header.dtype, (first, *header.shape[1:]), False)
            content = np.empty(header.nbytes, np.uint8)
            _fill(stream, content.data)
            while self.is_archive and stream.read(_CHUNK):  # to the end, where the check sum is
                pass
            array = content.view(header.dtype).reshape(header.shape, order="F" if header.fortran_order else "C")
            return array[:first] if array.ndim else array

    def listing(self) -> tuple[str, ...]:
        """A line an array: its name, type and shape."""
        return tuple(f"{name}: {self._described(name)}" for name in self.names)

    def _described(self, name: str) -> str:
        try:
            return str(self.header(name))
        except InputError:
            return "not readable"

    def _open(self) -> IO[bytes]:
        return open(self._source, "rb") if isinstance(self._source, Path) else io.BytesIO(self._source)

    @contextmanager
    def _member(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        """(stream, bytes in it) of an array's member."""
        with self._open() as stream:
            if not self.is_archive:
                size = stream.seek(0, io.SEEK_END)
                stream.seek(0)
                yield stream, size
                return
            with zipfile.ZipFile(stream) as archive:
                member = archive.getinfo(name + _MEMBER_SUFFIX)
                with archive.open(member) as content:
                    yield content, member.file_size

    @contextmanager
    def _whole(self, name: str = ONLY) -> Iterator[None]:
        where = self._where if name == ONLY else f"{self._where}, array {name},"
        try:
            yield
        except LogNetError:
            raise
        except MemoryError as error:
            raise InputError(f"{where} is larger than the memory", hint="write fewer rows into it") from error
        except Exception as error:  # of zipfile, zlib, lzma and NumPy's parser of headers, which have no common base
            if isinstance(error, OSError) and error.errno is not None:
                raise InputError(f"{where} cannot be read: {error.strerror}") from error
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(
                f"{where} is not a whole NumPy file of plain arrays: {reason}",
                hint="write it again, with numpy.save or numpy.savez",
            ) from error


def write_npz(file: Path | IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """numpy.savez of arrays by name.  None is called as a parameter of numpy.savez is: file, allow_pickle."""
    keywords: dict[str, Any] = dict(arrays)
    np.savez(file, **keywords)


def _header(stream: IO[bytes], size: int) -> ArrayHeader:
    """The header at the beginning of a stream of so many bytes.  Raises whatever NumPy's parser does, ValueError for
    one that no plain array of that size has."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(stream)
    else:  # 3.0 is for the names of fields, which no plain array has
        raise ValueError(f"format version {version[0]}.{version[1]}")
    if dtype.hasobject:
        raise ValueError("it holds Python objects (a pickle), which are never loaded")
    if dtype.itemsize == 0 or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"its header says {dtype} of shape {shape}")
    header = ArrayHeader(dtype, shape, bool(fortran_order))
    there = size - stream.tell()
    if header.nbytes != there:
        raise ValueError(f"its header says {header}, which is {header.nbytes:,} bytes, but {there:,} are there")
    return header


def _fill(stream: IO[bytes], target: memoryview) -> None:
    done = 0
    while done < len(target):
        part = stream.read(min(_CHUNK, len(target) - done))
        if not part:
            raise EOFError("it ends too early")
        target[done : done + len(part)] = part
        done += len(part)

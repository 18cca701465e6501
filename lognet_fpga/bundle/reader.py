"""Read a bundle, folder or archive, and accept it only when every byte is as it was written.

Names and sizes are checked against the manifest before any content is read, so a foreign archive can neither
write outside nor fill the memory: nothing is ever unpacked to disk.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from lognet_fpga.bundle.arrays import require_arrays
from lognet_fpga.bundle.contents import (
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    SUFFIX,
    Bundle,
    manifest_bytes,
    manifest_digest,
    name_problem,
)
from lognet_fpga.errors import BundleError, did_you_mean_file

MAX_MANIFEST_BYTES = 16 << 20
MAX_BUNDLE_BYTES = 2 << 30
MAX_FILES = 10_000

# What zipfile and the modules below it raise for damaged archives.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
    OSError,
)
_PIECE = 1 << 20
_AGAIN = "; copy the bundle again, or run lognet-deploy again"

ReadFile = Callable[[str, int], bytes]  # (file name, greatest size) to content, at most one byte more than that


def read_bundle(path: Path) -> Bundle:
    """The bundle at path, a folder or a .zip.  Raises BundleError, in one line, for anything but a whole bundle."""
    path = Path(path)
    while True:
        before = _identity(path)
        try:
            return _read_whole(path)
        except BundleError:
            if _identity(path) == before:
                raise  # else another one was put in its place meanwhile


def _identity(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _read_whole(path: Path) -> Bundle:
    try:
        if path.is_dir():
            return _read(path.name, _folder_sizes(path), lambda name, limit: read_plain(path / name, limit))
        if not path.exists():
            hint = did_you_mean_file(path, "give the NAME.lognet that lognet-deploy wrote")
            raise BundleError(f"there is no bundle at {path}", hint=hint)
        if not path.is_file():  # a pipe would be waited for
            raise BundleError(f"{path} is not a bundle: it is neither a folder nor a file")
        with zipfile.ZipFile(path) as archive:
            members = _zip_members(path.name, archive)
            sizes = {name: member.file_size for name, member in members.items()}
            return _read(path.name, sizes, lambda name, limit: _read_member(archive, members[name], limit))
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error
    except ZIP_ERRORS as error:
        raise BundleError(f"{path} is not a bundle, or is cut off or damaged: {_one_line(error)}{_AGAIN}") from error


def _read(place: str, sizes: dict[str, int], read: ReadFile) -> Bundle:
    """The bundle made of files `sizes`, name to size, MANIFEST included."""
    if MANIFEST not in sizes:
        raise BundleError(f"{place} is not a bundle: it has no {MANIFEST}{_AGAIN}")
    manifest = _parse_manifest(place, read(MANIFEST, MAX_MANIFEST_BYTES))
    listed: dict[str, dict] = manifest["files"]
    for name in sorted(sizes.keys() - listed.keys() - {MANIFEST}):
        raise BundleError(f"{place}: {name!r} is not part of the bundle, its {MANIFEST} does not list it; take it out")
    for name in sorted(listed.keys() - sizes.keys()):
        raise BundleError(f"{place}: {name} is missing{_AGAIN}")
    if sum(entry["size"] for entry in listed.values()) > MAX_BUNDLE_BYTES:
        raise BundleError(f"{place}: {MANIFEST} lists more than {MAX_BUNDLE_BYTES >> 30} GiB of files")
    files = {}
    for name, entry in sorted(listed.items()):
        if sizes[name] != entry["size"]:
            raise BundleError(
                f"{place}: {name} is cut off or changed: {sizes[name]} bytes, not {entry['size']}{_AGAIN}"
            )
        data = read(name, entry["size"])
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise BundleError(f"{place}: {name} is changed: its SHA-256 is not the one in {MANIFEST}{_AGAIN}")
        files[name] = data
    bundle = Bundle(manifest, files)
    try:
        bundle.require_usable()
        require_arrays(bundle)
    except BundleError as error:
        raise BundleError(f"{place}: {_one_line(error)}") from error
    return bundle


def _parse_manifest(place: str, data: bytes) -> dict:
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{place}: {MANIFEST} is not JSON: {_one_line(error)}{_AGAIN}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{place} is not a bundle: {MANIFEST} does not say format {FORMAT!r}{_AGAIN}")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise BundleError(
            f"{place}: {MANIFEST} has format version {manifest.get('format_version')!r}, "
            f"this program reads version {FORMAT_VERSION}; deploy the model again"
        )
    if manifest.get("digest") != _digest_or_none(manifest) or manifest_bytes(manifest) != data:
        raise BundleError(f"{place}: {MANIFEST} is changed: its content does not match its digest{_AGAIN}")
    listed = manifest.get("files")
    if not isinstance(listed, dict) or len(listed) > MAX_FILES:
        raise BundleError(f"{place}: {MANIFEST} has no usable list of files")
    for name, entry in listed.items():
        problem = name_problem(name)
        if problem:
            raise BundleError(f"{place}: {MANIFEST} lists a file {name!r}: {problem}")
        if not (isinstance(entry, dict) and isinstance(entry.get("size"), int) and entry["size"] >= 0):
            raise BundleError(f"{place}: {MANIFEST} has no usable size of {name}")
    return manifest


def _digest_or_none(manifest: dict) -> str | None:
    try:
        return manifest_digest(manifest)
    except ValueError:  # NaN, or half a surrogate pair: nothing this package writes
        return None


def _folder_sizes(folder: Path) -> dict[str, int]:
    sizes = {}
    for parent, subfolders, names in os.walk(folder):
        for name in (*subfolders, *names):
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise BundleError(f"{folder.name}: {relative!r} is not a plain file")
            if path.is_file():
                sizes[relative] = path.stat().st_size
        if len(sizes) > MAX_FILES + 1:
            raise BundleError(f"{folder.name} is not a bundle: it holds more than {MAX_FILES:,} files")
    return sizes


def read_plain(path: Path, limit: int) -> bytes:
    """Content of a plain file, at most a byte more than `limit`.  Raises OSError, also where it is something else."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file", str(path))
        return file.read(limit + 1)


def _zip_members(place: str, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Name inside the bundle to member; all members lie in one folder whose name ends in SUFFIX."""
    members: dict[str, zipfile.ZipInfo] = {}
    folders = set()
    for member in archive.infolist():
        # orig_filename, for zipfile cuts filename at a NUL byte
        folder, _, name = member.orig_filename.partition("/")
        if folder.endswith(SUFFIX) and (not name or name.endswith("/")) and not member.file_size:
            continue  # the entry of a folder, which other programs add
        if not folder.endswith(SUFFIX) or (name != MANIFEST and name_problem(name)) or name in members:
            raise BundleError(f"{place} is not a bundle: it has a member {member.orig_filename!r}")
        folders.add(folder)
        members[name] = member
        if len(folders) > 1 or len(members) > MAX_FILES + 1:
            raise BundleError(f"{place} is not a bundle: it holds more than one")
    return members


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """Piece by piece into one buffer, which becomes the result as it is: read at once it would be there three times."""
    content = io.BytesIO()
    try:
        with archive.open(member) as file:
            while piece := file.read(min(_PIECE, limit + 1 - content.tell())):
                content.write(piece)
        return content.getvalue()
    except ZIP_ERRORS as error:
        raise BundleError(f"{archive.filename}: {member.filename} is damaged: {_one_line(error)}{_AGAIN}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

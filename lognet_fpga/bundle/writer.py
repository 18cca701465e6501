"""Write a bundle so that, at every moment, the place holds the earlier one whole or the new one whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.bundle.contents import (
    FORMAT,
    MANIFEST,
    SUFFIX,
    ZIP_SUFFIX,
    Bundle,
    make_bundle,
    manifest_bytes,
    safe_name,
)
from lognet_fpga.bundle.reader import MAX_MANIFEST_BYTES, ZIP_ERRORS, read_plain
from lognet_fpga.bundle.swap import locked, scratch_folder, swap, sync
from lognet_fpga.errors import BundleError, OutputError
from lognet_fpga.machine.archive import write_zip
from lognet_fpga.machine.signals import held

_ATTEMPTS = 5


@dataclass(frozen=True)
class BundlePaths:
    """Where a bundle was written: the folder and the archive beside it, and its digest."""

    folder: Path
    zip: Path
    digest: str

    @property
    def places(self) -> tuple[Path, Path]:
        return self.folder, self.zip


def check_place(name: str, out: Path) -> None:
    """Raise the OutputError that write_bundle(..., out) would raise for a bundle of that name, before any work.

    Makes and changes nothing that stays.
    """
    paths = _paths(name, out)
    try:
        with suppress(FileNotFoundError):
            os.lstat(paths.zip)  # a name that is too long says so
        present = next(place for place in (out.absolute(), *out.absolute().parents) if os.path.lexists(place))
        with scratch_folder(present, _scratch_prefix(paths), paths.places), locked(present):
            if out.is_dir():
                _require_free_or_bundle(paths)
    except OSError as error:
        raise _cannot_write(out, error) from error


def write_bundle(files: Mapping[str, bytes], manifest: Mapping[str, object], out: Path) -> BundlePaths:
    """Write OUT/NAME.lognet and OUT/NAME.lognet.zip, NAME being manifest["name"]; out is made if missing.

    Everything is written beside its place, to the disk, and moved into it, by one writer at a time.  An earlier bundle
    is removed only when the new one is in place, and stays untouched if anything fails before.  Raises OutputError when
    the place is taken by something that is not a bundle (which is left alone) or cannot be written.
    """
    bundle = make_bundle(files, manifest)
    if bundle.name != safe_name(bundle.name):
        raise BundleError(f"{bundle.name!r} cannot be the name of a bundle")
    paths = _paths(bundle.name, out, bundle.digest)
    for attempt in range(_ATTEMPTS):
        try:
            _write(bundle, paths)
            break
        except FileNotFoundError as error:  # another writer that failed has taken the folder away that it had made
            if attempt == _ATTEMPTS - 1 or out.is_dir():
                raise _cannot_write(out, error) from error
        except OSError as error:
            raise _cannot_write(out, error) from error
    return paths


def _write(bundle: Bundle, paths: BundlePaths) -> None:
    out = paths.folder.parent
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with scratch_folder(out, _scratch_prefix(paths), paths.places) as scratch:
            _write_folder(bundle, scratch / paths.folder.name)
            _write_zip(bundle, scratch / paths.zip.name)
            with locked(out), held():
                _require_free_or_bundle(paths)
                swap(scratch, paths.places)
                sync(out)
                shutil.rmtree(scratch, ignore_errors=True)
    except OSError:
        if made:
            with suppress(OSError):
                out.rmdir()
        raise


def _cannot_write(out: Path, error: OSError) -> OutputError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return OutputError(
        f"the bundle cannot be written to {out}: {(error.strerror or str(error)).lower()}",
        hint=f"{'free some space or ' if full else ''}choose another folder with --out; a bundle that was there before "
        "is unchanged",
    )


def _write_folder(bundle: Bundle, folder: Path) -> None:
    folder.mkdir()
    for name, data in {MANIFEST: manifest_bytes(bundle.manifest), **bundle.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sync(path)
    for path in (*filter(Path.is_dir, folder.rglob("*")), folder):
        sync(path)


def _write_zip(bundle: Bundle, path: Path) -> None:
    files = {MANIFEST: manifest_bytes(bundle.manifest), **bundle.files}
    write_zip(path, {f"{bundle.name}{SUFFIX}/{name}": data for name, data in files.items()})
    sync(path)


def _paths(name: str, out: Path, digest: str = "") -> BundlePaths:
    return BundlePaths(out / f"{name}{SUFFIX}", out / f"{name}{ZIP_SUFFIX}", digest)


def _scratch_prefix(paths: BundlePaths) -> str:
    return f".{paths.folder.name}.new-"


def _require_free_or_bundle(paths: BundlePaths) -> None:
    for place, problem in ((paths.folder, _folder_problem), (paths.zip, _zip_problem)):
        if os.path.lexists(place) and (why := problem(place)):
            raise OutputError(
                f"{place} is in the way: {why}; it was left as it is",
                hint="move or delete it, or choose another folder with --out",
            )


def _folder_problem(folder: Path) -> str:
    """Why the folder must not be replaced; empty for a bundle, whole or damaged, that holds nothing else."""
    if not folder.is_dir() or folder.is_symlink():
        return "it is not a folder"
    try:
        manifest = json.loads(read_plain(folder / MANIFEST, MAX_MANIFEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return f"it is not a bundle: it has no readable {MANIFEST}"
    listed = manifest.get("files") if isinstance(manifest, dict) and manifest.get("format") == FORMAT else None
    if not isinstance(listed, dict):
        return "it is not a bundle"
    folders = [str(folder)]
    while folders:  # no recursion: they may be nested as deep as the system lets them be
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                name = os.path.relpath(entry.path, folder)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif not (entry.is_file(follow_symlinks=False) and (name == MANIFEST or name in listed)):
                    return f"it holds {name!r}, which is not part of the bundle"
    return ""


def _zip_problem(path: Path) -> str:
    if not path.is_file() or path.is_symlink():
        return "it is not a file"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except ZIP_ERRORS:
        return "it is not a bundle's archive"
    if not any(name.endswith(f"{SUFFIX}/{MANIFEST}") for name in names):
        return "it is not a bundle's archive"
    return ""

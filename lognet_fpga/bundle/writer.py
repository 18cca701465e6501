"""Write a bundle so that, at every moment, the place holds the earlier one whole or the new one whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.bundle.model import (
    FORMAT,
    MANIFEST,
    SUFFIX,
    ZIP_SUFFIX,
    Bundle,
    make_bundle,
    manifest_bytes,
    safe_name,
)
from lognet_fpga.errors import BundleError, OutputError

ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal bundles are equal archives


@dataclass(frozen=True)
class BundlePaths:
    """Where a bundle was written: the folder and the archive beside it, and its digest."""

    folder: Path
    zip: Path
    digest: str


def check_place(name: str, out: Path) -> None:
    """Raise the OutputError that write_bundle(..., out) would raise for a bundle of that name, before any work.

    Makes and changes nothing that stays.
    """
    paths = BundlePaths(out / f"{name}{SUFFIX}", out / f"{name}{ZIP_SUFFIX}", "")
    present = next(place for place in (out.absolute(), *out.absolute().parents) if os.path.lexists(place))
    try:
        if out.is_dir():
            _require_free_or_bundle(paths)
        os.rmdir(tempfile.mkdtemp(dir=present, prefix=_scratch_prefix(paths)))
    except OSError as error:
        raise _cannot_write(out, error) from error


def write_bundle(files: Mapping[str, bytes], manifest: Mapping[str, object], out: Path) -> BundlePaths:
    """Write OUT/NAME.lognet and OUT/NAME.lognet.zip, NAME being manifest["name"]; out is made if missing.

    Everything is written beside its place and renamed into it.  An earlier bundle is removed only when the new
    one is in place, and stays untouched if anything fails before.  Raises OutputError when the place is taken by
    something that is not a bundle (which is left alone) or cannot be written.
    """
    bundle = make_bundle(files, manifest)
    if bundle.name != safe_name(bundle.name):
        raise BundleError(f"{bundle.name!r} cannot be the name of a bundle")
    paths = BundlePaths(out / f"{bundle.name}{SUFFIX}", out / f"{bundle.name}{ZIP_SUFFIX}", bundle.digest)
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(paths)
        _require_free_or_bundle(paths)
        scratch = Path(tempfile.mkdtemp(dir=out, prefix=f"{_scratch_prefix(paths)}{os.getpid()}-"))
        try:
            _write_folder(bundle, scratch / "new.lognet")
            _write_zip(bundle, scratch / "new.zip")
            with _signals_held():
                _swap(paths, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        if made:
            with suppress(OSError):
                out.rmdir()
        raise _cannot_write(out, error) from error
    return paths


def _cannot_write(out: Path, error: OSError) -> OutputError:
    return OutputError(
        f"the bundle cannot be written to {out}: {(error.strerror or str(error)).lower()}",
        hint="free some space or choose another folder with --out; a bundle that was there before is unchanged",
    )


def _write_folder(bundle: Bundle, folder: Path) -> None:
    folder.mkdir()
    for name, data in {MANIFEST: manifest_bytes(bundle.manifest), **bundle.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _write_zip(bundle: Bundle, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in sorted({MANIFEST: manifest_bytes(bundle.manifest), **bundle.files}.items()):
            member = zipfile.ZipInfo(f"{bundle.name}{SUFFIX}/{name}", ZIP_DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # Unix, wherever it is written
            member.external_attr = 0o644 << 16
            archive.writestr(member, data)


def _swap(paths: BundlePaths, scratch: Path) -> None:
    """Move the earlier bundle into scratch and the new one into place; on a failure put everything back."""
    moves = [
        (paths.folder, scratch / "old.lognet"),
        (scratch / "new.lognet", paths.folder),
        (paths.zip, scratch / "old.zip"),
        (scratch / "new.zip", paths.zip),
    ]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            if os.path.lexists(source):
                os.rename(source, target)
                done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            os.rename(target, source)
        raise


@contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM take effect only after the block, which takes a few renames' time."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread is interrupted by them
        yield
        return
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: held.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for number in held[:1]:
            signal.raise_signal(number)


def _scratch_prefix(paths: BundlePaths) -> str:
    return f".{paths.folder.name}.new-"


def _clear_leftovers(paths: BundlePaths) -> None:
    """Remove what a writer that was killed outright has left, and put back a bundle that it had moved away."""
    for scratch in paths.folder.parent.glob(f"{_scratch_prefix(paths)}*"):
        pid = scratch.name[len(_scratch_prefix(paths)) :].partition("-")[0]
        if pid.isdigit() and _is_running(int(pid)):
            continue
        for old, place in ((scratch / "old.lognet", paths.folder), (scratch / "old.zip", paths.zip)):
            if old.exists() and not os.path.lexists(place):
                os.rename(old, place)
        shutil.rmtree(scratch, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs as somebody else
        return True
    return True


def _require_free_or_bundle(paths: BundlePaths) -> None:
    for place, problem in ((paths.folder, _folder_problem), (paths.zip, _zip_problem)):
        if os.path.lexists(place) and (why := problem(place)):
            raise OutputError(
                f"{place} is in the way: {why}; it was left as it is",
                hint="move or remove it, or choose another folder with --out",
            )


def _folder_problem(folder: Path) -> str:
    """Why the folder must not be replaced; empty for a bundle, whole or damaged, that holds nothing else."""
    if not folder.is_dir() or folder.is_symlink():
        return "it is not a folder"
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return f"it is not a bundle, for it has no readable {MANIFEST}"
    listed = manifest.get("files") if isinstance(manifest, dict) and manifest.get("format") == FORMAT else None
    if not isinstance(listed, dict):
        return "it is not a bundle"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name != MANIFEST and name not in listed:
            return f"it holds {name}, which is not part of the bundle"
    return ""


def _zip_problem(path: Path) -> str:
    if not path.is_file() or path.is_symlink():
        return "it is not a file"
    if not zipfile.is_zipfile(path):
        return "it is not a bundle's archive"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return "it is not a bundle's archive"
    if not any(name.endswith(f"{SUFFIX}/{MANIFEST}") for name in names):
        return "it is not a bundle's archive"
    return ""

"""Mutated bundles, folders and archives, for the commands that read them.

A bundle whose bytes changed must be refused.  One whose fields or files were changed and its digests made right again
is what a foreign program might write: refused with 8, or 7 where the self-test sees it, but no defect.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from lognet_fpga.bundle import make_bundle
from lognet_fpga.bundle.contents import MANIFEST, Bundle, manifest_bytes
from lognet_fpga.cli import bitstream, selftest, stream
from tests.fuzz.case import Case, damaged, one_of
from tests.small_bundle import files, frames, manifest

REFUSED = frozenset({8})
FOREIGN = frozenset({0, 5, 7, 8})  # 5: frames of another shape than the bundle now says
_VALUES = (
    None, True, 0, -1, 3, 1e9, -1e300, 2**63, 10**400, "", "x", "\ud83d", "a/b", "../x", [], [0], [3, 6, 5],
    [1, 2, 3, 4], ["x"], [None], {}, {"name": 3}, [[[[]]]], "nan", 0.5, [2**31, 1, 1], [3, 6], "pynq-z2", "x" * 5000,
)  # fmt: skip


def _bundle() -> Bundle:
    return make_bundle(files(), manifest())


def contents(bundle: Bundle) -> dict[str, bytes]:
    return {MANIFEST: manifest_bytes(bundle.manifest), **bundle.files}


_WHOLE = contents(_bundle())


def archive(parts: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as out:
        for name, data in parts.items():
            out.writestr(f"small.lognet/{name}", data)
    return stream.getvalue()


def write_folder(place: Path, parts: dict[str, bytes]) -> None:
    for name, data in parts.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)


def make(rng: np.random.Generator, folder: Path) -> Case:
    kind = one_of(rng, (_changed_folder, _changed_archive, _other_archive, _foreign, _foreign))
    place, codes = kind(rng, folder)
    np.save(folder / "frames.npy", frames(4))
    command = int(rng.integers(0, 5))
    if command < 2:
        run, more = stream.main, ("--frames", str(folder / "frames.npy"), "--idle", "0")
    elif command < 4:
        run, more = selftest.main, ()
    else:  # the machine that this runs on has no Vivado: 9; its board is none that can have one: 2
        run, more, codes = bitstream.main, (), codes | {2, 9, 13} if codes is FOREIGN else codes
    json_too = ("--json",) if rng.random() < 0.3 else ()
    accepted = (lambda: "") if codes != REFUSED else lambda: _same(place)
    return Case(run, (str(place), *more, *json_too), codes | ({0} if codes == REFUSED else set()), accepted)


def _same(place: Path) -> str:
    """Of what was accepted though it was changed: whether it holds what the whole bundle holds, as zipfile reads it."""
    if place.is_dir():
        return "a changed folder was accepted"
    with zipfile.ZipFile(place) as changed:
        found = {name.partition("/")[2]: changed.read(name) for name in changed.namelist() if not name.endswith("/")}
    return "" if found == _WHOLE else "changed data was accepted"


def _changed_folder(rng: np.random.Generator, folder: Path) -> tuple[Path, frozenset[int]]:
    place = folder / "small.lognet"
    write_folder(place, _WHOLE)
    name = one_of(rng, sorted(_WHOLE))
    path, other = place / name, place / one_of(rng, [each for each in sorted(_WHOLE) if each != name])
    action = int(rng.integers(0, 10))
    if action < 3:
        path.write_bytes(damaged(_WHOLE[name], rng))
    elif action == 3:
        path.unlink()
    elif action == 4:
        path.rename(place / "renamed")
    elif action == 5:
        path.write_bytes(b"" if _WHOLE[name] else b"\n")
    elif action == 6:
        path.unlink()
        path.symlink_to(other)
    elif action == 7:
        path.unlink()
        path.mkdir()
    elif action == 8:
        path.unlink()
        os.mkfifo(path)
    else:
        (place / one_of(rng, ("more", "verilog/more.v", "\udcff", ".hidden", "a" * 200))).write_bytes(b"more")
    return place, REFUSED


def _changed_archive(rng: np.random.Generator, folder: Path) -> tuple[Path, frozenset[int]]:
    """Bytes changed anywhere, often in the directory at the end."""
    data = archive(_WHOLE, one_of(rng, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    start = one_of(rng, (0, data.index(b"PK\x01\x02")))
    place = folder / "small.lognet.zip"
    place.write_bytes(data[:start] + damaged(data[start:], rng))
    return place, REFUSED


def _other_archive(rng: np.random.Generator, folder: Path) -> tuple[Path, frozenset[int]]:
    """A whole archive of other members."""
    place = folder / "small.lognet.zip"
    names = sorted(_WHOLE)
    name, action = one_of(rng, names), int(rng.integers(0, 8))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as out:
        for each in names:
            member, data = f"small.lognet/{each}", _WHOLE[each]
            if each == name and action == 0:
                continue
            if each == name and action == 1:
                data = damaged(data, rng)
            if each == name and action == 2:
                member = one_of(
                    rng, ("../evil", "/evil", f"other.lognet/{each}", "small.lognet/é", "small.lognet//x", each)
                )
            if each == name and action == 3:
                data += bytes(64 << 20)  # which packs to nothing
            out.writestr(member, data)
        if action == 4:
            out.writestr("small.lognet/more", b"more")
        if action == 5:
            out.writestr(f"small.lognet/{name}/x", b"a file below a file")
        if action == 6:
            link = zipfile.ZipInfo("small.lognet/link")
            link.external_attr = 0o120777 << 16
            out.writestr(link, "/etc/passwd")
    data = stream.getvalue()
    if action == 7:  # the method of packing, or the flag of encryption, of a member
        entry = data.index(b"PK\x01\x02")
        offset, value = one_of(rng, ((10, 99), (10, 12), (10, 14), (8, 1), (8, 0x41)))
        data = data[: entry + offset] + bytes([value]) + data[entry + offset + 1 :]
    place.write_bytes(data)
    return place, REFUSED


def _foreign(rng: np.random.Generator, folder: Path) -> tuple[Path, frozenset[int]]:
    """Fields of the manifest or files changed, all digests right."""
    fields, parts = json.loads(json.dumps(_bundle().manifest)), dict(_bundle().files)
    for _ in range(int(rng.choice([1, 1, 2]))):
        if rng.random() < 0.7:
            _change_field(fields, rng)
        else:
            name = one_of(rng, sorted(parts))
            if rng.random() < 0.2:
                del parts[name]
            else:
                parts[name] = damaged(parts[name], rng)
    try:
        bundle = make_bundle(parts, fields)
        whole = contents(bundle)
    except (ValueError, OverflowError):  # numbers and texts that JSON or UTF-8 do not have
        return _changed_folder(rng, folder)
    if rng.random() < 0.5:
        place = folder / "small.lognet"
        write_folder(place, whole)
    else:
        place = folder / "small.lognet.zip"
        place.write_bytes(archive(whole))
    return place, FOREIGN


def _change_field(fields: dict, rng: np.random.Generator) -> None:
    where: object = fields
    while True:
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        if not keys:
            return
        key = one_of(rng, [key for key in keys if key not in ("files", "digest", "format")])
        if isinstance(where[key], (dict, list)) and where[key] and rng.random() < 0.75:
            where = where[key]
            continue
        if rng.random() < 0.15:
            del where[key]
        else:
            where[key] = one_of(rng, _VALUES)
        return

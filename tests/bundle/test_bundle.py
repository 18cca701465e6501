from __future__ import annotations

import json
import random
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import make_bundle, read_bundle, safe_name, write_bundle
from lognet_fpga.errors import BundleError, OutputError
from tests.small_bundle import manifest

FILES = {"golden.onnx": bytes(range(256)), "verilog/top.v": b"module top; endmodule\n", "empty.txt": b""}


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every path below folder with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def refused(path: Path) -> str:
    """The message, of one line, with which path is refused."""
    with pytest.raises(BundleError) as caught:
        read_bundle(path)
    message, *hint = str(caught.value).splitlines()
    assert not hint or (len(hint) == 1 and hint[0].startswith("What to do: "))
    return message


def test_folder_and_zip_hold_what_was_written(tmp_path):
    paths = write_bundle(FILES, manifest(), tmp_path / "new" / "place")
    folder, archive = read_bundle(paths.folder), read_bundle(paths.zip)
    assert folder.files == archive.files == dict(sorted(FILES.items()))
    assert folder.manifest == archive.manifest
    assert folder.digest == paths.digest
    assert folder.input_shape == (3, 6, 5) and folder.clk_mhz == 100.0
    assert sorted(path.name for path in paths.folder.parent.iterdir()) == ["small.lognet", "small.lognet.zip"]


def test_equal_bundles_are_equal_archives_and_others_are_not(tmp_path):
    one = write_bundle(FILES, manifest(), tmp_path / "a")
    two = write_bundle(dict(reversed(FILES.items())), manifest(), tmp_path / "b")
    other = write_bundle(FILES, manifest(clk_mhz=99), tmp_path / "c")
    assert one.zip.read_bytes() == two.zip.read_bytes() and one.digest == two.digest
    assert other.digest != one.digest


def test_python_unpacks_the_archive_to_the_folder(tmp_path):
    paths = write_bundle(FILES, manifest(), tmp_path)
    zipfile.ZipFile(paths.zip).extractall(tmp_path / "out")
    assert snapshot(tmp_path / "out" / "small.lognet") == snapshot(paths.folder)


def test_an_archive_packed_again_with_folder_entries_is_read(tmp_path):
    paths = write_bundle(FILES, manifest(), tmp_path)
    again = shutil.make_archive(str(tmp_path / "again"), "zip", tmp_path, "small.lognet")
    assert read_bundle(Path(again)).digest == paths.digest


def test_numpy_values_in_the_manifest_become_json():
    bundle = make_bundle({}, manifest(clk_mhz=np.float64(50), plan={"cycles_per_frame": np.int64(3)}))
    assert bundle.clk_mhz == 50.0 and bundle.cycles_per_frame == 3


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a/./b", "a\\b", "c:x", "", "manifest.json", "x\n", "a\0b"])
def test_file_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(BundleError):
        make_bundle({name: b""}, manifest())


@pytest.mark.parametrize("name", ["../evil", "", "a/b", ".hidden"])
def test_bundle_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(BundleError):
        write_bundle(FILES, manifest(name=name), tmp_path)
    assert not any(tmp_path.iterdir())
    write_bundle(FILES, manifest(name=safe_name(name)), tmp_path)


def test_a_missing_field_is_named():
    with pytest.raises(BundleError, match="plan.latency_cycles"):
        make_bundle({}, manifest(plan={})).latency_cycles  # noqa: B018
    with pytest.raises(BundleError, match="input.shape"):
        make_bundle({}, manifest(input={"shape": [3, 0, 5]})).input_shape  # noqa: B018
    with pytest.raises(BundleError, match="tail.onnx"):
        make_bundle({}, manifest()).file("tail.onnx")


# --- damage ---------------------------------------------------------------------------------------------------------


def test_a_flipped_bit_anywhere_in_the_folder_is_detected(tmp_path):
    paths = write_bundle(FILES, manifest(), tmp_path)
    rng, tried = random.Random(0), 0
    for path in sorted(path for path in paths.folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for at in rng.sample(range(len(whole)), min(len(whole), 400)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
            refused(paths.folder)
            tried += 1
        path.write_bytes(whole)
    assert tried == 256 + 400 + len(FILES["verilog/top.v"])
    read_bundle(paths.folder)


def test_a_changed_byte_of_the_archive_is_detected_or_changes_nothing(tmp_path):
    """Dates and the like in an archive are no part of the bundle."""
    paths = write_bundle(FILES, manifest(), tmp_path)
    whole, bundle, rng, detected = paths.zip.read_bytes(), read_bundle(paths.zip), random.Random(0), 0
    places = rng.sample(range(len(whole)), 600)
    for at in places:
        paths.zip.write_bytes(whole[:at] + bytes([rng.randrange(256)]) + whole[at + 1 :])
        try:
            seen = read_bundle(paths.zip)
        except BundleError as error:
            detected += 1
            assert "\n" not in str(error)
        else:
            assert seen.files == bundle.files and seen.manifest == bundle.manifest
    assert detected > len(places) // 2


def test_a_truncated_archive_is_refused(tmp_path):
    paths = write_bundle(FILES, manifest(), tmp_path)
    whole = paths.zip.read_bytes()
    for length in range(0, len(whole), 13):
        paths.zip.write_bytes(whole[:length])
        assert "small.lognet.zip" in refused(paths.zip)


def test_missing_extra_truncated_and_linked_files_are_named(tmp_path):
    def broken(change) -> str:
        folder = write_bundle(FILES, manifest(), tmp_path / change.__name__).folder
        change(folder)
        return refused(folder)

    def missing(folder):
        (folder / "empty.txt").unlink()

    def extra(folder):
        (folder / "verilog" / "extra.v").write_text("")

    def cut(folder):
        (folder / "golden.onnx").write_bytes(b"\0" * 10)

    def link(folder):
        (folder / "empty.txt").unlink()
        (folder / "empty.txt").symlink_to(folder / "golden.onnx")

    def no_manifest(folder):
        (folder / "manifest.json").unlink()

    assert "empty.txt is missing" in broken(missing)
    assert "verilog/extra.v" in broken(extra)
    assert "golden.onnx" in broken(cut) and "cut off" in broken(cut)
    assert "empty.txt" in broken(link)
    assert "manifest.json" in broken(no_manifest)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", "[" * 100_000, '"x"', "null", "\xff"])
def test_a_foreign_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    refused(tmp_path)


def test_another_format_version_is_refused_by_its_number(tmp_path):
    folder = write_bundle(FILES, manifest(), tmp_path).folder
    changed = json.loads((folder / "manifest.json").read_text())
    changed["format_version"] = 2
    (folder / "manifest.json").write_text(json.dumps(changed))
    assert "version 2" in refused(folder)


def test_what_is_no_bundle_is_refused(tmp_path):
    (tmp_path / "text.zip").write_text("no archive")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no bundle at" in refused(tmp_path / "nothing")
    refused(tmp_path / "text.zip")
    assert "readme.txt" in refused(tmp_path / "other.zip")
    assert "manifest.json" in refused(tmp_path)


@pytest.mark.parametrize(
    "member",
    [
        "../evil.txt",
        "/evil.txt",
        "small.lognet/../../evil.txt",
        "C:\\evil.txt",
        "small.lognet/a\\..\\b",
        "other.lognet/x",
        "small.lognet/empty.txt",
    ],
)
def test_members_that_lead_elsewhere_or_come_twice_are_refused(tmp_path, member):
    paths = write_bundle(FILES, manifest(), tmp_path)
    with zipfile.ZipFile(paths.zip, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a name that comes twice
        archive.writestr(zipfile.ZipInfo(member), "evil")
    refused(paths.zip)


def test_an_oversized_member_is_refused_without_being_read(tmp_path):
    """10 MB of zeros compress to 10 KB; the manifest says 0 bytes."""
    paths = write_bundle(FILES, manifest(), tmp_path)
    with zipfile.ZipFile(paths.zip) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(paths.zip, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, bytes(10 << 20) if name.endswith("empty.txt") else data)
    assert "empty.txt" in refused(paths.zip)


# --- writing over an earlier one --------------------------------------------------------------------------------------


def test_a_new_bundle_replaces_the_earlier_one_whole(tmp_path):
    write_bundle({**FILES, "old.txt": b"old"}, manifest(), tmp_path)
    paths = write_bundle(FILES, manifest(clk_mhz=50), tmp_path)
    assert read_bundle(paths.folder).clk_mhz == read_bundle(paths.zip).clk_mhz == 50
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.lognet", "small.lognet.zip"]


def test_a_damaged_bundle_may_be_replaced(tmp_path):
    paths = write_bundle(FILES, manifest(), tmp_path)
    (paths.folder / "golden.onnx").unlink()
    write_bundle(FILES, manifest(), tmp_path)
    read_bundle(paths.folder)


def foreign_folder(place: Path) -> None:
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")


def foreign_file(place: Path) -> None:
    place.write_text("years of work")


def bundle_with_notes(place: Path) -> None:
    write_bundle(FILES, manifest(), place.parent)
    (place / "verilog" / "notes.txt").write_text("years of work")


def link_elsewhere(place: Path) -> None:
    write_bundle(FILES, manifest(), place.parent / "elsewhere")
    place.symlink_to(place.parent / "elsewhere" / "small.lognet")


def foreign_zip(place: Path) -> None:
    with zipfile.ZipFile(place.parent / "small.lognet.zip", "w") as archive:
        archive.writestr("thesis.txt", "years of work")


@pytest.mark.parametrize("make", [foreign_folder, foreign_file, bundle_with_notes, link_elsewhere, foreign_zip])
def test_what_is_not_only_a_bundle_is_never_touched(tmp_path, make):
    make(tmp_path / "small.lognet")
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match="in the way"):
        write_bundle({**FILES, "new.txt": b""}, manifest(), tmp_path)
    assert snapshot(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_bundle(FILES, manifest(), tmp_path / "file" / "below")

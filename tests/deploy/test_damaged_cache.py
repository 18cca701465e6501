"""Deployments with a cache in which something is wrong: the bundle is that of an empty cache, or nothing is."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from lognet_fpga.cli import deploy
from lognet_fpga.machine.cache import find
from tests.deploy.workplace import OPTIONS, Workplace, snapshot

SEED = 20


def flipped(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def cut(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))] if data else b"")


def emptied(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def deleted(path: Path, rng: random.Random) -> None:
    path.unlink()


DAMAGE = (flipped, cut, emptied, deleted)


@pytest.fixture
def cache(place, deployed, tmp_path, monkeypatch) -> Path:
    """A copy of the cache that the first deployment has filled."""
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(place.folder / "cache", tmp_path / "cache"))


def deploy_again(place: Workplace, in_process, out: Path, *options: str) -> dict[str, bytes]:
    assert in_process(deploy.main, *OPTIONS, place.model, "--frames", place.frames, "--out", out, *options) == 0
    return verilog(out / "tiny.lognet") if options else snapshot(out / "tiny.lognet")


def verilog(bundle: Path) -> dict[str, bytes]:
    return {name: data for name, data in snapshot(bundle).items() if name.startswith("verilog/")}


def kept_files(cache: Path, *kinds: str) -> list[Path]:
    return sorted(path for kind in kinds for path in (cache / kind).rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_file_of_every_kind_of_entry(place, deployed, cache, in_process, tmp_path, damage):
    """Without the compiled ones, for the time that they take."""
    rng = random.Random(f"{SEED} {damage.__name__}")
    print(f"seed: {SEED} {damage.__name__}")
    for kind in ("adders", "verilog"):
        damage(rng.choice(kept_files(cache, kind)), rng)
    found = deploy_again(place, in_process, tmp_path / "out", "--no-verify")
    assert found == verilog(place.folder / deployed["bundle"])


def test_no_damaged_file_is_ever_taken(cache):
    """Every file of every entry but those of Verilator's runtime, for its size; each damaged in every way."""
    rng, tried = random.Random(SEED), 0
    for index in sorted(cache.glob("*/*/.index")):
        _, _, kind, key = index.read_text().splitlines()[0].split(" ")
        if kind == "verilator-runtime":
            continue
        whole = find(kind, key)
        assert whole
        for path in sorted(path for path in index.parent.rglob("*") if path.is_file() and path.stat().st_size):
            data, mode = path.read_bytes(), path.stat().st_mode
            for damage in DAMAGE:
                damage(path, rng)
                assert find(kind, key) is None, f"{path} {damage.__name__}"
                path.write_bytes(data)
                path.chmod(mode)
                tried += 1
        assert find(kind, key) == whole
    assert tried > 100


@pytest.mark.slow
def test_every_file_of_a_full_cache(place, deployed, cache, in_process, tmp_path):
    """One after the other, each flipped, cut, emptied and deleted; those that are only asked for when another entry is
    made, in one of these ways."""
    rng, right = random.Random(SEED), place.folder / deployed["bundle"]
    asked, below = ("adders", "verilog", "verilator"), {"verilog-module": "verilog", "verilator-runtime": "verilator"}
    assert {path.name for path in cache.iterdir()} == {*asked, *below}

    def deployed_right(kind: str) -> bool:
        if kind.startswith("verilator"):
            return deploy_again(place, in_process, tmp_path / "out") == snapshot(right)
        return deploy_again(place, in_process, tmp_path / "out", "--no-verify") == verilog(right)

    tried = 0
    for kind in (*asked, *below):
        for number, path in enumerate(kept_files(cache, kind)):
            for damage in DAMAGE if kind in asked else (DAMAGE[number % len(DAMAGE)],):
                damage(path, rng)
                if kind in below:
                    shutil.rmtree(cache / below[kind])
                assert deployed_right(kind) and path.is_file(), f"{path} {damage.__name__}"
                tried += 1
    print(f"{tried} damages")
    assert tried > 50

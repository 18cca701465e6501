from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lognet_fpga import cache
from lognet_fpga.errors import OutputError


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder: Path) -> None:
    (folder / "result").write_text("42")


def test_made_once_and_kept():
    place, there = cache.cached("kind", "a" * 64, write)
    assert not there and (place / "result").read_text() == "42"
    assert cache.cached("kind", "a" * 64, lambda folder: pytest.fail("made again")) == (place, True)
    assert cache.cached("kind", "b" * 64, write)[0] != place


@pytest.mark.parametrize(
    "error, seen",
    [
        (KeyboardInterrupt, KeyboardInterrupt),
        (ValueError, ValueError),
        (OSError(28, "No space left on device"), OutputError),
    ],
)
def test_nothing_is_kept_of_what_fails(root, error, seen):
    def fail(folder: Path) -> None:
        write(folder)
        raise error

    with pytest.raises(seen):
        cache.cached("kind", "a" * 64, fail)
    assert list((root / "kind").iterdir()) == []


def test_what_a_killed_process_left_goes_in_time(root):
    for name, age_s in ((".new-old", 2 * 86_400), (".new-young", 60)):
        (root / "kind" / name).mkdir(parents=True)
        os.utime(root / "kind" / name, (time.time() - age_s,) * 2)
    cache.cached("kind", "a" * 64, write)
    assert sorted(path.name for path in (root / "kind").iterdir()) == [".new-young", "a" * 40]


def test_a_relative_place_holds_wherever_a_tool_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNET_CACHE", "here")
    monkeypatch.chdir(tmp_path)
    assert cache.cache_root() == tmp_path / "here"


def test_no_home_is_an_error_with_a_way_out(tmp_path):
    code = "from lognet_fpga import cache\ntry: cache.cache_root()\nexcept Exception as e: print(type(e).__name__, e)"
    clean = {"PYTHONPATH": str(Path(__file__).parents[1])}
    # Path.home() of an account that does not exist
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import pathlib\n"
            "def home(): raise RuntimeError('Could not determine home directory.')\n"
            f"pathlib.Path.home = staticmethod(home)\n{code}",
        ],
        env=clean,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("OutputError there is no place for the cache") and "LOGNET_CACHE" in done.stdout


def test_digest_knows_where_parts_end():
    assert cache.digest("ab", "c") != cache.digest("a", "bc") and cache.digest("a") == cache.digest(b"a")

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lognet_fpga.errors import OutputError, UsageError
from lognet_fpga.machine import cache
from lognet_fpga.machine.cache import lookup
from tests.patience import HANG_S

ROOT = Path(__file__).parents[2]
KEY = "a" * 64


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LOGNET_CACHE_MB", raising=False)
    return tmp_path / "cache"


def write(folder: Path) -> None:
    (folder / "result").write_text("42")
    (folder / "empty").write_text("")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "program").write_bytes(bytes(range(256)))
    (folder / "deep" / "er" / "program").chmod(0o700)


FILES = {"result": b"42", "empty": b"", "deep/er/program": bytes(range(256))}


def never(folder: Path) -> None:
    pytest.fail("made again")


def python(code: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_made_once_and_kept():
    assert cache.find("kind", KEY) is None
    assert cache.cached("kind", KEY, write) == FILES
    assert cache.cached("kind", KEY, never) == cache.find("kind", KEY) == FILES
    folder = cache.cached_folder("kind", KEY, never)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert cache.find("kind", "b" * 64) is cache.find("other", KEY) is None


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

    for get in (cache.cached, cache.cached_folder):
        with pytest.raises(seen):
            get("kind", KEY, fail)
        assert list((root / "kind").iterdir()) == []


# --- damage ---------------------------------------------------------------------------------------------------------


def flipped(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes() or b"\0")
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def cut(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[:-1] or b"longer")


def emptied(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"" if path.stat().st_size else b"filled")


def grown(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def deleted(path: Path, rng: random.Random) -> None:
    path.unlink()


def nested(path: Path, rng: random.Random) -> None:
    """Deeper than Python's recursion goes."""
    path.unlink()
    path.mkdir()
    before = os.getcwd()
    os.chdir(path)
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(before)


def made_a_folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def made_a_pipe(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def made_a_link(path: Path, rng: random.Random) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def other_rights(path: Path, rng: random.Random) -> None:
    path.chmod(path.stat().st_mode ^ 0o100 if path.name != ".index" else 0o000)


DAMAGE = (flipped, cut, emptied, grown, deleted, made_a_folder, made_a_pipe, made_a_link, other_rights, nested)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", [*FILES, ".index"])
def test_a_damaged_entry_is_made_again(root, name, damage):
    rng = random.Random(f"{name} {damage.__name__}")
    for get in (cache.cached, cache.cached_folder):
        get("kind", KEY, write)
        damage(root / "kind" / KEY[:40] / name, rng)
        found = get("kind", KEY, write)
        if get is cache.cached_folder:
            found = {name: (found / name).read_bytes() for name in FILES}
        assert found == FILES and cache.cached("kind", KEY, never) == FILES
        left = [path.name for path in (root / "kind").iterdir()]
        assert left == [KEY[:40]] or damage is nested
    subprocess.run(["rm", "-rf", root], check=True)  # pytest's own way of removing it is recursive


def test_every_bit_of_the_index_and_every_length_of_it(root):
    cache.cached("kind", KEY, write)
    index = root / "kind" / KEY[:40] / ".index"
    whole = index.read_bytes()
    for changed in (
        *(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in range(len(whole))),
        *(whole[:length] for length in range(len(whole))),
        whole.replace(b"kind", b"othe"),
    ):
        index.write_bytes(changed)
        assert cache.find("kind", KEY) is None


def test_an_entry_in_the_place_of_another_or_with_a_file_more_is_made_again(root):
    def other(folder: Path) -> None:
        (folder / "result").write_text("43")

    cache.cached("kind", "b" * 64, other)
    (root / "kind" / ("b" * 40)).rename(root / "kind" / KEY[:40])
    assert cache.cached("kind", KEY, write) == FILES
    (root / "kind" / KEY[:40] / "more.v").write_text("")
    assert cache.find("kind", KEY) is None and cache.cached("kind", KEY, write) == FILES


@pytest.mark.parametrize("lies", ["file", "link", "empty folder", "earlier version"])
def test_whatever_lies_in_an_entrys_place_gives_way(root, lies):
    place = root / "kind" / KEY[:40]
    place.parent.mkdir(parents=True)
    if lies == "file":
        place.write_text("")
    elif lies == "link":
        place.symlink_to(root)
    else:
        place.mkdir()
        if lies == "earlier version":
            write(place)
    assert cache.cached("kind", KEY, write) == FILES and cache.cached("kind", KEY, never) == FILES


def test_the_cache_may_be_deleted_while_an_entry_is_made(root):
    made = []

    def deleted_meanwhile(folder: Path) -> None:
        made.append(folder)
        if len(made) == 1:
            subprocess.run(["rm", "-r", root], check=True)
        write(folder)

    assert cache.cached("kind", KEY, deleted_meanwhile) == FILES and len(made) == 2


# --- others ---------------------------------------------------------------------------------------------------------

RACE = """
import random, time
from pathlib import Path
from lognet_fpga.machine import cache
from lognet_fpga.machine.cache import lookup
rng = random.Random({seed})
def make(key):
    def write(folder):
        for part in range(3):
            (folder / f"part{{part}}").write_text(f"{{key}} {{part}}" * 50)
            time.sleep(0.001 * rng.random())
    return write
input()
for _ in range({rounds}):
    key = str(rng.randrange(4)) * 64
    folder = cache.cached_folder("kind", key, make(key))
    found = {{path.name: path.read_text() for path in folder.glob("part*")}}
    assert found == {{f"part{{part}}": f"{{key}} {{part}}" * 50 for part in range(3)}}, found
    found = cache.cached("kind", key, make(key))
    assert found == {{f"part{{part}}": (f"{{key}} {{part}}" * 50).encode() for part in range(3)}}, found
print("done")
"""


@pytest.mark.parametrize("limit_mb", ["4096", "0"])
def test_many_processes_with_one_cache(root, limit_mb):
    """Each reads, makes and trims what the others do."""
    users = [python(RACE.format(seed=seed, rounds=30), LOGNET_CACHE_MB=limit_mb) for seed in range(6)]
    for user in users:
        user.stdin.write("\n")
        user.stdin.flush()
    for user in users:
        said, error = user.communicate(timeout=HANG_S)
        assert said == "done\n", error
    left = [path.name for path in (root / "kind").iterdir()]
    assert len(left) == (4 if limit_mb != "0" else 0) and all(len(name) == 40 for name in left)


def test_what_a_killed_process_left_goes_in_time(root):
    for name, age_s in ((".new-old", 2 * 86_400), (".new-young", 60), (".old-old", 2 * 86_400)):
        (root / "kind" / name).mkdir(parents=True)
        os.utime(root / "kind" / name, (time.time() - age_s,) * 2)
    cache.cached("kind", KEY, write)
    assert sorted(path.name for path in (root / "kind").iterdir()) == [".new-young", KEY[:40]]


@pytest.mark.parametrize("mask, mode", [(0o022, 0o755), (0o002, 0o775), (0o077, 0o700)])
def test_a_cache_is_as_open_as_the_umask_lets_it_be(root, mask, mode):
    before = os.umask(mask)
    try:
        cache.cached("kind", KEY, write)
    finally:
        os.umask(before)
    assert_open(root, mode)


def test_a_cache_that_a_group_shares_stays_so_whatever_the_umask(root):
    root.mkdir()
    root.chmod(0o2775)
    before = os.umask(0o077)
    try:
        cache.cached("kind", KEY, write)
    finally:
        os.umask(before)
    assert_open(root, 0o2775)


def assert_open(root: Path, mode: int) -> None:
    for path in root.rglob("*"):
        expected = mode if path.is_dir() else mode & 0o777 if path.name == "program" else mode & 0o666
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


# --- size -----------------------------------------------------------------------------------------------------------


def fill(size: int):
    return lambda folder: (folder / "data").write_bytes(bytes(size))


def test_what_was_not_used_for_the_longest_time_goes_first(root, monkeypatch):
    monkeypatch.setenv("LOGNET_CACHE_MB", "1")
    for number in range(12):
        cache.cached("kind", f"{number:x}" * 64, fill(90_000))
        os.utime(root / "kind" / (f"{number:x}" * 40) / ".index", (1000 + number,) * 2)
        if number == 10:  # none has gone yet
            assert cache.find("kind", "0" * 64)
    left = {path.name[0] for path in (root / "kind").iterdir()}
    assert "0" in left and "b" in left and "1" not in left and "2" not in left  # 0 was used, b is new
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < 1_000_000


def test_what_a_process_uses_is_not_removed_before_it_ends(root, monkeypatch):
    user = python(
        "from lognet_fpga.machine import cache\n"
        "print(cache.cached_folder('kind', 64 * 'c', lambda folder: (folder / 'data').write_bytes(bytes(50000))))\n"
        "import sys; sys.stdout.flush(); input()"
    )
    used = Path(user.stdout.readline().strip())
    monkeypatch.setenv("LOGNET_CACHE_MB", "0")
    cache.cached("kind", KEY, write)
    assert (used / "data").stat().st_size == 50_000 and not (root / "kind" / KEY[:40]).exists()
    user.communicate("\n", timeout=HANG_S)
    cache.cached("kind", KEY, write)
    assert not used.exists()


def test_a_process_keeps_a_bounded_number_of_files_open(root, monkeypatch):
    monkeypatch.setattr(lookup, "IN_USE", 3)
    before = len(os.listdir("/proc/self/fd"))
    for number in [*range(10)] * 2:
        cache.cached_folder("kind", f"{number:x}" * 64, write)
    assert len(os.listdir("/proc/self/fd")) <= before + 3


def test_what_one_uses_oneself_is_removed_at_the_end(root):
    user = python(
        "from lognet_fpga.machine import cache\n"
        "print(cache.cached_folder('kind', 64 * 'c', lambda folder: (folder / 'data').write_bytes(bytes(50000))))",
        LOGNET_CACHE_MB="0",
    )
    said, error = user.communicate(timeout=HANG_S)
    assert said.strip() == str(root / "kind" / ("c" * 40)) and not error
    assert not list((root / "kind").iterdir())


def test_nothing_but_entries_is_removed(root, monkeypatch):
    monkeypatch.setenv("LOGNET_CACHE_MB", "0")
    for name in ("logs/lognet-deploy-1.txt", "data-1.0/set/x", "kind/my notes"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("mine")
    cache.cached("kind", KEY, write)
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == ["lognet-deploy-1.txt", "my notes", "x"]


@pytest.mark.parametrize("limit", ["-1", "much", "1e3", "nan", "1.5", "9" * 20])
def test_a_limit_that_is_none_is_refused(monkeypatch, limit):
    monkeypatch.setenv("LOGNET_CACHE_MB", limit)
    with pytest.raises(UsageError, match="LOGNET_CACHE_MB"):
        cache.cached("kind", KEY, never)


# --- where it is ----------------------------------------------------------------------------------------------------


def test_a_relative_place_holds_wherever_a_tool_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNET_CACHE", "here")
    monkeypatch.chdir(tmp_path)
    assert cache.cache_root() == tmp_path / "here"


def test_no_home_is_an_error_with_a_way_out(tmp_path):
    code = (
        "from lognet_fpga.machine import cache\n"
        "try: cache.cache_root()\nexcept Exception as e: print(type(e).__name__, e)"
    )
    clean = {"PYTHONPATH": str(Path(__file__).parents[2])}
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

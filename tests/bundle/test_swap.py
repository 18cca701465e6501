"""Writing over an earlier bundle: failures, signals, killed writers, several writers and readers at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from lognet_fpga.bundle import check_place, read_bundle, swap, write_bundle, writer
from lognet_fpga.errors import BundleError, OutputError
from lognet_fpga.machine.signals import TERMINATING
from tests.patience import HANG_S
from tests.peak_memory import PEAK_KB
from tests.small_bundle import manifest

ROOT = Path(__file__).parents[2]
FILES = {"golden.onnx": bytes(range(256)), "verilog/top.v": b"module top; endmodule\n", "empty.txt": b""}
SEED = 60
PLACES = ["small.lognet", "small.lognet.zip"]


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every path below folder with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


WRITES = 8  # 4 files and 4 members of the archive
STEPS = {"exchanged": 2, "renamed": 4}  # of the swap of folder and archive
EVERY_STEP = [(way, step) for way, steps in STEPS.items() for step in range(1, WRITES + steps + 1)]


@pytest.fixture
def way(request, monkeypatch) -> str:
    """How they are swapped; renamed is for systems that cannot exchange."""
    if request.param == "renamed":
        monkeypatch.setattr(swap, "_exchange", lambda one, two: False)
    return request.param


@pytest.fixture
def at_step(monkeypatch):
    """at_step(number, act): have act() called before that write or step of the swap, counted from 1."""

    def at_step(number: int, act) -> None:
        calls = 0

        def counted(original):
            def wrapped(*args, **kwargs):
                nonlocal calls
                calls += 1
                if calls == number:
                    act()
                return original(*args, **kwargs)

            return wrapped

        monkeypatch.setattr(Path, "write_bytes", counted(Path.write_bytes))
        monkeypatch.setattr(zipfile.ZipFile, "writestr", counted(zipfile.ZipFile.writestr))
        if "lambda" not in swap._exchange.__qualname__:
            monkeypatch.setattr(swap, "_exchange", counted(swap._exchange))
        monkeypatch.setattr(swap.os, "rename", counted(os.rename))

    return at_step


def raising(error: BaseException):
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("way, step", EVERY_STEP, indirect=["way"])
def test_a_failure_at_any_step_leaves_the_earlier_bundle(tmp_path, monkeypatch, way, at_step, step):
    write_bundle(FILES, manifest(), tmp_path)
    before = snapshot(tmp_path)
    at_step(step, raising(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match="no space left"):
        write_bundle(FILES, manifest(clk_mhz=1), tmp_path)
    monkeypatch.undo()
    assert snapshot(tmp_path) == before


def test_a_failure_at_any_step_of_a_first_bundle_leaves_nothing(tmp_path, monkeypatch, at_step):
    for step in range(1, WRITES + 3):
        with monkeypatch.context():
            at_step(step, raising(OSError(5, "Input/output error")))
            with pytest.raises(OutputError):
                write_bundle(FILES, manifest(), tmp_path / "new")
            monkeypatch.undo()
        assert names(tmp_path) == []


@pytest.mark.parametrize("kind", [number.name for number in TERMINATING])
@pytest.mark.parametrize("way, step", EVERY_STEP, indirect=["way"])
def test_a_signal_at_any_step_leaves_one_of_both_whole(tmp_path, monkeypatch, way, at_step, step, kind):
    """While it is written the earlier one, from the swap on the new one, and nothing beside it."""
    write_bundle(FILES, manifest(), tmp_path)
    number = getattr(signal, kind)
    before = signal.signal(number, signal.default_int_handler)
    try:
        at_step(step, lambda: signal.raise_signal(number))
        with pytest.raises(KeyboardInterrupt):
            write_bundle(FILES, manifest(clk_mhz=1), tmp_path)
    finally:
        signal.signal(number, before)
    expected = 100 if step <= WRITES else 1
    assert all(read_bundle(tmp_path / place).clk_mhz == expected for place in PLACES)
    assert names(tmp_path) == PLACES


@pytest.mark.parametrize("kind", [number.name for number in TERMINATING])
def test_a_signal_during_the_clean_up_waits_for_its_end(tmp_path, monkeypatch, kind):
    write_bundle(FILES, manifest(), tmp_path)
    number, rmtree = getattr(signal, kind), swap.shutil.rmtree

    def interrupted(path, **options):
        signal.raise_signal(number)
        rmtree(path, **options)

    before = signal.signal(number, signal.default_int_handler)
    try:
        monkeypatch.setattr(swap.shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_bundle(FILES, manifest(clk_mhz=1), tmp_path)
    finally:
        signal.signal(number, before)
    assert names(tmp_path) == PLACES and read_bundle(tmp_path / PLACES[0]).clk_mhz == 1


KILLED = """
import os, sys, zipfile
from pathlib import Path
from lognet_fpga.bundle import swap, write_bundle
from tests.small_bundle import manifest
calls = 0
def deadly(original):
    def wrapped(*args, **kwargs):
        global calls
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), 9)
        return original(*args, **kwargs)
    return wrapped
Path.write_bytes = deadly(Path.write_bytes)
swap.os.rename = deadly(swap.os.rename)
swap._exchange = (lambda one, two: False) if sys.argv[3] == "renames" else deadly(swap._exchange)
write_bundle({"a": b"1", "b": b"2"}, manifest(clk_mhz=1), Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    "by, step", [("exchange", step) for step in (1, 3, 4, 5)] + [("renames", s) for s in (4, 5, 6, 7)]
)
def test_a_writer_that_was_killed_does_no_lasting_harm(tmp_path, monkeypatch, by, step):
    """Steps 1 to 3 write files, from 4 on it is the swap.  In one step nothing is missing at any moment; what renames
    have moved away the next writer puts back first."""
    write_bundle(FILES, manifest(), tmp_path)
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path, str(step), by], cwd=ROOT, env={"PYTHONPATH": "."})
    assert killed.returncode == -signal.SIGKILL
    if by == "exchange":
        assert {read_bundle(tmp_path / place).clk_mhz for place in PLACES} <= {100, 1}
    monkeypatch.setattr(writer, "_write_folder", lambda *args: raising(OSError(28, "full"))())
    with pytest.raises(OutputError):  # this one fails too, after it has cleared up
        write_bundle(FILES, manifest(), tmp_path)
    assert {read_bundle(tmp_path / place).clk_mhz for place in PLACES} <= {100, 1}
    assert names(tmp_path) == PLACES


# --- at once --------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from lognet_fpga.bundle import check_place, write_bundle
from tests.small_bundle import manifest
input()
for turn in range(int(sys.argv[3])):
    check_place("small", Path(sys.argv[1]))
    who = int(sys.argv[2]) * 1000 + turn
    files = {"who": str(who).encode() * 999, "more/who": str(who).encode()}
    write_bundle(files, manifest(clk_mhz=who / 100), Path(sys.argv[1]))
print("done")
"""


def start_writer(out: Path, number: int, turns: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, out, str(number), str(turns)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("writers, turns", [(6, 15), pytest.param(12, 200, marks=pytest.mark.slow)])
def test_many_writers_and_a_reader_at_one_place(tmp_path, writers, turns):
    """None of them fails, and who reads in between always finds a whole bundle."""
    out = tmp_path / "new" / "place"
    processes = [start_writer(out, number + 1, turns) for number in range(writers)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    seen = set()
    while any(process.poll() is None for process in processes):
        for place in PLACES:
            if (out / place).exists():
                seen.add(read_bundle(out / place).clk_mhz)
    for process in processes:
        said, error = process.communicate()
        assert said == "done\n", error
    assert len(seen) > 1
    assert names(out) == PLACES
    assert read_bundle(out / PLACES[0]).digest == read_bundle(out / PLACES[1]).digest


def test_a_place_can_be_checked_while_another_process_writes_there(tmp_path):
    """The probe of the one is not what the other takes for the leftovers of a killed writer."""
    with swap.scratch_folder(tmp_path, ".small.lognet.new-", ()) as scratch:
        (scratch / "half").write_text("")
        check_place("small", tmp_path)
        write_bundle(FILES, manifest(), tmp_path)
        assert (scratch / "half").exists()
    assert names(tmp_path) == PLACES


LOOP = """
import sys
from pathlib import Path
from lognet_fpga.machine import signals
from lognet_fpga.bundle import write_bundle
from tests.small_bundle import manifest
signals.catch()
try:
    for turn in range(1, 10**9):
        files = {f"{part}": bytes(200_000) for part in range(9)}
        write_bundle(files, manifest(clk_mhz=1 + turn / 1e6), Path(sys.argv[1]))
        if turn == 1:
            print("written", flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("count", [8, pytest.param(60, marks=pytest.mark.slow)])
def test_signals_at_random_moments_of_a_writer(tmp_path, count):
    """Of four kinds; behind each the bundle and its archive are whole, and nothing lies beside them."""
    rng = random.Random(SEED)
    print(f"seed: {SEED}")
    for turn in range(count):
        process = subprocess.Popen(
            [sys.executable, "-c", LOOP, tmp_path],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": "."},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "written\n", process.communicate()
        time.sleep(rng.random() * 0.5)
        process.send_signal((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)[turn % 4])
        error = process.communicate(timeout=HANG_S)[1]
        assert (process.returncode, error) == (130, "")
        for place in PLACES:
            read_bundle(tmp_path / place)
        assert names(tmp_path) == PLACES


# --- what lies there ------------------------------------------------------------------------------------------------


def pipe(place: Path) -> None:
    os.mkfifo(place)


def pipe_for_manifest(place: Path) -> None:
    place.mkdir()
    os.mkfifo(place / "manifest.json")


def pipe_that_is_listed(place: Path) -> None:
    write_bundle(FILES, manifest(), place.parent)
    (place / "empty.txt").unlink()
    os.mkfifo(place / "empty.txt")


def pipe_for_the_archive(place: Path) -> None:
    os.mkfifo(place.with_name("small.lognet.zip"))


def deep_manifest(place: Path) -> None:
    place.mkdir()
    (place / "manifest.json").write_text("[" * 200_000)


def closed_deep_manifest(place: Path) -> None:
    place.mkdir()
    (place / "manifest.json").write_text('{"a":' * 200_000 + "1" + "}" * 200_000)


def manifest_of_a_wrong_kind(place: Path) -> None:
    place.mkdir()
    (place / "manifest.json").write_text('{"format": "lognet-bundle", "files": ["manifest.json"]}')


def folder_for_manifest(place: Path) -> None:
    (place / "manifest.json").mkdir(parents=True)


def loop(place: Path) -> None:
    place.symlink_to(place)


@pytest.mark.parametrize(
    "make",
    [
        pipe,
        pipe_for_manifest,
        pipe_that_is_listed,
        pipe_for_the_archive,
        deep_manifest,
        closed_deep_manifest,
        manifest_of_a_wrong_kind,
        folder_for_manifest,
        loop,
    ],
)
def test_what_is_no_bundle_is_in_the_way_and_not_waited_for(tmp_path, make):
    make(tmp_path / "small.lognet")
    before = names(tmp_path)
    for write in (lambda: check_place("small", tmp_path), lambda: write_bundle(FILES, manifest(), tmp_path)):
        with pytest.raises(OutputError, match="in the way"):
            write()
    assert names(tmp_path) == before
    if make in (pipe_for_manifest, deep_manifest, closed_deep_manifest, pipe_that_is_listed, pipe):
        with pytest.raises(BundleError):
            read_bundle(tmp_path / "small.lognet")


@pytest.mark.parametrize("out", ["x" * 300, "/".join(["y" * 200] * 30)])
def test_a_name_that_is_too_long_says_so(tmp_path, out):
    for write in (
        lambda: check_place("small", tmp_path / out),
        lambda: write_bundle(FILES, manifest(), tmp_path / out),
    ):
        with pytest.raises(OutputError, match="file name too long"):
            write()
    assert names(tmp_path) == []


def test_an_archive_is_read_into_little_more_memory_than_its_content_takes(tmp_path):
    size = 64 << 20
    place = write_bundle({"tail.onnx": random.Random(1).randbytes(size)}, manifest(), tmp_path).zip
    code = (
        "import sys; from pathlib import Path; from lognet_fpga.bundle import read_bundle\n"
        f"before = {PEAK_KB}\n"
        "bundle = read_bundle(Path(sys.argv[1]))\n"
        f"print(({PEAK_KB} - before) * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, place], cwd=ROOT, capture_output=True, text=True, check=True)
    assert size < int(done.stdout) < 1.3 * size

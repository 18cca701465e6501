"""A submission's folders: what the runner measured, as it wrote it, and nothing else."""

from __future__ import annotations

import json

import pytest

from lognet_fpga.bundle import read_bundle, write_bundle
from lognet_fpga.errors import InputError, UsageError
from lognet_fpga.mlperf_tiny.submission import Submission, device_name
from lognet_fpga.mlperf_tiny.tasks import TASKS
from lognet_fpga.runtime.simulated import SimulatedDevice
from lognet_fpga.runtime.values import Measured
from tests import small_bundle

RESULTS = {
    "performance": "1201.100000 ulp-mlperf: Median throughput is   9876.543 inf./sec.\n",
    "accuracy": "1201.100000 ulp-mlperf: Top 1% = 86.5\n1201.100000 ulp-mlperf: AUC = 0.990\n",
}


class Board(SimulatedDevice):
    """Stands in for a board: its figures are measured."""

    def figure(self, value, unit):
        return Measured(value, unit)


@pytest.fixture
def bundle(tmp_path):
    path = write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path).folder
    return path, read_bundle(path)


@pytest.fixture
def session(tmp_path, bundle):
    def make(mode: str, name: str | None = None):
        folder = tmp_path / f"session {mode}"
        folder.mkdir(exist_ok=True)
        name = device_name(bundle[1], Board(bundle[1])) if name is None else name
        (folder / "log.txt").write_text(f"Retrieving name from DUT ...\nDevice name retrieved: {name}\n")
        (folder / "results.txt").write_text(RESULTS[mode])
        (folder / "results.json").write_text("[]")
        return folder

    return make


def submission(bundle, sessions, **changes) -> Submission:
    path, content = bundle
    options = {"organization": "me", "system": "pynq-z2", **changes}
    return Submission(content, path, TASKS["ic"], sessions=sessions, **options)


def test_the_folders(tmp_path, bundle, session):
    sessions = {mode: session(mode) for mode in RESULTS}
    place = submission(bundle, sessions, description={"Status": "available"}).write(tmp_path / "out")
    assert place == tmp_path / "out" / "closed" / "me"
    for mode, folder in sessions.items():
        for name in ("log.txt", "results.txt", "results.json"):
            assert (place / "results/pynq-z2/ic" / mode / name).read_bytes() == (folder / name).read_bytes()
    assert {path.name for path in (place / "results/pynq-z2/ic").iterdir()} == RESULTS.keys()
    system = json.loads((place / "systems/pynq-z2.json").read_text())
    assert system["Status"] == "available" and system["Board Name"] == "PYNQ-Z2"
    assert system["Processor(s) Frequencies"] == ""  # not known here, and not made up
    code = place / "code/ic/lognet-fpga"
    assert (code / bundle[0].name / "manifest.json").is_file() and "lognet-mlperf ic" in (
        code / "README.md"
    ).read_text()


def test_nothing_simulated_gets_in(tmp_path, bundle, session):
    name = device_name(bundle[1], SimulatedDevice(bundle[1]))
    assert "simulated" in name
    with pytest.raises(InputError, match="not measured on a board"):
        submission(bundle, {"performance": session("performance", name)}).write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name, says",
    [
        ("lognet-fpga, PYNQ-Z2, measured, 000000000000", "another bundle or device"),
        ("NUCLEO-L4R5ZI", "another bundle or device"),
        ("", "names no device"),
    ],
)
def test_sessions_of_others(tmp_path, bundle, session, name, says):
    folder = session("performance", name)
    if not name:
        (folder / "log.txt").write_text("nothing\n")
    with pytest.raises(InputError, match=says):
        submission(bundle, {"performance": folder}).write(tmp_path / "out")


def test_sessions_of_another_mode_and_without_files(tmp_path, bundle, session):
    with pytest.raises(InputError, match="no result of the mode accuracy"):
        submission(bundle, {"accuracy": session("performance")}).write(tmp_path / "out")
    (session("performance") / "results.txt").unlink()
    with pytest.raises(InputError, match="results.txt cannot be read"):
        submission(bundle, {"performance": tmp_path / "session performance"}).write(tmp_path / "out")


@pytest.mark.parametrize("changes", [{"organization": "a b"}, {"system": "../x"}, {"system": ""}])
def test_names_that_are_no_folders(bundle, session, changes):
    with pytest.raises(UsageError, match="names no folder"):
        submission(bundle, {"performance": session("performance")}, **changes)


def test_nothing_to_submit(bundle):
    with pytest.raises(UsageError, match="nothing measured"):
        submission(bundle, {})

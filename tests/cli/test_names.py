"""Names that no file can have, and names that are no text."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import read_bundle, write_bundle
from lognet_fpga.cli import bitstream, cost, deploy, inspect, retrain, selftest, serve, stream, study
from lognet_fpga.errors import OutputError
from lognet_fpga.machine.output_file import new_file
from tests import small_bundle
from tests.cli.process import Command
from tests.models import ModelBuilder, save

NO_TEXT = os.fsdecode(b"caf\xe9 \xff")  # Latin-1, as an old archive has it


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, require_tool) -> dict[str, Path]:
    require_tool("onnx")
    folder = tmp_path_factory.mktemp("inputs")
    np.savez(folder / "frames.npz", frames=np.zeros((40, 1, 8, 8), np.uint8), labels=np.arange(40) % 5)
    model = ModelBuilder((1, 8, 8), seed=3).conv(3).relu().pool().flatten().gemm(3 * 16, 5).model()
    return {
        "FOLDER": folder,
        "MODEL": save(model, folder, "tiny.onnx"),
        "FRAMES": folder / "frames.npz",
        "BUNDLE": write_bundle(small_bundle.files(), small_bundle.manifest(), folder).folder,
    }


CASES = [
    (inspect, 3, "NAME"),
    (deploy, 3, "NAME --out FOLDER"),
    (deploy, 5, "MODEL --frames NAME --no-verify"),
    (deploy, 5, "MODEL --frames FRAMES --eval NAME --no-verify"),
    (deploy, 5, "MODEL --frames FRAMES --input-mean NAME.npy --no-verify"),
    (deploy, 10, "MODEL --frames FRAMES --out NAME --no-verify"),
    (stream, 8, "NAME --frames FRAMES"),
    (stream, 5, "BUNDLE --frames NAME"),
    (stream, 5, "BUNDLE --frames NAME.mp4"),
    (selftest, 8, "NAME"),
    (bitstream, 8, "NAME"),
    (serve, 8, "NAME"),
    (study, 3, "NAME --out FOLDER"),
    (study, 5, "MODEL --data NAME --out FOLDER"),
    (study, 10, "MODEL --data FRAMES --out NAME"),
    (retrain, 3, "NAME --data FRAMES"),
    (retrain, 5, "MODEL --data NAME --out FOLDER/x.onnx"),
    (cost, 10, "--bits 1 --out NAME"),
]


@pytest.mark.parametrize("name", ["x" * 300, "/".join(["y" * 200] * 30)], ids=["long", "deep"])
@pytest.mark.parametrize("module, code, arguments", CASES, ids=[f"{m.PROGRAM} {a}" for m, _, a in CASES])
def test_a_name_that_is_too_long(inputs, in_process, monkeypatch, tmp_path, capsys, module, code, arguments, name):
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path))
    monkeypatch.setenv("LOGNET_TOKEN", "t" * 32)
    given = {**inputs, "NAME": inputs["FOLDER"] / name, "NAME.npy": inputs["FOLDER"] / f"{name}.npy"}
    given |= {"NAME.mp4": inputs["FOLDER"] / f"{name}.mp4", "FOLDER/x.onnx": inputs["FOLDER"] / "x.onnx"}
    assert in_process(module.main, *(given.get(word, word) for word in arguments.split()), "--json") == code
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["exit_code"] == code and out.count("\n") == 1
    assert "defect" not in err


@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1:strict", "utf-8:strict"])
def test_names_that_are_no_text_are_printed_escaped(command: Command, inputs, tmp_path, encoding):
    env = {"PYTHONIOENCODING": encoding}
    missing = command("inspect", tmp_path / NO_TEXT, env=env)
    assert missing.returncode == 3 and r"caf\udce9 \udcff" in missing.stderr
    there = tmp_path / f"{NO_TEXT}.onnx"
    there.write_bytes(inputs["MODEL"].read_bytes())
    done = command("inspect", there, env=env)
    assert done.returncode == 0 and r"caf\udce9 \udcff.onnx" in done.stdout, done.stderr
    as_json = command("inspect", there, "--json", env=env)
    assert json.loads(as_json.stdout)["model"] == there.name


@pytest.mark.parametrize("encoding", ["ascii:strict", "utf-8:strict"])
def test_a_whole_deployment_of_names_that_are_no_text(command: Command, inputs, tmp_path, encoding):
    """Model, frames, classes and folder."""
    from PIL import Image

    for number in range(5):
        (tmp_path / NO_TEXT / f"{NO_TEXT}{number}").mkdir(parents=True)
        for picture in range(2):
            Image.new("L", (8, 8), picture * 20).save(tmp_path / NO_TEXT / f"{NO_TEXT}{number}" / f"{picture}.png")
    model = tmp_path / f"{NO_TEXT}.onnx"
    model.write_bytes(inputs["MODEL"].read_bytes())
    arguments = (model, "--frames", tmp_path / NO_TEXT, "--out", tmp_path / NO_TEXT / "out", "--no-verify")
    done = command("deploy", *arguments, "--fps", "1000", env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    bundle = read_bundle(next((tmp_path / NO_TEXT / "out").glob("*.lognet")))
    assert bundle.manifest["model"]["file"] == r"caf\udce9 \udcff.onnx"
    assert len({name.encode() for name in bundle.class_names}) == 5
    assert r"caf\udce9 \udcff" in bundle.file("report.txt").decode()


# --- what a command leaves ------------------------------------------------------------------------------------------


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    place = tmp_path / ("n" * 255)
    with new_file(place) as scratch:
        scratch.write_text("first")
    for error in (KeyboardInterrupt, OSError(28, "No space left on device"), ValueError):
        with pytest.raises(OutputError if isinstance(error, OSError) else error), new_file(place) as scratch:
            scratch.write_text("half")
            raise error
    assert place.read_text() == "first" and list(tmp_path.iterdir()) == [place]


def test_a_link_keeps_its_place_and_what_is_no_file_is_left_alone(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    with new_file(tmp_path / "link") as scratch:
        scratch.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far" / "file").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path / "far", Path("/dev/null")):
        with pytest.raises(OutputError, match="in the way"), new_file(place) as scratch:
            scratch.write_text("new")
    assert (tmp_path / "pipe").is_fifo() and not Path("/dev/null").is_file()

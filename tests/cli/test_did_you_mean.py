"""A word that is none: what is most like it is named, and nothing where nothing is."""

from __future__ import annotations

import pytest

from lognet_fpga.cli import deploy, doctor, inspect, retrain, selftest, stream, study
from lognet_fpga.errors import UsageError
from lognet_fpga.runtime.power.choose import open_meter
from tests.models import save, small_cnn


@pytest.mark.parametrize(
    "main, arguments, meant",
    [
        (deploy.main, ["m.onnx", "--fram", "photos"], "--frames"),
        (deploy.main, ["m.onnx", "--bord=pynq-z2"], "--board"),
        (deploy.main, ["m.onnx", "--input-preset", "imagnet"], "imagenet"),
        (deploy.main, ["m.onnx", "--weights", "bam"], "bram"),
        (deploy.main, ["m.onnx", "--board", "pynqz2"], "pynq-z2"),
        (inspect.main, ["m.onnx", "--board", "kv-260"], "kv260"),
        (stream.main, ["b.lognet", "--frames", "x", "--polcy", "drop"], "--policy"),
        (stream.main, ["b.lognet", "--frames", "x", "--policy", "dropp"], "drop"),
        (doctor.main, ["depoly"], "deploy"),
        (stream.main, ["b.lognet", "--frames", "x", "--device", "simulatd"], "simulated"),
        (deploy.main, ["m.onnx", "--zzzz"], None),
        (deploy.main, ["m.onnx", "--board", "versal"], None),
        (doctor.main, ["everything"], None),
        (deploy.main, ["m.onnx", "--clk-mhz"], None),
    ],
)
def test_what_was_meant(main, arguments, meant, in_process, capsys):
    assert in_process(main, *arguments) == UsageError.exit_code
    said = capsys.readouterr().err
    assert (f"did you mean {meant}?" if meant else "What to do:") in said
    assert ("did you mean" in said) == (meant is not None)


@pytest.mark.parametrize(
    "main, there, arguments",
    [
        (deploy.main, "model.onnx", ["FOLDER/modle.onnx"]),
        (inspect.main, "model.onnx", ["FOLDER/mode.onnx"]),
        (retrain.main, "model.onnx", ["FOLDER/model.onx", "--data", "x"]),
        (study.main, "model.onnx", ["FOLDER/modell.onnx"]),
        (stream.main, "model.lognet", ["FOLDER/model.logent", "--frames", "x"]),
        (selftest.main, "model.lognet.zip", ["FOLDER/model.lognt.zip"]),
        (deploy.main, "photos", ["MODEL", "--frames", "FOLDER/photo"]),
        (deploy.main, "test.npz", ["MODEL", "--frames", "FOLDER/tets.npz"]),
    ],
)
def test_which_file_was_meant(main, there, arguments, tmp_path, in_process, capsys):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / there).touch()
    model = save(small_cnn(), tmp_path)
    given = [each.replace("FOLDER", str(folder)).replace("MODEL", str(model)) for each in arguments]
    assert in_process(main, *given, *(["--out", tmp_path] if main in (deploy.main, study.main) else [])) != 0
    assert f"did you mean {folder / there}?" in capsys.readouterr().err


def test_a_file_unlike_any_other_is_just_missing(tmp_path, in_process, capsys):
    (tmp_path / "notes.txt").touch()
    assert in_process(deploy.main, tmp_path / "model.onnx") != 0
    said = capsys.readouterr().err
    assert "no such file" in said and "did you mean" not in said


def test_which_sensor_was_meant():
    with pytest.raises(UsageError) as raised:
        open_meter("hwmn:chip/1", on_board=False)
    assert raised.value.hint.startswith("did you mean hwmon?")

"""A word that is none: what is most like it is named, and nothing where nothing is."""

from __future__ import annotations

import pytest

from lognet_fpga.cli import deploy, doctor, inspect, stream
from lognet_fpga.errors import UsageError


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

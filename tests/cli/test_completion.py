"""What the shell is told when it asks how a line goes on, in argcomplete's protocol."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cli.process import ROOT
from tests.patience import HANG_S


@pytest.mark.parametrize(
    "line, expected",
    [
        ("lognet-deploy m.onnx --board pynq", {"pynq-z1", "pynq-z2"}),
        ("lognet-deploy m.onnx --fr", {"--frames"}),
        ("lognet-deploy m.onnx --weights ", {"auto", "bram", "clb"}),
    ],
)
def test_options_and_choices(require_tool, tmp_path, line, expected):
    require_tool("argcomplete")
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "COMP_LINE": line}
    environment = {**os.environ, **asked, "COMP_POINT": str(len(line)), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "lognet_fpga.cli.deploy"], env=environment, check=True, timeout=HANG_S)
    assert {name.strip() for name in answer.read_text().split("\v")} == expected

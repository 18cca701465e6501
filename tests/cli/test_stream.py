"""lognet-stream in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

from tests import small_bundle
from tests.cli.process import ROOT, assert_error
from tests.patience import HANG_S


def test_stream_prints_figures_and_accuracy(command, demo):
    done = command("stream", demo[0], "--frames", demo[1], "--batch", 4)
    assert done.returncode == 0
    assert "(simulated PL, cycle-true at 100 MHz)" in done.stdout and "(measured on this host" in done.stdout
    assert re.search(r"this run, 9 frames +100\.00 +- +-", done.stdout)
    assert re.search(r"deployed model \(lognet-deploy, 10 frames\) +80\.00 +- +70\.00", done.stdout)
    assert "stream: done" in done.stderr and "\r" not in done.stderr


def test_stream_from_the_archive_as_json_is_one_object(command, demo):
    done = command("stream", demo[0].with_name("small.lognet.zip"), "--frames", demo[1], "--json", "--limit", 5)
    data = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    expected = small_bundle.expected_scores(small_bundle.frames(9)[:5]).argmax(axis=1)
    assert data["predictions"] == expected.tolist() and data["top1"] == 1.0
    assert data["pl_latency"] == {
        "value": small_bundle.LATENCY_CYCLES / 100,
        "unit": "us",
        "source": "simulated",
        "how": "PL, cycle-true at 100 MHz",
    }


def test_the_host_script_is_the_same_command(command, demo):
    done = command.run(
        [sys.executable, "host/stream_frames.py"], demo[0], "--frames", demo[1], "--json", env={"PYTHONPATH": ""}
    )
    assert json.loads(done.stdout)["frames"] == 9


def test_stream_says_how_it_goes_and_ctrl_c_ends_it_with_its_figures(command, demo):
    """Frames without end."""
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "lognet_fpga.cli.stream", demo[0], "--frames", "synthetic"),
            *("--pace", "200", "--batch", "2", "--json"),
        ],
        cwd=ROOT,
        env=command.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = ""
    while not line.startswith("stream"):
        line = process.stderr.readline()
    assert re.match(r"stream: [\d,]+, \d+ fps, latency [\d.]+ ms \(p99 [\d.]+ ms\), \d+ dropped, 2 s \.\.\.", line)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_S)
    data = json.loads(out)
    assert process.returncode == 130 and "Traceback" not in err
    assert data["interrupted"] and data["policy"] == "drop"
    assert data["frames"] == len(data["predictions"]) > 0
    assert data["wall_rate"]["value"] == pytest.approx(200, rel=0.3)


@pytest.mark.parametrize(
    "arguments, code",
    [
        ([], 2),
        (["x"], 2),
        (["x", "--frames", "y", "--batch", "0"], 2),
        (["x", "--frames", "y", "--nonsense"], 2),
        (["x", "--frames", "y", "--limit", "two"], 2),
        (["missing.lognet", "--frames", "y"], 8),
        (["LICENSE", "--frames", "y"], 8),
        (["lognet_fpga", "--frames", "y"], 8),
    ],
)
def test_stream_errors_have_their_exit_codes(command, arguments, code):
    assert_error(command("stream", *arguments), code)
    as_json = command("stream", *arguments, "--json")
    error = json.loads(as_json.stdout)["error"]
    assert as_json.returncode == error["exit_code"] == code
    assert error["message"].splitlines()[0] in as_json.stderr


def test_stream_refuses_frames_and_damage(command, demo):
    assert_error(command("stream", demo[0], "--frames", "missing.npz"), 5)
    assert_error(command("stream", demo[0], "--frames", "LICENSE"), 5)
    for wrong in (["--policy", "drop"], ["--pace", "0"], ["--bitstream", "x.bit"], ["--device", "gpu"]):
        assert_error(command("stream", demo[0], "--frames", demo[1], *wrong), 2)
    (demo[0] / "tail.onnx").write_bytes(b"")
    done = command("stream", demo[0], "--frames", demo[1])
    assert_error(done, 8)
    assert "tail.onnx" in done.stderr

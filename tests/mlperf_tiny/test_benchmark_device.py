"""The device under test: every command of the benchmark's firmware, in memory, and over a pseudo-terminal by a client
of another process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from lognet_fpga.bundle import read_bundle
from lognet_fpga.errors import BoardError, UsageError
from lognet_fpga.mlperf_tiny.benchmark_device import BenchmarkDevice
from lognet_fpga.mlperf_tiny.serve import require_task
from lognet_fpga.mlperf_tiny.tasks import TASKS
from tests.deploy.workplace import Workplace
from tests.mlperf_tiny.runner_client import RunnerClient
from tests.models import ModelBuilder, save


def device(task: str = "kws", infer=None) -> BenchmarkDevice:
    """Whose clock is a microsecond further each time it is looked at; each inference looks at it ten times."""
    ticks = count()

    def ten(frame: np.ndarray) -> np.ndarray:
        for _ in range(10):
            next(ticks)
        return frame.reshape(1, -1)[:, :3] / 128

    return BenchmarkDevice(TASKS[task], "a [board] of 100%", infer or ten, lambda: next(ticks))


def asked(under_test: BenchmarkDevice, *commands: str) -> list[str]:
    """The lines that answer, all of them whole and the last of each command m-ready."""
    lines = []
    for command in commands:
        answer = b"".join(under_test.feed(f"{command}%".encode())).decode("ascii")
        assert answer.endswith("m-ready\r\n") and answer.count("m-ready") == 1
        lines += answer.split("\r\n")[:-2]
    return lines


def loaded(content: bytes, size: int = 31) -> list[str]:
    parts = [content[start : start + size].hex() for start in range(0, len(content), size)]
    return [f"db load {len(content)}", *(f"db {part}" for part in parts)]


def test_who_it_is():
    assert asked(device(), "name") == ["m-name-dut-[a _board_ of 100_]"]
    assert asked(device("ic02"), "profile") == ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[ic02]"]
    for line in asked(device(), "name", "profile"):
        assert re.fullmatch(r"m-(name-dut|model|profile)-\[[^]]+]", line)  # as the runner reads it
    assert any("infer N" in line for line in asked(device(), "help"))
    greeting = b"".join(device().greeting()).decode().split("\r\n")
    assert greeting[0] == "m-timestamp-mode-performance" and greeting[2:4] == ["m-init-done", "m-ready"]
    assert re.fullmatch(r"m-lap-us-\d+", greeting[1])


def test_time_goes_on():
    first, second = (int(line.removeprefix("m-lap-us-")) for line in asked(device(), "timestamp", "timestamp"))
    assert second == first + 1


def test_a_frame_and_its_results():
    frame = np.arange(490, dtype=np.uint8).astype(np.int8)
    under_test = device()
    answer = asked(under_test, *loaded(frame.tobytes()))
    assert answer == ["m-[Expecting 490 bytes]", "m-load-done"]
    lines = asked(under_test, "infer 3 2")
    assert lines[0] == "m-warmup-start-2" and lines[1] == "m-warmup-done" and lines[2] == "m-infer-start-3"
    laps = [int(lines[place].removeprefix("m-lap-us-")) for place in (3, 4)]
    assert laps[1] - laps[0] == 31  # the three inferences, without those that warm up
    assert lines[5:] == ["m-infer-done", "m-results-[0.000,0.008,0.016]"]
    assert under_test.inferences == 5
    assert asked(under_test, "results") == ["m-results-[0.000,0.008,0.016]"]


def test_frames_are_those_of_the_task():
    seen = []

    def infer(frame):
        seen.append(frame)
        return frame.reshape(1, -1).astype(np.float64) + 0.5

    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    asked(device("ic", infer), *loaded(pixels.tobytes()), "infer 1 0")
    np.testing.assert_array_equal(seen[0][0], pixels.transpose(2, 0, 1))
    features = np.random.default_rng(1).normal(size=640).astype("<f4")
    lines = asked(device("ad", infer), *loaded(features.tobytes()), "infer 1 0")
    np.testing.assert_array_equal(seen[1].ravel(), features)
    assert lines[-1] == "m-results-[0.250]"  # the mean square of what it is off


def test_commands_in_pieces_and_with_line_ends():
    under_test = device()
    assert b"".join(under_test.feed(b"\r\nna")) == b""
    assert b"".join(under_test.feed(b"me%\n")) == b"m-name-dut-[a _board_ of 100_]\r\nm-ready\r\n"
    answers = b"".join(under_test.feed(b"timestamp%name%"))
    assert answers.count(b"m-ready") == 2
    assert b"Unknown command: " in b"".join(under_test.feed(b"%"))


@pytest.mark.parametrize(
    "commands, says",
    [
        (["nonsense"], "Unknown command: nonsense"),
        (["x" * 200], "Unknown command: " + "x" * 80),
        (["db"], "requires a subcommand"),
        (["db load"], "requires the # of bytes"),
        (["db load 0"], "must be >0"),
        (["db load -3"], "must be >0"),
        (["db load 491"], "exceeds maximum of 490"),
        (["db load 2", "db abc"], "Insufficent number of hex digits"),
        (["db load 2", "db zz"], "Invalid hex digits 'zz'"),
        (["infer 0 0"], "iterations must be >0"),
        (["infer x"], "iterations must be >0"),
        (["infer 1 -1"], "warmup must be >=0"),
        (["infer 1 0"], "Input db has 0 bytes, expected 490"),
        (["db load 490", "db 00", "infer 1 0"], "Input db has 1 bytes"),
        (["results"], "no results yet"),
    ],
)
def test_what_is_wrong_is_said(commands, says):
    lines = asked(device(), *commands)
    assert lines[-1].startswith("e-[") and says in lines[-1]


def test_bytes_behind_the_last_are_left_out():
    under_test = device()
    assert asked(under_test, "db load 3", "db 0102", "db 030405", "db print") == [
        "m-[Expecting 3 bytes]",
        "m-load-done",
        "m-buffer-01-02-03",
    ]


def test_a_board_that_fails_ends_the_inference_alone():
    def infer(frame):
        raise BoardError("no power\nat all")

    under_test = device("kws", infer)
    lines = asked(under_test, *loaded(bytes(490)), "infer 1 0")
    assert lines[-1] == "e-[no power at all]" and not any("results" in line for line in lines)
    assert asked(under_test, "name")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Workplace:
    """With a bundle that takes the frames of keyword spotting."""
    place = Workplace(tmp_path_factory.mktemp("dut"))
    chain = ModelBuilder((1, 49, 10), seed=2).conv(3, strides=[2, 2]).relu().flatten().gemm(3 * 25 * 5, 12)
    save(chain.model(), place.folder, "kws01.onnx")
    frames = np.random.default_rng(3).integers(-128, 128, (40, 1, 49, 10), dtype=np.int8)
    np.savez(place.folder / "mfcc.npz", frames=frames)
    options = ("--input-scale", "0.5847029", "--input-zero-point", 83, "--fps", 1000, "--no-verify")
    done = place("deploy", "kws01.onnx", "--frames", "mfcc.npz", *options)
    assert done.returncode == 0, done.stderr
    return place


def test_over_a_pseudo_terminal(place):
    """What the client gets is what onnxruntime makes of the bundle's own graphs, by lognet-stream."""
    link = place.folder / "port"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "lognet_fpga.cli.dut",
            "kws01.lognet",
            "--task",
            "kws",
            "--port",
            f"pty:{link}",
            "--json",
        ],
        cwd=place.folder,
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = ""
        while "listening at" not in line:
            line = process.stderr.readline()
            assert line, process.communicate()
        frames = np.load(place.folder / "mfcc.npz")["frames"][:5]
        with RunnerClient(str(link)) as client:
            (name,) = client.ask("name")
            assert re.fullmatch(r"m-name-dut-\[lognet-fpga, PYNQ-Z2, simulated, [0-9a-f]{12}\]", name)
            assert client.ask("profile")[1] == "m-model-[kws01]"
            found = []
            for frame in frames:
                assert client.load(frame[0].tobytes()) == ["m-load-done"]
                results, lap = client.infer(2, 1)
                assert lap > 0
                found.append(results)
            for frame, expected in zip(frames, found):  # the windows of performance mode
                client.load(frame[0].tobytes())
                results, lap = client.infer(70, 10)
                assert results == expected and lap > 0
        with RunnerClient(str(link)) as client:  # another one, after the first has left
            assert client.ask("results")[0].startswith("m-results-[")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert json.loads(out)["inferences"] == 15 + 5 * 80 and not link.exists()
    np.savez(place.folder / "five.npz", frames=frames)
    done = place("stream", "kws01.lognet", "--frames", "five.npz", "--save-outputs", "out.npz")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(found, np.load(place.folder / "out.npz")["outputs"], atol=6e-4)


NUMBER = [{"name": "class", "dtype": "int64", "shape": [], "rows": True}]


@pytest.mark.parametrize("changes", [{"classes": 11}, {"kind": "class number", "tensors": NUMBER}])
def test_a_bundle_of_other_outputs(place, changes):
    """Such as one whose FPGA finds the class: the runner wants the scores."""
    bundle = read_bundle(place.folder / "kws01.lognet")
    require_task(bundle, TASKS["kws"])
    output = {**bundle.manifest["model_output"], **changes}
    with pytest.raises(UsageError, match="wants the scores of 12 classes"):
        require_task(replace(bundle, manifest={**bundle.manifest, "model_output": output}), TASKS["kws"])


@pytest.mark.parametrize(
    "options, code, says",
    [
        (("--task", "ic", "--port", "pty"), 2, r"takes int8 frames of 1 x 49 x 10 .* sends uint8 of 3 x 32 x 32"),
        (("--task", "kws", "--port", "/dev/nowhere"), 2, "/dev/nowhere cannot be opened"),
        (("--task", "kws", "--port", "kws01.onnx"), 2, "is no serial port"),
        (("--task", "kws", "--port", "/dev/null", "--baud", "12345"), 2, "12345 baud is no rate"),
        (("--task", "kws", "--port", "pty:mfcc.npz"), 2, "no link to the pseudo-terminal"),
        (("--task", "sww"), 2, "invalid choice"),
        (("--port", "pty"), 2, "--task"),
    ],
)
def test_what_cannot_be_served(place, options, code, says):
    done = place("dut", "kws01.lognet", *options)
    assert done.returncode == code and re.search(says, done.stderr), done.stderr

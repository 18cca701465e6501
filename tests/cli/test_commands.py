"""The commands as a user runs them: a process, its exit code, and what is on stdout and stderr."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import write_bundle
from tests import small_bundle

ROOT = Path(__file__).parents[2]


class Command:
    """One command with its own cache folder."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    def __call__(self, module: str, *arguments: object, **options) -> subprocess.CompletedProcess:
        return self.run([sys.executable, "-m", f"lognet_fpga.cli.{module}"], *arguments, **options)

    def run(self, start: list[str], *arguments: object, env: dict | None = None, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        done = subprocess.run(
            [*start, *map(str, arguments)], cwd=ROOT, text=True, timeout=60, env=self.environment(env), **options
        )
        if not (env or {}).get("LOGNET_DEBUG"):
            assert "Traceback" not in (done.stderr or "") and "Exception ignored" not in (done.stderr or "")
        return done

    def environment(self, more: dict | None = None) -> dict[str, str]:
        ours = {"PYTHONPATH": str(ROOT), "LOGNET_CACHE": str(self.cache), "LOGNET_DEBUG": ""}
        return {**os.environ, **ours, **(more or {})}


@pytest.fixture
def command(tmp_path) -> Command:
    return Command(tmp_path / "cache")


@pytest.fixture
def demo(tmp_path, require_tool) -> tuple[Path, Path]:
    """A bundle and labelled frames for it."""
    require_tool("onnx")
    require_tool("onnxruntime")
    frames = small_bundle.frames(9)
    np.savez(tmp_path / "f.npz", frames=frames, labels=small_bundle.expected_scores(frames).argmax(axis=1))
    return write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path).folder, tmp_path / "f.npz"


def fake_deploy(command: Command, body: str, *arguments: object, **options) -> subprocess.CompletedProcess:
    """Run lognet-deploy with the pipeline replaced by `body`, which sees config and progress."""
    return command.run([sys.executable, "-c", fake_source(body)], *arguments, **options)


def fake_source(body: str) -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return (
        "import sys, types, os, errno, time\n"
        "from pathlib import Path\n"
        "from lognet_fpga.errors import *\n"
        "from lognet_fpga.report import Report, Section, Table\n"
        f"def deploy(config, progress):\n{lines}\n"
        "    report = Report('title', (Section('heading', ('a line',)),), {'fps': 5})\n"
        "    return types.SimpleNamespace(report=report, bundle_path=Path('out/model.lognet'), problem=None)\n"
        "fake = types.ModuleType('lognet_fpga.deploy'); fake.deploy = deploy\n"
        "sys.modules['lognet_fpga.deploy'] = fake\n"
        "from lognet_fpga.cli.deploy import main\n"
        "raise SystemExit(main())\n"
    )


# --- lognet-stream ----------------------------------------------------------------------------------------------------


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
    out, err = process.communicate(timeout=10)
    data = json.loads(out)
    assert process.returncode == 130 and "Traceback" not in err
    assert data["interrupted"] and data["policy"] == "drop"
    assert data["frames"] == len(data["predictions"]) > 100
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


def assert_error(done: subprocess.CompletedProcess, code: int) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == "" and ": error: " in done.stderr


# --- lognet-serve -----------------------------------------------------------------------------------------------------


TOKEN = {"LOGNET_TOKEN": "a-token-for-the-test"}


def start_server(command, demo, require_tool) -> tuple[subprocess.Popen, str]:
    """lognet-serve and its address."""
    require_tool("aiohttp")
    server = subprocess.Popen(
        [sys.executable, "-m", "lognet_fpga.cli.serve", demo[0], "--port", "0", "--json"],
        cwd=ROOT,
        env=command.environment(TOKEN),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = ""
    while "listening at" not in line:
        line = server.stderr.readline()
        assert line
    return server, line.split()[-1]


def test_serve_stream_and_self_test_in_processes_of_their_own(command, demo, require_tool):
    """Ctrl-C is the server's usual end."""
    server, url = start_server(command, demo, require_tool)
    done = command("stream", demo[0], "--frames", demo[1], "--device", url, "--json", env=TOKEN)
    data = json.loads(done.stdout)
    assert data["top1"] == 1.0 and data["device"] == "simulated" and data["error"] is None
    assert command("selftest", demo[0], "--device", url, env=TOKEN).returncode == 0
    assert_error(command("stream", demo[0], "--frames", demo[1], "--device", url, env={"LOGNET_TOKEN": "x" * 20}), 13)
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=10)
    assert server.returncode == 0 and "Traceback" not in err
    assert json.loads(out) == {"frames": 9 + 1 + 4, "requests": 6, "refused": 1}


def test_a_stream_whose_server_dies_ends_with_its_figures(command, demo, require_tool):
    server, url = start_server(command, demo, require_tool)
    client = subprocess.Popen(
        [
            *(sys.executable, "-m", "lognet_fpga.cli.stream", demo[0], "--frames", "synthetic", "--pace", "100"),
            *("--batch", "2", "--device", url, "--json"),
        ],
        cwd=ROOT,
        env=command.environment(TOKEN),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not client.stderr.readline().startswith("stream: "):
        assert client.poll() is None
    server.kill()
    server.communicate(timeout=10)
    out, err = client.communicate(timeout=30)
    data = json.loads(out)
    assert client.returncode == data["error"]["exit_code"] == 13 and "Traceback" not in err
    assert data["error"]["kind"] == "BoardError" and "lognet-serve" in data["error"]["message"]
    assert data["frames"] == len(data["predictions"]) > 20 and not data["interrupted"]
    assert "stream: failed" in err and data["error"]["message"].splitlines()[0] in err


def test_serve_says_what_to_do_where_the_port_is_taken(command, demo, require_tool):
    require_tool("aiohttp")
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = command("serve", demo[0], "--port", str(other.getsockname()[1]))
    assert_error(done, 13)
    assert "a port that is free" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--port", "1.5"],
        ["--certificate", "x.pem"],
        ["--certificate", "LICENSE", "--key", "LICENSE"],
        ["--token-file", "missing"],
        ["--device", "http://x"],
    ],
)
def test_serve_refuses_what_cannot_be(command, demo, arguments):
    assert_error(command("serve", demo[0], *arguments), 2)


def test_a_remote_device_needs_a_token(command, demo):
    done = command("stream", demo[0], "--frames", demo[1], "--device", "http://127.0.0.1:1", env={"LOGNET_TOKEN": ""})
    assert_error(done, 2)


# --- lognet-deploy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["bitstream", "cost", "deploy", "selftest", "serve", "stream"])
def test_help_has_examples_and_exit_codes(command, module):
    done = command(module, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert f"examples:\n  lognet-{module} " in done.stdout and "exit codes:" in done.stdout


def test_deploy_passes_every_option_on(command):
    options = (
        "--board zcu104 --out o --fps 250 --frames f.npz --fpga-layers 2 --act-bits 4 --prune 0.5 --clk-mhz 150 "
        "--synth --no-verify --eval e.npz --limit 50 --input-scale 1/4 --input-mean 1,2,3 --input-std 2 "
        "--channel-order bgr --resize 9,8 --crop --interpolation bicubic "
        "--bitstream vivado --remote me@server --allow-timing-violation"
    )
    done = fake_deploy(command, "print(config)", "m.onnx", *options.split())
    assert done.returncode == 0, done.stderr
    for part in (
        "PosixPath('m.onnx')",
        "board='zcu104'",
        "out=PosixPath('o')",
        "fps=250.0",
        " frames=PosixPath('f.npz')",
        "eval_frames=PosixPath('e.npz')",
        "eval_limit=50",
        "fpga_layers=2",
        "act_bits=4",
        "prune=0.5",
        "clk_mhz=150.0",
        "synth=True",
        "verify=False",
        "Preprocessing(scale=0.25, mean=(1.0, 2.0, 3.0), std=(2.0,), channel_order='bgr', resize=(9, 8), crop=True, "
        "interpolation='bicubic')",
        "BitstreamRequest(flow='vivado', remote='me@server', results=None, allow_timing_violation=True)",
    ):
        assert part in done.stdout
    assert "title\n=====\n\nheading\n  a line\n" in done.stdout


def test_deploy_as_json_with_stages(command):
    body = "with progress.stage('plan') as s:\n    s.note('3 layers')\n    s.update(1, 2)"
    done = fake_deploy(command, body, "m.onnx", "--json")
    assert json.loads(done.stdout) == {"fps": 5, "bundle": "out/model.lognet"}
    assert done.stderr.splitlines()[:2] == ["plan ...", "  3 layers"] and "plan: done" in done.stderr


@pytest.mark.parametrize(
    "option",
    [
        ["--fps", "0"],
        ["--fps", "nan"],
        ["--act-bits", "5"],
        ["--prune", "1"],
        ["--fpga-layers", "0"],
        ["--clk-mhz", "-1"],
        ["--input-std", "1,0,1"],
        ["--input-scale", "1/0"],
        ["--input-mean", "a"],
        ["--channel-order", "gbr"],
        ["--resize", "1,2,3"],
        ["--resize", "0"],
        ["--interpolation", "area"],
        ["--input-preset", "x"],
        ["--fp", "3"],
        ["--limit", "0"],
        ["--limit", "some"],
    ],
)
def test_deploy_refuses_options_out_of_range(command, option):
    assert_error(fake_deploy(command, "pass", "m.onnx", *option), 2)


@pytest.mark.parametrize(
    "raised, code, says",
    [
        ("ModelError('no model', hint='look again')", 3, "lognet-deploy: error: no model\nWhat to do: look again\n"),
        ("UnsupportedModelError('two operators', context=['Gelu', 'Erf'])", 4, "two operators\n  Gelu\n  Erf\n"),
        ("DoesNotFitError('too large')", 6, "too large"),
        ("VerificationError('differs')", 7, "differs"),
        ("MissingToolError('no yosys')", 9, "no yosys"),
        ("ToolError('yosys failed')", 11, "yosys failed"),
        ("OSError(errno.ENOSPC, 'No space left on device', '/disk/x')", 10, "no space left on device: /disk/x"),
        ("KeyboardInterrupt", 130, "lognet-deploy: error: interrupted"),
    ],
)
def test_every_error_has_its_text_and_exit_code(command, raised, code, says):
    body = f"with progress.stage('plan'):\n    raise {raised}"
    done = fake_deploy(command, body, "m.onnx")
    assert_error(done, code)
    assert says in done.stderr and f"plan: {'interrupted' if code == 130 else 'failed'}" in done.stderr
    assert json.loads(fake_deploy(command, body, "m.onnx", "--json").stdout)["error"]["exit_code"] == code


def test_a_defect_is_one_line_and_the_traceback_is_saved(command):
    done = fake_deploy(command, "{}['key']", "m.onnx")
    assert_error(done, 1)
    assert len(done.stderr.splitlines()) == 1
    (log,) = (command.cache / "logs").iterdir()
    assert str(log) in done.stderr and "KeyError: 'key'" in log.read_text()
    shown = fake_deploy(command, "{}['key']", "m.onnx", env={"LOGNET_DEBUG": "1"})
    assert shown.returncode == 1 and "Traceback" in shown.stderr


def test_a_warning_is_one_line(command):
    done = fake_deploy(command, "import warnings\nwarnings.warn('slow\\nwithout it')", "m.onnx")
    assert done.returncode == 0 and done.stderr == "lognet-deploy: warning: slow without it\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_with_one_line(command, number):
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            fake_source("with progress.stage('long') as s:\n    s.note('x')\n    time.sleep(60)"),
            "m.onnx",
        ],
        cwd=ROOT,
        env=command.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline() == "long ...\n" and process.stderr.readline() == "  x\n"
    start = time.monotonic()
    time.sleep(0.2)
    process.send_signal(number)
    rest = process.communicate(timeout=10)[1].splitlines()
    assert process.returncode == 130 and time.monotonic() - start < 5
    assert len(rest) == 2 and rest[0].startswith("long: interrupted") and "interrupted" in rest[1]


def test_a_reader_that_leaves_is_no_error(command):
    read, write = os.pipe()
    os.close(read)
    try:
        done = fake_deploy(command, "pass", "m.onnx", stdout=write)
        assert done.returncode == 0 and done.stderr == ""
        done = fake_deploy(command, "with progress.stage('plan'):\n    pass", "m.onnx", stderr=write)
        assert done.returncode == 0 and done.stdout.startswith("title")
    finally:
        os.close(write)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stdout_is_an_output_error(command):
    with open("/dev/full", "w") as full:
        done = fake_deploy(command, "pass", "m.onnx", "--json", stdout=full)
    assert done.returncode == 10 and "No space left" in done.stderr


def test_on_a_terminal_the_stage_has_one_line_that_moves(command):
    import pty

    parent, child = pty.openpty()
    done = fake_deploy(
        command, "with progress.stage('plan') as s:\n    s.update(3, 7)\n    time.sleep(0.7)", "m.onnx", stderr=child
    )
    os.close(child)
    seen = os.read(parent, 10_000).decode()
    os.close(parent)
    assert done.returncode == 0
    assert "\r\x1b[K| plan: 3 of 7, 0 s" in seen and seen.count("\n") == 1 and "plan: done, 0." in seen.splitlines()[-1]

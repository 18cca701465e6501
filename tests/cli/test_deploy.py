"""lognet-deploy in a process of its own, most often with another pipeline behind it: what every command shares of
exit codes, stages, errors, signals and pipes is seen here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.process import ROOT, Command, assert_error
from tests.patience import HANG_S


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
        "fake = types.ModuleType('lognet_fpga.flow.deploy'); fake.deploy = deploy\n"
        "sys.modules['lognet_fpga.flow.deploy'] = fake\n"
        "from lognet_fpga.cli.deploy import main\n"
        "raise SystemExit(main())\n"
    )


@pytest.mark.parametrize("module", ["bitstream", "cost", "deploy", "selftest", "serve", "stream"])
def test_help_has_examples_and_exit_codes(command, module):
    done = command(module, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert f"examples:\n  lognet-{module} " in done.stdout and "exit codes:" in done.stdout


def test_deploy_passes_every_option_on(command):
    options = (
        "--board zcu104 --out o --fps 250 --frames f.npz --fpga-layers 2 --act-bits 4 --prune 0.5 --clk-mhz 150 "
        "--synth --no-verify --eval e.npz --limit 50 --input-scale 1/4 --input-dtype uint8 --input-zero-point 7 "
        "--input-mean 1,2,3 --input-std 2 --channel-order bgr --resize 9,8 --crop --interpolation bicubic "
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
        "interpolation='bicubic', dtype='uint8', zero_point=7)",
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
        ["--act-bits", "3"],
        ["--act-bits", "9"],
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
    time.sleep(0.2)
    process.send_signal(number)
    rest = process.communicate(timeout=HANG_S)[1].splitlines()
    assert process.returncode == 130
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

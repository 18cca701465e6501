"""Signals that end a command: exit code 130 and one line, whenever they come and whatever becomes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lognet_fpga import errors
from lognet_fpga.cli import runner
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.machine import signals
from lognet_fpga.report import Report
from tests.cli.process import ROOT, Command

KINDS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
COMMANDS = ("deploy", "bitstream", "inspect", "stream", "serve", "selftest", "cost", "study", "retrain")
LINE = "error: interrupted; nothing was left half written\n"
SEND = "import os, signal; os.kill(os.getpid(), signal.{kind})"


def stub(folder: Path, package: str, text: str) -> dict[str, str]:
    """The environment in which `package` is a module of this text."""
    (folder / f"{package}.py").write_text(text)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


@pytest.mark.parametrize("module", COMMANDS)
@pytest.mark.parametrize("kind", KINDS)
def test_while_a_command_is_being_imported(command: Command, tmp_path, module, kind):
    """argparse is what every command needs before it has read its arguments."""
    env = stub(tmp_path, "argparse", SEND.format(kind=kind))
    done = command(module, "--json", "x", env=env)
    assert done.returncode == errors.EXIT_INTERRUPTED
    assert done.stderr == f"lognet-{module}: {LINE}"
    assert json.loads(done.stdout)["error"]["exit_code"] == 130


@pytest.mark.parametrize("kind", KINDS)
def test_while_a_command_imports_what_it_works_with(command: Command, tmp_path, kind):
    (tmp_path / "x.onnx").write_bytes(b"")
    done = command("inspect", tmp_path / "x.onnx", "--json", env=stub(tmp_path, "numpy", SEND.format(kind=kind)))
    assert done.returncode == errors.EXIT_INTERRUPTED and done.stderr.endswith(LINE)
    assert json.loads(done.stdout)["error"]["kind"] == "Interrupted" and done.stdout.count("\n") == 1


def test_through_the_text_of_an_exec(command: Command, tmp_path):
    """Which makes CPython end by SIGINT whatever the exit code."""
    (tmp_path / "x.onnx").write_bytes(b"")
    send = SEND.format(kind="SIGQUIT")
    done = command("inspect", tmp_path / "x.onnx", env=stub(tmp_path, "onnx", f"exec({send!r})"))
    assert done.returncode == errors.EXIT_INTERRUPTED and done.stderr.endswith(LINE)


def test_as_an_installed_program(tmp_path):
    (tmp_path / "lognet-inspect").write_text(
        "import sys\nfrom lognet_fpga.cli.inspect import main\nsys.exit(main())\n"  # as pip writes it
    )
    env = {**os.environ, **stub(tmp_path, "argparse", SEND.format(kind="SIGINT"))}
    done = subprocess.run([sys.executable, tmp_path / "lognet-inspect"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, f"lognet-inspect: {LINE}")


def test_the_package_without_a_command_leaves_signals_alone():
    code = (
        "import signal; before = signal.getsignal(signal.SIGINT); import lognet_fpga.cli.deploy;"
        "assert signal.getsignal(signal.SIGINT) is before"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# --- what becomes of a KeyboardInterrupt ------------------------------------------------------------------------------


@pytest.fixture
def run(in_process, capfd):
    """run(command): exit code, stdout and stderr of a command with this function."""

    def run(act) -> tuple[int, str, str]:
        code = in_process(lambda arguments: runner.run(runner.Parser("test", "", ""), act, arguments), "--json")
        return code, *capfd.readouterr()

    return run


def send(kind: str = "SIGINT") -> None:
    signal.raise_signal(getattr(signal, kind))


def swallowed_into(error: BaseException):
    def act(arguments, reporter: Reporter) -> None:
        try:
            send()
        except KeyboardInterrupt:
            raise error from None  # as code in C does, without a trace of the cause

    return act


@pytest.mark.parametrize(
    "error",
    [
        TypeError("'NoneType' object is not iterable"),
        SystemError("returned a result with an exception set"),
        ImportError("numpy.core.multiarray failed to import"),
        ModuleNotFoundError("No module named 'numpy'", name="numpy"),
        errors.ModelError("cannot be read"),
        OSError(4, "Interrupted system call"),
        RuntimeError(),
    ],
)
def test_an_interrupt_that_became_another_error(run, error):
    code, out, err = run(swallowed_into(error))
    assert code == errors.EXIT_INTERRUPTED and err == f"test: {LINE}"
    assert json.loads(out)["error"]["kind"] == "Interrupted" and out.count("\n") == 1


@pytest.mark.parametrize("then", ["nothing", "a stage", "progress"])
def test_an_interrupt_that_was_swallowed_whole(run, then):
    went_on = []

    def act(arguments, reporter: Reporter) -> None:
        with reporter.stage("before") as stage:
            try:
                send()
            except KeyboardInterrupt:
                pass
            if then == "progress":
                stage.update(1, 2)
        if then == "a stage":
            with reporter.stage("behind"):
                went_on.append(1)

    code, out, err = run(act)
    assert code == errors.EXIT_INTERRUPTED and err.endswith(f"test: {LINE}") and not went_on
    assert out.count("\n") == 1


def test_behind_the_result_there_is_one_object_all_the_same(run):
    def act(arguments, reporter: Reporter) -> None:
        reporter.result(Report("", (), {"done": True}))
        send()

    code, out, _ = run(act)
    assert code == errors.EXIT_INTERRUPTED and json.loads(out) == {"done": True}


def test_while_an_error_is_being_said(run):
    def act(arguments, reporter: Reporter) -> None:
        raise errors.ModelError("wrong")

    say = Reporter.error
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reporter, "error", lambda *a, **k: (patch.undo(), send(), say(*a, **k)))
        code, out, err = run(act)
    assert code == errors.EXIT_INTERRUPTED and err.endswith(f"test: {LINE}") and out.count("\n") == 1


def test_the_second_signal_does_not_cut_the_first_ones_clean_up_short(run):
    cleaned = []

    def act(arguments, reporter: Reporter) -> None:
        try:
            send()
        finally:
            for kind in KINDS:
                send(kind)
            cleaned.append(1)

    assert run(act)[0] == errors.EXIT_INTERRUPTED and cleaned


# --- held -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [number.name for number in signals.TERMINATING])
def test_held_signals_come_behind_the_block(run, kind):
    seen = []

    def act(arguments, reporter: Reporter) -> None:
        with signals.held():
            with signals.held():
                send(kind)
                seen.append("inner")
            seen.append("outer")
        seen.append("behind")

    assert run(act)[0] == errors.EXIT_INTERRUPTED and seen == ["inner", "outer"]


def test_held_puts_back_what_was_there():
    before = [signal.getsignal(number) for number in signals.TERMINATING]
    with pytest.raises(KeyboardInterrupt), signals.held():
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in signals.TERMINATING] == before


def test_what_nohup_ignores_stays_ignored(command: Command, tmp_path):
    env = stub(tmp_path, "argparse", f"{SEND.format(kind='SIGHUP')}; raise SystemExit(9)")
    ignored = "import os, sys; from signal import *; signal(SIGHUP, SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    start = [sys.executable, "-c", ignored, sys.executable, "-m", "lognet_fpga.cli.inspect"]
    assert command.run(start, env=env).returncode == 9


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_json_has_no_nan_and_no_infinity(run):
    def act(arguments, reporter: Reporter) -> None:
        reporter.result(Report("", (), {"a": float("nan"), "b": [1.5, float("inf"), {"c": (-float("inf"), 2)}]}))

    assert run(act)[:2] == (0, '{"a": null, "b": [1.5, null, {"c": [null, 2]}]}\n')

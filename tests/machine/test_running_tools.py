"""Outside programs while they run: what they print, how they fail, and that none outlives its caller."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lognet_fpga.errors import OutputError, ToolError
from lognet_fpga.machine import tools
from tests.patience import HANG_S

SHELL = tools.Tool("shell", ("/bin/sh", "-c"), "1", (("WORD", "hello"),))


def test_prints_and_fails(tmp_path):
    assert tools.run_tool(SHELL, ["echo $WORD; pwd"], tmp_path, "step") == f"hello\n{tmp_path}\n"
    with pytest.raises(ToolError, match="step: shell failed with status 3\n  fatal error: bad\nWhat"):
        tools.run_tool(SHELL, ["echo fine; echo fatal error: bad; exit 3"], tmp_path, "step")
    unknown = tools.Tool("shell", ("/bin/sh", "-c"), tools.NOT_SAID)
    with pytest.raises(ToolError) as caught:
        tools.run_tool(unknown, ["exit 3"], tmp_path, "step")
    assert "version" not in str(caught.value)
    with pytest.raises(ToolError, match="killed by signal 9(.|\n)*memory"):
        tools.run_tool(SHELL, ["kill -9 $$"], tmp_path, "step")
    with pytest.raises(OutputError, match="no disk space left(.|\n)*TMPDIR"):
        tools.run_tool(SHELL, ["echo error: No space left on device; exit 1"], tmp_path, "step")
    with pytest.raises(ToolError, match="cannot be started"):
        tools.run_tool(tools.Tool("none", (str(tmp_path / "none"),), ""), [], tmp_path, "step")


def test_stop_ends_programs_of_all_threads_and_their_children(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "_stopped", threading.Event())
    ended: list[type] = []

    def run(number: int) -> None:
        try:
            tools.run_tool(SHELL, [f"sleep 60 & echo $! > child{number}; wait"], tmp_path, "step")
        except ToolError as error:
            ended.append(type(error))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    children = [tmp_path / f"child{number}" for number in range(2)]
    deadline = time.monotonic() + HANG_S
    while not all(child.exists() and child.read_text() for child in children) and time.monotonic() < deadline:
        time.sleep(0.02)
    tools.stop_tools()
    for thread in threads:
        thread.join(HANG_S)
    assert ended == [ToolError, ToolError]
    assert not any(running(int(child.read_text())) for child in children)
    with pytest.raises(ToolError, match="interrupted"):
        tools.run_tool(SHELL, ["true"], tmp_path, "step")


def running(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not yet collected does not."""
    for _ in range(50):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().split(")")[-1].split()[0] == "Z":
            return False
        time.sleep(0.05)
    return True


def test_an_exception_in_the_caller_ends_the_program(tmp_path):
    code = (
        "import sys, signal\nfrom pathlib import Path\nfrom lognet_fpga.machine import tools\n"
        "signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.5)\n"
        "shell = tools.Tool('s', ('/bin/sh', '-c'), '1')\n"
        "tools.run_tool(shell, ['sleep 60 & echo $! > child; wait'], Path(sys.argv[1]), 'x')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2], capture_output=True, timeout=HANG_S
    )
    assert done.returncode != 0 and not running(int((tmp_path / "child").read_text()))


STUBBORN = "trap '' TERM; sleep 60 & echo $! > child; wait; wait"


def test_a_program_that_does_not_end_when_it_is_asked_is_killed(tmp_path, monkeypatch):
    """Interrupted in the main thread, and stopped in another one."""
    monkeypatch.setattr(tools, "_stopped", threading.Event())
    monkeypatch.setattr(tools, "GRACE_S", 0.2)
    child = tmp_path / "child"

    def interrupt(self, *args, **kwargs):
        while not (child.exists() and child.read_text()):
            time.sleep(0.02)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(subprocess.Popen, "communicate", interrupt)
        tools.run_tool(SHELL, [STUBBORN], tmp_path, "step")
    assert not running(int(child.read_text()))
    child.unlink()
    thread = threading.Thread(target=lambda: pytest.raises(ToolError, tools.run_tool, SHELL, [STUBBORN], tmp_path, ""))
    thread.start()
    while not (child.exists() and child.read_text()):
        time.sleep(0.02)
    tools.stop_tools()
    thread.join(20)
    assert not thread.is_alive() and not running(int(child.read_text()))

"""Shared by all tests."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# NumPy's threads wait in a loop for each other: on small matrices that is most of the processor time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from lognet_fpga.machine import signals, tools
from tests.browser import Page, browser, find_axe, find_browser
from tests.json_documents import Documents
from tests.virtual_time import VirtualTime

# Behind nohup, or in the background of a script, signals are ignored, and so they would be in all that tests start.
for _number in signals.TERMINATING:
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def require_tool() -> Callable[..., None]:
    """require_tool(name): a Python package or program that the test needs, or something else with found=whether it is
    there.

    Where it is missing the test is skipped, but fails under CI=true: there, a skip would hide a broken install.
    """

    def require(name: str, found: bool | None = None) -> None:
        if found is None:
            found = importlib.util.find_spec(name) is not None or shutil.which(name) is not None
        if not found:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name} is not installed")

    return require


@pytest.fixture(scope="module")
def tab(require_tool) -> Iterator[Page]:
    """A page of a headless browser."""
    program = find_browser()
    require_tool("chromium", program is not None)
    assert program
    with browser(program) as page:
        yield page


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    """axe-core's source, for Page.violations."""
    source = find_axe(tmp_path_factory.mktemp("axe"))
    if source is None:
        pytest.skip("axe-core: LOGNET_AXE names no file, and npm cannot get it")
    return source


@pytest.fixture(scope="session", autouse=True)
def shared_cache(request, tmp_path_factory) -> Iterator[Path]:
    """One cache for all tests, and for all processes that run them side by side, so that a design is compiled once and
    nothing is taken from an earlier day."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGNET_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def documents() -> Iterator[Documents]:
    """Every JSON that a command writes, in this process or another one, is held against its schema, where jsonschema is
    installed; that it is where CI=true, tests/docs/test_json_pages.py asks for.  The environments with pynq have none.
    """
    with pytest.MonkeyPatch.context() as patch:
        found = Documents()
        if importlib.util.find_spec("jsonschema"):
            found.watch(patch)
        yield found


@pytest.fixture(autouse=True)
def json_as_documented(documents) -> Iterator[None]:
    documents.problems.clear()
    yield
    assert not documents.problems, "\n".join(documents.problems)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command that a test runs in this process ends it at the next signal: not behind the test."""
    before = {number: signal.getsignal(number) for number in signals.TERMINATING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    signals.taken()


@pytest.fixture
def in_process(monkeypatch) -> Callable[..., int]:
    """in_process(main, *arguments): exit code of a command that is run here; its handlers do not stay."""

    def run(main: Callable[[list[str]], int], *arguments: object) -> int:
        before = {number: signal.getsignal(number) for number in signals.TERMINATING}
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # so that it is put back
        monkeypatch.setattr(tools, "_stopped", threading.Event())
        try:
            return main([str(argument) for argument in arguments])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signals.taken()

    return run


@pytest.fixture
def virtual_time(monkeypatch) -> VirtualTime:
    """The time of streams, their stages and sources, samplers, and the driver of boards."""
    names = ("handover", "power.sampler", "sources", "stages", "streaming", "board.words", "simboard.dma")
    names += ("board.overlay",) if importlib.util.find_spec("pynq") else ()
    clock = VirtualTime()
    clock.stand_in(monkeypatch, [importlib.import_module(f"lognet_fpga.runtime.{name}") for name in names])
    return clock


@pytest.fixture
def plots(require_tool, monkeypatch) -> list:
    """Figures of matplotlib that would have been shown."""
    require_tool("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib.pyplot as plt

    shown: list = []
    monkeypatch.setattr(plt, "show", lambda: (shown.append(plt.gcf()), plt.close("all")))
    return shown


# A runner started in the background has Ctrl-C ignored, and its children inherit that: tests of Ctrl-C need it back.
signal.signal(signal.SIGINT, signal.default_int_handler)

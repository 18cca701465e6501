"""Shared by all tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import warnings
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], None]:
    """require_tool(name): a Python package or program that the test needs.

    Where it is missing the test is skipped, but fails under CI=true: there, a skip would hide a broken install.
    """

    def require(name: str) -> None:
        if importlib.util.find_spec(name) is None and shutil.which(name) is None:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name} is not installed")

    return require


@pytest.fixture
def in_process(monkeypatch) -> Callable[..., int]:
    """in_process(main, *arguments): exit code of a command that is run here; its handlers do not stay."""

    def run(main: Callable[[list[str]], int], *arguments: object) -> int:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = [signal.getsignal(number) for number in numbers]
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # so that it is put back
        try:
            return main([str(argument) for argument in arguments])
        finally:
            for number, handler in zip(numbers, before):
                signal.signal(number, handler)

    return run


# A runner started in the background has Ctrl-C ignored, and its children inherit that: tests of Ctrl-C need it back.
signal.signal(signal.SIGINT, signal.default_int_handler)

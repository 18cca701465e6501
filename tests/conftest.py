"""Shared by all tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Callable

import pytest


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


# A runner started in the background has Ctrl-C ignored, and its children inherit that: tests of Ctrl-C need it back.
signal.signal(signal.SIGINT, signal.default_int_handler)

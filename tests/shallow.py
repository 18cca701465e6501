"""Calls from the bottom of a stack of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def shallow(function: Callable[..., Result], *arguments: object, **keywords: object) -> Result:
    """function(...) in a thread.  MyHDL looks at every frame of the stack for every block and every process, and under
    pytest the stack is so deep that this takes most of the time."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments, **keywords).result()

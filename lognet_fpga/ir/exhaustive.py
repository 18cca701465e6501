"""The end of a chain of cases that has them all, for type checkers to prove."""

from __future__ import annotations

from typing import NoReturn


def assert_never(value: NoReturn) -> NoReturn:
    """As typing's from Python 3.11 on: a type checker reports a call that can be reached, naming the case left out."""
    raise AssertionError(f"no case for {value!r}")

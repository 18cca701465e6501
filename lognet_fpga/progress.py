"""What a long-running stage tells about how far it is.  The stages call this; only the command line shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Stage(Protocol):
    """One running stage."""

    def note(self, text: str) -> None:
        """Say one line that stays visible after the stage."""

    def update(self, done: int, total: int | None, state: str = "") -> None:
        """Say that `done` of `total` items are finished, None where nobody knows how many there are; state: how it
        goes, in a few words.  May be called often."""


class Progress(Protocol):
    """Where stages announce themselves; a stage may be opened inside another."""

    def stage(self, name: str) -> AbstractContextManager[Stage]:
        """Announce stage `name`, running until the context ends."""


class _SilentStage:
    def note(self, text: str) -> None:
        pass

    def update(self, done: int, total: int | None, state: str = "") -> None:
        pass


class NoProgress:
    """A Progress that shows nothing."""

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        yield _SilentStage()

"""What a long run tells while it runs: how far a stage is, and what is known.  Only the command line shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from lognet_fpga.report import Section


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

    def known(self, title: str, *sections: Section) -> None:
        """Tell the sections of the report `title` that are settled, in the report's order, long before it is whole.
        Those told before are told once."""


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

    def known(self, title: str, *sections: Section) -> None:
        pass

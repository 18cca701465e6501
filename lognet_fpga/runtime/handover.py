"""Hands things from one thread to the next: a queue of few places that can end, be stopped, and drop what is old."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sized
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Sized)


class Handover(Generic[Item]):
    """places: how many items may wait.  drop: where all places are taken, put lets go of the item that has waited
    longest instead of waiting itself.

    One thread puts and then ends; one thread gets.  Any thread may stop it, which lets both go on at once.
    """

    def __init__(self, places: int, *, drop: bool = False) -> None:
        self._places, self._drop = places, drop
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self.dropped = 0  # sum of the lengths of the items that were let go of

    def put(self, item: Item) -> bool:
        """Hand over an item; False when nobody will take it any more."""
        with self._changed:
            if self._drop and len(self._items) >= self._places:
                self.dropped += len(self._items.popleft())
            self._changed.wait_for(lambda: self._stopped or len(self._items) < self._places)
            if self._stopped:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def get(self) -> Item | None:
        """The next item, waiting for it; None at the end, and when stopped.  Raises the error that it ended with, after
        the items before it."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._items or self._ended)
            if self._stopped:
                return None
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            return None

    def would_wait(self) -> bool:
        """Whether get would have to wait now."""
        with self._changed:
            return not (self._stopped or self._items or self._ended)

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more will be put.  error: why, for the thread that gets."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        """Let both sides go on: put answers False, get None."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

"""The rules of AXI's VALID/READY channels, checked on the ports at every rising edge."""

from __future__ import annotations


class Channel:
    """One channel: PREFIX + valid, ready and the payload, here a tuple of integers in the order of `payload`.

    look() raises AssertionError where an offer that was not taken is withdrawn or changed, whichever side made it.
    valid: as seen by look().
    """

    def __init__(self, dut, prefix: str, payload: tuple[str, ...]) -> None:
        self.prefix = prefix
        self._valid, self._ready = getattr(dut, f"{prefix}valid"), getattr(dut, f"{prefix}ready")
        self._payload = [getattr(dut, f"{prefix}{name}") for name in payload]
        self._offer: tuple[int, ...] | None = None
        self.valid = False

    @property
    def ready(self) -> bool:
        """In this cycle; not kept, as every look at a signal takes a microsecond or more."""
        return bool(self._ready.value)

    def look(self, in_reset: bool) -> tuple[int, ...] | None:
        """The payload if it moves at this edge.  in_reset: an offer may end."""
        self.valid = bool(self._valid.value)
        if not self.valid:
            assert self._offer is None or in_reset, f"{self.prefix}valid fell before {self.prefix}ready came"
            self._offer = None
            return None
        payload = tuple(int(signal.value) for signal in self._payload)
        assert self._offer in (None, payload) or in_reset, f"{self.prefix}*: {self._offer} became {payload} unread"
        moves = self.ready
        self._offer = None if moves else payload
        return payload if moves else None

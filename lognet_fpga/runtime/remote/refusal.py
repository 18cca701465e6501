"""Why a request is not served."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class Refusal(Exception):
    """The answer's HTTP status, what it says, and headers of its own."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers

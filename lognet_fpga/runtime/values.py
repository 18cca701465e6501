"""Measured, simulated and estimated figures are different types, so that none can pass for another.

str says which it is: "23,664 fps (simulated PL, cycle-true at 100 MHz)".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Value:
    """value in unit; how: in words, where it comes from.  Use a subclass."""

    value: float
    unit: str
    how: str = ""
    source: ClassVar[str] = ""

    def __str__(self) -> str:
        return f"{_number(self.value)} {self.unit} ({' '.join(filter(None, (self.source, self.how)))})"

    def to_dict(self) -> dict[str, object]:
        return {"value": self.value, "unit": self.unit, "source": self.source, "how": self.how}


@dataclass(frozen=True)
class Measured(Value):
    """Taken from a clock, a counter or a sensor while the thing itself ran."""

    source: ClassVar[str] = "measured"


@dataclass(frozen=True)
class Simulated(Value):
    """What a bit-exact or cycle-true simulation says."""

    source: ClassVar[str] = "simulated"


@dataclass(frozen=True)
class Estimated(Value):
    """From a model that is known to be inexact."""

    source: ClassVar[str] = "estimated"


def _number(value: float) -> str:
    """Whole from 100 up, three significant digits below."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

"""Figures as words, the same ones on all pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Data = Mapping[str, Any]
"""What report.json holds, or a part of it."""

RESOURCES = {
    "lut": "LUT (logic)",
    "positions": "positions (a LUT and two FFs each)",
    "m_lut": "M LUT (memory, shift registers)",
    "ff": "FF (flip-flops)",
    "bram36": "BRAM36 (memories of 36 Kbit)",
}


_SHORT = {
    "lut": "logic (LUTs)",
    "positions": "positions of slices",
    "m_lut": "LUTs that can hold memory",
    "ff": "flip-flops",
    "bram36": "block memories",
}


def percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{share:.{digits}%}"


def rate(fps: float) -> str:
    """Frames a second, to what an estimate can mean."""
    return f"{fps:,.0f}" if fps >= 10 else f"{fps:.2g}"


def span(low: float, high: float) -> str:
    return rate(low) if rate(low) == rate(high) else f"{rate(low)} to {rate(high)}"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(shape: Sequence[int]) -> str:
    return "\u00a0×\u00a0".join(map(str, shape))


def fullest(used: Data, has: Data) -> str:
    """The resource that most is used of, with the share of what the chip has."""
    shares = {name: used[name] / has[name] for name in RESOURCES if used.get(name) is not None and has.get(name)}
    name = max(shares, key=lambda key: shares[key])
    return f"{shares[name]:.0%} of the {_SHORT[name]}"


def host_rates(data: Data) -> tuple[float, float] | None:
    """Least and most frames a second of the host's part, by estimate; None where that is not known."""
    estimate = data["host"]["estimated"]
    if estimate is None or not all(estimate["frame_ms"]):
        return None
    best, worst = estimate["frame_ms"]
    return 1e3 / worst, 1e3 / best


def amount(resource: str, value: float) -> str:
    """Of a resource, in words: block memories come in halves."""
    return f"{value:,.1f}" if resource == "bram36" else f"{value:,.0f}"

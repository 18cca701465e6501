"""Small charts as SVG: bars, shares of a whole, histograms.

Every chart is 360 units wide, the width of a telephone, so that its text is nowhere smaller than it is written, and has
a title and a description for who does not see it.  Numbers stand beside the bars, not on an axis to be guessed from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from lognet_fpga.page.markup import Markup, Part, element, joined

WIDTH = 360
BLUE, ORANGE, GREY, RED = "#0b5cad", "#b35900", "#6e7781", "#a40e26"
# For parts of one bar: neighbours differ in lightness, too.
SHADES = ("#0b3d73", "#5a9bd5", "#1f6f5c", "#8fbf9f", "#7a3e9d", "#c49be0", "#8a4b00", "#e0a458")
_LABEL = 34  # characters of a label that fit beside a number


def shortened(name: str, length: int = _LABEL) -> str:
    """A name that fits, cut in the middle."""
    return name if len(name) <= length else f"{name[: length - length // 3 - 1]}…{name[-(length // 3) :]}"


class Ids:
    """Names of elements, each once on a page; the same ones in the same order."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self) -> str:
        return f"f{next(self._numbers)}"


def figure(ids: Ids, title: str, described: str, height: float, shapes: Part, note: str | None = None) -> Markup:
    """A drawing below its title.  described: what it shows, in words, for screen readers."""
    name = ids.new()
    drawing = element(
        "svg",
        element("title", title, id=name),
        element("desc", described, id=f"{name}d"),
        shapes,
        viewBox=f"0 0 {WIDTH} {_n(height)}",
        role="img",
        aria_labelledby=f"{name} {name}d",
    )
    return joined(
        [element("figure", element("figcaption", title), None if note is None else element("p", note), drawing), "\n"]
    )


@dataclass(frozen=True)
class Bar:
    """shown: the value as text.  error: half the length of a line around its end, in the value's units."""

    label: str
    value: float
    shown: str
    error: float = 0.0
    colour: str = BLUE


def bars(ids: Ids, title: str, rows: Sequence[Bar], note: str | None = None) -> Markup:
    """A bar a row, from a common zero."""
    low = min(0.0, *(row.value - row.error for row in rows))
    high = max(0.0, *(row.value + row.error for row in rows))
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return 1 + (value - low) / span * (WIDTH - 2)

    shapes, step = [], 36
    for place, row in enumerate(rows):
        top = place * step
        left, right = sorted((x(0), x(row.value)))
        shapes += [
            element("text", shortened(row.label), x=0, y=top + 14),
            element("text", row.shown, x=WIDTH, y=top + 14, text_anchor="end"),
            element("rect", x=_n(left), y=top + 19, width=_n(right - left), height=11, fill=row.colour),
        ]
        if row.error:
            line = f"M{_n(x(row.value - row.error))} {top + 24.5}H{_n(x(row.value + row.error))}"
            shapes.append(element("path", d=line, stroke="#1b1f24", stroke_width=2))
    zero = "".join(f"M{_n(x(0))} {step * place + 18}v13" for place in range(len(rows)))
    shapes.append(element("path", d=zero, stroke=GREY))
    said = "; ".join(f"{row.label}: {row.shown}" for row in rows)
    return figure(ids, title, said, step * len(rows), shapes, note)


@dataclass(frozen=True)
class Stack:
    """A bar of parts, each a name's share of the whole, 0..1; several may be more than 1 together.  limit: a mark,
    0..1."""

    label: str
    shown: str
    parts: Sequence[tuple[str, float]]
    limit: float | None = None


def stacks(ids: Ids, title: str, rows: Sequence[Stack], colours: dict[str, str], note: str | None = None) -> Markup:
    """Bars of 0 to 100%, more where one is longer.  colours: by the names of parts, those of the legend."""
    whole = max(1.0, *(sum(share for _, share in row.parts) for row in rows))
    scale = (WIDTH - 2) / whole
    shapes, step = [], 38
    for place, row in enumerate(rows):
        top, at = float(place * step), 1.0
        shapes += [
            element("text", row.label, x=0, y=top + 14),
            element("text", row.shown, x=WIDTH, y=top + 14, text_anchor="end"),
            element("rect", x=1, y=top + 19, width=_n(scale), height=13, fill="#eef1f4", stroke=GREY),
        ]
        for name, share in row.parts:
            width = share * scale
            shapes.append(element("rect", x=_n(at), y=top + 19, width=_n(width), height=13, fill=colours[name]))
            at += width
        if row.limit is not None:
            line = f"M{_n(1 + row.limit * scale)} {top + 16}v19"
            shapes.append(element("path", d=line, stroke=RED, stroke_width=2))
    legend = step * len(rows) + 6.0
    places = _legend(list(colours), legend)
    for name, (left, top) in places.items():
        shapes += [
            element("rect", x=left, y=top, width=11, height=11, fill=colours[name]),
            element("text", shortened(name, 20), x=left + 16, y=top + 10.5, class_="small"),
        ]
    height = max([legend, *(top + 18 for _, top in places.values())])
    said = "; ".join(
        f"{row.label}: {row.shown}, of it " + ", ".join(f"{name} {share:.1%}" for name, share in row.parts)
        for row in rows
    )
    return figure(ids, title, said, height, shapes, note)


def _legend(names: Sequence[str], top: float) -> dict[str, tuple[float, float]]:
    """Two columns."""
    return {name: (180 * (place % 2), top + 19 * (place // 2)) for place, name in enumerate(names)}


def histogram(
    ids: Ids,
    title: str,
    shares: Sequence[float],
    ticks: Sequence[tuple[int, str]],
    said: str,
    note: str | None = None,
    colour: str = BLUE,
    axis: str = "",
) -> Markup:
    """shares, 0..1: one bar each.  ticks: (number of the bar, text below it).  axis: what the bars are."""
    top = max(shares, default=0.0) or 1.0
    height, base, left = 160, 126, 48
    step = (WIDTH - left - 2) / max(1, len(shares))
    tops = [_n(base - share / top * (base - 12)) for share in shares]
    if step > 8:  # bars apart
        outline = "".join(
            f"M{_n(left + place * step + 1)} {base}V{y}h{_n(step - 2)}V{base}z" for place, y in enumerate(tops)
        )
    else:
        outline = f"M{left} {base}" + "".join(f"V{y}h{step:.3g}" for y in tops) + f"V{base}z"
    shapes = [
        element("path", d=f"M{left} 12H{WIDTH - 2}M{left} {base}H{WIDTH - 2}", stroke="#c9d1d9"),
        element("path", d=outline, fill=colour),
        element(
            "text", f"{top:.2%}" if top < 0.01 else f"{top:.1%}", x=left - 5, y=16, text_anchor="end", class_="small"
        ),
        element("text", "0", x=left - 5, y=base + 4, text_anchor="end", class_="small"),
        *(_tick(left + (place + 0.5) * step, base + 16, name) for place, name in ticks),
        element("text", axis, x=WIDTH - 2, y=base + 31, text_anchor="end", class_="small") if axis else None,
    ]
    return figure(ids, title, said, height, shapes, note)


def _tick(x: float, y: float, name: str) -> Markup:
    """Text below an axis, no further out than the drawing."""
    room = 4 * len(name)
    anchor, at = ("end", WIDTH) if x + room > WIDTH else ("middle", x)
    return element("text", name, x=_n(at), y=y, text_anchor=anchor, class_="small")


def _n(value: float) -> str:
    """A coordinate, to a tenth."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if "." in f"{value:.1f}" else f"{value:.0f}"

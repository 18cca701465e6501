"""HTML and SVG as nested elements.  What is not an element is text, and escaped: no name of a user's is markup."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from lognet_fpga.report import printable

# Of control characters HTML has no notion; those of the direction of writing would turn around what stands beside.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_EMPTY = frozenset({"meta", "img", "br"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Part = object
"""A child of an element: Markup, anything else as text, an iterable of parts; None is nothing."""


def text(value: object) -> str:
    """Escaped; characters that are not to be seen are shown by their numbers."""
    return escape(_CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", printable(str(value))))


def element(tag: str, *parts: Part, **attributes: object) -> Markup:
    """<tag attributes>parts</tag>; of the attributes' names an underscore at the end goes, another one is a hyphen;
    None leaves one out."""
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{text(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{named}>" if tag in _EMPTY else f"<{tag}{named}>{joined(parts)}</{tag}>")


def joined(parts: Iterable[Part]) -> Markup:
    return Markup("".join(map(_part, parts)))


def _part(part: Part) -> str:
    if part is None:
        return ""
    if isinstance(part, Markup):
        return part
    if isinstance(part, str) or not isinstance(part, Iterable):
        return text(part)
    return joined(part)

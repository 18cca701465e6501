"""The project's Markdown: its files, and what in them is text, links and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)(```|~~~)")


def files() -> list[Path]:
    return [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "zoo/README.md")] + sorted(
        (ROOT / "docs").rglob("*.md")
    )


def prose(text: str) -> Iterator[str]:
    """The lines outside of blocks of code, inline code left out."""
    fenced = False
    for line in text.splitlines():
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield re.sub(r"`[^`]*`", "", line)


def links(text: str) -> list[str]:
    """The targets of links and pictures."""
    return re.findall(r"\]\(([^()\s]+(?:\([^()]*\))?[^()\s]*)\)", "\n".join(prose(text)))


def anchors(text: str) -> set[str]:
    """The names that headings have as targets, as GitHub and MkDocs make them."""
    fenced, found = False, set()
    for line in text.splitlines():
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and (heading := re.match(r"#+ (.*)", line)):
            found.add(re.sub(r"[^\w\- ]", "", heading[1].lower()).strip().replace(" ", "-"))
    return found

"""A report as data: headings, lines and tables, and the same figures for programs.

One Report is what a command prints, what report.txt holds (`text()`) and what report.json holds (`data`), of which
`page` makes report.html.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from lognet_fpga.errors import brief

WIDTH = 120  # of text in columns, where no terminal has another
_LEAST_NAME = 24  # what is left of a longer word, such as a node's name, in a table that would be too wide
_NO_CHARACTERS = re.compile("[\ud800-\udfff]")  # bytes of a file's name that are no text, as Python has them


def printable(text: str) -> str:
    """The text with such bytes escaped, as \\udcff, so that it can be written as UTF-8."""
    return _NO_CHARACTERS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


@dataclass(frozen=True)
class Table:
    """columns: headings.  rows: as many cells each; integers get thousands separators, floats two decimals,
    None is a dash, anything else is shown by str.  A column of numbers only is aligned to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def cells(self) -> tuple[tuple[str, ...], list[list[str]]]:
        """(headings, rows), every value as it is shown."""
        return self.columns, [[_cell(value) for value in row] for row in self.rows]

    def text_lines(self, width: int = WIDTH) -> list[str]:
        """The table as aligned lines, the first ones being the headings and a rule; long names are shortened.

        Of a table wider than `width` columns the widest cells are broken between words, and long names shortened more;
        what is wider still has too many columns, and stays so.
        """
        cells = [self.columns, *([brief(cell) for cell in row] for row in self.cells()[1])]
        widths = _narrowed(list(zip(*cells)), width)
        broken = [[_broken(cell, wide) for cell, wide in zip(row, widths)] for row in cells]
        broken.insert(1, [["-" * wide] for wide in widths])
        numeric = self.numeric()
        return [
            "  ".join(
                cell.rjust(wide) if right else cell.ljust(wide) for cell, wide, right in zip(line, widths, numeric)
            ).rstrip()
            for row in broken
            for line in zip_longest(*row, fillvalue="")
        ]

    def markdown_lines(self) -> list[str]:
        """The table in Markdown."""
        rule = ["---:" if numeric else "---" for numeric in self.numeric()]
        _, cells = self.cells()
        rows = (self.columns, rule, *cells)
        return [f"| {' | '.join(row)} |" for row in rows]

    def numeric(self) -> list[bool]:
        """Of each column, whether it holds numbers only."""
        return [bool(self.rows) and all(_is_number(row[i]) for row in self.rows) for i in range(len(self.columns))]


@dataclass(frozen=True)
class Section:
    """A heading, then lines, then a table; each may be empty."""

    heading: str
    lines: tuple[str, ...] = ()
    table: Table | None = None

    def text(self, width: int = WIDTH) -> str:
        """Plain text of at most `width` columns, ending in a line feed."""
        lines = [self.heading] if self.heading else []
        lines += [f"  {part}" for line in self.lines for part in _wrapped(line, width - 2)]
        if self.table is not None:
            lines += [f"  {line}" for line in self.table.text_lines(width - 2)]
        return printable("".join(f"{line}\n" for line in lines))

    def to_json(self) -> dict[str, object]:
        """The same for programs: every value as it is shown."""
        columns, rows = ((), []) if self.table is None else self.table.cells()
        return {"heading": self.heading, "lines": list(self.lines), "columns": list(columns), "rows": rows}


@dataclass(frozen=True)
class Report:
    """data: the report's figures for programs; whatever json.dumps takes."""

    title: str
    sections: tuple[Section, ...]
    data: Mapping[str, object] = field(default_factory=dict)

    def text(self, width: int = WIDTH) -> str:
        """The whole report as plain text of at most `width` columns, ending in a line feed."""
        return heading(self.title) + "".join(f"\n{section.text(width)}" for section in self.sections)

    def markdown(self) -> str:
        """The whole report in Markdown, ending in a line feed."""
        parts = [f"## {self.title}"]
        for section in self.sections:
            if section.heading:
                parts.append(f"### {section.heading}")
            if section.lines:
                parts.append("\n".join(section.lines))
            if section.table is not None:
                parts.append("\n".join(section.table.markdown_lines()))
        return "\n\n".join(parts) + "\n"


def heading(title: str) -> str:
    """A report's title as plain text, underlined."""
    return printable(f"{title}\n{'=' * len(title)}\n")


def fold(named: Iterable[tuple[str, Sequence[tuple[object, ...]]]]) -> tuple[tuple[object, ...], ...]:
    """The rows of each name, behind the name; those with the same rows have them once, behind all their names."""
    names: dict[tuple[tuple[object, ...], ...], list[str]] = {}
    for name, rows in named:
        names.setdefault(tuple(rows), []).append(name)
    return tuple((", ".join(those), *row) for rows, those in names.items() for row in rows)


def _narrowed(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """The widths of columns that are `width` together with two spaces between them, where words allow it."""
    widths = [max(map(len, cells)) for cells in columns]
    least = [max(min(len(word), _LEAST_NAME) for cell in cells for word in [*cell.split(), ""]) for cells in columns]
    for _ in range(max(0, sum(widths) + 2 * (len(widths) - 1) - width)):
        widest = max(range(len(widths)), key=lambda column: (widths[column] > least[column], widths[column]))
        if widths[widest] <= least[widest]:
            break
        widths[widest] -= 1
    return widths


def _broken(cell: str, width: int) -> list[str]:
    """A cell's lines of at most `width` characters; names of files stay whole."""
    if len(cell) <= width:
        return [cell]
    return textwrap.wrap(brief(cell, width), width, break_long_words=False, break_on_hyphens=False)


def _wrapped(line: str, width: int) -> list[str]:
    """A line of text in lines of at most `width` characters; what follows stands below what begins behind a word and
    two spaces, else two columns to the right."""
    if len(line) <= width:
        return [line]
    hanging = re.match(r"( *\S+ {2,}| *)", line)
    indent = " " * (len(hanging[0]) if hanging and hanging[0].strip() else len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return str(value)

"""A report as data: headings, lines and tables, and the same figures for programs.

One Report is what a command prints, what report.txt holds (`text()`) and what report.json holds (`data`), of which
`page` makes report.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lognet_fpga.errors import brief

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

    def text_lines(self) -> list[str]:
        """The table as aligned lines, the first two being the headings and a rule; long names are shortened."""
        cells = [[brief(cell) for cell in row] for row in self.cells()[1]]
        widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(self.columns)]
        lines = [self.columns, ["-" * width for width in widths], *cells]
        numeric = self.numeric()
        return [
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, numeric)
            ).rstrip()
            for line in lines
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

    def text(self) -> str:
        """Plain text, ending in a line feed."""
        lines = [self.heading] if self.heading else []
        lines += [f"  {line}" for line in self.lines]
        if self.table is not None:
            lines += [f"  {line}" for line in self.table.text_lines()]
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

    def text(self) -> str:
        """The whole report as plain text, ending in a line feed."""
        return heading(self.title) + "".join(f"\n{section.text()}" for section in self.sections)

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

"""A report and its plots as one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from lognet_fpga.report import Report, Section

_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
svg { max-width: 100%; height: auto }
"""


def html_page(report: Report, plots: Mapping[str, str]) -> str:
    """The report's sections as tables, then the plots, heading -> SVG."""
    title = escape(report.title)
    parts = [
        *map(_section, report.sections),
        *(f"<h2>{escape(name)}</h2>\n{_inline(svg)}" for name, svg in plots.items()),
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>\n{_STYLE}</style>\n<h1>{title}</h1>\n" + "\n".join(parts) + "\n</html>\n"
    )


def _section(section: Section) -> str:
    lines = "".join(f"<p>{escape(line)}</p>\n" for line in section.lines)
    table = ""
    if section.table is not None:
        heads, rows = section.table.cells()
        table = "<table>\n" + "\n".join(
            ["<tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"]
            + ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
        )
        table += "\n</table>\n"
    return f"<h2>{escape(section.heading)}</h2>\n{lines}{table}"


def _inline(svg: str) -> str:
    """Without the prolog, which only a file of its own has."""
    return svg[svg.index("<svg") :]

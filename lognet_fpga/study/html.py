"""A report and its plots as one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping

from lognet_fpga.page.document import document, section
from lognet_fpga.page.markup import Markup, element
from lognet_fpga.report import Report


def html_page(report: Report, plots: Mapping[str, str]) -> str:
    """The report's sections as tables, then the plots, heading -> SVG."""
    drawn = [element("section", element("h2", name), _inline(svg)) for name, svg in plots.items()]
    return document(report.title, None, [*map(section, report.sections), *drawn])


def _inline(svg: str) -> Markup:
    """Without the prolog, which only a file of its own has."""
    return Markup(svg[svg.index("<svg") :])

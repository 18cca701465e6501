"""What all pages have in common: the document around them, sections, tables, figures."""

from __future__ import annotations

from collections.abc import Sequence

from lognet_fpga.errors import brief
from lognet_fpga.page.markup import Markup, Part, element, joined
from lognet_fpga.report import Section, Table

# Colours have a contrast of 4.5 and more for text, 3 and more for shapes (WCAG 2.2, 1.4.3 and 1.4.11), and none says
# anything that is not said in words too.
_STYLE = """
:root { color-scheme: light }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1b1f24; background: #fff; margin: 0 }
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 1.5rem 0 .75rem; overflow-wrap: anywhere }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid #c9d1d9 }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; overflow-wrap: anywhere }
p, li { max-width: 46rem; overflow-wrap: anywhere }
ul { padding-left: 1.25rem }
.verdict { font-size: 1.2rem; max-width: 54rem; margin: 0 }
.verdict { border-left: .35rem solid #0b5cad; padding: .5rem 0 .5rem 1rem }
.caveats { border-left: .35rem solid #8a4b00; padding: .25rem 0 .25rem 2rem; margin: 1rem 0 }
p.caveats { white-space: pre-line }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem }
a { color: #0b5cad }
a:focus-visible, .wide:focus-visible { outline: 3px solid #0b5cad; outline-offset: 2px }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr)); gap: 1.5rem }
.charts > *, .beside > * { min-width: 0 }
.pair { display: flex; flex-wrap: wrap; gap: 0 3rem; align-items: start }
.pair > * { max-width: 100% }
.beside { display: grid; grid-template-columns: minmax(0, 24rem) minmax(0, 1fr); gap: 2rem; align-items: start }
figure { margin: 0 }
figcaption, caption { font-weight: 600; text-align: left; padding: .25rem 0; overflow-wrap: anywhere }
caption span { display: block; max-width: min(46rem, 100vw - 2rem) }
figure p { margin: .1rem 0; font-size: .875rem; color: #4a525a }
svg { max-width: 100%; height: auto }
figure svg { display: block; width: 100%; max-width: 30rem }
figure svg text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1b1f24 }
figure svg text.strong { font-weight: 600 }
figure svg text.strong { font-weight: 600 }
figure svg .small { font-size: 12px; fill: #4a525a }
.wide { overflow-x: auto; margin: .75rem 0 }
table { border-collapse: collapse; font-size: .9375rem; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .75rem .2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #d8dee4 }
th { font-weight: 600 }
td.number, th.number { text-align: right }
td.number { white-space: nowrap }
td.name, th.name { overflow-wrap: anywhere; min-width: min(12rem, 27vw) }
td.prose { min-width: min(14rem, 36vw) }
.matrix td, .matrix th { text-align: right; padding: .15rem .4rem; vertical-align: bottom }
.matrix th.name { white-space: nowrap; min-width: 0 }
.matrix .right { background: #cfe3f7 } .matrix .some { background: #fbe3cc } .matrix .many { background: #f5b982 }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem }
.pictures { padding: 0; list-style: none }
.pictures img { width: 6rem; height: auto; image-rendering: pixelated; display: block; border: 1px solid #c9d1d9 }
.pictures li { font-size: .875rem }
footer { color: #4a525a; font-size: .875rem; margin: 3rem auto 2rem }
@media (max-width: 48rem) { .beside { grid-template-columns: minmax(0, 1fr) } body { font-size: 15px } }
@media print {
  body { font-size: 10pt } header, main, footer { max-width: none; padding: 0 } nav { display: none }
  h2, h3, figcaption, caption { break-after: avoid } figure, tr, .pictures li { break-inside: avoid }
  .wide { overflow: visible } table { font-size: 8pt } td, th { padding-right: .35rem } a { color: inherit }
  td.name, th.name, td.prose { min-width: 0 }
  .matrix { font-size: 6.5pt } .matrix td, .matrix th { padding: .1rem .15rem }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
"""
_PROSE = 40  # characters of what is a sentence rather than a word
# Nothing is fetched from anywhere, and no script runs, even if one should have slipped in.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def document(title: str, head: Part, body: Part, foot: Part = None) -> str:
    """The whole page.  head: below the title; body: its sections."""
    content = joined(
        [
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", title),
            element("style", Markup(_STYLE)),
        ]
    )
    page = element(
        "html",
        element("head", content),
        "\n",
        element(
            "body",
            element("header", element("h1", title), head),
            "\n",
            element("main", body),
            "\n",
            None if foot is None else element("footer", foot),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def framed(page: str) -> str:
    """The page within another one, such as a notebook, whose styles and its own stay apart."""
    return element("iframe", srcdoc=page, title="Report", width="100%", height="600", style="border: 0")


def contents(chapters: Sequence[tuple[str, str, Part]]) -> tuple[Markup, Markup]:
    """(navigation, sections) of chapters: anchor, heading, what stands below."""
    links = [element("li", element("a", heading, href=f"#{anchor}")) for anchor, heading, _ in chapters]
    sections = [
        joined([element("section", element("h2", heading, id=anchor), "\n", body), "\n"])
        for anchor, heading, body in chapters
    ]
    return element("nav", element("ul", links), aria_label="Contents"), joined(sections)


def paragraphs(lines: Sequence[Part]) -> Markup:
    return joined(element("p", line) for line in lines)


def bullets(lines: Sequence[Part], **attributes: object) -> Markup:
    return element("ul", [element("li", line) for line in lines], **attributes)


def table(content: Table, caption: str) -> Markup:
    """A table whose first column names its rows, in a region that scrolls where it is too wide; long names are
    shortened."""
    heads, cells = content.cells()
    rows = [[brief(value) for value in row] for row in cells]
    numeric = content.numeric()

    def cell(tag: str, value: str, column: int, **attributes: object) -> Markup:
        kind = "prose" if len(value) > _PROSE else None
        if column == 0 or numeric[column]:
            kind = "number" if numeric[column] else "name"
        return element(tag, value, class_=kind, **attributes)

    head = element("tr", [cell("th", name, column, scope="col") for column, name in enumerate(heads)])
    body = [
        joined(
            [
                element(
                    "tr",
                    [
                        cell("td", value, column) if column else cell("th", value, column, scope="row")
                        for column, value in enumerate(row)
                    ],
                ),
                "\n",
            ]
        )
        for row in rows
    ]
    return wide(
        element(
            "table", element("caption", element("span", caption)), element("thead", head), "\n", element("tbody", body)
        ),
        caption,
    )


def wide(content: Part, name: str) -> Markup:
    """What may be wider than a narrow screen: it scrolls by itself, by keyboard too."""
    return element("div", content, class_="wide", role="region", aria_label=name, tabindex="0")


def section(part: Section) -> Markup:
    """A report's section as it is: heading, lines, table."""
    return element(
        "section",
        element("h2", part.heading) if part.heading else None,
        paragraphs(part.lines),
        None if part.table is None else table(part.table, part.heading),
    )

"""The documentation as a site: it is built, every page is in it, and its tutorial is the notebooks'."""

from __future__ import annotations

import re
import runpy
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

tutorial = runpy.run_path(str(ROOT / "docs" / "make" / "tutorial.py"))
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


class Links(HTMLParser):
    """ids: places in a page.  targets: what it links to, and shows."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in ("href", "src") and tag in ("a", "img", "iframe", "script", "link") and value:
                self.targets.append(value)


def test_no_link_is_broken(site):
    pages = {page: Links(page) for page in site.rglob("*.html") if page.name != "404.html"}
    broken = []
    for page, links in pages.items():
        for target in links.targets:
            name, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            place = (page.parent / name).resolve() if name else page
            known = pages.get(place)
            if not place.exists() or (anchor and known is not None and anchor not in known.ids):
                broken.append(f"{page.relative_to(site)}: {target}")
    assert len(pages) > 25 and not broken, "\n".join(broken)


def test_a_link_to_a_page_has_its_title_and_no_file_name(site):
    for page in site.rglob("*.html"):
        assert not re.findall(r"<a [^>]*>[\w./]+\.md</a>", page.read_text(encoding="utf-8")), page
    text = (site / "numerics.html").read_text(encoding="utf-8")
    assert '<a href="architecture.html#execution"><em>Architecture</em></a>' in text


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        assert not re.findall(
            r'<(?:script|img|iframe|link rel="stylesheet")[^>]*(?:src|href)="https?:', page.read_text()
        )


def test_options_and_api_are_there(site):
    options, api = ((site / f"{name}.html").read_text(encoding="utf-8") for name in ("options", "api"))
    assert "--fpga-layers" in options and "lognet-doctor" in options
    assert "Deployment" in api and "DoesNotFitError" in api


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_tutorial_is_the_notebooks(name):
    page = (ROOT / "docs" / "tutorial" / f"{name}.md").read_text(encoding="utf-8")
    at = 0
    for kind, source in tutorial["cells"](name):
        part = source.rstrip() if kind == "markdown" else tutorial["code_block"](source)
        at = page.find(part, at)
        assert at >= 0, f"run python docs/make/tutorial.py {name}"

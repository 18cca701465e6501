"""The site in a real browser, by way of a server: on a telephone, a screen and paper; by the rules for screen readers.

Screenshots are left in pytest's folder (--basetemp) for whoever wants to look.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WIDTHS = (400, 1400)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def names(site: Path) -> list[str]:
    found = sorted(page.relative_to(site).as_posix() for page in site.rglob("*.html"))
    assert "index.html" in found and len(found) > 25
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_readable(site, address, tab, axe, tmp_path, width):
    wrong = {}
    for name in names(site):
        tab.complaints.clear()
        tab.requests.clear()
        tab.resize(width)
        tab.open(address + name)
        # The theme lays out its parts when the page is there.
        tab.value("new Promise(done => setTimeout(done, 300))")
        tab.screenshot(tmp_path / f"{name.replace('/', '_')}.{width}.png")
        found = {
            "said": list(tab.complaints),
            "from elsewhere": [each for each in tab.requests if not each.startswith((address, "data:"))],
            "wider": max(0, tab.value("document.documentElement.scrollWidth") - width),
            "small": tab.value("[...document.querySelectorAll('p, li, td')].filter(each => each.textContent.trim() && "
            "parseFloat(getComputedStyle(each).fontSize) < 11).map(each => each.textContent)"),
            "violations": tab.violations(axe),
        }  # fmt: skip
        wrong |= {name: found} if any(found.values()) else {}
    assert not wrong, wrong


def test_every_page_can_be_printed(site, address, tab, tmp_path):
    tab.call("Emulation.setEmulatedMedia", media="print")
    tab.resize(700)  # some 18 cm
    cut = {}
    for name in names(site):
        tab.open(address + name)
        tab.value("new Promise(done => setTimeout(done, 300))")
        wide = tab.value(
            "[...document.querySelectorAll('main, pre, table')].filter(each => each.offsetParent && "
            "each.getBoundingClientRect().right > 701).map(each => each.textContent.slice(0, 60))"
        )
        cut |= {name: wide} if wide else {}
    tab.call("Emulation.setEmulatedMedia", media="")
    assert not cut, cut


def test_the_search_finds(address, tab):
    tab.resize(1400)
    tab.open(address + "index.html")
    found = tab.value("""new Promise(done => {
      const field = document.querySelector('.md-search__input');
      field.focus();
      field.value = 'requantize';
      field.dispatchEvent(new Event('input', {bubbles: true}));
      field.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}));
      const look = () => {
        const links = [...document.querySelectorAll('.md-search-result__link')].map(each => each.getAttribute('href'));
        links.length ? done(links) : setTimeout(look, 50);
      };
      look();
    })""")
    assert any("numerics" in link or "hardware" in link for link in found)

"""The pages in a real browser: on a telephone and on a screen, printed, and by the rules for screen readers (axe-core).

Screenshots are left in pytest's folder (--basetemp) for whoever wants to look.
"""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from lognet_fpga.cli import inspect
from lognet_fpga.page.deployment import deployment_page
from lognet_fpga.page.inspection import inspection_page
from tests.models import ModelBuilder, save, small_cnn
from tests.page.reports import BITSTREAM, HOSTILE, deployment, pictures

pytestmark = pytest.mark.slow

WIDTHS = (400, 1400)
# Text that sticks out of its drawing, as far as a browser sees it; and text smaller than is read with ease.
OUTSIDE = """[...document.querySelectorAll('svg text')].filter(text => {
  const its = text.getBoundingClientRect(), all = text.closest('svg').getBoundingClientRect();
  return its.left < all.left - 1 || its.right > all.right + 1 || its.top < all.top - 2 || its.bottom > all.bottom + 2;
}).map(text => text.textContent)"""
SMALL = """[...document.querySelectorAll('svg text, p, td, th, li, figcaption')].filter(text => {
  const drawing = text.closest('svg'), scale = drawing ? drawing.clientWidth / 360 : 1;
  return parseFloat(getComputedStyle(text).fontSize) * scale < 11.5;
}).map(text => text.textContent)"""
OVERLAPPING = """[...document.querySelectorAll('svg')].flatMap(drawing => {
  const texts = [...drawing.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
  return texts.flatMap(([name, its], place) => texts.slice(place + 1).filter(([, other]) =>
    its.left < other.right - 1 && other.left < its.right - 1 && its.top < other.bottom - 5 && other.top < its.bottom - 5
  ).map(([other]) => [name, other]));
})"""


def branches() -> onnx.ModelProto:
    """More edges side by side than there are lanes for, and more nodes than are drawn."""
    chain = ModelBuilder((3, 16, 16)).conv(4).relu()
    for _ in range(3):
        chain.parallel(*[lambda branch: branch.add("Sigmoid").conv(2)] * 9)
    return chain.flatten().gemm(18 * 256, 3).model()


def refused() -> onnx.ModelProto:
    return ModelBuilder((3, 8, 8)).add("Sigmoid").conv(4).relu().flatten().gemm(256, 3).model()


@pytest.fixture(params=["plain", "bitstream", "large", "hostile", "bare", "inspection", "branches", "refused"])
def path(request, tmp_path, in_process, capsys) -> Path:
    def inspection(model: onnx.ModelProto) -> str:
        in_process(inspect.main, save(model, tmp_path), "--json")
        return inspection_page(json.loads(capsys.readouterr().out))

    pages = {
        "plain": lambda: deployment_page(deployment(), pictures()),
        "bitstream": lambda: deployment_page(deployment(bitstream={**BITSTREAM, "timing_met": False}), pictures()),
        "large": lambda: deployment_page(deployment(27, 32, 12, "a_layer_of_a_rather_long_name/"), pictures(12)),
        "hostile": lambda: deployment_page(deployment(name=HOSTILE), pictures()),
        "bare": lambda: deployment_page(deployment(accuracy=None, answers=None, verification=None), {}),
        "inspection": lambda: inspection(small_cnn()),
        "branches": lambda: inspection(branches()),
        "refused": lambda: inspection(refused()),
    }
    place = tmp_path / f"{request.param}.html"
    place.write_text(pages[request.param](), encoding="utf-8")
    return place


@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_readable(tab, path, width):
    tab.complaints.clear()
    tab.requests.clear()
    tab.resize(width)
    tab.open(path)
    tab.screenshot(path.with_suffix(f".{width}.png"))
    assert tab.complaints == []
    assert {address for address in tab.requests if not address.startswith("data:image/bmp;base64,")} == {path.as_uri()}
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value(OUTSIDE) == [] and tab.value(SMALL) == [] and tab.value(OVERLAPPING) == []
    assert tab.value("document.querySelectorAll('img').length") == tab.value(
        "[...document.querySelectorAll('img')].filter(image => image.complete && image.naturalWidth > 0).length"
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_it_breaks_no_rule_for_screen_readers(tab, axe, path, width):
    tab.resize(width)
    tab.open(path)
    assert tab.violations(axe) == []


def test_it_can_be_printed(tab, path):
    tab.open(path)
    tab.pdf(path.with_suffix(".pdf"))
    assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    tab.call("Emulation.setEmulatedMedia", media="print")
    tab.resize(700)  # some 18 cm
    hidden = (
        "[...document.querySelectorAll('.wide')].filter(each => getComputedStyle(each).overflowX != 'visible').length"
    )
    assert tab.value(hidden) == 0 and tab.value("document.documentElement.scrollWidth") <= 700
    tab.call("Emulation.setEmulatedMedia", media="")

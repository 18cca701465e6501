"""Links lead somewhere, and lines can be read; rows of registers are made of data, however long they are."""

from __future__ import annotations

import pytest

from tests.docs.markdown import ROOT, anchors, files, links

LONGEST = 200


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in links(text):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        place = (path.parent / name).resolve() if name else path
        assert place.exists(), f"{target}: no such file"
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place.read_text(encoding="utf-8")), f"{target}: no such heading"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_are_of_a_length_to_be_read(path):
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    long = [number for number, line in lines if len(line) > LONGEST and not line.startswith("| 0x")]
    assert not long, f"lines {long} are longer than {LONGEST} characters"

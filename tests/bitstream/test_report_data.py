"""A bundle's report.json that is not what lognet-deploy writes."""

from __future__ import annotations

import pytest

from lognet_fpga.bitstream.attach import report_data, require_report
from lognet_fpga.bundle import make_bundle
from lognet_fpga.errors import BundleError
from tests.small_bundle import manifest


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"3", b'"x"', b"{", b"\xff", b"[" * 200_000, b'{"a":' * 200_000, b'{"a": NaN}']
    + [b'{"a": -Infinity}', b'{"a": [1e999]}', b'{"a": ' + b"9" * 9999 + b"}"],
    ids=lambda content: content[:12],
)
def test_is_refused_in_one_line(content):
    with pytest.raises(BundleError) as caught:
        report_data(make_bundle({"report.json": content}, manifest()))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("content", [b"{}", b'{"chip": 3}', b'{"chip": {"title": []}, "plan": {"layers": [null]}}'])
def test_of_which_no_page_can_be_made_is_refused_before_the_work(content):
    require_report(make_bundle({"report.json": content}, manifest()))  # an older bundle, without a page
    with pytest.raises(BundleError) as caught:
        require_report(make_bundle({"report.json": content, "report.html": b"<p>"}, manifest()))
    assert "\n" not in str(caught.value) and "deploy the model again" in str(caught.value)


def test_without_one_the_manifest_stands_in():
    assert report_data(make_bundle({}, manifest()))["plan"]["cycles_per_frame"] == 30

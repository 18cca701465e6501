"""lognet-deploy --bitstream: the bundle, and then its bitstream."""

from __future__ import annotations

import json

import pytest

from lognet_fpga.bundle import read_bundle
from lognet_fpga.errors import MissingToolError, TimingError, UsageError
from lognet_fpga.page.deployment import deployment_page
from tests.bitstream.bundles import fake_vivado, tcl_shell
from tests.deploy.workplace import Workplace, refused

QUICK = ("--no-verify", "--bitstream", "vivado")


@pytest.fixture(scope="module")
def place(tmp_path_factory, require_tool) -> Workplace:
    for name in ("onnx", "onnxruntime", "myhdl"):
        require_tool(name)
    require_tool("tclsh, or Python's tkinter,", tcl_shell() is not None)
    return Workplace(tmp_path_factory.mktemp("place"))


def test_the_report_ends_with_the_bitstream(place, tmp_path):
    done = place.deploy(place.model, *QUICK, "--json", env=fake_vivado(tmp_path))
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    bundle = read_bundle(place.folder / data["bundle"])
    assert bundle.manifest["bitstream"] == data["bitstream"] and data["bitstream"]["timing_met"]
    assert json.loads(bundle.file("report.json")) == {key: value for key, value in data.items() if key != "bundle"}
    page = bundle.file("report.html").decode()
    assert page == deployment_page(json.loads(bundle.file("report.json")), {})
    assert "the bitstream meets its clock" in page and "0.412 ns" in page and "placed: whole chip" in page
    text = place.deploy(place.model, *QUICK, env=fake_vivado(tmp_path)).stdout
    assert bundle.file("report.txt").decode() in text and "slack 0.412 ns" in text


@pytest.mark.parametrize("options,error", [({"slack": -1}, TimingError), (None, MissingToolError)])
def test_where_it_fails_the_bundle_is_there_without(place, tmp_path, options, error):
    env = {"LOGNET_VIVADO": "no-such-program"} if options is None else fake_vivado(tmp_path, **options)
    done = place.deploy(place.model, *QUICK, "--json", env=env)
    assert done.returncode == error.exit_code and ": error: " in done.stderr
    data = json.loads(done.stdout)
    assert data["error"]["kind"] == error.__name__ and data["bitstream"] is None
    bundle = read_bundle(place.folder / data["bundle"])
    assert bundle.manifest["bitstream"] is None and not any(name.endswith(".bit") for name in bundle.files)


def test_a_board_without_a_processor_is_refused_at_once(place):
    done = place.deploy(place.model, *QUICK, "--board", "vc707")
    refused(done, UsageError.exit_code, "has no processor")

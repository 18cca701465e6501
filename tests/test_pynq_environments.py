"""The driver's tests, run with pynq 3.0, 3.1 and 4.0, each in an environment of its own.

`make test` makes the environments; they cannot be one with that of the other tests, for pynq needs NumPy 1.  Where
one cannot be made its test is skipped, and fails where CI=true.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lognet_fpga.bundle import write_bundle
from tests.patience import HANG_S

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, require_tool) -> Path:
    """A bundle, and its Verilog compiled by Verilator, which those environments do not have."""
    for name in ("da4ml", "myhdl", "onnx", "verilator"):
        require_tool(name)
    from lognet_fpga.flow.rtl_device import design_of
    from lognet_fpga.verify.simulator import compile_simulator
    from tests.rtl_bundle import rtl_bundle

    folder = tmp_path_factory.mktemp("rtl")
    bundle = rtl_bundle()
    write_bundle(bundle.files, {k: v for k, v in bundle.manifest.items() if k not in ("files", "digest")}, folder)
    shutil.copy(compile_simulator(design_of(bundle)), folder / "simulator")
    return folder


ALL = ("tests/board", "tests/runtime/test_device_conformance.py")
# Of what differs between 3.0 and 3.1, which the rest of the driver does not see: parsing a .hwh, clocks, buffers.
KRIA = ("tests/board/test_overlay.py", "tests/board/test_clocks.py", "tests/board/test_selftest.py")


@pytest.mark.parametrize("version, tests, at_least", [("3.0", KRIA, 110), ("3.1", ALL, 160), ("4.0", ALL, 100)])
def test_the_driver_with_the_real_pynq(version, tests, at_least, prepared, tmp_path):
    environment = ROOT / f".venv-pynq{version.replace('.', '')}"
    python = environment / "bin" / "python"
    if not (environment / ".installed").exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{environment.name} is not there: make test")
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env={
            **os.environ,
            "LOGNET_TEST_RTL": str(prepared),
            "LOGNET_CACHE": str(tmp_path),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed > at_least, done.stdout  # not all skipped

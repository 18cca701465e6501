"""Tells in a few lines what `make demo` has made.

python models/cifar10_64x3/demo.py build/demo/deploy.txt build/demo/stream.txt build/demo/NAME.lognet
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

from lognet_fpga.page.deployment import PAGE
from lognet_fpga.page.verdict import sentence
from lognet_fpga.report import WIDTH


def main(deployed: Path, streamed: Path, bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text(encoding="utf-8"))
    print("\n".join(textwrap.wrap(sentence(report), WIDTH, break_on_hyphens=False)))
    print(f"""
full reports:    {deployed} and {streamed}
look:            {bundle / PAGE}, in any browser
your own model:  .venv/bin/lognet-inspect model.onnx tells what fits where, and what to type next
step by step:    docs/howto/own_model.md""")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

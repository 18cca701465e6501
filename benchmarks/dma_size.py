#!/usr/bin/env python3
"""What this project's AXI DMA takes of a 7-series chip, by Yosys, and its longest path by the netlist.

    python benchmarks/dma_size.py

Counts are those of a netlist, the path an estimate before placement: nothing is placed or routed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lognet_fpga.codegen.verilog import verilog_files  # noqa: E402
from lognet_fpga.hw.dma.dma import axi_dma  # noqa: E402
from lognet_fpga.ir.design import VerilogDesign  # noqa: E402
from lognet_fpga.ir.stream_format import StreamFormat  # noqa: E402
from lognet_fpga.report import Table  # noqa: E402
from lognet_fpga.synth.yosys import synthesize  # noqa: E402

WIDTHS = ((8, 8), (32, 16), (64, 64), (128, 256))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true", help="one JSON object instead of text")
    arguments = options.parse_args()
    rows = []
    for source_bits, sink_bits in WIDTHS:
        source, sink = (StreamFormat((1, 1, 1), 8, 1, bits) for bits in (source_bits, sink_bits))
        files = verilog_files(axi_dma(source_bits, sink_bits))
        made = synthesize(VerilogDesign("axi_dma", files, source, sink, (), (("dma", "axi_dma"),)))
        total, (_, path) = made.total, made.paths[0]
        rows.append((source_bits, sink_bits, total.lut_sites, total.m_lut, total.ff, float(total.bram36), path.ns))
    columns = ("source bits", "sink bits", "LUT sites", "M LUT", "FF", "BRAM36", "longest path, ns")
    if arguments.json:
        print(json.dumps([dict(zip(columns, row)) for row in rows]))
    else:
        print("\n".join(Table(columns, tuple(rows)).text_lines()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

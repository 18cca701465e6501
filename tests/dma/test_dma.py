"""The AXI DMA in Verilator, judged by cocotbext-axi's memory under random latency and back-pressure."""

from __future__ import annotations

from pathlib import Path

import pytest

from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.hw.dma.dma import axi_dma
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.verify.simulator import compile_simulator
from tests.conformance.simulation import Outcome, cocotb_bench, simulate
from tests.dma.case import DmaCase
from tests.shallow import shallow

SEED = 1
# Beats as wide as memory, which need no packing: their bursts are proved in tests/formal.
WIDTHS = [(32, 16)]
MORE = [(64, 64), (8, 8), (16, 32), (128, 256), (64, 1024), (512, 8)]


def dma_design(source_bits: int, sink_bits: int) -> VerilogDesign:
    source, sink = (StreamFormat((1, 1, 1), 8, 1, bits) for bits in (source_bits, sink_bits))
    return VerilogDesign("axi_dma", shallow(verilog_files, axi_dma(source_bits, sink_bits)), source, sink, (), ())


def run(folder: Path, widths: tuple[int, int], tests: str, n_bytes: int = 20_000) -> Outcome:
    design = dma_design(*widths)
    executable = compile_simulator(design, bench=cocotb_bench(design))
    return simulate(executable, DmaCase(*widths, SEED, n_bytes), tests, folder, "tests.dma.cases", "axi_dma")


@pytest.mark.parametrize("widths", [*WIDTHS, *(pytest.param(pair, marks=pytest.mark.slow) for pair in MORE)])
def test_all_of_it(widths, tmp_path):
    outcome = run(tmp_path, widths, ".*")
    assert not outcome.failures, outcome.failures
    assert len(outcome.passed) == 9, outcome.log


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(64, 64), (32, 16)])
def test_a_million_bytes_under_faults(widths, tmp_path):
    outcome = run(tmp_path, widths, "random_transfers", 1_000_000)
    assert outcome.passed == ("random_transfers",), outcome.failures or outcome.log

"""What every device must do, the same tests for all: the simulated one, the Verilog in Verilator, and the driver with
the real pynq on a simulated board, whose overlay is golden.onnx or the Verilog.

The first two run beside Verilator, the others beside pynq (tests/test_pynq_environments.py).
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import Bundle, read_bundle
from lognet_fpga.runtime.device import Device
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.simulated import SimulatedDevice
from lognet_fpga.runtime.streaming import stream
from lognet_fpga.runtime.values import Measured, Simulated
from tests import small_bundle

PREPARED = os.environ.get("LOGNET_TEST_RTL", "")  # a folder with the bundle and its compiled simulator


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The small bundle with its Verilog, whose cycles the plan states."""
    if PREPARED:
        return read_bundle(Path(PREPARED) / "small.lognet")
    for package in ("da4ml", "myhdl", "onnxruntime"):
        pytest.importorskip(package)
    from tests.rtl_bundle import rtl_bundle

    return rtl_bundle()


@contextmanager
def simulated(bundle: Bundle, require_tool: Callable) -> Iterator[Device]:
    yield SimulatedDevice(bundle)


@contextmanager
def rtl(bundle: Bundle, require_tool: Callable) -> Iterator[Device]:
    if PREPARED:
        pytest.skip("has no Verilator")
    require_tool("verilator")
    from lognet_fpga.flow.rtl_device import RtlDevice

    yield RtlDevice(bundle)


@contextmanager
def board_with_golden(bundle: Bundle, require_tool: Callable) -> Iterator[Device]:
    with _board(bundle, None) as device:
        yield device


@contextmanager
def board_with_verilog(bundle: Bundle, require_tool: Callable) -> Iterator[Device]:
    if not PREPARED:
        pytest.skip("needs a compiled simulator (LOGNET_TEST_RTL)")
    from lognet_fpga.flow.rtl_device import design_of
    from lognet_fpga.verify.rtl import run_rtl

    design = design_of(bundle)
    with _board(bundle, lambda frames: run_rtl(Path(PREPARED) / "simulator", design, frames).sink) as device:
        yield device


@contextmanager
def _board(bundle: Bundle, engine: Callable | None) -> Iterator[Device]:
    if importlib.util.find_spec("pynq") is None:
        pytest.skip("pynq is not installed")
    from lognet_fpga.runtime.board import BoardDevice
    from lognet_fpga.runtime.simboard.board import SimulatedBoard

    with SimulatedBoard(bundle, engine=engine, part="xczu3eg-sbva484-1") as board:
        yield BoardDevice(bundle, bitstream=board.bitstream)


@pytest.fixture(params=[simulated, rtl, board_with_golden, board_with_verilog], ids=lambda kind: kind.__name__)
def device(request, bundle, require_tool) -> Iterator[Device]:
    with request.param(bundle, require_tool) as device:
        device.open()
        yield device
        device.close()


def expected(frames: np.ndarray) -> np.ndarray:
    return small_bundle.quant_graph().run(frames).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_values_and_time(device, bundle, count):
    frames = small_bundle.frames(count, seed=count)
    run = device.run(frames)
    assert run.activations.dtype == np.uint8 and np.array_equal(run.activations, expected(frames))
    assert run.pl_cycles == bundle.latency_cycles + (count - 1) * bundle.cycles_per_frame
    assert run.clk_mhz == pytest.approx(bundle.clk_mhz, rel=1e-3)


def test_batches_come_back_one_by_one_in_order(device):
    batches = [small_bundle.frames(count, seed=count) for count in (2, 1, 3)]
    runs = device.runs(iter(batches))
    for batch in batches:
        assert np.array_equal(next(runs).activations, expected(batch))
    assert next(runs, None) is None


def test_results_are_not_overwritten_by_later_batches(device):
    first = device.run(small_bundle.frames(2, seed=1)).activations
    kept = first.copy()
    device.run(small_bundle.frames(2, seed=2))
    device.run(small_bundle.frames(2, seed=3))
    assert np.array_equal(first, kept)


def test_it_opens_again_after_closing(device):
    device.close()
    device.open()
    frames = small_bundle.frames(2)
    assert np.array_equal(device.run(frames).activations, expected(frames))


def test_it_says_what_it_is_and_where_its_figures_come_from(device):
    assert " " not in device.kind and device.description and device.power()
    figure = device.figure(1.0, "fps")
    assert isinstance(figure, Measured if device.kind == "PYNQ-Z2" else Simulated) and figure.how


def test_streaming_classifies(device, bundle):
    frames = small_bundle.frames(7)
    scores = small_bundle.expected_scores(frames)
    with Session(bundle, device) as session:
        result = stream(session, Frames(frames, scores.argmax(axis=1)), 3)
    np.testing.assert_allclose(result.scores, scores, rtol=1e-4, atol=1e-2)
    assert result.top1 == 1.0
    assert result.pl_latency.value == pytest.approx(bundle.latency_cycles / bundle.clk_mhz, rel=1e-3)

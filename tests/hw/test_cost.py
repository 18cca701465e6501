from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.cost.circuits.lane import lane
from lognet_fpga.cost.circuits.shape import KINDS, LaneShape
from lognet_fpga.errors import UsageError
from lognet_fpga.hw.structure import elaborate
from tests.hw.bench import run
from tests.shallow import shallow

SHAPES = [(kind, bits) for kind in KINDS for bits in range(1, 9) if (kind == "binary") == (bits == 1)]


def value(kind: str, bits: int, code: int) -> int:
    """What a code stands for, written out."""
    if kind == "binary":
        return (1, -1)[code]
    if kind == "linear":
        return code if code < 2 ** (bits - 1) else code - 2**bits
    sign, field = divmod(code, 2 ** (bits - 1))
    return (-1) ** sign * (2 ** (field - 1) if field else 0)


def stored_sum(terms: list[int], fraction_bits: int) -> int:
    """The log-domain sum with Python's integers, one term after the other."""
    total = 0
    for term in terms:
        if term:
            whole = total >> fraction_bits
            step = (1 << fraction_bits) >> abs(whole - term) if total else 0
            total = (term << fraction_bits if term > whole else total) + step
    return total


def products(shape: LaneShape, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random ones, and those with the largest and the smallest sums."""
    rng = np.random.default_rng(seed)
    size = (shape.pes, shape.cols)
    found = [(rng.integers(0, 2**shape.bits, size), rng.integers(0, 2**shape.act_bits, shape.cols)) for _ in range(3)]
    full = np.full(shape.cols, 2**shape.act_bits - 1)
    extremes = {0, 2 ** (shape.bits - 1) - 1, 2 ** (shape.bits - 1), 2**shape.bits - 1}
    return found + [(np.full(size, code), full) for code in sorted(extremes)]


def expected(shape: LaneShape, codes: np.ndarray, x: np.ndarray) -> list[int]:
    sums = []
    for row in codes.tolist():
        weights = [value(shape.kind, shape.bits, code) for code in row]
        if shape.kind != "log-domain":
            sums.append(sum(w * int(a) for w, a in zip(weights, x)) % 2**shape.acc_bits)
            continue
        sides = []
        for sign in (1, -1):
            # The stored logarithm of |w| * 2^(a-1), one too large.
            terms = [(sign * w).bit_length() + int(a) - 1 if a and w * sign > 0 else 0 for w, a in zip(weights, x)]
            sides.append(stored_sum(terms, shape.fraction_bits))
        sums.append(sides[0] | sides[1] << shape.log_bits)
    return sums


@pytest.mark.parametrize("cols", [5, pytest.param(8, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind,bits", SHAPES)
def test_sums_and_cycles_of_a_lane(kind, bits, cols):
    shape = LaneShape(kind, bits, cols)
    module = lane(shape)
    signals = {port.name: port.signal() for port in module.ports}
    dut = shallow(elaborate, module, signals)
    waiting = products(shape, seed=bits)
    number, filled, column, started = 0, 0, 0, None
    results, periods = [], []

    def drive(cycle):
        """Fill the memory word by word, start, and give the activations as they are taken."""
        nonlocal filled, started
        signals["rst"].next = cycle == 0
        signals["write"].next = 0 < cycle and filled < cols
        signals["start"].next = filled == cols and started is None
        if filled == cols and started is None:
            started = cycle
        if cycle and filled < cols:
            signals["write_address"].next = filled
            signals["write_word"].next = int(shape.words(waiting[number][0])[filled])
            filled += 1
        signals["x"].next = int(waiting[number][1][column]) if column < cols else 0

    def observe(cycle):
        nonlocal number, filled, column, started
        column += bool(signals["take"])
        if signals["done"]:
            periods.append(cycle - started)
            results.append(int(signals["sums"]))
            number, filled, column, started = number + 1, 0, 0, None
        return number == len(waiting)

    run(dut, signals["clk"], drive, observe, cap=400)
    for (codes, x), found in zip(waiting, results):
        sums = [found >> pe * shape.sum_bits & 2**shape.sum_bits - 1 for pe in range(shape.pes)]
        assert sums == expected(shape, codes, x) == shape.sums(codes, x)
    assert set(periods) == {shape.cycles}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_lane_gives_the_same_verilog(kind):
    shape = LaneShape(kind, 1 if kind == "binary" else 3, 70)
    assert verilog_files(lane(shape)) == verilog_files(lane(shape))


@pytest.mark.parametrize("kind,bits", [shape for shape in SHAPES if shape[0] != "log-domain"])
def test_widths_are_exact(kind, bits):
    """The extreme sums fit, and one bit less would be too few."""
    shape = LaneShape(kind, bits, 4096)
    values = [value(kind, bits, code) for code in range(2**bits)]
    low, high = min(values) * 255 * 4096, max(values) * 255 * 4096
    reach = 2 ** (shape.acc_bits - 1)
    assert -reach <= low and high < reach
    assert low < -reach // 2 or high >= reach // 2
    assert (LaneShape("linear", 4, 4096).acc_bits, LaneShape("log2", 4, 4096).acc_bits) == (24, 27)


def test_weights_share_a_word_as_far_as_they_fit():
    assert [LaneShape("linear", bits, 9).pes for bits in range(2, 9)] == [4, 2, 2, 1, 1, 1, 1]
    assert LaneShape("log2", 3, 2).words(np.array([[1, 2], [7, 0]])).tolist() == [0b111001, 0b000010]


@pytest.mark.parametrize("arguments", [("binary", 2, 9), ("linear", 1, 9), ("log2", 9, 9), ("cubic", 4, 9)])
def test_what_there_is_not_is_refused(arguments):
    with pytest.raises(UsageError):
        LaneShape(*arguments)

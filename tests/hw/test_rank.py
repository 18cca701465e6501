"""What finds the largest of a position's values, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.fabric.latencies import rank_latency
from lognet_fpga.hw.rank import RankShape, rank
from lognet_fpga.hw.wiring import flag, vector
from tests.hw.bench import reset_then, run
from tests.shallow import shallow


@pytest.mark.parametrize("idle", [0, 60])
@pytest.mark.parametrize(
    "channels,lanes,bits", [(10, 1, 20), (10, 4, 6), (5, 5, 3), (2, 1, 9), (2, 2, 1), (257, 16, 4), (7, 3, 2)]
)
def test_the_first_of_the_largest(channels, lanes, bits, idle):
    """Few bits make many equal ones."""
    rng = np.random.default_rng(channels)
    beats, out_bits = -(-channels // lanes), max(1, (channels - 1).bit_length())
    values = rng.integers(0, 2**bits, (30, channels))
    values[0] = 0
    padded = np.zeros((len(values), beats * lanes), np.int64)
    padded[:, :channels] = values
    sent = [sum(int(value) << lane * bits for lane, value in enumerate(beat)) for beat in padded.reshape(-1, lanes)]
    clk, rst, in_valid, out_valid = (flag() for _ in range(4))
    in_data, out_data = vector(lanes * bits), vector(out_bits)
    dut = shallow(rank, clk, rst, in_valid, in_data, out_valid, out_data, shape=RankShape(bits, lanes, beats, out_bits))
    waiting, found, pushed, shown = list(sent), [], [], []

    def drive(cycle):
        offers = bool(reset_then(rst, cycle) and waiting and rng.integers(100) >= idle)
        in_valid.next = offers
        in_data.next = waiting.pop(0) if offers else int(rng.integers(2**bits))

    def observe(cycle):
        if in_valid:
            pushed.append(cycle)
        if out_valid:
            found.append(int(out_data))
            shown.append(cycle)
        return len(found) == len(values)

    run(dut, clk, drive, observe, cap=20000)
    assert found == values.argmax(axis=1).tolist()
    assert [cycle - last for cycle, last in zip(shown, pushed[beats - 1 :: beats])] == [rank_latency(lanes)] * len(
        found
    )

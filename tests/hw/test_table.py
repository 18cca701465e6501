"""The tables of an activation function as a module, in MyHDL's simulator, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.fabric.latencies import TABLE_LATENCY
from lognet_fpga.hw.structure import elaborate
from lognet_fpga.hw.wiring import flag, vector
from lognet_fpga.ir.quant import CodeTable
from lognet_fpga.overlay.table import table_module
from tests.hw.bench import reset_then, run
from tests.shallow import shallow

RESET_CYCLES = 3


@pytest.mark.parametrize("idle", [0, 60])
@pytest.mark.parametrize(
    "channels,lanes,bits,act_bits,shared",
    [(4, 2, 5, 4, True), (5, 2, 5, 8, True), (4, 2, 5, 8, False), (5, 3, 4, 4, False), (3, 3, 6, 8, False)],
)
def test_every_channel_has_its_table(channels, lanes, bits, act_bits, shared, idle):
    rng = np.random.default_rng(channels)
    entries = rng.integers(0, 2**act_bits, (1 if shared else channels, 2**bits))
    table = CodeTable(bits, 0, tuple(map(tuple, entries.tolist())))
    beats = -(-channels // lanes)
    codes = rng.integers(0, 2**bits, (25, channels, 1, 1))
    padded = np.zeros((len(codes), beats * lanes), np.int64)
    padded[:, :channels] = codes[:, :, 0, 0]
    sent = [sum(int(code) << lane * bits for lane, code in enumerate(beat)) for beat in padded.reshape(-1, lanes)]
    signals = {"clk": flag(), "rst": flag(), "in_valid": flag(), "in_data": vector(lanes * bits)}
    signals |= {"out_valid": flag(), "out_data": vector(lanes * act_bits)}
    dut = shallow(elaborate, table_module(table, act_bits, lanes, channels, "curve"), signals)
    waiting, found, pushed, shown = list(sent), [], [], []

    def drive(cycle):
        released = reset_then(signals["rst"], cycle) and cycle > RESET_CYCLES  # its leaf is a cycle late
        offers = bool(released and waiting and rng.integers(100) >= idle)
        signals["in_valid"].next = offers
        signals["in_data"].next = waiting.pop(0) if offers else int(rng.integers(2**bits))

    def observe(cycle):
        if signals["in_valid"]:
            pushed.append(cycle)
        if signals["out_valid"]:
            shown.append(cycle)
            found.append([int(signals["out_data"]) >> lane * act_bits & 2**act_bits - 1 for lane in range(lanes)])
        return len(found) == len(sent)

    run(dut, signals["clk"], drive, observe, cap=5000)
    assert [cycle - begun for cycle, begun in zip(shown, pushed)] == [TABLE_LATENCY] * len(sent)
    lanes_without = np.reshape(found, (len(codes), -1))[:, channels:]
    assert not lanes_without.any()
    assert np.array_equal(np.reshape(found, (len(codes), -1))[:, :channels], table.activations(codes)[:, :, 0, 0])

"""Products that are looked up: what fills the tables, the elements that they are in, and the window in rounds."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.bram.blocks.tables import TablePeShape, look_up_accumulate, products
from lognet_fpga.engines.bram.blocks.window import WordWindowShape, word_window
from lognet_fpga.engines.bram.tables import COLUMN_BITS, fill_cycles, table_shape
from lognet_fpga.fabric.latencies import WORD_LATENCY, sum_latency
from lognet_fpga.fabric.slots import slot_raster
from lognet_fpga.hw.wiring import counter, flag, vector
from lognet_fpga.ir import reference
from lognet_fpga.ir.stream_format import StreamFormat
from tests.engines.bram.walked import walked
from tests.hw.beats import merge, to_beats
from tests.hw.bench import Pause, Source, reset_then, run
from tests.hw.memory_codes import CODES, field, signed
from tests.quant_models import Spec, random_layer
from tests.shallow import shallow


@pytest.mark.parametrize(
    "held,simd,passes,rounds,in_bits",
    [(1, 1, 8, 2, 8), (1, 5, 9, 1, 4), (2, 3, 9, 3, 8), (3, 4, 13, 2, 5), (5, 1, 12, 2, 4), (3, 40, 11, 1, 2)],
)
def test_sums_of_products_that_are_looked_up(held, simd, passes, rounds, in_bits):
    """Slots that follow one another at once and after pauses, with every code, against NumPy."""
    rng = np.random.default_rng(held)
    lanes, slots = held * simd, 7
    codes, x = rng.choice(CODES, (slots, rounds, passes, lanes)), rng.integers(0, 2**in_bits, (slots, rounds, lanes))
    codes[3], x[3] = -64, 2**in_bits - 1
    agrees = relative(codes < 0)
    off = np.array([[[tree_of_zeros(turn) for turn in some] for some in slot] for slot in agrees])
    exact = np.cumsum((codes * x[:, :, None]).sum(axis=3) + off, axis=1)
    width = int(np.abs(exact).max()).bit_length() + 1
    shape = TablePeShape(held, simd, in_bits, width, rounds, passes)
    levels, fill = (lanes - 1).bit_length(), fill_cycles(held)
    words, opening, wanted, looked, firsts = {}, set(), {}, {}, set()
    at = 8
    for slot in range(slots):
        for number in range(rounds):
            opening.add(at - 2)
            words.update({at + word: x[slot, number, word * simd : (word + 1) * simd] for word in range(held)})
            for turn in range(passes):
                cycle = at + fill + turn
                fields = [field(abs(int(code))) + 8 * int(sign) for code, sign in zip(
                    codes[slot, number, turn], agrees[slot, number, turn]
                )]  # fmt: skip
                looked[cycle] = merge(fields, 4), (slot * rounds + number) % 2
                if number == 0:
                    firsts.add(cycle + sum_latency(levels))
                if number == rounds - 1:
                    wanted[cycle + sum_latency(levels) + 2] = int(exact[slot, number, turn])
            at += passes
        at += int(rng.integers(0, 4)) if slot % 2 else 0

    clk, rst, opens, bank, first = (flag() for _ in range(5))
    word, code = vector(simd * in_bits), vector(lanes * 4)
    values, columns = vector(lanes * shape.product_bits), vector(held * COLUMN_BITS)
    result, found = vector(width), {}
    fill_tables = shallow(products, clk, rst, word, opens, values, columns, shape=shape)
    dut = shallow(look_up_accumulate, clk, values, columns, bank, code, first, result, shape=shape)

    def drive(cycle):
        rst.next = cycle < 3
        noise = [int(v) for v in rng.integers(0, 2**in_bits, simd)]
        word.next = merge([int(v) for v in words[cycle]] if cycle in words else noise, in_bits)
        opens.next = cycle in opening
        code.next = looked.get(cycle, (int(rng.integers(0, 2**30)) % 2 ** (4 * lanes), 0))[0]
        bank.next = looked.get(cycle + 1, (0, 0))[1]
        first.next = cycle + 2 in firsts

    def observe(cycle):
        if cycle in wanted:
            found[cycle] = signed(int(result), width)
        return cycle > max(wanted)

    run([fill_tables, dut], clk, drive, observe, cap=2000)
    assert found == wanted


def relative(negative: np.ndarray) -> np.ndarray:
    """Whether each of (..., lanes) has the sign of the first of the lanes that it is added to."""
    out = ~negative
    for lane in range(1, negative.shape[-1]):
        out[..., lane] = negative[..., lane] == negative[..., lane - (lane & -lane)]
    return out


def tree_of_zeros(agrees: np.ndarray) -> int:
    """What lanes of zeros sum up to, two by two: what is subtracted is a sum, or its one's complement."""
    sums, step = [0] * len(agrees), 1
    while len(sums) > 1:
        pairs = [(sums[i : i + 2], agrees[i * step : (i + 2) * step]) for i in range(0, len(sums), 2)]
        sums = [one[0] - (~one[1] if same[step] else one[1]) if len(one) == 2 else one[0] for one, same in pairs]
        step *= 2
    return -(~sums[0] if agrees[0] else sums[0])


ROUNDS = {  # (channels, height, width), lanes a beat, pe, simd, held, layer
    "kernels": ((5, 4, 3), 2, 1, 2, 3, Spec(11, (2, 2), odd_pad=True)),
    "one round": ((3, 5, 4), 3, 1, 3, 4, Spec(12, (2, 2), (2, 1), pads=(0, 1, 1, 0))),
    "no word waits": ((4, 3, 4), 1, 2, 1, 1, Spec(16, (1, 2), pads=(0,) * 4)),
    "1x1": ((6, 3, 4), 2, 1, 2, 2, Spec(9, (1, 1), (1, 2), pads=(0,) * 4)),
    "1x1, one round": ((6, 3, 3), 2, 1, 2, 3, Spec(10, (1, 1), pads=(0, 0, 1, 0), odd_pad=True)),
    "holes": ((6, 5, 4), 2, 1, 2, 2, Spec(9, zeros=0.0, holes=(0.6, 9, 2))),
}


@pytest.mark.parametrize("idle,stall", [(0, 0), (40, 40), pytest.param(85, 20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ROUNDS)
def test_words_of_every_round(name, idle, stall):
    """Words come one after the other behind `opens`, their weights' addresses `fill_cycles` behind, and in between
    nothing of another round; halves of the tables take turns."""
    in_shape, lanes, pe, simd, held, spec = ROUNDS[name]
    rng = np.random.default_rng(2)
    layer = random_layer(rng, name, in_shape, 8, spec)
    folding, raster = table_shape(layer, pe, simd, held), slot_raster(layer)
    form = StreamFormat(in_shape, 8, lanes, 64)
    shape = WordWindowShape(folding, lanes, form.beats_per_position, raster, tuple(int(v) for v in layer.pad_value))
    frames = rng.integers(0, 256, (2, *in_shape)).astype(np.uint8)
    clk, rst, in_valid, in_ready, room, first, ending, blank, opens, bank = (flag() for _ in range(10))
    in_data, x, address = vector(lanes * 8), vector(shape.word_bits), counter(folding.weight_words)
    dut = shallow(
        word_window, clk, rst, in_data, in_valid, in_ready, room, x, address, first, ending, blank, opens, bank,
        shape=shape,
    )  # fmt: skip
    source, stalls = Source(to_beats(form, frames), in_data, in_valid, in_ready, idle=idle), Pause(stall, 4)
    shown, opened, firsts, captures = [], [], set(), []

    def drive(cycle):
        room.next = not stalls()
        if reset_then(rst, cycle):
            source.drive()

    def observe(cycle):
        if cycle >= 3:
            source.observe(cycle)
        shown.append((int(address), int(x), bool(bank)))
        if opens:
            opened.append(cycle)
        if first:
            firsts.add(cycle + 2)
        if ending:
            captures.append(cycle + 1)
        return len(captures) == raster.computing * len(frames) * folding.passes

    run(dut, clk, drive, observe, cap=20_000)
    padded = reference.pad(frames.astype(np.int64), layer.pads, layer.pad_value)
    windows = reference.windows(padded, layer.kernel, layer.stride).transpose(0, 2, 3, 1, 4, 5)
    windows = windows.reshape(-1, in_shape[0], *layer.kernel)
    reads, settle = walked(folding), WORD_LATENCY + sum_latency(folding.tree_levels)
    assert len(opened) >= len(windows) * folding.rounds  # one more slot may have begun
    for number, window in enumerate(windows):
        for turn in range(folding.rounds):
            begin = opened[number * folding.rounds + turn]
            for place, read in enumerate(reads[turn * held : (turn + 1) * held]):
                real = window[read.word * simd : (read.word + 1) * simd, read.ky, read.kx]
                found = shown[begin + place + WORD_LATENCY][1] & (1 << 8 * len(real)) - 1
                assert found == merge([int(v) for v in real], 8)
            looked = begin + fill_cycles(held)
            for one in range(folding.passes):
                assert shown[looked + one][0] == turn * folding.passes + one
                assert shown[looked + one + 1][2] == (number * folding.rounds + turn) % 2
                assert (looked + one + settle in firsts) == (turn == 0)
                if turn == folding.rounds - 1:
                    assert captures[number * folding.passes + one] == looked + one + settle + 1

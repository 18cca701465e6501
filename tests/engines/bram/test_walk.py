"""Walks over random windows, by a ring of words that is followed cycle by cycle."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.bram.layout import BramShape, bram_shape
from lognet_fpga.engines.bram.walk import CLEAR, MOST_RUNS
from lognet_fpga.fabric.latencies import RING_WALK_LATENCY
from tests.engines.bram.walked import walked
from tests.quant_models import Spec, random_layer

WRITE_LATENCY = 2  # from letting a slot go until its position's word 0 is announced to the ring


def ring_faults(shape: BramShape, slots: int) -> list[str]:
    """What goes wrong where computing slots follow one another: a place is to be written CLEAR cycles before it is
    read, and not again until CLEAR cycles later."""
    writes: dict[int, list[tuple[int, int]]] = {address: [] for address in range(shape.memory_words)}
    reads, behind = [], walked(shape)
    for slot in range(slots):
        start = slot * shape.ii_cycles
        for word in range(shape.words):
            place = slot * shape.words + word
            writes[place % shape.memory_words].append((start + WRITE_LATENCY + word, place))
        for cycle, read in enumerate(behind):
            back = (shape.kernel[0] - 1 - read.ky) * shape.row_slots + shape.kernel[1] - 1 - read.kx
            reads.append((start + RING_WALK_LATENCY + cycle, (slot - back) * shape.words + read.word))
    faults = []
    for cycle, place in reads:
        if place >= 0:
            *_, (written, found) = [one for one in writes[place % shape.memory_words] if one[0] < cycle + CLEAR]
            if found != place or written > cycle - CLEAR:
                faults.append(f"cycle {cycle}: place {place} is asked for, {found} was written in {written}")
    return faults


@pytest.mark.parametrize("seed", range(40))
def test_every_word_is_in_the_ring_when_it_is_read(seed):
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 2, 4]))
    channels, outputs = groups * int(rng.integers(1, 9)), groups * int(rng.integers(1, 5))
    kernel = [(1, 2), (2, 1), (2, 2), (1, 3)][int(rng.integers(4))]
    holes = float(rng.choice([0.5, 0.8, 0.95])), int(rng.integers(1, 5)), int(rng.integers(1, 4))
    spec = Spec(outputs, kernel, pads=(0,) * 4, groups=groups, holes=holes, zeros=0.1)
    print(f"seed {seed}: {channels} channels, {spec}")
    layer = random_layer(rng, "conv1", (channels, 3, 4), 8, spec)
    shape = bram_shape(layer, 1, 1)
    assert len(shape.walk.runs) <= MOST_RUNS and shape.ii_cycles >= shape.words
    assert ring_faults(shape, 3 * shape.row_slots) == []


def test_a_word_that_would_come_too_early_is_not_asked_for():
    """Alone in its pass, the last word of the newest position: it is written when others could have been read."""
    layer = random_layer(np.random.default_rng(1), "conv1", (8, 4, 5), 8, Spec(2, (1, 2), pads=(0,) * 4, zeros=0.0))
    layer.codes[0] = 0
    layer.codes[0, 7, 0, 1] = 1
    shape = bram_shape(layer, 1, 1)
    assert ring_faults(shape, 20) == [] and shape.pass_cycles == (16, 16)
    layer.codes[0, 0:6, 0, 0] = 1
    layer.codes[0, 5:8, 0, 1] = 1
    later = random_layer(np.random.default_rng(1), "conv1", (8, 4, 5), 8, Spec(2, (1, 2), pads=(0,) * 4, zeros=0.0))
    later.codes[0] = layer.codes[0]
    shape = bram_shape(later, 1, 1)
    assert ring_faults(shape, 20) == [] and shape.pass_cycles == (9, 16)

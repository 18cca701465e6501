"""The small overlays whose mutants are judged, and frames that reach the ends of every sum."""

from __future__ import annotations

import itertools

import numpy as np

from lognet_fpga.codegen import generate
from lognet_fpga.ir.graph import MaxPool
from lognet_fpga.ir.quant import QuantGraph
from tests.mutants.simulation import Subject
from tests.quant_models import Spec, folded_plan, random_frames, random_graph, solved


def telling_frames(quant: QuantGraph, noise: int, seed: int) -> np.ndarray:
    """Noise, and frames with every channel all 0 or all 255: the largest sums and the smallest."""
    channels = quant.input_shape[0]
    flat = np.array(list(itertools.product((0, 255), repeat=channels)), np.uint8)[:, :, None, None]
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 2, (noise, channels, 3, 3)) * 255
    patches = np.repeat(np.repeat(patches, 4, 2), 4, 3)[:, :, : quant.input_shape[1], : quant.input_shape[2]]
    return np.concatenate(
        [random_frames(quant, noise, seed), np.broadcast_to(flat, (len(flat), *quant.input_shape)), patches]
    ).astype(np.uint8)


def two_engines() -> Subject:
    """Weights in the fabric, then in memories; both pools padded, so that results are blanked."""
    quant = random_graph(
        1,
        (3, 7, 6),
        Spec(4, odd_pad=True, pool=MaxPool((3, 3), (2, 2), (1, 1, 1, 1))),
        Spec(5, pool=MaxPool((2, 2), (1, 1), (0, 0, 1, 1)), out_bits=4),
    )
    plan = folded_plan([3, (2, 2)], solved(quant, [False, True]))
    design = generate(plan, "ab" * 32)
    return Subject(design, quant, plan, telling_frames(quant, 8, 1), (0xABABABAB,) * 8)


def looked_up() -> Subject:
    """Elements that look products up, for two rounds a slot."""
    quant = random_graph(2, (3, 5, 6), Spec(9, (2, 2), pads=(0, 1, 1, 0), zeros=0.1, pool=None, out_bits=4))
    plan = folded_plan([(1, 3, 2)], solved(quant, [True]))
    design = generate(plan, "cd" * 32)
    return Subject(design, quant, plan, telling_frames(quant, 8, 1), (0xCDCDCDCD,) * 8)

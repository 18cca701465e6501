"""Where the layers of a directed graph take their inputs: forks and concatenations of channels.

A layer's input is what some of the layers before it put out, or the frames, channels side by side in the order of its
sources.  A sum needs no operator of its own: what is added enters the next convolution as further channels, whose
weights are those of the sum (`partition.residual`), and is added in the accumulators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

FRAMES = -1
Array = TypeVar("Array", bound=Any)


@dataclass(frozen=True)
class Source:
    """Part of a layer's input: what layer number `layer`, counted from 0, puts out, or the frames for FRAMES; of it the
    positions at each multiple of stride, (y, x)."""

    layer: int
    stride: tuple[int, int] = (1, 1)

    def shape(self, of: tuple[int, int, int]) -> tuple[int, int, int]:
        """(channels, height, width) of what is taken, for that of all there is."""
        channels, height, width = of
        return channels, -(-height // self.stride[0]), -(-width // self.stride[1])


Sources = tuple[tuple[Source, ...], ...]
"""Those of every layer, in order."""


def chain(count: int) -> Sources:
    """Every layer takes all of the one before it, and nothing else."""
    return tuple((Source(number),) for number in range(FRAMES, FRAMES + count))


def cuts(sources: Sources) -> tuple[int, ...]:
    """The numbers of first layers behind which only what the last of them puts out is taken, ascending."""
    reach = [min(source.layer for source in its) for its in sources]
    return tuple(count for count in range(1, len(sources) + 1) if min(reach[count:], default=count) >= count - 1)


def takers(sources: Sources) -> dict[int, tuple[tuple[int, int], ...]]:
    """By number of layer, FRAMES included: (layer, place among its sources) of all that take what it puts out, in
    order."""
    found: dict[int, list[tuple[int, int]]] = {number: [] for number in range(FRAMES, len(sources))}
    for layer, its in enumerate(sources):
        for place, source in enumerate(its):
            found[source.layer].append((layer, place))
    return {number: tuple(its) for number, its in found.items()}


def taken(sources: Sequence[Source], frames: Array, outputs: Sequence[Array]) -> list[Array]:
    """The parts of a layer's input, (batch, channels, h, w) each, of NumPy or PyTorch as the frames and what each of
    the layers before it put out."""
    every = (frames if source.layer == FRAMES else outputs[source.layer] for source in sources)
    return [part[:, :, :: source.stride[0], :: source.stride[1]] for part, source in zip(every, sources)]


def gather(sources: Sequence[Source], frames: np.ndarray, outputs: Sequence[np.ndarray]) -> np.ndarray:
    """A layer's input, (batch, channels, h, w); so are the frames and what each of the layers before it put out."""
    parts = taken(sources, frames, outputs)
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def gathered_shape(
    sources: Sequence[Source], frames: tuple[int, int, int], outputs: Sequence[tuple[int, int, int]]
) -> tuple[int, int, int]:
    """(channels, height, width) of a layer's input.  Raises ValueError where its parts do not lie over each other."""
    shapes = [source.shape(frames if source.layer == FRAMES else outputs[source.layer]) for source in sources]
    if len({shape[1:] for shape in shapes}) != 1:
        raise ValueError(f"inputs of {', '.join(map(str, shapes))} do not have the same positions")
    return sum(shape[0] for shape in shapes), *shapes[0][1:]


def check_sources(
    sources: Sources,
    frames: tuple[int, int, int],
    layers: Sequence[tuple[str, tuple[int, int, int], tuple[int, int, int]]],
) -> None:
    """Raise ValueError unless each of the layers, (name, in_shape, out_shape), has the sources for its input, all of
    them before it, the first one the frames as they are, and each but the last is a source of one behind it."""
    if len(sources) != len(layers):
        raise ValueError(f"{len(layers)} layers with sources for {len(sources)}")
    if sources[:1] != chain(1):
        raise ValueError("the first layer must take the frames as they are")
    outputs: list[tuple[int, int, int]] = []
    for (name, in_shape, out_shape), its in zip(layers, sources):
        if not its or any(not FRAMES <= source.layer < len(outputs) for source in its):
            raise ValueError(f"{name}: its input must come from the frames or the layers before it")
        if (shape := gathered_shape(its, frames, outputs)) != in_shape:
            raise ValueError(f"{name}: its input has the shape {in_shape}, its sources give {shape}")
        outputs.append(out_shape)
    read = {source.layer for its in sources for source in its}
    if unread := [name for number, (name, _, _) in enumerate(layers[:-1]) if number not in read]:
        raise ValueError(f"nothing takes what {', '.join(unread)} put out")

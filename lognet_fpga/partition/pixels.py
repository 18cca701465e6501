"""What the frames' pixels are to the model, where the options that say so are known."""

from __future__ import annotations

from dataclasses import replace

from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.preprocessing import Preprocessing


def with_pixels(graph: Graph, preprocessing: Preprocessing) -> Graph:
    """graph, told what its input is for pixels: its first layer may pad with those only."""
    factor, offset = preprocessing.affine(graph.input_shape[0])
    return replace(graph, pixels=tuple(zip(offset.tolist(), (offset + 255 * factor).tolist())))

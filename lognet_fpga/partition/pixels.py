"""What the frames' numbers are to the model, where the options that say so are known, and what it wants of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition.walk import convolutions, walk


def with_pixels(graph: Graph, preprocessing: Preprocessing) -> Graph:
    """graph, told what its input is for codes of 0 to 255: its first layer may pad with those only.  Of float frames
    whose scale is still to be chosen nothing is known."""
    if preprocessing.is_float and preprocessing.scale is None:
        return graph
    factor, offset = preprocessing.affine(graph.input_shape[0])
    return replace(graph, pixels=tuple(zip(offset.tolist(), (offset + 255 * factor).tolist())))


def input_padding(graph: Graph) -> np.ndarray | None:
    """What graph's first convolution puts around its input, (channels,), in units of graph's input; None where it puts
    nothing there."""
    layers = walk(graph, min(1, len(convolutions(graph)))).layers
    if not layers or not any(layers[0].pads) or layers[0].weight.shape[1] > graph.input_shape[0]:
        return None
    return layers[0].pad_value

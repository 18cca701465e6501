"""Where the model is cut: FPGA layers before, an ONNX tail after.  See `split.partition`."""

from lognet_fpga.partition.float_layer import FloatLayer
from lognet_fpga.partition.pixels import input_padding, with_pixels
from lognet_fpga.partition.split import Partition, Placement, input_nodes, partition, run_float_layers
from lognet_fpga.partition.tail import make_float_tail, make_tail

__all__ = [
    "FloatLayer",
    "Partition",
    "Placement",
    "input_nodes",
    "input_padding",
    "make_float_tail",
    "make_tail",
    "partition",
    "run_float_layers",
    "with_pixels",
]

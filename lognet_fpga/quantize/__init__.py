"""From float layers and calibration frames to the integer graph: see `calibrate.quantize`, and
`act_bits.quantize_by_error`, which also chooses the bits of the activations."""

from lognet_fpga.quantize.act_bits import AskedBits, ChosenBits, quantize_by_error
from lognet_fpga.quantize.calibrate import quantize
from lognet_fpga.quantize.dequantize import real_rows, with_quantized_weights
from lognet_fpga.quantize.methods import Methods
from lognet_fpga.quantize.padding import PaddingError

__all__ = [
    "AskedBits",
    "ChosenBits",
    "Methods",
    "PaddingError",
    "quantize",
    "quantize_by_error",
    "real_rows",
    "with_quantized_weights",
]

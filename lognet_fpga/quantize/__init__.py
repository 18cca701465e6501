"""From float layers and calibration frames to the integer graph: see `calibrate.quantize`."""

from lognet_fpga.quantize.calibrate import quantize
from lognet_fpga.quantize.dequantize import real_rows, with_quantized_weights
from lognet_fpga.quantize.methods import Methods
from lognet_fpga.quantize.padding import PaddingError

__all__ = ["Methods", "PaddingError", "quantize", "real_rows", "with_quantized_weights"]

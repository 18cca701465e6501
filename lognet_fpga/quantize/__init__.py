"""From float layers and calibration frames to the integer graph: see `calibrate.quantize`."""

from lognet_fpga.quantize.calibrate import quantize
from lognet_fpga.quantize.dequantize import real_rows, with_quantized_weights
from lognet_fpga.quantize.methods import Methods

__all__ = ["Methods", "quantize", "real_rows", "with_quantized_weights"]

"""From float layers and calibration frames to the integer graph: see `calibrate.quantize`."""

from lognet_fpga.quantize.calibrate import quantize

__all__ = ["quantize"]

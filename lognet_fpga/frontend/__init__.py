"""ONNX file in, float Graph out.  See `loader`."""

from lognet_fpga.frontend.loader import load, without_outputs

__all__ = ["load", "without_outputs"]

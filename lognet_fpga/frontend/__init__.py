"""ONNX file in, float Graph out.  See `loader.load`."""

from lognet_fpga.frontend.loader import load

__all__ = ["load"]

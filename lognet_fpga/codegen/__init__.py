"""From the hardware's structure to Verilog text: `generate`."""

from lognet_fpga.codegen.verilog import generate

__all__ = ["generate"]

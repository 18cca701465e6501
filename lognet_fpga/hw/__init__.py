"""The hardware: MyHDL blocks, and the hierarchy above them as data."""

from lognet_fpga.hw.short_stack import shorten

shorten()

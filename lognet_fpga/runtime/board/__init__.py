"""Run a bundle on a board through PYNQ.  Nothing here imports pynq before a board is opened."""

from lognet_fpga.runtime.board.device import BoardDevice

__all__ = ["BoardDevice"]

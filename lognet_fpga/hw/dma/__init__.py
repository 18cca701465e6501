"""An AXI DMA in direct register mode, in place of Xilinx's where that cannot be had.

`dma.axi_dma` is the whole of it; docs/bitstream.md says what it does and how it was tested.
"""

"""The bitstream by open tools, for the xc7z020: our own top level and DMA, Yosys, nextpnr and Project X-Ray.

Experimental: no board has run a bitstream of this toolchain.
"""

"""What stands around the overlay on a Zynq: processor, AXI DMA, addresses and clock.

A bitstream is made from this, its .hwh tells it to PYNQ, and the driver and the simulated board rely on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lognet_fpga.errors import UsageError
from lognet_fpga.ir.clocks import PlClock, fastest_clock, hertz

CORE_NAME = "lognet_overlay_0"
CORE_VLNV = "lognet-fpga:lognet:lognet_overlay:1.0"
DMA_NAME = "axi_dma_0"
DMA_VLNV = "xilinx.com:ip:axi_dma:7.1"
OWN_DMA_VLNV = "lognet-fpga:lognet:axi_dma:1.0"  # lognet_fpga.hw.dma, with the registers of the other
DMA_VLNVS = (DMA_VLNV, OWN_DMA_VLNV)

MEMORY_BITS = 64  # of the port into memory
BURST_BEATS = 16  # the most that AXI3, the Zynq-7000's, knows


@dataclass(frozen=True)
class AddressRange:
    base: int
    size: int

    @property
    def last(self) -> int:
        return self.base + self.size - 1


@dataclass(frozen=True)
class Processor:
    """A Zynq family: its name in Vivado, what is fixed about it, and the master that reaches the registers.

    pll_mhz: of the PLL that the clocks of the programmable logic are divided from, where no board says otherwise.
    """

    name: str
    machine: str
    module: str
    vlnv: str
    master: str
    pll_mhz: float
    core: AddressRange
    dma: AddressRange
    address_bits: int


ZYNQ_7000 = Processor(
    "Zynq-7000",
    "armv7l",
    "processing_system7",
    "xilinx.com:ip:processing_system7:5.5",
    "M_AXI_GP0",
    1000.0,
    AddressRange(0x43C0_0000, 0x1000),
    AddressRange(0x4040_0000, 0x1_0000),
    32,
)
ZYNQ_ULTRASCALE = Processor(
    "Zynq UltraScale+",
    "aarch64",
    "zynq_ultra_ps_e",
    "xilinx.com:ip:zynq_ultra_ps_e:3.5",
    "M_AXI_HPM0_FPD",
    1499.985,
    AddressRange(0xA000_0000, 0x1000),
    AddressRange(0xA001_0000, 0x1_0000),
    40,
)


@dataclass(frozen=True)
class BoardSystem:
    """clk_mhz: the most that the clock may have; source_bits, sink_bits: TDATA of the overlay's streams; length_bits:
    of the DMA's lengths; dma_vlnv: which DMA, one of DMA_VLNVS; pll_mhz: of the board, None: the processor's usual."""

    processor: Processor
    clk_mhz: float
    source_bits: int
    sink_bits: int
    length_bits: int = 26
    dma_vlnv: str = DMA_VLNV
    pll_mhz: float | None = None

    @property
    def dma_parameters(self) -> Mapping[str, int]:
        """Of the AXI DMA, by the names that Xilinx's has for them: direct register mode, both channels."""
        return {
            "c_include_sg": 0,
            "c_micro_dma": 0,
            "c_sg_length_width": self.length_bits,
            "c_addr_width": self.processor.address_bits,
            "c_include_mm2s": 1,
            "c_include_mm2s_dre": 0,
            "c_m_axi_mm2s_data_width": max(MEMORY_BITS, self.source_bits),
            "c_m_axis_mm2s_tdata_width": self.source_bits,
            "c_mm2s_burst_size": BURST_BEATS,
            "c_include_s2mm": 1,
            "c_include_s2mm_dre": 0,
            "c_m_axi_s2mm_data_width": max(MEMORY_BITS, self.sink_bits),
            "c_s_axis_s2mm_tdata_width": self.sink_bits,
            "c_s2mm_burst_size": BURST_BEATS,
        }

    @property
    def clock(self) -> PlClock:
        """What the processor makes: the fastest clock at or below clk_mhz."""
        return fastest_clock(hertz(self.pll_mhz or self.processor.pll_mhz), hertz(self.clk_mhz))


def processor_of(part: str) -> Processor:
    """The processor of a part such as xc7z020clg400-1; raises UsageError for a part without one."""
    if part.startswith("xc7z"):
        return ZYNQ_7000
    if part.startswith(("xczu", "xck")):
        return ZYNQ_ULTRASCALE
    raise UsageError(
        f"{part} has no processor that runs PYNQ", hint="deploy for a PYNQ board, see lognet-deploy --help"
    )

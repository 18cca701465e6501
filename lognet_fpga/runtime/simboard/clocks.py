"""The registers of the processor's clock generator, as far as pynq.Clocks reads and writes them."""

from __future__ import annotations

from lognet_fpga.ir.system import ZYNQ_7000, Processor

_SLCR = 0xF800_0000
_CRL_APB = 0xFF5E_0000
_CRF_APB = 0xFD1A_0000


def clock_registers(processor: Processor) -> dict[int, int]:
    """Physical address to value after boot: the PLLs at processor.pll_mhz, every clock divided by ten."""
    if processor is ZYNQ_7000:
        reference_mhz = 50
        plls = {_SLCR + offset: round(processor.pll_mhz / reference_mhz) << 12 for offset in (0x100, 0x104, 0x108)}
        clocks = {_SLCR + offset: 1 << 20 | 10 << 8 for offset in (0x170, 0x180, 0x190, 0x1A0)}
        return plls | clocks | {_SLCR + 0x120: 2 << 8}
    feedback = round(processor.pll_mhz / 33.333) << 8
    plls = {_CRL_APB + 0x20: feedback, _CRL_APB + 0x30: feedback}
    plls |= {_CRF_APB + offset: feedback for offset in (0x20, 0x2C, 0x38)}
    clocks = {_CRL_APB + offset: 1 << 24 | 1 << 16 | 10 << 8 for offset in (0xC0, 0xC4, 0xC8, 0xCC)}
    return plls | clocks | {_CRF_APB + 0x60: 1 << 8}

"""The registers of the processor's clock generator, as far as pynq.Clocks reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping

from lognet_fpga.ir.system import ZYNQ_7000, Processor

_SLCR = 0xF800_0000
_CRL_APB = 0xFF5E_0000
_CRF_APB = 0xFD1A_0000
_REFERENCE_MHZ = {True: 50.0, False: 33.333}  # of a Zynq-7000 and an UltraScale+, as pynq takes them
_BOOT_DIVISOR = 10


def clock_registers(processor: Processor, pll_mhz: float) -> dict[int, int]:
    """Physical address to value after boot: every PLL at pll_mhz, or at what is nearest of the multiples that it makes,
    every clock divided by ten."""
    multiple = pll_mhz / _REFERENCE_MHZ[processor is ZYNQ_7000]
    if processor is ZYNQ_7000:
        plls = {_SLCR + offset: round(multiple) << 12 for offset in (0x100, 0x104, 0x108)}
        clocks = {_SLCR + offset: 1 << 20 | _BOOT_DIVISOR << 8 for offset in (0x170, 0x180, 0x190, 0x1A0)}
        return plls | clocks | {_SLCR + 0x120: 2 << 8}
    halved = 1 << 16 | round(2 * multiple) << 8
    plls = {_CRL_APB + 0x20: halved, _CRL_APB + 0x30: halved}
    plls |= {_CRF_APB + offset: halved for offset in (0x20, 0x2C, 0x38)}
    clocks = {_CRL_APB + offset: 1 << 24 | 1 << 16 | _BOOT_DIVISOR << 8 for offset in (0xC0, 0xC4, 0xC8, 0xCC)}
    return plls | clocks | {_CRF_APB + 0x60: 1 << 8}


def pl_clock_mhz(processor: Processor, registers: Mapping[int, int]) -> float:
    """The first PL clock, from the I/O PLL."""
    if processor is ZYNQ_7000:
        pll, clock, second = registers[_SLCR + 0x108], registers[_SLCR + 0x170], 20
        multiple: float = pll >> 12 & 0x7F
    else:
        pll, clock, second = registers[_CRL_APB + 0x20], registers[_CRL_APB + 0xC0], 16
        multiple = (pll >> 8 & 0x7F) / (2 if pll >> 16 & 1 else 1)
    return _REFERENCE_MHZ[processor is ZYNQ_7000] * multiple / ((clock >> 8 & 0x3F) * (clock >> second & 0x3F))

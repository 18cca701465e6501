"""settings.tcl: what the project's Tcl, which is the same for all, has to know of one overlay and board.

Everything about the system comes from ir.system, which the .hwh and the driver go by as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lognet_fpga.bitstream.overlay_system import OverlaySystem, VivadoBoard
from lognet_fpga.bitstream.vivado.wrapper import WRAPPER
from lognet_fpga.ir.clocks import megahertz, mhz_text
from lognet_fpga.ir.core_registers import CORE_REGISTERS
from lognet_fpga.ir.system import (
    CORE_NAME,
    CORE_VLNV,
    DMA_NAME,
    DMA_VLNV,
    MEMORY_BITS,
    ZYNQ_7000,
    ZYNQ_ULTRASCALE,
    BoardSystem,
    Processor,
)

_ASKED_ABOVE = 2e-5  # a crystal of 33.33333 MHz is often called 33.333; the next clock above is 2.5e-4 away at least
# The DMA takes this one from the stream that is connected to it, and does not let it be set.
_FROM_THE_STREAM = "c_s_axis_s2mm_tdata_width"


@dataclass(frozen=True)
class _Ports:
    """How a processor is connected.  memory: its slave port; clock, reset: what the first PL clock and its reset are
    called; clock_made: what says which clock Vivado made; clock_inputs: of the ports in use; external: what leaves the
    chip; automation: what sets it up as on the board, in Vivado's words."""

    memory: str
    clock: str
    clock_made: str
    reset: str
    clock_inputs: tuple[str, ...]
    external: tuple[str, ...]
    automation: Mapping[str, str]


_PORTS: Mapping[Processor, _Ports] = {
    ZYNQ_7000: _Ports(
        "S_AXI_HP0",
        "FCLK_CLK0",
        "PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ",
        "FCLK_RESET0_N",
        ("M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK"),
        ("DDR", "FIXED_IO"),
        {"make_external": "FIXED_IO, DDR", "apply_board_preset": "1", "Master": "Disable", "Slave": "Disable"},
    ),
    ZYNQ_ULTRASCALE: _Ports(
        "S_AXI_HP0_FPD",
        "pl_clk0",
        "PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ",
        "pl_resetn0",
        ("maxihpm0_fpd_aclk", "saxihp0_fpd_aclk"),
        (),
        {"apply_board_preset": "1"},
    ),
}


def settings_tcl(overlay: OverlaySystem, board: VivadoBoard) -> str:
    """The text of settings.tcl."""
    system = overlay.system
    processor = system.processor
    ports = _PORTS[processor]
    dma = system.dma_parameters
    settings: dict[str, str | Sequence[str]] = {
        "name": overlay.name,
        "part": board.part,
        "board_files": board.board_files,
        "board_connections": board.connections,
        "processor": processor.module,
        "automation": _pairs(ports.automation),
        "external_interfaces": ports.external,
        "ps_without_board_files": _config(board.without_board_files),
        "ps_config": _config(_ps_config(system)),
        "ps_clock": ports.clock,
        "ps_clock_made": f"CONFIG.{ports.clock_made}",
        "ps_clock_mhz": mhz_text(system.clock.mhz),
        "ps_reset": ports.reset,
        "ps_clock_inputs": ports.clock_inputs,
        "ps_master": processor.master,
        "ps_memory": ports.memory,
        "dma_name": DMA_NAME,
        "dma_vlnv": DMA_VLNV,
        "dma_config": _config({key: value for key, value in dma.items() if key != _FROM_THE_STREAM}),
        "dma_checks": _config(dma),
        "core_name": CORE_NAME,
        "core_vlnv": CORE_VLNV,
        "core_top": WRAPPER,
        "core_range": str(processor.core.size),
        "core_registers": [
            field
            for register in CORE_REGISTERS.single()
            for field in (register.name, f"0x{register.address:02X}", register.access, register.description)
        ],
        "addresses": [
            field
            for port, place in ((f"{DMA_NAME}/S_AXI_LITE", processor.dma), (f"{CORE_NAME}/s_axil", processor.core))
            for field in (port, f"0x{place.base:08X}", f"0x{place.size:X}")
        ],
    }
    lines = [f"# {overlay.name} for {overlay.title}: {mhz_text(system.clock.mhz)} MHz."]
    lines += [f"set {key} {_value(value)}" for key, value in settings.items()]
    return "\n".join(lines) + "\n"


def _ps_config(system: BoardSystem) -> dict[str, object]:
    """One clock and its reset, one master port for registers, one slave port into memory; nothing else is used."""
    if system.processor is ZYNQ_7000:
        return {
            "PCW_USE_M_AXI_GP0": 1,
            "PCW_USE_S_AXI_HP0": 1,
            "PCW_S_AXI_HP0_DATA_WIDTH": MEMORY_BITS,
            "PCW_EN_CLK0_PORT": 1,
            "PCW_EN_RST0_PORT": 1,
            "PCW_FCLK0_PERIPHERAL_CLKSRC": "IO PLL",
            "PCW_FPGA0_PERIPHERAL_FREQMHZ": asked_mhz(system),
        }
    return {
        "PSU__USE__M_AXI_GP0": 1,
        "PSU__USE__M_AXI_GP1": 0,
        "PSU__USE__M_AXI_GP2": 0,
        "PSU__MAXIGP0__DATA_WIDTH": 32,
        "PSU__USE__S_AXI_GP2": 1,
        "PSU__SAXIGP2__DATA_WIDTH": MEMORY_BITS,
        "PSU__FPGA_PL0_ENABLE": 1,
        "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "IOPLL",
        "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": asked_mhz(system),
    }


def asked_mhz(system: BoardSystem) -> str:
    """The clock that Vivado is asked for, in MHz: whole ones as they are, others a little above what is meant, which is
    then both the nearest and the next below, however Vivado rounds and whatever digits it gives the PLL."""
    hz = system.clock.hz
    return mhz_text(megahertz(hz if hz % 1_000_000 == 0 else math.ceil(hz * (1 + _ASKED_ABOVE))))


def _config(parameters: Mapping[str, object]) -> list[str]:
    return _pairs({f"CONFIG.{key}": value for key, value in parameters.items()})


def _pairs(values: Mapping[str, object]) -> list[str]:
    return [str(part) for pair in values.items() for part in pair]


def _value(value: str | Sequence[str]) -> str:
    return _braced(value) if isinstance(value, str) else "{" + " ".join(map(_word, value)) + "}"


def _word(text: str) -> str:
    """An element of a Tcl list."""
    return text if text and not set(text) & set(' ,;{}[]"$\\#\n\t') else _braced(text)


def _braced(text: str) -> str:
    """Between braces nothing of Tcl's means anything but braces and backslashes, which no name here has."""
    return "{" + text.translate(str.maketrans("", "", "{}\\\n")) + "}"

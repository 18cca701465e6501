"""The hardware handoff file (.hwh) of a BoardSystem: what PYNQ reads to find IP, addresses, parameters and clocks.

It holds what pynq 3.0, 3.1 and 4.0 read, in Vivado's spelling, and nothing of the wiring between the blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from lognet_fpga.ir.clocks import megahertz
from lognet_fpga.ir.core_registers import CORE_REGISTERS
from lognet_fpga.ir.registers import WORD_BITS
from lognet_fpga.ir.system import CORE_NAME, CORE_VLNV, DMA_NAME, ZYNQ_7000, AddressRange, BoardSystem

_PL_CLOCKS = 4
_CORE_PORT = "s_axil"
_DMA_PORT = "S_AXI_LITE"


def write_hwh(system: BoardSystem) -> bytes:
    """The file's text, UTF-8; the same for the same system."""
    root = Element("EDKSYSTEM", EDWVERSION="1.2", TIMESTAMP="", VIVADOVERSION="")
    SubElement(root, "SYSTEMINFO", NAME="lognet", ARCH=system.processor.name)
    SubElement(root, "EXTERNALPORTS")
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    _processor(modules, system)
    _dma(modules, system)
    _core(modules)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _module(
    parent: Element, name: str, kind: str, vlnv: str, parameters: Mapping[str, object], in_fabric: bool = True
) -> Element:
    """in_fabric: not the processor, which pynq 3.0 finds by that."""
    module = SubElement(
        parent,
        "MODULE",
        FULLNAME=f"/{name}",
        INSTANCE=name,
        IPTYPE="PERIPHERAL",
        IS_PL=str(in_fabric).upper(),
        MODTYPE=kind,
        VLNV=vlnv,
    )
    listed = SubElement(module, "PARAMETERS")
    for key, value in parameters.items():
        SubElement(listed, "PARAMETER", NAME=key, VALUE=str(value))
    return module


def _interface(parent: Element, name: str, kind: str) -> None:
    SubElement(parent, "BUSINTERFACE", NAME=name, TYPE=kind, VLNV="xilinx.com:interface:aximm:1.0")


def _processor(modules: Element, system: BoardSystem) -> None:
    processor = system.processor
    module = _module(modules, "ps", processor.module, processor.vlnv, _clock_parameters(system), in_fabric=False)
    _interface(SubElement(module, "BUSINTERFACES"), processor.master, "MASTER")
    memory = SubElement(module, "MEMORYMAP")
    for name, port, place in ((DMA_NAME, _DMA_PORT, processor.dma), (CORE_NAME, _CORE_PORT, processor.core)):
        _range(memory, name, port, processor.master, place)


def _range(memory: Element, name: str, port: str, master: str, place: AddressRange) -> None:
    SubElement(
        memory,
        "MEMRANGE",
        ADDRESSBLOCK="Reg",
        BASENAME="C_BASEADDR",
        BASEVALUE=f"0x{place.base:08X}",
        HIGHNAME="C_HIGHADDR",
        HIGHVALUE=f"0x{place.last:08X}",
        INSTANCE=name,
        IS_DATA="TRUE",
        MASTERBUSINTERFACE=master,
        MEMTYPE="REGISTER",
        SLAVEBUSINTERFACE=port,
    )


def _clock_parameters(system: BoardSystem) -> dict[str, object]:
    """Only the first clock of the programmable logic is used."""
    clock = system.clock
    parameters: dict[str, object] = {}
    for number in range(_PL_CLOCKS):
        used = number == 0
        div0, div1 = (clock.first, clock.second) if used else (1, 1)
        mhz = f"{clock.mhz if used else megahertz(clock.pll_hz):.6f}"
        if system.processor is ZYNQ_7000:
            parameters |= {
                f"PCW_FPGA_FCLK{number}_ENABLE": int(used),
                f"PCW_FCLK{number}_PERIPHERAL_CLKSRC": "IO PLL",
                f"PCW_FCLK{number}_PERIPHERAL_DIVISOR0": div0,
                f"PCW_FCLK{number}_PERIPHERAL_DIVISOR1": div1,
                f"PCW_ACT_FPGA{number}_PERIPHERAL_FREQMHZ": mhz,
            }
        else:
            name = f"PSU__CRL_APB__PL{number}_REF_CTRL"
            parameters |= {
                f"PSU__FPGA_PL{number}_ENABLE": int(used),
                f"{name}__SRCSEL": "IOPLL",
                f"{name}__DIVISOR0": div0,
                f"{name}__DIVISOR1": div1,
                f"{name}__ACT_FREQMHZ": mhz,
            }
    return parameters


def _dma(modules: Element, system: BoardSystem) -> None:
    module = _module(modules, DMA_NAME, "axi_dma", system.dma_vlnv, system.dma_parameters)
    _interface(SubElement(module, "BUSINTERFACES"), _DMA_PORT, "SLAVE")


def _core(modules: Element) -> None:
    module = _module(modules, CORE_NAME, "lognet_overlay", CORE_VLNV, {})
    blocks = SubElement(module, "ADDRESSBLOCKS")
    block = SubElement(
        blocks, "ADDRESSBLOCK", ACCESS="read-write", INTERFACE=_CORE_PORT, NAME="Reg", RANGE="4096", USAGE="register"
    )
    registers = SubElement(block, "REGISTERS")
    for register in CORE_REGISTERS.single():
        entry = SubElement(registers, "REGISTER", NAME=register.name)
        for key, value in (
            ("DESCRIPTION", register.description),
            ("ADDRESS_OFFSET", str(register.address)),
            ("SIZE", str(WORD_BITS)),
            ("ACCESS", register.access),
            ("IS_ENABLED", "true"),
        ):
            SubElement(entry, "PROPERTY", NAME=key, VALUE=value)
        SubElement(entry, "FIELDS")
    _interface(SubElement(module, "BUSINTERFACES"), _CORE_PORT, "SLAVE")

"""The registers against what is written of them elsewhere: the documents' tables, and PG021's own places and names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lognet_fpga.ir import core_registers, dma_registers
from lognet_fpga.ir.core_registers import CORE_REGISTERS
from lognet_fpga.ir.dma_registers import CHANNEL_REGISTERS, DMA_REGISTERS
from lognet_fpga.ir.registers import Field, Register, RegisterMap

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "document,module", [("stream.md", core_registers), ("bitstream.md", dma_registers)], ids=["overlay", "dma"]
)
def test_the_document_has_the_table_that_the_module_prints(document, module):
    printed = subprocess.run(
        [sys.executable, "-m", module.__name__], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert f"\n\n{printed}\n" in (ROOT / "docs" / document).read_text(), f"it should have:\n{printed}"


def test_places_that_drivers_in_the_field_know():
    """They stay where they are as long as the version does."""
    assert core_registers.MAP_VERSION == 1
    assert {register.name: register.address for register in CORE_REGISTERS} == {
        "identification": 0x00,
        "version": 0x04,
        "control": 0x08,
        "status": 0x0C,
        "frames_begun": 0x10,
        "frames_finished": 0x14,
        "cycles": 0x18,
        "sink_stalls": 0x1C,
        "source_idles": 0x20,
        "more_frames": 0x24,
        "packet_begun": 0x28,
        "packet_finished": 0x2C,
        "model_sha256": 0x40,
    }
    assert core_registers.LOGN.to_bytes(4, "big") == b"LOGN"


def test_the_dma_is_as_pg021_has_it():
    """Tables 2-6 to 2-16 of PG021: MM2S at 0x00, S2MM at 0x30, and the bits of DMACR and DMASR."""
    assert [(register.name, register.address) for register in DMA_REGISTERS] == [
        (f"{channel}_{name}", base + offset)
        for channel, base in (("MM2S", 0x00), ("S2MM", 0x30))
        for name, offset in (
            ("DMACR", 0x00),
            ("DMASR", 0x04),
            ("ADDRESS", 0x18),
            ("ADDRESS_HIGH", 0x1C),
            ("LENGTH", 0x28),
        )
    ]
    bits = {field.name: field.low for field in (*dma_registers.CONTROL.fields, *dma_registers.STATUS_BITS)}
    assert bits == {
        "RS": 0,
        "Reset": 2,
        "IRQThreshold": 16,
        "Halted": 0,
        "Idle": 1,
        "SGIncld": 3,
        "DMAIntErr": 4,
        "DMASlvErr": 5,
        "DMADecErr": 6,
        "SGIntErr": 8,
        "SGSlvErr": 9,
        "SGDecErr": 10,
        "IOC_Irq": 12,
        "Dly_Irq": 13,
        "Err_Irq": 14,
    }


def test_every_word_has_one_register():
    words = {register.address: register.name for register in CORE_REGISTERS.single()}
    assert words[0x40] == "model_sha256_0" and words[0x5C] == "model_sha256_7" and len(words) == 20
    for address in range(0, 0x80):
        found = CORE_REGISTERS.at(address)
        assert (found is None) == (address & ~3 not in words), hex(address)
        assert found is None or words[address & ~3].startswith(found.name)


@pytest.mark.parametrize(
    "registers",
    [
        (Register("a", 0, ""), Register("b", 0, "")),
        (Register("a", 0, "", words=2), Register("b", 4, "")),
        (Register("a", 2, ""),),
        (Register("a", 8, ""), Register("b", 4, "")),
        (Register("a", 0, "", fields=(Field("x", 0, "", 4), Field("y", 3, ""))),),
        (Register("a", 0, "", fields=(Field("x", 31, "", 2),)),),
    ],
)
def test_what_overlaps_is_no_map(registers):
    with pytest.raises(ValueError):
        RegisterMap(registers)


def test_masks():
    assert core_registers.MORE_FRAMES.mask == 0xFFFF and core_registers.STATUS.mask == 3
    assert core_registers.CYCLES.mask == 0xFFFF_FFFF and CHANNEL_REGISTERS.at(0x28) is dma_registers.LENGTH

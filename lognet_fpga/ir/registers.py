"""Registers as data: what hardware, driver, simulated board, .hwh, tests and documents know of them comes from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

WORD_BITS, WORD_BYTES = 32, 4
READ_ONLY, WRITE_ONLY, READ_WRITE = "read-only", "write-only", "read-write"  # as IP-XACT and the .hwh call them


@dataclass(frozen=True)
class Field:
    """Bits low..low + width - 1 of a register."""

    name: str
    low: int
    meaning: str
    width: int = 1

    @property
    def mask(self) -> int:
        return (1 << self.width) - 1 << self.low

    @property
    def text(self) -> str:
        """For people: which bits, their name, what they mean."""
        bits = f"bit {self.low}" if self.width == 1 else f"bits {self.low + self.width - 1} to {self.low}"
        return f"{bits}, {self.name}: {self.meaning}"


@dataclass(frozen=True)
class Register:
    """A 32-bit register, or `words` of them one behind another, from a byte address on.

    access: READ_ONLY, WRITE_ONLY, which reads 0, or READ_WRITE.  fields: the bits that there are; none: all 32 are one
    number.  reset: what it holds after a reset by `rst`, None where the design says.  meaning: one line; remark: more
    of it, for documents.
    """

    name: str
    address: int
    meaning: str
    access: str = READ_ONLY
    fields: tuple[Field, ...] = ()
    reset: int | None = 0
    words: int = 1
    remark: str = ""

    @property
    def word(self) -> int:
        """Its number, counted in words."""
        return self.address // WORD_BYTES

    @property
    def end(self) -> int:
        """The byte address behind it."""
        return self.address + WORD_BYTES * self.words

    @property
    def addresses(self) -> range:
        """Byte addresses of its words."""
        return range(self.address, self.end, WORD_BYTES)

    @property
    def mask(self) -> int:
        """The bits that there are."""
        return sum(field.mask for field in self.fields) if self.fields else (1 << WORD_BITS) - 1

    @property
    def description(self) -> str:
        """In one line, the fields too."""
        return "; ".join((self.meaning, *(field.text for field in self.fields)))


@dataclass(frozen=True)
class RegisterMap:
    """Registers in the order of their addresses; raises ValueError where two of them, or two fields of one, overlap."""

    registers: tuple[Register, ...]

    def __post_init__(self) -> None:
        end = 0
        for register in self.registers:
            if register.address < end or register.address % WORD_BYTES:
                raise ValueError(f"register {register.name} is at 0x{register.address:02X}")
            end = register.end
            if sum(field.mask for field in register.fields) >> WORD_BITS or any(
                one.mask & other.mask for one in register.fields for other in register.fields if one is not other
            ):
                raise ValueError(f"the fields of register {register.name} overlap or are too wide")

    def __iter__(self) -> Iterator[Register]:
        return iter(self.registers)

    def at(self, address: int) -> Register | None:
        """What lies at a byte address."""
        return next((register for register in self.registers if register.address <= address < register.end), None)

    def single(self) -> Iterator[Register]:
        """Every word as a register of its own, numbered where there are several."""
        for register in self.registers:
            if register.words == 1:
                yield register
            else:
                for number, address in enumerate(register.addresses):
                    yield replace(register, name=f"{register.name}_{number}", address=address, words=1)

    def table(self) -> str:
        """The map in Markdown; the tests hold the documents to it."""
        rows = ["| address | register | access | after reset | content |", "|---|---|---|---|---|"]
        for register in self.registers:
            last = register.end - WORD_BYTES
            place = f"0x{register.address:02X}" + (f" to 0x{last:02X}" if register.words > 1 else "")
            access = {READ_ONLY: "R", WRITE_ONLY: "W", READ_WRITE: "RW"}[register.access]
            reset = "" if register.reset is None else f"0x{register.reset:X}" if register.reset > 9 else register.reset
            content = f"{register.description}{'; ' if register.remark else ''}{register.remark}"
            rows.append(f"| {place} | {register.name} | {access} | {reset} | {content} |")
        return "\n".join(rows) + "\n"

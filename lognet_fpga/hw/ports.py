"""Ports of modules, one by one and in bundles.

A bundle is an interface: the signals that belong together, as one argument of a MyHDL block.  In Verilog an argument
`s_axil` of a bundle with the field `awaddr` is the port `s_axil_awaddr`, as MyHDL names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeVar, get_type_hints

from lognet_fpga.hw.wiring import flag, vector

_B = TypeVar("_B", bound="Bundle")


@dataclass(frozen=True)
class Port:
    """width None: a single control bit; else a vector of that many bits."""

    name: str
    direction: str
    width: int | None = None

    @property
    def range(self) -> str:
        """The vector's range in Verilog, and a space; nothing of a single bit."""
        return "" if self.width is None else f"[{self.width - 1}:0] "

    def signal(self):
        return flag() if self.width is None else vector(self.width)


def inputs(**widths: int | None) -> tuple[Port, ...]:
    return tuple(Port(name, "input", width) for name, width in widths.items())


def outputs(**widths: int | None) -> tuple[Port, ...]:
    return tuple(Port(name, "output", width) for name, width in widths.items())


def forth(width: int | None = None) -> Any:
    """A field of a bundle, which the master drives."""
    return field(metadata={"master": "output", "slave": "input", "width": width})


def back(width: int | None = None) -> Any:
    """A field of a bundle, which the slave drives."""
    return field(metadata={"master": "input", "slave": "output", "width": width})


@dataclass(frozen=True, eq=False)
class Bundle:
    """Of the two sides that an interface has, the master is the one that begins: it asks, or it gives the data.  Fields
    are MyHDL's signals, declared by `forth` and `back` with the widths that they usually have."""

    @classmethod
    def master(cls, name: str, **widths: int) -> tuple[Port, ...]:
        """The ports of a module on the master's side; widths: of fields that have another one than usual."""
        return cls._ports(name, "master", widths)

    @classmethod
    def slave(cls, name: str, **widths: int) -> tuple[Port, ...]:
        """Likewise on the slave's side."""
        return cls._ports(name, "slave", widths)

    @classmethod
    def _ports(cls, name: str, side: str, widths: Mapping[str, int]) -> tuple[Port, ...]:
        return tuple(
            Port(f"{name}_{each.name}", each.metadata[side], widths.get(each.name, each.metadata["width"]))
            for each in fields(cls)
        )

    @classmethod
    def fresh(cls: type[_B], **widths: int) -> _B:
        """New signals."""
        return cls.of("x", {port.name: port.signal() for port in cls.master("x", **widths)})

    @classmethod
    def of(cls: type[_B], name: str, signals: Mapping[str, object]) -> _B:
        """Made of the signals of its ports."""
        return cls(**{each.name: signals[f"{name}_{each.name}"] for each in fields(cls)})


def arguments(build: Callable, signals: Mapping[str, object]) -> dict[str, object]:
    """What to call a block with, of a signal for each of its ports: those of a bundle become one argument."""
    owners = {f"{name}_{each.name}": (name, kind) for name, kind in _bundles(build).items() for each in fields(kind)}
    made: dict[str, object] = {}
    for port, signal in signals.items():
        name, kind = owners.get(port, (port, None))
        if name not in made:
            made[name] = kind.of(name, signals) if kind else signal
    return made


def _bundles(build: Callable) -> Mapping[str, type[Bundle]]:
    """The arguments of a block that are bundles."""
    function = getattr(build, "func", build)  # of a partial
    return _bundles_of(getattr(function, "func", function))  # below MyHDL's decorator


@lru_cache(maxsize=None)
def _bundles_of(function: Callable) -> Mapping[str, type[Bundle]]:
    hints = get_type_hints(function) if getattr(function, "__annotations__", None) else {}
    return {name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, Bundle)}

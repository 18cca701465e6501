"""The PMBus rails of a board, by pynq."""

from __future__ import annotations

import importlib

from lognet_fpga.errors import BoardError, MissingToolError, UsageError

USUAL = ("INT", "VCCp0V85", "VCCINT")  # of the programmable logic, on the boards that have rails


class RailMeter:
    """which: name of a rail, else the programmable logic's.  Raises MissingToolError without pynq, UsageError where
    the board has no such rail with a power sensor."""

    def __init__(self, which: str = "") -> None:
        try:
            pmbus = importlib.import_module("pynq.pmbus")
            rails = pmbus.get_rails()
        except Exception as error:  # on a machine that is no board it fails in many ways
            raise MissingToolError(
                f"pynq's power rails cannot be read: {type(error).__name__}: {' '.join(str(error).split())[:200]}",
                hint="run this on a PYNQ board, or use another sensor",
            ) from error
        known = {name: rail for name, rail in rails.items() if rail.power or (rail.voltage and rail.current)}
        names = [name for name in ((which,) if which else USUAL) if name in known]
        if not names:
            raise UsageError(
                f"the board has no power rail {which or 'of the programmable logic'}",
                context=tuple(known),
                hint="give the name of one: rail:NAME" if known else "use another sensor",
            )
        self.name = f"PMBus rail {names[0]}"
        self._rail = known[names[0]]

    def samples(self) -> list[float]:
        rail = self._rail
        try:
            return [float(rail.power.value if rail.power else rail.voltage.value * rail.current.value)]
        except (OSError, ValueError) as error:
            raise BoardError(f"{self.name} cannot be read: {' '.join(str(error).split())[:200]}") from error

    def close(self) -> None:
        """pynq keeps nothing open."""

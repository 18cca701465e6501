"""Power sensors that Linux has as files: hwmon (INA260, INA226 and their like) and RAPL."""

from __future__ import annotations

import time
from pathlib import Path

from lognet_fpga.errors import BoardError, UsageError

HWMON = Path("/sys/class/hwmon")
POWERCAP = Path("/sys/class/powercap")


def hwmon_sensors(root: Path = HWMON) -> dict[str, Path]:
    """Files with a power in microwatts by the name of chip and channel, as "ina260_u14/power1"; a label where the
    channel has one."""
    found: dict[str, Path] = {}
    for place in sorted(root.glob("hwmon*")):
        chip = _word(place / "name") or place.name
        for file in sorted((*place.glob("power*_input"), *place.glob("power*_average"))):
            channel = file.name.partition("_")[0]
            name = f"{chip}/{_word(place / f'{channel}_label') or channel}"
            found.setdefault(name if name not in found else f"{name} ({place.name})", file)
    return found


class HwmonMeter:
    """which: a name of hwmon_sensors or its chip; empty where there is one sensor only.  Raises UsageError where that
    is none, or several."""

    def __init__(self, which: str = "", root: Path = HWMON) -> None:
        sensors = hwmon_sensors(root)
        names = [name for name in sensors if which in ("", name, name.partition("/")[0])]
        if len(names) != 1:
            raise UsageError(
                f"there {'are several power sensors' if names else 'is no power sensor'} {which and repr(which) + ' '}"
                f"in {root}",
                context=tuple(sensors),
                hint="give the name of one, such as hwmon:CHIP/CHANNEL" if sensors else "use another sensor",
            )
        self.name = f"hwmon {names[0]}"
        self._file = sensors[names[0]]

    def samples(self) -> list[float]:
        return [_number(self._file) / 1e6]

    def close(self) -> None:
        """A file is open only while it is read."""


class RaplMeter:
    """The processor packages of this host, by their energy counters.  Raises UsageError where there are none."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self._packages = [
            place for place in sorted(root.glob("intel-rapl:*")) if _word(place / "name").startswith("package")
        ]
        if not self._packages:
            raise UsageError(f"this host has no RAPL packages in {root}", hint="use another sensor")
        self.name = f"RAPL of this host: {', '.join(_word(place / 'name') for place in self._packages)}"
        self._before = self._energies()

    def samples(self) -> list[float]:
        """The mean power since the last call."""
        at, energies = self._energies()
        seconds = at - self._before[0]
        joules = 0.0
        for place, old, new in zip(self._packages, self._before[1], energies):
            if new < old:  # the counter has wrapped around
                new += _number(place / "max_energy_range_uj")
            joules += (new - old) / 1e6
        self._before = at, energies
        return [joules / seconds] if seconds > 0 else []

    def _energies(self) -> tuple[float, list[float]]:
        return time.perf_counter(), [_number(place / "energy_uj") for place in self._packages]

    def close(self) -> None:
        """A file is open only while it is read."""


def _word(path: Path) -> str:
    """What a file says; empty where there is none."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> float:
    try:
        return float(path.read_text())
    except PermissionError as error:
        raise BoardError(f"{path} may not be read by this user", hint="run as root") from error
    except (OSError, ValueError) as error:
        raise BoardError(f"{path} gives no number: {' '.join(str(error).split())[:200]}") from error

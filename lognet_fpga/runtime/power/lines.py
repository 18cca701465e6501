"""Power sensors that write lines: a growing CSV file, a meter at a serial port, nvidia-smi."""

from __future__ import annotations

import math
import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.errors import BoardError, MissingToolError, UsageError

BAUD = 115200
MAX_LINE = 4096  # bytes: what is longer is no line of a meter
# Column: how many watts, volts or amperes one of it is.
_WATTS = {"watts": 1.0, "w": 1.0, "power_w": 1.0, "milliwatts": 1e-3, "mw": 1e-3, "power_mw": 1e-3}
_VOLTS = {"volts": 1.0, "v": 1.0, "voltage_v": 1.0, "millivolts": 1e-3, "mv": 1e-3, "voltage_mv": 1e-3}
_AMPERES = {"amperes": 1.0, "amps": 1.0, "a": 1.0, "current_a": 1.0, "milliamps": 1e-3, "ma": 1e-3, "current_ma": 1e-3}


class LineParser:
    """Bytes to watts.  A line is one number, watts; or, once there was a line of column names, values in that order, of
    which watts, or volts and amperes, are taken.  Other lines are left out: a meter may begin in the middle of one."""

    def __init__(self) -> None:
        self._rest = b""
        self._columns: list[str] = []

    @property
    def understands(self) -> bool:
        """Whether the columns named are enough to know watts; true while there are none."""
        return not self._columns or self._watts([1.0] * len(self._columns)) is not None

    def feed(self, data: bytes) -> list[float]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-MAX_LINE:]
        return [watts for watts in map(self._line, lines) if watts is not None]

    def _line(self, line: bytes) -> float | None:
        cells = [cell.strip().strip('"').lower() for cell in line.decode(errors="replace").split(",")]
        if any(cell in table for cell in cells for table in (_WATTS, _VOLTS, _AMPERES)):
            self._columns = cells
            return None
        numbers = [_number(cell) for cell in cells]
        watts = self._watts(numbers) if self._columns else numbers[0] if len(numbers) == 1 else None
        return watts if watts is not None and math.isfinite(watts) else None

    def _watts(self, numbers: list[float]) -> float | None:
        if len(numbers) != len(self._columns):
            return None
        found = dict(zip(self._columns, numbers))
        watts = [found[name] * unit for name, unit in _WATTS.items() if name in found]
        if watts:
            return watts[0]
        volts = [found[name] * unit for name, unit in _VOLTS.items() if name in found]
        amperes = [found[name] * unit for name, unit in _AMPERES.items() if name in found]
        return volts[0] * amperes[0] if volts and amperes else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


class LineMeter:
    """Lines from an open file descriptor, which is made non-blocking, and closed in the end.

    grows: it is a file, whose end is not the last that will be there."""

    def __init__(self, name: str, descriptor: int, *, grows: bool = False) -> None:
        self.name = name
        self._grows = grows
        self._descriptor = descriptor
        self._parser = LineParser()
        os.set_blocking(descriptor, False)

    def samples(self) -> list[float]:
        found: list[float] = []
        while True:
            try:
                data = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                break
            except OSError as error:
                raise BoardError(f"{self.name} is gone: {error.strerror}") from error
            if not data and not self._grows:
                raise BoardError(f"{self.name} is gone")
            if not data:
                break
            found += self._parser.feed(data)
        if not self._parser.understands:
            raise BoardError(f"{self.name} names columns, but neither watts nor volts and amps")
        return found

    def close(self) -> None:
        os.close(self._descriptor)


def csv_meter(path: Path) -> LineMeter:
    """A CSV file that something else appends a meter's samples to; what is in it already gives the column names only.
    Raises UsageError where it cannot be read, or is no file: a pipe or a port would be waited for without end."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UsageError(
                f"{path} is no file", hint="give the file that the meter writes, or serial:PORT for a port"
            )
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="give the file that the meter writes"
        ) from error
    meter = LineMeter(f"meter that writes {path.name}", descriptor, grows=True)
    meter.samples()
    return meter


def serial_meter(path: Path, baud: int = BAUD) -> LineMeter:
    """A meter at a serial port, 8 bits, no parity.  Raises UsageError for a port or a rate that is not there."""
    from lognet_fpga.machine.serial_port import open_serial_port  # of Unix alone

    descriptor = open_serial_port(path, baud, os.O_RDONLY, "the meter's serial port")
    return LineMeter(f"meter at {path}", descriptor)


class NvidiaMeter:
    """A GPU's own sensor, by nvidia-smi.  index: which GPU.  Raises MissingToolError where there is no nvidia-smi."""

    def __init__(self, index: int = 0, command: Sequence[str] = ("nvidia-smi",)) -> None:
        program = shutil.which(command[0])
        if program is None:
            raise MissingToolError("nvidia-smi was not found", hint="install NVIDIA's driver, or use another sensor")
        query = ("--query-gpu=power.draw", "--format=csv,noheader,nounits", f"--id={index}", "--loop-ms=100")
        self.name = f"nvidia-smi, GPU {index}"
        reading, writing = os.pipe()
        self._lines = LineMeter(self.name, reading)
        try:
            self._process = subprocess.Popen(
                [program, *command[1:], *query], stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.STDOUT
            )
        except OSError:
            self._lines.close()
            raise
        finally:
            os.close(writing)

    def samples(self) -> list[float]:
        return self._lines.samples()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._lines.close()

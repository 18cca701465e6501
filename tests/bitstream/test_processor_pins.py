"""The script that nextpnr runs, on a chip of a few hundred slices with nextpnr's names for things."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace as Thing

import pytest

from lognet_fpga.bitstream.open_tools import processor_pins
from lognet_fpga.bitstream.open_tools.commands import pins_text
from lognet_fpga.bitstream.open_tools.processor_pins import fix_registers

EXIT_X, ROWS, COLUMNS = 51, range(90, 110), (53, 54, 57, 58)


class Cells(dict):
    """As nextpnr's: iterated in pairs."""

    def __iter__(self):
        return iter(self.items())


class Cell:
    def __init__(self, name: str, kind: str, attrs=(), **ports):
        """ports: nets by pin."""
        self.name, self.type, self.attrs = name, kind, list(attrs)
        self.ports = [(pin, Thing(net=net)) for pin, net in ports.items()]

    def setAttr(self, key: str, value: str) -> None:  # noqa: N802
        self.attrs.append((key, value))

    @property
    def bel(self) -> str | None:
        return dict(self.attrs).get("BEL")


def net(name: str, driver=None) -> Thing:
    return Thing(name=name, driver=Thing(cell=driver), users=[])


class Chip:
    """outputs: of each the row where it comes out, what it drives (type, port, net of the enable) and how often.
    inputs: of each the row, a register drives it."""

    def __init__(self, outputs, inputs=()):
        self.cells = Cells()
        self.processor = self.add(Cell("ps", "PS7_PS7"))
        self.rows = {}
        for number, (row, kind, port, enable, loads) in enumerate(outputs):
            wire = self.pin(f"OUT{number}", row, "OUT", net(f"net{number}"))
            for load in range(loads):
                self.register(f"cell{number}_{load}", wire, port, kind, enable)
        for number, row in enumerate(inputs):
            cell = self.register(f"into{number}", net(f"data{number}"), "D", "SLICE_FFX", "a")
            wire = self.pin(f"IN{number}", row, "IN", net(f"into{number}", cell))
            wire.users.append(Thing(cell=self.processor, port=f"IN{number}"))
        self.pin("OPEN", 90, "OUT", None)
        self.bels = {"X32Y51/PS7_X0Y0.PS7": ("PS7_PS7", 32, 51)}
        for x in COLUMNS:
            for y in ROWS:
                for place in "ABCD":
                    self.bels[f"X{x}Y{y}/SLICE_X0Y0.{place}FF"] = ("SLICE_FFX", x, y)
                    self.bels[f"X{x}Y{y}/SLICE_X0Y0.{place}5FF"] = ("SLICE_FFX", x, y)
                    self.bels[f"X{x}Y{y}/SLICE_X0Y0.{place}6LUT"] = ("SLICE_LUTX", x, y)

    def add(self, cell: Cell) -> Cell:
        self.cells[cell.name] = cell
        return cell

    def pin(self, name: str, row: int, direction: str, wire):
        self.processor.ports.append((name, Thing(type=f"PortType.PORT_{direction}", net=wire)))
        self.rows[name] = row
        return wire

    def register(self, name: str, wire, port: str, kind: str, enable: str) -> Cell:
        controls = {"CK": net("clk"), "CE": net(enable), "SR": net("none")}
        cell = self.add(Cell(name, kind, [("X_FFSYNC", "1")], **{**controls, port: wire}))
        wire.users.append(Thing(cell=cell, port=port))
        return cell

    def getBels(self):  # noqa: N802
        return list(self.bels)

    def getBelType(self, bel):  # noqa: N802
        return self.bels[bel][0]

    def getBelLocation(self, bel):  # noqa: N802
        return Thing(x=self.bels[bel][1], y=self.bels[bel][2])

    def getBelPinWire(self, bel, pin):  # noqa: N802
        return f"{pin}:0"

    def getPipsDownhill(self, wire):  # noqa: N802
        """Three steps to a switch box."""
        pin, step = wire.split(":")
        return [f"{pin}:{step}:{way}" for way in range(30 if step == "3" else 1)]

    def getPipDstWire(self, pip):  # noqa: N802
        pin, step, _ = pip.split(":")
        return f"{pin}:{int(step) + 1}"

    def getPipLocation(self, pip):  # noqa: N802
        pin, step, _ = pip.split(":")
        return Thing(x=EXIT_X, y=self.rows[pin]) if step == "3" else Thing(x=32, y=51)


def test_registers_lie_where_their_wires_come_out():
    """Of one enable in a slice, at bypass inputs of their own, each at one place; nothing else is fixed."""
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    outputs = [
        (chance.choice(ROWS[4:-4]), "SLICE_FFX", "D", chance.choice(["a", "b", "c"]), 1)
        for _ in range(chance.randrange(30, 90))
    ]
    outputs += [
        (95, "SLICE_FFX", "CE", "a", 1),
        (95, "SLICE_FFX", "D", "a", 5),
        (95, "RAMB36E1_RAMB36E1", "DI", "a", 1),
    ]
    chip = Chip(outputs)
    assert fix_registers(chip) == len(outputs) - 3
    places, sets = Counter(), defaultdict(set)
    for number, (row, kind, port, enable, loads) in enumerate(outputs):
        cells = [chip.cells[f"cell{number}_{load}"] for load in range(loads)]
        if (kind, port, loads) != ("SLICE_FFX", "D", 1):
            assert not any(cell.bel for cell in cells)
            continue
        place = cells[0].bel
        kind, x, y = chip.bels[place]
        assert kind == "SLICE_FFX" and place[-4:] in (".AFF", ".BFF", ".CFF", ".DFF")
        # A quarter of the registers a row, four a slice, four slices a row: a few rows are enough.
        assert x > EXIT_X and abs(y - row) <= 8
        places[place] += 1
        sets[place.rpartition(".")[0]].add(enable)
    assert max(places.values()) == 1
    assert all(len(enables) == 1 for enables in sets.values())


def test_inputs_are_left_to_the_placer():
    """nextpnr finds out by itself where their wires leave the fabric."""
    chip = Chip([], [97, 98])
    assert fix_registers(chip) == 0 and not any(cell.bel for _, cell in chip.cells)


def test_more_registers_than_there_is_room_for():
    outputs = [(100, "SLICE_FFX", "D", f"enable{number}", 1) for number in range(len(COLUMNS) * len(ROWS) + 5)]
    chip = Chip(outputs)
    fix_registers(chip)
    placed = [cell.bel for _, cell in chip.cells if cell.bel]
    assert len(set(placed)) == len(placed) == len(outputs) - 5


@pytest.mark.parametrize("missing", ["PS7_PS7", "X32Y51/PS7_X0Y0.PS7"])
def test_without_a_processor_nothing_is_fixed(missing):
    chip = Chip([(100, "SLICE_FFX", "D", "a", 1)])
    chip.bels.pop(missing, None)
    chip.cells = Cells((name, cell) for name, cell in chip.cells.items() if cell.type != missing)
    assert fix_registers(chip) == 0


def test_the_script_stands_alone(tmp_path):
    """nextpnr's Python has no lognet_fpga, and its context is a global."""
    assert pins_text() == Path(processor_pins.__file__).read_text()
    (tmp_path / "run.py").write_text(
        "from types import SimpleNamespace\nctx = SimpleNamespace(getBels=lambda: [], cells=[])\n"
        + "exec(open('pins.py').read())\n"
    )
    (tmp_path / "pins.py").write_text(pins_text())
    done = subprocess.run([sys.executable, "-I", "run.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "0 registers fixed" in done.stdout, done.stderr

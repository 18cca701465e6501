"""A script for nextpnr (`--pre-place`), which runs it in a Python of its own: what the processor's pins lead to is
fixed where their wires enter the fabric.

nextpnr takes all pins of a PS7 to be at one place, but its wires enter the fabric along a hundred rows, many columns
away (nineteen on an xc7z020).  Its placer therefore pulls what they lead to to a side where no wire arrives, and its
router looks for a way within a box around both ends, in which there is none; it then searches the whole chip, for
seconds a wire and in each round again.  Cells beside the place where their wire enters need no such search, and draw
the rest of the bridge and the DMA there.

Nothing of lognet_fpga can be imported in nextpnr.  ctx is its context, as its arch_pybindings name things.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

PROCESSOR, REGISTER, LUT, CARRY = "PS7_PS7", "SLICE_FFX", "SLICE_LUTX", "CARRY4"
# Of a slice; one register each, for the second one of a position shares the first one's bypass.
_PLACES = "ABCD"
# Wires of one choice lead from a pin to where the router of the fabric takes over, at a switch box of dozens.
_MOST_STEPS, _SWITCH_BOX = 16, 6
_NEW_SLICE = 6  # so many tiles nearer does a register have to get to open a slice of its own
_MOST_LOADS = 4  # of an output; what has more cannot all be beside it
_Place = tuple[int, int, str]


def fix_cells(ctx: Any) -> int:
    """Give the registers and LUTs at the processor's pins the attribute BEL; how many pins there are of these.

    They are what an output drives and the register that drives an input: a register, a LUT, or a LUT with the one
    register that nextpnr keeps behind it.  A slice takes registers of one clock, enable and reset only, so each set of
    these gets slices of its own, the nearest to the right of (and as near in rows as can be to) where the first of its
    wires enters the fabric.
    """
    todo = sorted(_ends(ctx))
    free = _slices(ctx)
    opened: dict[tuple[str, ...], list[_Place]] = defaultdict(list)
    taken: set[_Place] = set()
    done: set[str] = set()
    for controls, x, y, register, lut in todo:
        if {register, lut} & done:  # at another pin already
            continue

        def distance(place: _Place, x: int = x, y: int = y) -> int:
            return abs(place[0] - x) + abs(place[1] - y)

        nearest = min((place for place in opened[controls] if free[place]), key=distance, default=None)
        new = min((place for place in free if place[0] > x and place not in taken), key=distance, default=None)
        if nearest is None or (new is not None and distance(nearest) > distance(new) + _NEW_SLICE):
            if new is None:
                break
            opened[controls].append(new)
            taken.add(new)
            nearest = new
        at = f"{nearest[2]}.{free[nearest].pop(0)}"
        for cell, bel in ((register, f"{at}FF"), (lut, f"{at}6LUT")):
            if cell:
                ctx.cells[cell].setAttr("BEL", bel)
                done.add(cell)
    return len(todo)


def _ends(ctx: Any) -> list[tuple[tuple[str, ...], int, int, str, str]]:
    """Of each pin what steers the register there, where its wire enters the fabric (x, y), the register's name and the
    LUT's; empty where there is none."""
    pins = next((bel for bel in ctx.getBels() if ctx.getBelType(bel) == PROCESSOR), None)
    processor = next((cell for _, cell in ctx.cells if cell.type == PROCESSOR), None)
    found: list[tuple[tuple[str, ...], int, int, str, str]] = []
    for name, port in processor.ports if processor is not None and pins is not None else ():
        if port.net is None:
            continue
        users, output = list(port.net.users), str(port.type).endswith("OUT")
        if output:
            cells = [_behind(user) for user in users] if len(users) <= _MOST_LOADS else []
        else:
            cells = [_before(port.net.driver.cell)] if len(users) == 1 and port.net.driver.cell is not None else []
        place = _entry(ctx, ctx.getBelPinWire(pins, name), output) if any(cells) else None
        if place is None:
            continue
        for register, lut in filter(None, cells):
            names = register.name if register else "", lut.name if lut else ""
            found.append((_controls(register), *place, *names))
    return found


def _behind(user: Any) -> tuple[Any, Any] | None:
    """Register and LUT at the end of an output's wire, either None; None where they cannot be told."""
    cell = user.cell
    if cell.type == REGISTER and user.port == "D":
        return cell, None
    if cell.type != LUT or any(pin == "CLK" and port.net is not None for pin, port in cell.ports):
        return None  # or a memory, which only some slices take
    loads = _loads(cell)
    registers = [load.cell for load in loads if load.cell.type == REGISTER and load.port == "D"]
    if any(load.cell.type == CARRY for load in loads) or len(registers) > 1:
        return None
    return (registers[0] if registers else None), cell


def _before(cell: Any) -> tuple[Any, Any] | None:
    """As _behind, of the register that drives an input: in front of it nextpnr keeps the LUT from whose output O6 it
    comes.  Where several registers come from it, it is not plain which; a chain of carries would come along."""
    if cell.type != REGISTER:
        return None
    (data,) = (port.net for pin, port in cell.ports if pin == "D")
    driver = data.driver.cell if data is not None else None
    if driver is None or driver.type == REGISTER:
        return cell, None
    if driver.type != LUT or data.driver.port != "O6":
        return None
    registers = [load for load in _loads(driver) if load.cell.type == REGISTER and load.port == "D"]
    return (cell, driver) if len(registers) == 1 else None


def _loads(lut: Any) -> list[Any]:
    nets = [port.net for pin, port in lut.ports if pin in ("O5", "O6") and port.net is not None]
    return [load for net in nets for load in net.users]


def _controls(register: Any) -> tuple[str, ...]:
    """What registers of a slice have in common; empty without a register."""
    if register is None:
        return ()
    nets = {pin: port.net.name for pin, port in register.ports if port.net is not None}
    kinds = [str(value) for key, value in register.attrs if key == "X_FFSYNC"]
    return (*(nets.get(pin, "") for pin in ("CK", "CE", "SR")), *kinds)


def _entry(ctx: Any, wire: str, output: bool) -> tuple[int, int] | None:
    for _ in range(_MOST_STEPS):
        pips = list(ctx.getPipsDownhill(wire) if output else ctx.getPipsUphill(wire))
        if len(pips) > _SWITCH_BOX:
            place = ctx.getPipLocation(pips[0])
            return place.x, place.y
        if not pips:
            break
        wire = ctx.getPipDstWire(pips[0]) if output else ctx.getPipSrcWire(pips[0])
    return None


def _slices(ctx: Any) -> dict[_Place, list[str]]:
    """The places of each slice, by where it is and its name."""
    found: dict[_Place, list[str]] = {}
    for bel in ctx.getBels():
        if ctx.getBelType(bel) == REGISTER:
            place = ctx.getBelLocation(bel)
            found.setdefault((place.x, place.y, bel.rpartition(".")[0]), list(_PLACES))
    return found


if "ctx" in globals():  # nextpnr puts it there
    print(f"processor: what is at {fix_cells(globals()['ctx'])} of its pins is fixed there")

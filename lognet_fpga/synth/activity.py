"""Switching activity of a synthesized circuit: its 7-series netlist simulated cycle by cycle on many inputs at once.

Timing is a unit-delay model: a LUT takes one unit, wide multiplexers and carry chains none (a chain passes a bit in
a tenth of what a LUT and its wire take).  Between two edges the circuit runs until it is quiet, and every change of a
net counts, so that glitches do; `settled_toggles` counts only how a net differs from one cycle to the next.

Cells: LUT1..LUT6, INV, CARRY4, MUXF7, MUXF8, FDRE, FDSE; one clock; no memory.  Initial values are those of the
flip-flops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lognet_fpga.errors import ToolError

_ZERO, _ONE = 0, 1  # rows of the state that hold constants; Yosys numbers nets from 2
_LUT_INPUTS = 6
_FLIP_FLOPS = {"FDRE": 0, "FDSE": 1}  # what their R or S input makes of them
# Loads inside the driver's slice: what carry chains and wide multiplexers take on wires of their own.
_OWN_WIRES = {("CARRY4", "CI"), ("CARRY4", "S"), ("MUXF7", "I0"), ("MUXF7", "I1"), ("MUXF8", "I0"), ("MUXF8", "I1")}


@dataclass(frozen=True)
class Activity:
    """Changes per clock cycle, mean over the run.

    toggles: of the outputs of LUTs and flip-flops, glitches included.  routed_toggles: of all nets, inputs too, each
    times the loads that it reaches over general routing (not inside its slice).  settled_toggles,
    settled_routed_toggles: the same without glitches.  flip_flops: how many the clock drives.
    """

    toggles: float
    routed_toggles: float
    settled_toggles: float
    settled_routed_toggles: float
    flip_flops: int

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def simulate(
    modules: Mapping[str, Mapping[str, Any]], top: str, inputs: Mapping[str, np.ndarray]
) -> tuple[Activity, dict[str, np.ndarray]]:
    """Run module top of a netlist (`synth.yosys.netlist_of`).

    inputs: for each input port but the clock its bits, (cycles, trials, width) of 0 and 1, lowest first; trials are
    independent runs, side by side.  Returns the activity and the outputs after the last cycle, (trials, width) uint8
    by port.  Raises ToolError at a cell that is not known here.
    """
    circuit = _Circuit(modules[top])
    cycles, trials = next(iter(inputs.values())).shape[:2]
    state = np.zeros((circuit.n_nets, trials), np.uint8)
    state[_ONE] = 1
    state[circuit.ff_out] = circuit.ff_initial[:, None]
    circuit.settle(state)
    noisy, settled = np.zeros(circuit.n_nets, np.int64), np.zeros(circuit.n_nets, np.int64)
    for cycle in range(cycles):
        before = state.copy()
        circuit.clock(state)
        for name, bits in inputs.items():
            state[circuit.port_nets[name]] = bits[cycle].T
        noisy += (state != before).sum(axis=1)
        circuit.settle(state, noisy)
        settled += (state != before).sum(axis=1)
    runs = cycles * trials
    return (
        Activity(
            float(noisy[circuit.driven].sum() / runs),
            float((noisy * circuit.routed_loads).sum() / runs),
            float(settled[circuit.driven].sum() / runs),
            float((settled * circuit.routed_loads).sum() / runs),
            len(circuit.ff_out),
        ),
        {name: state[circuit.port_nets[name]].T.copy() for name in circuit.output_ports},
    )


class _Circuit:
    """The netlist as arrays of net numbers."""

    def __init__(self, module: Mapping[str, Any]) -> None:
        cells = list(module["cells"].values())
        unknown = {cell["type"] for cell in cells} - {
            *(f"LUT{n}" for n in range(1, _LUT_INPUTS + 1)),
            "INV",
            "CARRY4",
            "MUXF7",
            "MUXF8",
            *_FLIP_FLOPS,
        }
        if unknown:
            raise ToolError(f"the activity of these cells cannot be simulated: {', '.join(sorted(unknown))}")
        self.port_nets = {
            name: np.array([_net(bit) for bit in port["bits"]], np.int64) for name, port in module["ports"].items()
        }
        self.output_ports = [name for name, port in module["ports"].items() if port["direction"] == "output"]
        nets = [_net(bit) for cell in cells for bits in cell["connections"].values() for bit in bits]
        self.n_nets = 1 + max([_ONE, *nets, *(int(net) for nets in self.port_nets.values() for net in nets)])
        self._collect_luts(cells)
        self._collect_flip_flops(cells)
        self._muxes = [_pins(cells, kind, ("S", "I0", "I1", "O")) for kind in ("MUXF7", "MUXF8")]
        self._carries = _carry_levels([cell["connections"] for cell in cells if cell["type"] == "CARRY4"])
        self.driven = np.concatenate([self._lut_out, self.ff_out])
        self.routed_loads = self._count_loads(cells)

    def _collect_luts(self, cells: list[Mapping[str, Any]]) -> None:
        luts = [cell for cell in cells if cell["type"].startswith("LUT") or cell["type"] == "INV"]
        self._lut_out = np.array([_net(cell["connections"]["O"][0]) for cell in luts], np.int64)
        self._lut_in = np.zeros((_LUT_INPUTS, len(luts)), np.int64)
        self._lut_table = np.zeros((len(luts), 2**_LUT_INPUTS), np.uint8)
        for place, cell in enumerate(luts):
            if cell["type"] == "INV":
                pins, table = ["I"], [1, 0]
            else:
                pins = [f"I{i}" for i in range(int(cell["type"][3:]))]
                table = [int(bit) for bit in reversed(cell["parameters"]["INIT"])]
            for i, pin in enumerate(pins):
                self._lut_in[i, place] = _net(cell["connections"][pin][0])
            self._lut_table[place, : 2 ** len(pins)] = table[: 2 ** len(pins)]  # the pins that are not there read 0
        self._lut_rows = np.arange(len(luts))[:, None]

    def _collect_flip_flops(self, cells: list[Mapping[str, Any]]) -> None:
        flip_flops = [cell for cell in cells if cell["type"] in _FLIP_FLOPS]
        pins: dict[str, list[int]] = {name: [] for name in ("D", "CE", "Q", "forced")}
        for cell in flip_flops:
            connections = cell["connections"]
            for name in ("D", "CE", "Q"):
                pins[name].append(_net(connections[name][0]))
            pins["forced"].append(_net(connections["R" if cell["type"] == "FDRE" else "S"][0]))
        self._ff_d, self._ff_enable, self.ff_out, self._ff_force = (
            np.array(pins[name], np.int64) for name in ("D", "CE", "Q", "forced")
        )
        self._ff_forced_to = np.array([_FLIP_FLOPS[cell["type"]] for cell in flip_flops], np.uint8)
        self.ff_initial = np.array([cell["parameters"].get("INIT", "0")[-1] == "1" for cell in flip_flops], np.uint8)

    def _count_loads(self, cells: list[Mapping[str, Any]]) -> np.ndarray:
        """Loads of each net over general routing.  A flip-flop sits behind the LUT or carry chain that drives it."""
        beside = {_net(bit) for cell in cells if cell["type"] not in _FLIP_FLOPS for bit in _outputs(cell)}
        loads: Counter[int] = Counter()
        for cell in cells:
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] != "input" or (cell["type"], port) in _OWN_WIRES or port == "C":
                    continue
                for net in map(_net, bits):
                    in_slice = cell["type"] in _FLIP_FLOPS and port == "D" and net in beside
                    loads[net] += net not in (_ZERO, _ONE) and not in_slice
        counts = np.zeros(self.n_nets, np.int64)
        for net, count in loads.items():
            counts[net] = count
        return counts

    def clock(self, state: np.ndarray) -> None:
        """The rising edge."""
        now = state[self.ff_out]
        after = np.where(state[self._ff_enable] == 1, state[self._ff_d], now)
        state[self.ff_out] = np.where(state[self._ff_force] == 1, self._ff_forced_to[:, None], after)

    def settle(self, state: np.ndarray, changes: np.ndarray | None = None) -> None:
        """Run until quiet, adding to changes how often each net changed.  Raises ToolError in a combinational loop."""
        for _ in range(len(self._lut_out) + 2):
            before = state.copy()
            address = np.zeros((len(self._lut_out), state.shape[1]), np.uint8)
            for place in range(_LUT_INPUTS):
                address |= before[self._lut_in[place]] << place
            state[self._lut_out] = self._lut_table[self._lut_rows, address]
            for select, low, high, out in self._muxes:
                state[out] = np.where(state[select] == 1, state[high], state[low])
            for level in self._carries:
                level.pass_on(state)
            changed = state != before
            if not changed.any():
                return
            if changes is not None:
                changes += changed.sum(axis=1)
        raise ToolError("the netlist does not settle: it has a combinational loop")


@dataclass(frozen=True)
class _CarryLevel:
    """CARRY4 cells that stand at the same place in their chains.  Each array: (pins, cells) of net numbers."""

    carry_in: np.ndarray
    select: np.ndarray
    data: np.ndarray
    total: np.ndarray
    carry_out: np.ndarray

    def pass_on(self, state: np.ndarray) -> None:
        carry = state[self.carry_in[0]] | state[self.carry_in[1]]
        for bit in range(4):
            select = state[self.select[bit]]
            _write(state, self.total[bit], select ^ carry)
            carry = np.where(select == 1, carry, state[self.data[bit]])
            _write(state, self.carry_out[bit], carry)


def _write(state: np.ndarray, nets: np.ndarray, values: np.ndarray) -> None:
    """Outputs without a net are -1."""
    there = nets >= 0
    state[nets[there]] = values[there]


def _carry_levels(chains: list[Mapping[str, Any]]) -> list[_CarryLevel]:
    driver = {bit: place for place, pins in enumerate(chains) for bit in pins.get("CO", []) if not isinstance(bit, str)}
    depths: dict[int, int] = {}

    def depth(place: int) -> int:
        if place not in depths:
            before = driver.get(chains[place]["CI"][0])
            depths[place] = 0 if before is None else depth(before) + 1
        return depths[place]

    levels: dict[int, list[Mapping[str, Any]]] = {}
    for place, pins in enumerate(chains):
        levels.setdefault(depth(place), []).append(pins)

    def column(cells: list[Mapping[str, Any]], port: str, missing: int) -> np.ndarray:
        rows = [[_net(bit) for bit in pins[port]] if port in pins else [missing] * 4 for pins in cells]
        return np.array(rows, np.int64).T

    return [
        _CarryLevel(
            np.array([[_net(pins[port][0]) for pins in cells] for port in ("CI", "CYINIT")], np.int64),
            column(cells, "S", _ZERO),
            column(cells, "DI", _ZERO),
            column(cells, "O", -1),
            column(cells, "CO", -1),
        )
        for _, cells in sorted(levels.items())
    ]


def _pins(cells: list[Mapping[str, Any]], kind: str, ports: tuple[str, ...]) -> list[np.ndarray]:
    found = [cell["connections"] for cell in cells if cell["type"] == kind]
    return [np.array([_net(pins[port][0]) for pins in found], np.int64) for port in ports]


def _outputs(cell: Mapping[str, Any]) -> list[int | str]:
    return [
        bit for port, bits in cell["connections"].items() if cell["port_directions"][port] == "output" for bit in bits
    ]


def _net(bit: int | str) -> int:
    return bit if not isinstance(bit, str) else _ONE if bit == "1" else _ZERO

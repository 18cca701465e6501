"""Positions of slices that registers need, of netlists made by hand."""

from __future__ import annotations

from lognet_fpga.synth.cells import count_netlist
from lognet_fpga.synth.synthesis import PartCounts

CLOCK, ENABLE, RESET = 1, 2, 3


class Netlist:
    """Cells of one module; every method gives the net of its output."""

    def __init__(self) -> None:
        self.cells: dict[str, dict] = {}
        self.ports: dict[str, dict] = {}
        self._net = 100

    def _add(self, kind: str, output: str, connections: dict[str, list]) -> int:
        self._net += 1
        self.cells[f"cell{self._net}"] = {"type": kind, "connections": connections | {output: [self._net]}}
        return self._net

    def lut(self, *nets: int) -> int:
        return self._add(f"LUT{len(nets)}", "O", {f"I{pin}": [net] for pin, net in enumerate(nets)})

    def ff(self, source: int, enable: int | str = "1", reset: int | str = "0") -> int:
        return self._add("FDRE", "Q", {"C": [CLOCK], "D": [source], "CE": [enable], "R": [reset]})

    def srl(self, source: int, enable: int | str = "1") -> int:
        return self._add("SRL16E", "Q", {"CLK": [CLOCK], "D": [source], "CE": [enable]})

    def counts(self) -> PartCounts:
        return count_netlist({"top": {"cells": self.cells}}, "top")


def test_a_register_behind_a_lut_is_not_lone_and_one_behind_a_register_is():
    net = Netlist()
    first = net.ff(net.lut(10, 11))
    net.ff(first)
    net.ff(net.srl(12))
    net.ff(13)  # from outside
    counts = net.counts()
    assert (counts.ff, counts.lone_ffs, counts.dual_sites) == (4, 2, 0)
    # Both lone ones find a bypass: at the LUT, and at the shift register.
    assert counts.lut_sites == counts.positions == 2


def test_a_position_registers_an_output_once():
    net = Netlist()
    total = net.lut(10, 11)
    net.ff(total, reset=RESET)
    net.ff(total)
    assert net.counts().lone_ffs == 1


def test_a_pair_with_two_registers_has_no_bypass_to_give():
    """As a serial adder's sum and carry; whoever delays one of them needs a position more, until one is free."""
    net = Netlist()
    total, carry = net.ff(net.lut(10, 11, 12)), net.ff(net.lut(10, 11, 12))
    assert (net.counts().lut_sites, net.counts().dual_sites, net.counts().positions) == (1, 1, 1)
    net.ff(total)
    assert (net.counts().lut_sites, net.counts().lone_ffs, net.counts().positions) == (1, 1, 2)
    net.lut(20, 21, 22, 23, 24, carry)
    assert (net.counts().lut_sites, net.counts().positions) == (2, 2)


def test_control_sets():
    net = Netlist()
    for enable, reset in (("1", "0"), (ENABLE, "0"), (ENABLE, RESET), ("1", RESET), (ENABLE, RESET)):
        net.ff(10, enable, reset)
    net.srl(10)
    net.srl(10, ENABLE)
    assert net.counts().control_sets == 4  # three of flip-flops, one of shift registers, none of the clock alone


def test_registers_of_an_instance_are_behind_what_drives_its_port():
    inner = Netlist()
    inner.ports = {"d": {"bits": [7]}, "q": {"bits": [8]}}
    inner.cells["register"] = {
        "type": "FDRE",
        "connections": {"C": [CLOCK], "D": [7], "CE": ["1"], "R": ["0"], "Q": [8]},
    }
    outer = Netlist()
    logic = outer.lut(10, 11)
    for number, source in enumerate((logic, logic, 50)):
        outer.cells[f"leaf{number}"] = {"type": "leaf", "connections": {"d": [source], "q": [60 + number]}}
    outer.ff(60)
    modules = {"top": {"cells": outer.cells}, "leaf": {"cells": inner.cells, "ports": inner.ports}}
    counts = count_netlist(modules, "top")
    # One behind the LUT, a second that the LUT drives, one from outside, and one behind the first.
    assert (counts.ff, counts.lone_ffs) == (4, 3)
    assert PartCounts.from_json(counts.to_json()) == counts

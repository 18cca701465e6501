"""Read counts out of a flat netlist of 7-series cells, as Yosys' write_json gives it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from lognet_fpga.synth.positions import registers
from lognet_fpga.synth.synthesis import LUT_CELLS, PartCounts

_PAIR_INPUTS = 5  # two functions of together five inputs fill one LUT6 site


def count_netlist(modules: Mapping[str, Mapping[str, Any]], top: str) -> PartCounts:
    """Counts of the netlist's module top and of all modules that it holds instances of.

    modules: name -> {"cells": name -> {"type", "connections": port -> list of net numbers or constants "0", "1", "x"}}.
    """
    counts = _count_cells_of(modules, top)
    own = registers(modules, top, _PAIR_INPUTS)
    return replace(counts, lone_ffs=own.lone, dual_sites=_pairs(own.registered), control_sets=own.control_sets)


def _count_cells_of(modules: Mapping[str, Mapping[str, Any]], top: str) -> PartCounts:
    cells = modules[top]["cells"]
    ours = {name for name, module in modules.items() if "blackbox" not in module.get("attributes", {})}
    instances = Counter(cell["type"] for cell in cells.values() if cell["type"] in ours)
    total = _count_cells({name: cell for name, cell in cells.items() if cell["type"] not in instances})
    for module, count in instances.items():
        total = sum([_count_cells_of(modules, module)] * count, total)
    return total


def _count_cells(cells: Mapping[str, Mapping[str, Any]]) -> PartCounts:
    types = Counter(cell["type"] for cell in cells.values() if not cell["type"].startswith("$"))
    # CYINIT, CI and DI come from elsewhere; a LUT that drives S sits in the chain's own site.
    in_chain = {net for cell in cells.values() if cell["type"] == "CARRY4" for net in cell["connections"]["S"]}
    carry_luts = 0
    same_inputs: Counter[frozenset[int]] = Counter()
    for cell in cells.values():
        if cell["type"] not in LUT_CELLS:
            continue
        connections = cell["connections"]
        if connections["O"][0] in in_chain:
            carry_luts += 1
            continue
        inputs = frozenset(
            net for port, nets in connections.items() if port != "O" for net in nets if not isinstance(net, str)
        )
        if len(inputs) <= _PAIR_INPUTS:
            same_inputs[inputs] += 1
    return PartCounts(tuple(sorted(types.items())), carry_luts, _pairs(same_inputs))


def _pairs(same_inputs: Counter[frozenset[Any]]) -> int:
    """How many pairs LUTs with these inputs make: of the same inputs, or else all inputs of one being inputs of the
    other, at least two, or else together of no more than five, at least one of them in common."""
    pairs = sum(count // 2 for count in same_inputs.values())
    single = {inputs for inputs, count in same_inputs.items() if count % 2}
    for inputs in sorted(single, key=lambda inputs: (-len(inputs), _order(inputs))):
        if inputs not in single:
            continue
        fitting = (
            frozenset(subset) for size in range(len(inputs) - 1, 1, -1) for subset in combinations(_order(inputs), size)
        )
        partner = next((subset for subset in fitting if subset in single), None)
        if partner is not None:
            single -= {inputs, partner}
            pairs += 1
    return pairs + _overlapping(single)


def _order(inputs: frozenset[Any]) -> list[Any]:
    """Always the same one; nets within an instance have names of their own, not numbers."""
    return sorted(inputs, key=lambda net: (isinstance(net, tuple), net))


def _overlapping(single: set[frozenset[Any]]) -> int:
    """Nets that few LUTs read pair theirs first."""
    readers: dict[Any, list[frozenset[Any]]] = defaultdict(list)
    for inputs in sorted(single, key=lambda one: [(isinstance(net, tuple), net) for net in _order(one)]):
        for net in inputs:
            readers[net].append(inputs)
    free, pairs = set(single), 0
    for _, group in sorted(readers.items(), key=lambda item: (len(item[1]), isinstance(item[0], tuple), item[0])):
        waiting: list[frozenset[Any]] = []
        for inputs in group:
            if inputs not in free:
                continue
            partner = next((other for other in waiting if len(inputs | other) <= _PAIR_INPUTS), None)
            if partner is None:
                waiting.append(inputs)
                continue
            waiting.remove(partner)
            free -= {inputs, partner}
            pairs += 1
    return pairs

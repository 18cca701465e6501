"""What a bit of the Verilog is, in terms of the model: answers out of the bundle's verilog/map.json.

A signal is named as in the Verilog, from the layer's instance on (layer2.adders.sum5_3_leg0[17], layer2.out_data[3]),
or as tools show it after synthesis: with slashes, with the instance of a register and the register in it
(lognet_overlay/layer2/adders/sum5_3_leg0_full_adders/held_reg[17]).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lognet_fpga.bundle.contents import SIGNAL_MAP, Bundle
from lognet_fpga.errors import BundleError, UsageError

_LARGEST_SUM = 12  # terms that are written out


@dataclass(frozen=True)
class Meaning:
    """lines: in words.  data: the same for programs; node is the number of the adder graph's node, where there is one,
    channel, row and column those of an input of the window, output that of an output channel."""

    signal: str
    lines: tuple[str, ...]
    data: Mapping[str, object]


def explain(bundle: Bundle, signal: str) -> Meaning:
    """Raises UsageError for a signal that the map does not have, BundleError for a bundle without a map."""
    try:
        return _explain(_layers(bundle), signal)
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise BundleError(f"{SIGNAL_MAP} of the bundle is no map of signals: {error!r}") from error


def _explain(layers: Mapping[str, Any], signal: str) -> Meaning:
    match = re.fullmatch(r"([\w./]+?)(?:\[(\d+)\])?", signal.strip())
    parts = [part for part in re.split(r"[./]", match[1]) if part] if match else []
    while parts and parts[0] not in layers:
        parts = parts[1:]
    if match is None or len(parts) < 2:
        raise UsageError(
            f"{signal!r} is no signal of a layer; the layers are {', '.join(layers)}",
            hint="for example layer1.out_data[0]",
        )
    name, index, layer = parts[0], int(match[2] or 0), layers[parts[0]]
    if len(parts) == 2:
        return _of_layer(layer, name, parts[1], index)
    if parts[1] == "adders" and layer["adders"]:
        return _of_adders(layer, name, parts[2], index)
    raise UsageError(
        f"the map has nothing of {'.'.join(parts[1:])} in {name}",
        hint=f"it has {name}'s own nets" + (", and those of its adders" if layer["adders"] else ""),
    )


def _layers(bundle: Bundle) -> Mapping[str, Any]:
    if SIGNAL_MAP not in bundle.files:
        raise BundleError(f"the bundle {bundle.name} has no {SIGNAL_MAP}", hint="deploy the model again")
    return json.loads(bundle.file(SIGNAL_MAP))["layers"]


def _of_layer(layer: Mapping[str, Any], instance: str, net: str, index: int) -> Meaning:
    signal, title = f"{instance}.{net}[{index}]", f"layer {layer['layer']}"
    if net in ("taps", "acc") and layer["adders"]:
        return _of_adders(layer, instance, net, index)
    if net not in layer["nets"]:
        known = [*layer["nets"], *(("taps", "acc") if layer["adders"] else ())]
        raise UsageError(f"the map has no net {net} of {instance}; it has {', '.join(known)}")
    for low, width, text in layer["nets"][net]:
        if not width or low <= index < low + width:
            return Meaning(signal, (title, f"bit {index - low}: {text}"), {"layer": layer["layer"], "bit": index - low})
    raise UsageError(f"{net} of {instance} has no bit {index}")


def _of_adders(layer: Mapping[str, Any], instance: str, net: str, index: int) -> Meaning:
    adders = layer["adders"]
    beside = {**{name: name for name in adders["nets"]}, **adders["carries"]}
    # A register of a net is in an instance that has the net's name and what it does.
    found = max((known for known in beside if net == known or net.startswith(f"{known}_")), key=len, default=None)
    if found is None:
        raise UsageError(
            f"the map has no net {net} of {instance}.adders",
            hint="it has numbers and their carries; strobes (names of which end in first or preset) have no number",
        )
    signal, carries = f"{instance}.adders.{found}[{index}]", found in adders["carries"]
    run = next((run for run in adders["nets"][beside[found]] if run[0] <= index < run[0] + len(run[5])), None)
    if run is None:
        raise UsageError(f"{found} of {instance}.adders has no bit {index} with a number")
    low, leg, bit, cycle, kind, nodes = run
    node = nodes[index - low]
    what, data = _node(layer, node)
    digits = f"bit {bit} of each digit" if adders["digit_bits"] > 1 else "one bit a cycle"
    shown = f"leg {leg} (digits {leg * adders['leg_cycles']} to {(leg + 1) * adders['leg_cycles'] - 1}), {digits}"
    when = f"its first digit comes {cycle} cycles after a slot's first digits on the taps"
    if kind:
        when = f"a register of a shifted operand, for a leg that begins in cycle {cycle}: shows {kind}"
    lines = [f"layer {layer['layer']}", f"carry of: {what}" if carries else what, shown, when]
    terms = _sum(layer, node)
    if terms:
        lines.append(f"as a sum of inputs (channel, row, column of the window): {terms}")
    data = {**data, "layer": layer["layer"], "leg": leg, "bit": bit, "cycle": cycle, "carry": carries, "shows": kind}
    return Meaning(signal, tuple(lines), data)


def _node(layer: Mapping[str, Any], node: int) -> tuple[str, Mapping[str, object]]:
    adders, n_inputs = layer["adders"], layer["adders"]["inputs"]
    if node < n_inputs:
        channel, row, column = _input(layer, node)
        where = {"node": node, "channel": channel, "row": row, "column": column}
        return f"input of the window: channel {channel}, row {row}, column {column}", where
    if node < n_inputs + len(adders["adders"]):
        number = node - n_inputs
        terms = " ".join(_term(*term) for term in adders["adders"][number])
        used = [c for c, out in enumerate(adders["outputs"]) if number in _below(adders, out[0])]
        readers = "no output" if not used else f"output channel{'s'[: len(used) > 1]} {', '.join(map(str, used))}"
        return f"node {node} of the adder graph = {terms.removeprefix('+ ')}; part of {readers}", {"node": node}
    output = node - n_inputs - len(adders["adders"])
    return f"output channel {output}: the sum over its window and its bias", {"node": node, "output": output}


def _term(node: int, shift: int, negate: int) -> str:
    return f"{'-' if negate else '+'} node {node}" + (f" << {shift}" if shift else "")


def _input(layer: Mapping[str, Any], node: int) -> tuple[int, int, int]:
    height, width = layer["kernel"]
    return node // (height * width), node // width % height, node % width


def _below(adders: Mapping[str, Any], node: int) -> set[int]:
    """The adders that a node is made of, itself among them."""
    found: set[int] = set()
    waiting = [node - adders["inputs"]]
    while waiting:
        number = waiting.pop()
        if number >= 0 and number not in found:
            found.add(number)
            waiting += [term[0] - adders["inputs"] for term in adders["adders"][number]]
    return found


def weights_of(layer: Mapping[str, Any], node: int) -> dict[int, int]:
    """Input of the graph to its weight in a node; without biases."""
    adders, n_inputs = layer["adders"], layer["adders"]["inputs"]
    first_output = n_inputs + len(adders["adders"])
    terms = adders["outputs"][node - first_output : node - first_output + 1] if node >= first_output else [[node, 0, 0]]
    known: dict[int, dict[int, int]] = {}

    def total(terms: Sequence[Sequence[int]]) -> dict[int, int]:
        weights: dict[int, int] = {}
        for below, shift, negate in terms:
            for number, weight in ({below: 1} if 0 <= below < n_inputs else known.get(below, {})).items():
                weights[number] = weights.get(number, 0) + (-weight if negate else weight) * 2**shift
        return weights

    for number in sorted(set().union(*(_below(adders, below) for below, *_ in terms))):  # an adder reads earlier ones
        known[n_inputs + number] = total(adders["adders"][number])
    return {number: weight for number, weight in sorted(total(terms).items()) if weight}


def _sum(layer: Mapping[str, Any], node: int) -> str:
    if node < layer["adders"]["inputs"]:
        return ""
    weights = weights_of(layer, node)
    terms = [
        f"{'-' if weight < 0 else '+'} {abs(weight)} x{list(_input(layer, number))}"
        for number, weight in list(weights.items())[:_LARGEST_SUM]
    ]
    more = len(weights) - len(terms)
    return " ".join(terms).removeprefix("+ ") + (f" and {more} more" if more else "")

"""Mutants of generated Verilog: Yosys' `mutate` changes bits of the netlist, knowing nothing of what they are for.

A mutant sets an input or output bit of one cell to 0 or 1, inverts it, or inverts it where a neighbouring bit is 0 or
1: a condition negated, an enable stuck, a reset dropped, a constant one off.  All mutants of a design are in one
netlist; an input chooses which of them is alive, 0 none.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.ir.design import is_verilog
from lognet_fpga.machine.tools import find_yosys, run_tool

SELECT, SELECT_BITS = "mutant", 16
_FIELDS = re.compile(r"-(mode|cell|port|portbit|ctrlbit|wire|wirebit|src) (\S+)")


@dataclass(frozen=True)
class Mutant:
    """command: Yosys' own; block: file of the generated Verilog that it is in, without suffix; what: in words."""

    command: str
    block: str
    what: str


@dataclass(frozen=True)
class Netlist:
    """A flat netlist in Yosys' own format and all mutants that were asked of it."""

    top: str
    rtlil: str
    mutants: tuple[Mutant, ...]


def flat_netlist(
    files: Sequence[tuple[str, str]], top: str, count: int, seed: int, folder: Path, simplify: bool = True
) -> Netlist:
    """count: of mutants, drawn evenly over the netlist by Yosys from seed.  simplify: away with what has no effect,
    whose mutants would have none either; not where registers must keep their names."""
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")
    script = [f"read_verilog {name}" for name, _ in files if is_verilog(name)]
    script += [f"hierarchy -top {top}", "setattr -mod -unset keep_hierarchy", "proc", "flatten"]
    script += ["opt -full", "wreduce", "opt -full"] if simplify else []
    script += ["write_rtlil flat.il", f"mutate -list {count} -seed {seed} -o mutants.txt"]
    _run(script, folder)
    commands = (folder / "mutants.txt").read_text(encoding="utf-8").splitlines()
    # What a memory starts with cannot be changed while it runs, of a read without a clock Yosys takes no other enable,
    # and clocks are not made by the blocks.
    never = re.compile(r"\$meminit|-port CLK |\$memrd.* -port EN ")
    mutants = [_mutant(command) for command in commands if not never.search(command)]
    return Netlist(top, (folder / "flat.il").read_text(encoding="utf-8"), tuple(mutants))


def _mutant(command: str) -> Mutant:
    fields = defaultdict(list)
    for key, value in _FIELDS.findall(command):
        fields[key].append(value)
    (mode,), (cell,), (port,) = fields["mode"], fields["cell"], fields["port"]
    sources = fields["src"] or ["unknown.v:0"]
    # The last source is the statement, the first may be a port that the wire goes on to.
    place = sources[-1]
    wire = f", {fields['wire'][0]}[{fields['wirebit'][0]}]" if fields["wire"] else ""
    kind = cell.split("$")[-2] if cell.count("$") > 1 else cell
    return Mutant(command, place.split(".v:")[0], f"{mode} {kind}.{port}[{fields['portbit'][0]}]{wire} at {place}")


def with_mutants(netlist: Netlist, mutants: Sequence[Mutant], folder: Path) -> str:
    """Verilog of the netlist with these mutants, number 1 the first: an input SELECT of SELECT_BITS bits wakes one."""
    (folder / "flat.il").write_text(netlist.rtlil, encoding="utf-8")
    commands = [
        mutant.command.replace("mutate ", f"mutate -ctrl {SELECT} {SELECT_BITS} {number} ", 1)
        for number, mutant in enumerate(mutants, 1)
    ]
    _run(["read_rtlil flat.il", *commands, "write_verilog -noattr mutants.v"], folder)
    return (folder / "mutants.v").read_text(encoding="utf-8")


def mutated(netlist: Netlist, mutant: Mutant, folder: Path) -> str:
    """Verilog of one mutant, without a choice."""
    (folder / "flat.il").write_text(netlist.rtlil, encoding="utf-8")
    _run(["read_rtlil flat.il", mutant.command, "write_verilog -noattr mutant.v"], folder)
    return (folder / "mutant.v").read_text(encoding="utf-8")


def sample(mutants: Sequence[Mutant], blocks: dict[str, int], seed: int) -> list[Mutant]:
    """So many mutants of each block, those of the same place once."""
    chosen = []
    for block, count in blocks.items():
        mine = [mutant for mutant in dict.fromkeys(mutants) if mutant.block == block]
        random.Random(f"{seed} {block}").shuffle(mine)
        chosen += mine[:count]
    return chosen


def _run(script: Sequence[str], folder: Path) -> None:
    (folder / "script.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
    run_tool(find_yosys(), ["script.ys"], folder, "making mutants")

"""Mutants of single blocks, judged by the proofs in tests/formal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from tests.formal.sby import Proof, run_sby
from tests.mutants.netlist import Mutant, Netlist, flat_netlist, mutated

SEARCH_CYCLES = 20
CAUGHT, UNPROVED, EQUAL, ESCAPED = "counterexample", "no longer proved", "equal", "escaped"


def netlist_of(proof: Proof, count: int, seed: int, folder: Path) -> Netlist:
    """Of the proof's block, and its mutants."""
    files = tuple(proof.generated().items())
    return flat_netlist(files, proof.modules[0].name, count, seed, folder, simplify=False)


def judged(proof: Proof, netlist: Netlist, mutant: Mutant, folder: Path) -> str:
    """CAUGHT by a counterexample of SEARCH_CYCLES cycles; else UNPROVED, for which the proof's test fails as well; else
    EQUAL if its outputs are proved to be the unchanged block's at all times, whatever the inputs; else ESCAPED."""
    text = mutated(netlist, mutant, folder)
    files = proof.files({f"{netlist.top}.v": text})
    search = replace(proof, mode="bmc", depth=SEARCH_CYCLES, engine="abc bmc3")
    if search.run(folder, files, cover=False).failed:
        return CAUGHT
    if not proof.run(folder, files, cover=False).proved:
        return UNPROVED
    return EQUAL if _equal(netlist, text, folder) else ESCAPED


def _equal(netlist: Netlist, text: str, folder: Path) -> bool:
    gold = re.sub(rf"^module .{netlist.top}$", r"module \\gold", netlist.rtlil, flags=re.MULTILINE)
    (folder / "gold.il").write_text(gold, encoding="utf-8")
    (folder / "gate.v").write_text(re.sub(rf"\bmodule {netlist.top}\b", "module gate", text), encoding="utf-8")
    script = """\
[tasks]
assert
[options]
mode prove
aigsmt z3
[engines]
abc pdr
[script]
read_rtlil gold.il
read_verilog gate.v
proc
miter -equiv -flatten -make_assert gold gate pair
hierarchy -top pair
memory_map
prep -top pair
setundef -init -zero
[files]
gold.il
gate.v
"""
    (folder / "proof.sby").write_text(script, encoding="utf-8")
    return run_sby(folder).proved

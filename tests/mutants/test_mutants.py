"""Whether the judges of the Verilog see faults that nobody had in mind when they were written: mutants of its netlist.

`pytest tests/mutants -m slow -s` judges ten times as many and lists those that were not caught.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.formal.blocks import collector_proof, fifo_proof, registers_proof, sink_proof, source_proof
from tests.formal.sby import PACKAGES, Proof
from tests.mutants.netlist import flat_netlist, sample, with_mutants
from tests.mutants.proofs import CAUGHT, ESCAPED, UNPROVED, judged, netlist_of
from tests.mutants.simulation import Court, Subject
from tests.mutants.subjects import looked_up, two_engines
from tests.shallow import shallow

DRAWN, SEED = 6000, 1
# Blocks judged by simulation.  Edges, FIFOs and registers meet too little of what their rules are about there; they
# have proofs.
SIMULATED = (
    *(f"layer1_{part}" for part in ("window", "adders_control", "requantize", "pool")),
    *(f"lognet_{kind}" for kind in ("full_adders", "full_subtractors", "relayed_carry", "delay_stage", "splice_stage")),
    *(f"lognet_{kind}" for kind in ("mask", "first_digits_21", "digit_counter_3")),
    *(f"layer2_{part}" for part in ("window", "weights", "pe", "constants", "activations", "pool")),
    "lognet_leaf",
)
LOOKED_UP = tuple(f"layer1_{part}" for part in ("window", "weights", "products", "pe", "constants", "activations"))
SUBJECTS = {two_engines: SIMULATED, looked_up: LOOKED_UP}
PROVED = (source_proof(5), sink_proof(4), fifo_proof(8, 3, 2), collector_proof(3), registers_proof(4))
# Of the mutants of a netlist with all simplifications done: the others change what does not matter, such as bits of a
# counter above its last value or in cycles in which nobody looks.
LEAST_CAUGHT = {30: 0.8, 3: 0.7}  # by mutants a block: of few drawn the share varies by some 7%


@pytest.fixture(scope="module", autouse=True)
def tools(require_tool):
    for name in (*PACKAGES, "verilator", "g++"):
        require_tool(name)


@pytest.mark.parametrize("each", [3, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("made", SUBJECTS)
def test_simulation_sees_mutants(made: Callable[[], Subject], each: int, tmp_path: Path) -> None:
    subject, blocks = shallow(made), SUBJECTS[made]
    netlist = flat_netlist(subject.design.files, subject.design.top, DRAWN, SEED, tmp_path)
    mutants = sample(netlist.mutants, {block: each for block in blocks}, SEED)
    assert {mutant.block for mutant in mutants} == set(blocks) and len(mutants) >= 18
    court = Court(subject, with_mutants(netlist, mutants, tmp_path), tmp_path)
    # What Yosys makes of the Verilog does what Verilator says that the Verilog does.
    assert court.complaint(0) is None
    alive = [mutant for number, mutant in enumerate(mutants, 1) if court.complaint(number) is None]
    print(f"\n{len(mutants) - len(alive)} of {len(mutants)} mutants caught; not caught:")
    for mutant in alive:
        print(f"  {mutant.block}: {mutant.what}")
    assert len(alive) <= (1 - LEAST_CAUGHT[each]) * len(mutants), [mutant.what for mutant in alive]


@pytest.mark.parametrize("each", [4, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("proof", PROVED, ids=lambda proof: proof.modules[0].name)
def test_proofs_see_mutants(proof: Proof, each: int, tmp_path: Path) -> None:
    """All of them, but those that are proved to change nothing."""
    assert proof.run(tmp_path, cover=False).proved  # else a mutant that is not would say nothing
    netlist = netlist_of(proof, DRAWN // 10, SEED, tmp_path)
    verdicts = {}
    for number, mutant in enumerate(sample(netlist.mutants, {netlist.top: each}, SEED)):
        folder = tmp_path / str(number)
        folder.mkdir()
        verdicts[mutant] = judged(proof, netlist, mutant, folder)
        shutil.rmtree(folder)
    print(f"\n{proof.name}:")
    for mutant, verdict in verdicts.items():
        print(f"  {verdict}: {mutant.what}")
    assert ESCAPED not in verdicts.values(), [mutant.what for mutant in verdicts if verdicts[mutant] == ESCAPED]
    if each > 4:  # a few may all be equal
        assert CAUGHT in verdicts.values() or UNPROVED in verdicts.values()

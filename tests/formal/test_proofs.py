"""What is proved of the blocks, one file of properties for each, and that a broken block is found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.formal.blocks import BLOCKS, fifo_proof, source_proof
from tests.formal.rooms import ROOMS, room_proof
from tests.formal.sby import INDUCTION, PACKAGES, Proof
from tests.shallow import shallow


@pytest.fixture(scope="module", autouse=True)
def tools(require_tool):
    for name in PACKAGES:
        require_tool(name)


@pytest.mark.parametrize("proof", BLOCKS, ids=lambda proof: proof.name)
def test_block(proof: Proof, tmp_path: Path) -> None:
    outcome = proof.run(tmp_path)
    assert outcome.proved, outcome.failed or outcome.log
    assert outcome.covered, outcome.unreached or outcome.log


@pytest.mark.parametrize("name", ROOMS)
def test_a_slot_that_starts_finds_room(name: str, tmp_path: Path) -> None:
    outcome = shallow(room_proof, name).run(tmp_path)
    assert outcome.proved, outcome.failed or outcome.log
    assert outcome.covered, outcome.unreached or outcome.log


def test_too_small_a_reserve_is_found(tmp_path: Path) -> None:
    outcome = shallow(room_proof, "slots of five cycles", less=3).run(tmp_path, cover=False)
    assert any("never_too_full" in failed for failed in outcome.failed), outcome.log


@pytest.mark.parametrize(
    "proof,old,new,failed",
    [
        (fifo_proof(8, 3, 4), "single <= (held == 2)", "single <= (held == 3)", "none_lost_none_doubled"),
        (fifo_proof(8, 3, 4), "(level <= 5)", "(level <= 6)", "room_as_told"),
        (source_proof(5), "held <= skid", "held <= s_axis_tdata[2-1:0]", "in_order_unchanged"),
    ],
    ids=["last beat forgotten", "room for one less", "skid buffer left out"],
)
def test_a_fault_is_found(proof: Proof, old: str, new: str, failed: str, tmp_path: Path) -> None:
    """By a counterexample from reset, with the name of the rule that it breaks."""
    files = proof.files()
    home = f"{proof.modules[0].name}.v"
    assert files[home].count(old) == 1
    outcome = dataclasses.replace(proof, mode="bmc", depth=12, engine=INDUCTION).run(
        tmp_path, files | {home: files[home].replace(old, new)}, cover=False
    )
    assert any(failed in one for one in outcome.failed), outcome.log

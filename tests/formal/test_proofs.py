"""What is proved of the blocks, one file of properties for each, and that a broken block is found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.formal.blocks import (
    BLOCKS,
    MORE,
    collector_proof,
    fifo_proof,
    join_proof,
    pack_proof,
    read_proof,
    slice_proof,
    source_proof,
)
from tests.formal.rooms import ROOMS, room_proof
from tests.formal.sby import INDUCTION, PACKAGES, Proof
from tests.formal.standstill import DEPTH, RESERVE, standstill_proof
from tests.shallow import shallow


@pytest.fixture(scope="module", autouse=True)
def tools(require_tool):
    for name in PACKAGES:
        require_tool(name)


QUICK = {"slots of five cycles", "an overlapping pool"}
ROOM_CASES = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in ROOMS]


@pytest.mark.parametrize(
    "proof", [*BLOCKS, *(pytest.param(proof, marks=pytest.mark.slow) for proof in MORE)], ids=lambda proof: proof.name
)
def test_block(proof: Proof, tmp_path: Path) -> None:
    outcome = proof.run(tmp_path)
    assert outcome.proved, outcome.failed or outcome.log
    assert outcome.covered, outcome.unreached or outcome.log


@pytest.mark.parametrize("name", ROOM_CASES)
def test_a_slot_that_starts_finds_room(name: str, tmp_path: Path) -> None:
    outcome = shallow(room_proof, name).run(tmp_path, cover=False)
    assert outcome.proved, outcome.failed or outcome.log


@pytest.mark.parametrize("name", [case for case in ROOM_CASES if case.values != ("an overlapping pool",)])
def test_the_reserve_is_used(name: str, tmp_path: Path) -> None:
    """So the proof is not one of a FIFO that never fills.  (With the overlapping pool that takes too many cycles.)"""
    outcome = shallow(room_proof, name, reach=True).run(tmp_path, cover=False)
    assert any("reserve_used" in failed for failed in outcome.failed), outcome.log


@pytest.mark.parametrize("less", [5, pytest.param(3, marks=pytest.mark.slow)])
def test_too_small_a_reserve_is_found(less: int, tmp_path: Path) -> None:
    proof = shallow(room_proof, "slots of five cycles", less=less)
    assert proof.run(tmp_path, cover=False).failed


def test_nothing_stands_still_beside_a_shortcut(tmp_path: Path) -> None:
    outcome = standstill_proof(DEPTH - RESERVE + 1).run(tmp_path)
    assert outcome.proved, outcome.failed or outcome.log
    assert outcome.covered, outcome.unreached or outcome.log


def test_a_layer_that_needs_a_beat_more_may_stand_still(tmp_path: Path) -> None:
    """Though in unstalled flow it would not: there are places in the reserve that are free then."""
    outcome = standstill_proof(DEPTH - RESERVE + 2).run(tmp_path, cover=False)
    assert any("nothing_stands_still" in failed for failed in outcome.failed), outcome.log


@pytest.mark.parametrize(
    "proof,old,new,failed",
    [
        (fifo_proof(8, 3, 4), "was_three <= (pointers_before == 4)", "was_three <= 1'b0", "fifo.v"),
        (fifo_proof(8, 3, 4), "(level_excess < 0)", "(level_excess < 1)", "room_as_told"),
        (source_proof(5), "skid_used ? skid : 0", "0", "in_order_unchanged"),
        (read_proof(), "(16 - place)", "(17 - place)", "dma_read.v"),
        (slice_proof(4), "if (beats_empty)", "if (1)", "register_slice.v"),
        (join_proof(2, 1), "ready_second <= turn_soon", "ready_second <= 1'b1", "in_turn"),
        (pack_proof(), "(convert_place == 14)", "(convert_place == 13)", "dma_pack.v"),
        (collector_proof(1, quick=True), ".d(store_read_at[0])", ".d(store_read_soon[0])", "in_its_place"),
    ],
    ids=[
        "a count of beats forgotten",
        "room for one less",
        "skid buffer left out",
        "a burst of reads too long",
        "a spare beat overwritten",
        "a beat out of turn",
        "bursts of writes shifted",
        "a word read too soon",
    ],
)
def test_a_fault_is_found(proof: Proof, old: str, new: str, failed: str, tmp_path: Path) -> None:
    """By a counterexample from reset; failed: part of the broken rule's name."""
    files = proof.files()
    home = f"{proof.modules[0].name}.v"
    assert files[home].count(old) == 1
    outcome = dataclasses.replace(proof, mode="bmc", depth=12, engine=INDUCTION).run(
        tmp_path, files | {home: files[home].replace(old, new)}, cover=False
    )
    assert any(failed in one for one in outcome.failed), outcome.log

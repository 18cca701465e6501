"""What is proved of the blocks: see the properties, one file a block."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.formal.blocks import BLOCKS
from tests.formal.sby import PACKAGES, Proof


@pytest.fixture(scope="module", autouse=True)
def tools(require_tool):
    for name in PACKAGES:
        require_tool(name)


@pytest.mark.parametrize("proof", BLOCKS, ids=lambda proof: proof.name)
def test_proof(proof: Proof, tmp_path: Path) -> None:
    outcome = proof.run(tmp_path)
    assert outcome.proved, outcome.failed or outcome.log
    assert outcome.covered, outcome.unreached or outcome.log

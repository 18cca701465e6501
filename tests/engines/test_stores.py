"""A store of weights is its package and a line in the registry: a toy one is added here, and nothing else changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import lognet_fpga
from lognet_fpga.codegen import generate
from lognet_fpga.engines.clb.adder_graph import ZERO, AdderGraph, Term
from lognet_fpga.engines.clb.foldings import ClbFolding
from lognet_fpga.engines.clb.store import ClbEngine
from lognet_fpga.engines.folding import BRAM_PRICES, Entry, Foldings, Given
from lognet_fpga.engines.stores import AUTO, STORES, choices, stores_of
from lognet_fpga.errors import UsageError
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.plan.planner import plan_hardware
from lognet_fpga.progress import Progress
from lognet_fpga.verify.check import verify
from tests.quant_models import Spec, random_frames, random_graph
from tests.shallow import shallow

PACKAGE = Path(lognet_fpga.__file__).parent


@dataclass(frozen=True)
class ZeroFolding(ClbFolding):
    """Of a layer without weights: nothing but its biases."""

    @property
    def store(self) -> str:
        return "zero"

    def to_json(self) -> dict[str, int]:
        return {"weightless": 1}


@dataclass(frozen=True, eq=False)
class ZeroEngine:
    layer: QuantLayer
    store: str = "zero"

    def foldings(self, target: Target) -> Foldings:
        nothing = AdderGraph(self.layer.codes[0].size, (), (Term(ZERO, 0, False),) * len(self.layer.codes), "none")
        foldings = ClbEngine.solved(self.layer, nothing).foldings(target)
        folding = foldings.fold(max(foldings.paces()), Entry(1), BRAM_PRICES[0])
        return Given(ZeroFolding(**{name: getattr(folding, name) for name in folding.__dataclass_fields__}))

    def pruned(self, share: float) -> ZeroEngine:
        return self


@dataclass(frozen=True)
class ZeroStore:
    name: str = "zero"
    title: str = "nowhere, for they are all zero"
    searches: bool = False

    def sketch(self, layer: QuantLayer) -> ZeroEngine:
        return ZeroEngine(layer)

    def solve(self, layers: Sequence[QuantLayer], progress: Progress) -> tuple[ZeroEngine, ...]:
        return tuple(map(ZeroEngine, layers))


@pytest.fixture
def zero_store(monkeypatch):
    monkeypatch.setitem(STORES, "zero", ZeroStore())


def test_a_new_store_goes_all_the_way(zero_store, require_tool):
    """Chosen by name, planned, generated and compared with golden.onnx in Verilator."""
    require_tool("verilator")
    quant = random_graph(4, (2, 6, 5), Spec(3, odd_pad=True), Spec(2, pool=None, out_bits=4))
    weightless = [replace(layer, codes=np.zeros_like(layer.codes)) for layer in quant.layers]
    quant = replace(quant, layers=tuple(weightless))
    board = load_board("zcu104")
    plan = plan_hardware(quant, Target(board, board.clk_mhz, stores_of("zero")))
    assert [planned.folding.store for planned in plan.layers] == ["zero"] * 2
    assert [layer["weights"] for layer in plan.to_json()["layers"]] == ["zero"] * 2
    assert all(layer["weightless"] == 1 for layer in plan.to_json()["layers"])
    design = shallow(generate, plan, "ab" * 32, quant.name)
    assert verify(design, quant, golden_onnx(quant), random_frames(quant, 3, 1), plan).failures() == ()


def test_a_new_store_can_be_asked_for_and_is_among_those_that_auto_chooses_from(zero_store):
    assert choices()[0] == AUTO and "zero" in choices()
    assert "zero" in stores_of(AUTO) and stores_of("zero") == ("zero",)


def test_a_store_that_is_none():
    with pytest.raises(UsageError, match="no store of weights 'zero'"):
        stores_of("zero")


def test_nothing_but_the_registry_imports_a_store():
    """Beside the package of each store itself."""
    named = re.compile(rf"lognet_fpga\.engines\.({'|'.join(STORES)})\b")
    found = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if named.search(path.read_text())}
    own = {("engines", store) for store in STORES}
    assert {path.as_posix() for path in found if path.parts[:2] not in own} == {"engines/stores.py"}

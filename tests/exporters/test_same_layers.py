"""One model has the same layers on the FPGA, up to the last that can go, whichever exporter wrote its file."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest

from lognet_fpga.config import ALL_LAYERS
from lognet_fpga.frontend import load
from lognet_fpga.frontend.file import opset_of
from lognet_fpga.partition import Partition, partition
from lognet_fpga.partition.reach import asked_graph, reach
from tests.exporters.reference import FIXTURES
from tests.exporters.test_styles import OPSETS, base
from tests.models import save
from tests.styles import OLDEST_OPSETS, STYLES

# Styles that are another model: weights of fewer bits, or something that is done to the frames first.
OTHER_MODELS = {"float16 weights", "bfloat16 weights", "preprocessing inside", "bytes"}


def whole(place: Path) -> Partition | None:
    """All layers that can go; None where there are none."""
    graph = asked_graph(load(place, input_shape=(3, 16, 16) if place.stem.endswith("_sizes") else None), ALL_LAYERS)
    far = reach(graph)
    return partition(graph, far.possible) if far.possible else None


def check_same(one: Partition, other: Partition, tolerance: float = 1e-5) -> None:
    """Of all that layers are, only what tells of the file's nodes may differ."""
    assert len(one.layers) == len(other.layers) and one.sources == other.sources
    for layer, twin in zip(one.layers, other.layers):
        for field in fields(layer):
            mine, its = getattr(layer, field.name), getattr(twin, field.name)
            if isinstance(mine, np.ndarray):
                assert mine.shape == its.shape, (layer.name, field.name)
                largest = np.abs(mine[np.isfinite(mine)]).max(initial=1e-9)
                np.testing.assert_allclose(mine, its, rtol=0, atol=tolerance * largest, err_msg=field.name)
            elif field.name != "nodes":
                assert mine == its, (layer.name, field.name)


def exports() -> dict[str, list[Path]]:
    """The files of one model, by its framework and name."""
    found = defaultdict(list)
    for place in sorted(FIXTURES.glob("*.onnx")):
        exporter, name = place.stem.split("_", 1)
        found["torch" if re.match("script|dynamo", exporter) else "keras", name].append(place)
    return {" ".join(model): places for model, places in found.items() if len(places) > 1}


@pytest.mark.parametrize("model", exports())
def test_files_of_one_model_have_the_same_layers(model: str) -> None:
    places = [p for p in exports()[model] if opset_of(onnx.load(p)) <= onnx.defs.onnx_opset_version()]
    first, *others = map(whole, places)
    for place, other in zip(places[1:], others):
        assert (first is None) == (other is None), place.stem
        if first is not None and other is not None:
            check_same(first, other, 2e-3 if model.endswith("half") else 1e-5)


def test_there_are_enough_of_them() -> None:
    assert len(exports()) > 20 and max(map(len, exports().values())) > 8


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("style", sorted(STYLES.keys() - OTHER_MODELS))
def test_styles_have_the_same_layers(style: str, opset: int, tmp_path: Path) -> None:
    if opset < OLDEST_OPSETS.get(style, 0):
        pytest.skip("opset too old for it")
    plain, styled = (
        whole(save(model, tmp_path, f"{name}.onnx"))
        for name, model in (("plain", base(opset)), ("styled", STYLES[style](base(opset))))
    )
    assert plain is not None and styled is not None and len(plain.layers) == 4
    check_same(plain, styled)

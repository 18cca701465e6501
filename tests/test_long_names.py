"""Names of 190 characters, as TensorFlow Lite's converters join them: short for people, whole for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import ModelError, UnsupportedModelError, brief
from lognet_fpga.flow.inspection import inspect
from lognet_fpga.flow.reports.inspection import build
from lognet_fpga.frontend import load
from lognet_fpga.partition import partition
from lognet_fpga.report import Table
from tests.models import ModelBuilder, save

WIDEST = 400


def long_name(index: int, op_type: str) -> str:
    parts = ("activation/Relu", "batch_normalization/FusedBatchNormV3", "conv2d/BiasAdd/ReadVariableOp/resource")
    name = ";".join(f"functional_1/{part}_{index}" for part in (*parts, "conv2d_4/Conv2D", op_type))
    return f"{name};{'x' * 190}"[:186] + f"_{index:03}"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A residual block and a Softmax, all nodes and tensors under such names."""
    net = ModelBuilder((3, 8, 8)).conv(4).relu().residual(lambda b: b.conv(4).relu().conv(4)).relu().conv(4)
    model = net.add("Softmax", axis=1).conv(4).flatten().gemm(256).model()
    renamed = {node.output[0]: long_name(index, "out") for index, node in enumerate(model.graph.node)}
    for index, node in enumerate(model.graph.node):
        node.name = long_name(index, node.op_type)
        for field in (node.input, node.output):
            for at, name in enumerate(field):
                field[at] = renamed.get(name, name)
    for value in (*model.graph.output, *model.graph.value_info):
        value.name = renamed.get(value.name, value.name)
    return save(model, tmp_path)


def test_no_table_is_wide_and_json_has_all(place: Path) -> None:
    config = DeployConfig(model=place, weights="clb")
    told = build(config, seen := inspect(config, "pynq-z2"))
    for width in (80, 100, 120):
        assert not [line for line in told.text(width).splitlines() if len(line) > width]
    names = {node.name for node in load(place).nodes}
    assert all(len(name) == 190 for name in names)
    data = json.loads(json.dumps(told.data))
    assert {row["node"] for row in data["operators"]} == names
    assert data["cut"]["tensor"] == seen.parts.cut and len(seen.parts.cut) == 190
    assert all(len(each["node"]) == 190 for each in data["obstacles"])
    for name in names:
        assert name not in told.text()
        ends = [(shown.partition("...")[0], shown.partition("...")[2]) for shown in re.findall(r"\S+", told.text())]
        assert any(begin and end and name.startswith(begin) and name.endswith(end) for begin, end in ends)


def test_refusals_and_warnings_are_short_on_a_terminal_and_whole_in_json(place: Path, capsys) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        partition(load(place), 5)
    name = long_name(8, "Softmax")
    assert name in str(caught.value) and name not in caught.value.for_people()
    assert max(map(len, caught.value.for_people().splitlines())) < WIDEST
    reporter = Reporter("lognet-inspect", as_json=True)
    error = caught.value
    reporter.error(str(error), kind="X", exit_code=4, for_people=error.for_people())
    out, err = capsys.readouterr()
    assert name in json.loads(out)["error"]["message"] and name not in err
    stopped = partition(load(place), None)
    assert stopped.stopped is None or name not in str(stopped.stopped)


def test_what_is_shortened_and_what_is_not() -> None:
    assert brief("a short name (Conv): its output") == "a short name (Conv): its output"
    word = "a" * 30 + "m" * 100 + "z" * 30
    assert brief(f"see {word}, twice: {word}") == "see {0} twice: {1}".format(
        f"{'a' * 30}mmmm...{'z' * 18},", f"{'a' * 30}mmmm...{'z' * 19}"
    )
    path = "/a/long/way/to/a/folder/that/holds/nothing/else/but/the/model.onnx"
    assert brief(f"no such file: {path}") == f"no such file: {path}"
    assert path in ModelError(f"no such file: {path}").for_people()


def test_tables_are_aligned_behind_a_shortened_name() -> None:
    lines = Table(("node", "n"), (("x" * 200, 1), ("short", 22))).text_lines()
    assert len({len(line) for line in lines}) == 1 and len(lines[0]) == 56 + 2 + 2
    assert "x" * 200 in "\n".join(Table(("node",), (("x" * 200,),)).markdown_lines())

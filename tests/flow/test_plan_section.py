"""What the report tells of a plan whose layers join streams."""

from __future__ import annotations

from lognet_fpga.flow.reports.plan import plan_section
from tests.graph_models import graph, plan_graph


def test_what_layers_take_is_told() -> None:
    plan = plan_graph(graph("frames, pooled"), "middle")
    first, frames = plan.fifo_to(1, 0), plan.fifo_to(1, 1)
    assert plan.fifo_to(0, 0) == plan.entry_fifos[0] and frames == plan.entry_fifos[1] and first == plan.layers[0].fifo
    text = plan_section(plan, None).text()
    assert (
        f"conv2 takes conv1 (FIFO of {first.depth} beats), then the frames (one of every 2 x 2 positions) "
        f"(FIFO of {frames.depth} beats)" in text
    )
    assert "conv1 takes" not in text
    assert [layer["sources"] for layer in plan.to_json()["layers"]] == [
        [{"layer": None, "stride": (1, 1)}],
        [{"layer": "conv1", "stride": (1, 1)}, {"layer": None, "stride": (2, 2)}],
    ]

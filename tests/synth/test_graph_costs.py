"""What joins streams and leaves out positions, counted in Yosys' netlists, beside the estimates."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.costs import admit_resources, join_resources, pick_resources, rank_resources
from lognet_fpga.hw.branch import admit, pick
from lognet_fpga.hw.join import join_slice
from lognet_fpga.hw.ports import inputs, outputs
from lognet_fpga.hw.rank import RankShape, rank
from lognet_fpga.hw.structure import Leaf
from lognet_fpga.synth.cells import count_netlist
from lognet_fpga.synth.yosys import netlist_of
from tests.shallow import shallow

CLOCK = inputs(clk=None, rst=None)


def join_of(width: int, first: int, second: int) -> Leaf:
    ports = inputs(first_data=width, first_valid=None) + outputs(first_ready=None)
    ports += inputs(second_data=width, second_valid=None) + outputs(second_ready=None)
    ports += outputs(out_data=width, out_valid=None) + inputs(out_ready=None)
    return Leaf("join_slice", CLOCK + ports, partial(join_slice, first_beats=first, second_beats=second))


def pick_of(width: int, shape: tuple[int, int], beats: int) -> Leaf:
    ports = inputs(in_valid=None, in_data=width) + outputs(out_valid=None, out_data=width)
    return Leaf("pick", CLOCK + ports, partial(pick, shape=shape, beats=beats, stride=(2, 2)))


def admit_of(width: int) -> Leaf:
    ports = inputs(in_data=width, in_valid=None) + outputs(in_ready=None) + inputs(room=None)
    return Leaf("admit", CLOCK + ports + outputs(out_valid=None, out_data=width), admit)


def rank_of(bits: int, number: int, lanes: int, beats: int) -> Leaf:
    ports = inputs(in_valid=None, in_data=lanes * bits) + outputs(out_valid=None, out_data=number)
    return Leaf("rank", CLOCK + ports, partial(rank, shape=RankShape(bits, lanes, beats, number)))


@pytest.mark.parametrize(
    "leaf,estimate",
    [
        (join_of(32, 1, 1), join_resources(32)),
        (join_of(64, 4, 8), join_resources(64)),
        (pick_of(32, (32, 32), 4), pick_resources(32)),
        (admit_of(24), admit_resources(24)),
        (rank_of(19, 4, 1, 10), rank_resources(19, 4, 1)),
        (rank_of(20, 4, 3, 4), rank_resources(20, 4, 3)),
    ],
    ids=["single beats", "several beats", "pick", "admit", "rank", "rank, three lanes"],
)
def test_estimates_are_near_what_is_counted(leaf: Leaf, estimate: Resources, tmp_path: Path, require_tool) -> None:
    require_tool("pyosys")
    files = shallow(verilog_files, leaf)
    counted = count_netlist(netlist_of(files, leaf.name, tmp_path), leaf.name)
    for ours, theirs in (
        (estimate.lut, counted.lut_sites),
        (estimate.ff, counted.ff),
        (estimate.lone, counted.lone_ffs),
        (estimate.dual, counted.dual_sites),
    ):
        assert ours == pytest.approx(theirs, rel=0.1, abs=8)

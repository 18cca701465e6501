"""lognet-selftest on the simulated board."""

from __future__ import annotations

import json

import numpy as np

from lognet_fpga.bundle import write_bundle
from lognet_fpga.cli import selftest
from tests import small_bundle


def test_the_command_on_the_board(make_board, bundle, tmp_path, capsys, in_process):
    board = make_board()
    place = str(write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path).folder)
    assert in_process(selftest.main, place, "--device", "pynq", "--bitstream", str(board.bitstream), "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["passed"] and data["device"].startswith("PYNQ-Z2") and data["pl_cycles"] == data["planned_cycles"]
    assert in_process(selftest.main, place, "--device", "pynq") == 13
    assert "has no bitstream" in capsys.readouterr().err


def test_a_wrong_bit_in_the_fabric_is_named(make_board, bundle, tmp_path, capsys, in_process):
    def engine(frames: np.ndarray) -> np.ndarray:
        activations = small_bundle.quant_graph().run(frames)
        activations[1, 2, 4, 3] ^= 64
        return activations

    board = make_board(engine=engine)
    place = str(write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path).folder)
    assert in_process(selftest.main, place, "--device", "pynq", "--bitstream", str(board.bitstream), "--json") == 7
    assert json.loads(capsys.readouterr().out)["first"]["index"] == [1, 2, 4, 3]

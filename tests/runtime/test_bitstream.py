"""The files that a bundle's bitstream is handed to PYNQ as."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lognet_fpga.bundle import make_bundle
from lognet_fpga.runtime.board.bitstream import bitstream_of
from tests.small_bundle import manifest

BIT, HWH = bytes(range(256)) * 40, b"<EDKSYSTEM/>"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path / "cache"))
    return bitstream_of(BUNDLE)


BUNDLE = make_bundle({"bitstream/small.bit": BIT, "bitstream/small.hwh": HWH}, manifest())


def flipped(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def cut(path: Path) -> None:
    os.truncate(path, 5)


@pytest.mark.parametrize("suffix", [".bit", ".hwh"])
@pytest.mark.parametrize("damage", [flipped, cut, Path.unlink])
def test_what_was_damaged_in_the_cache_never_reaches_a_board(place, damage, suffix):
    damage(place.with_suffix(suffix))
    again = bitstream_of(BUNDLE)
    assert again == place and again.read_bytes() == BIT and again.with_suffix(".hwh").read_bytes() == HWH


def test_another_bitstream_has_another_name(place):
    other = make_bundle({"bitstream/small.bit": BIT + b"\0", "bitstream/small.hwh": HWH}, manifest())
    assert bitstream_of(other).name != place.name and bitstream_of(BUNDLE) == place

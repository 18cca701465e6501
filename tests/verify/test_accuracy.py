"""The gate on the drop of accuracy."""

from __future__ import annotations

import pytest

from lognet_fpga.errors import AccuracyError
from lognet_fpga.verify.accuracy import Accuracy


def test_the_gate_opens_at_the_limit_and_not_below():
    accuracy = Accuracy(1000, 0.9, 0.875, 0.95)
    assert accuracy.drop == pytest.approx(2.5)
    accuracy.require(2.5001, [])
    with pytest.raises(AccuracyError, match=r"loses 2.50 points(.|\n)*conv2: weight NMSE 0.0500"):
        accuracy.require(2.4999, [("conv2", 0.05)])


def test_a_gain_passes_and_no_labels_say_nothing():
    Accuracy(10, 0.5, 0.6, 0.9).require(0, [])
    assert Accuracy(10, None, None, 0.9).drop is None

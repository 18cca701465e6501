"""The warning that the float model itself knows nothing about the frames."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from lognet_fpga.flow.reports.accuracy import warn_of_a_lost_model

LABELS = np.arange(1000) % 10
RARE = np.where(np.arange(1000) % 10 == 0, 1, 0)  # nine of ten frames are of class 0


@pytest.mark.parametrize("labels,top1,warned", [(LABELS, 0.11, True), (LABELS, 0.2, False), (RARE, 0.9, True)])
def test_no_better_than_one_class_for_all(labels, top1, warned):
    accuracy = SimpleNamespace(float_model=SimpleNamespace(top1=top1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_a_lost_model(accuracy, labels)
    assert [("other preprocessing" in " ".join(str(one.message).split())) for one in caught] == [True] * warned


@pytest.mark.parametrize("labels", [None, LABELS[:20], np.zeros(100, np.int64)])
def test_silent_where_nothing_can_be_said(labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_a_lost_model(SimpleNamespace(float_model=SimpleNamespace(top1=0.0)), labels)

"""A study spread over the workers of a Dask scheduler: the same answers as without."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.errors import ToolError, UsageError
from lognet_fpga.ir.output import SCORES, ModelOutput, OutputTensor
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.study.judge import Judge, judge_model
from lognet_fpga.study.workers import WorkerPool
from tests.models import small_cnn

distributed = pytest.importorskip("distributed")
OUTPUT = ModelOutput(SCORES, (OutputTensor("scores", "float32", (10,)),), 10)


@pytest.fixture(scope="module")
def address():
    """Workers in threads of this process: no ports but the loopback's, and no start-up of interpreters."""
    options = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(protocol="tcp", host="127.0.0.1", **options) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def frames():
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (120, 3, 16, 16), dtype=np.uint8), rng.integers(0, 4, 120)


def _models(count: int):
    return [small_cnn(seed).SerializeToString() for seed in range(count)]


def test_the_same_answers_in_the_same_order(address, frames, tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path))
    models = _models(9)
    with WorkerPool(address) as pool:
        judge = Judge(*frames, Preprocessing(), OUTPUT, pool)
        judge.answers(models[4])  # kept already when its turn comes
        spread = list(judge.answers_each(models))
    for model, answers in zip(models, spread):
        marks = judge_model(model, *frames, Preprocessing(), OUTPUT)
        np.testing.assert_array_equal(answers.classes, marks["classes"])
        np.testing.assert_array_equal(answers.right1, marks["top1"])
    assert len({answers.classes.tobytes() for answers in spread}) > 1
    assert [a.top1 for a in Judge(*frames, Preprocessing(), OUTPUT).answers_each(models)] == [a.top1 for a in spread]


def test_models_are_not_made_far_ahead(address, frames, tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path))
    made = 0

    def models():
        nonlocal made
        for model in _models(20):
            made += 1
            yield model

    with WorkerPool(address) as pool:
        next(Judge(*frames, Preprocessing(), OUTPUT, pool).answers_each(models()))
        assert made == pool.window + 1


def test_what_a_worker_cannot_do(address):
    with WorkerPool(address) as pool, pytest.raises(ToolError, match="worker failed: ZeroDivisionError"):
        pool.submit(divmod, 1, 0)()


def test_no_scheduler(monkeypatch):
    monkeypatch.setattr("lognet_fpga.study.workers._CONNECT_S", 0.5)
    with pytest.raises(UsageError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        WorkerPool("tcp://127.0.0.1:1")

"""Files over boards by Dask, on the workers of a scheduler in this process."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.bundle import make_bundle, write_bundle
from lognet_fpga.errors import UsageError
from tests import small_bundle
from tests.served import TOKEN, serving


def test_files_over_two_boards_of_which_one_ends(tmp_path, monkeypatch, require_tool):
    for name in ("aiohttp", "onnx", "onnxruntime", "dask", "distributed"):
        require_tool(name)
    from distributed import Client

    from lognet_fpga import fleet

    monkeypatch.setattr(fleet, "_sessions", {})
    manifest = small_bundle.manifest(model_output=small_bundle.model_output())
    folder = write_bundle(small_bundle.files(), manifest, tmp_path).folder
    bundle = make_bundle(small_bundle.files(), manifest)
    files, expected = [], []
    for number in range(6):
        frames = small_bundle.frames(5 + number, seed=number)
        files.append(tmp_path / f"{number}.npz")
        np.savez(files[-1], frames=frames)
        expected.append(small_bundle.expected_scores(frames).argmax(axis=1).tolist())
    with (
        serving(bundle) as first,
        Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client,
    ):
        with serving(bundle) as second:
            bag = fleet.predictions(folder, files, [first.url, second.url], token=TOKEN, batch=2)
            records = client.compute(bag).result()
            assert [record["predictions"] for record in records] == expected
            assert [record["file"] for record in records] == list(map(str, files))
            assert first.server.counts.frames and second.server.counts.frames
        assert [record["predictions"] for record in client.compute(bag).result()] == expected
    for session in fleet._sessions.values():
        session.device.close()


def test_what_cannot_be(tmp_path, require_tool):
    require_tool("dask")
    from lognet_fpga.fleet import predictions

    with pytest.raises(UsageError, match="a file and a device"):
        predictions(tmp_path, [], ["http://x"])

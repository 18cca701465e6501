from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile

import numpy as np

from lognet_fpga.machine.archive import ARRAY, write_zip

FILES = {"b/run.sh": b"#!/bin/sh\n", "a.txt": b"a" * 1000, "b/c": bytes(range(256))}


def written(files, **options) -> bytes:
    buffer = io.BytesIO()
    write_zip(buffer, files, **options)
    return buffer.getvalue()


def test_what_went_in_comes_out():
    with zipfile.ZipFile(io.BytesIO(written(FILES))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
        assert archive.namelist() == sorted(FILES)
        modes = {member.filename: member.external_attr >> 16 for member in archive.infolist()}
    assert modes == {"a.txt": 0o644, "b/run.sh": 0o755, "b/c": 0o644}


def test_same_bytes_in_another_order_at_another_time_and_place():
    script = (
        "import sys; from tests.machine.test_archive import FILES, written;"
        "sys.stdout.buffer.write(written(dict(reversed(FILES.items()))))"
    )
    environment = {**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True).stdout
    assert other == written(FILES)


def test_arrays_have_the_modes_of_numpy():
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(3))
    archives = buffer, io.BytesIO(written({"x.npy": b""}, mode=ARRAY))
    numpys, own = (zipfile.ZipFile(archive).getinfo("x.npy").external_attr for archive in archives)
    assert numpys == own

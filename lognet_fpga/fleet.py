"""Files of frames over many boards as a Dask graph, for batch work on a cluster that has a scheduler already.

    from distributed import Client
    from lognet_fpga.fleet import predictions

    Client("tcp://host:8786")
    bag = predictions("model.lognet", sorted(Path("frames").glob("*.npz")), ["http://board1:8421", "http://board2:8421"])
    for record in bag.compute():
        print(record["file"], record["predictions"])

What is where: the files and this package with its extra [host] on the workers; the bundle here; the boards wherever the
workers reach them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lognet_fpga.bundle import Bundle, read_bundle
from lognet_fpga.errors import MissingToolError, UsageError
from lognet_fpga.runtime.remote.client import RemoteDevice
from lognet_fpga.runtime.remote.fleet import Fleet
from lognet_fpga.runtime.remote.protocol import read_token
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.sources import batches_of, open_source

if TYPE_CHECKING:
    from dask.bag import Bag

BATCH = 64
_lock = threading.Lock()
_sessions: dict[tuple[str, tuple[str, ...]], Session] = {}  # of this process, a worker's: its tasks share connections


def predictions(
    bundle: str | Path,
    files: Sequence[str | Path],
    devices: Sequence[str],
    *,
    token: str | None = None,
    certificate: str | Path | None = None,
    batch: int = BATCH,
) -> Bag:
    """A bag with {"file": its name, "predictions": the class of each of its frames} for each file, in their order.

    Nothing is done before its compute().  files: as of lognet-stream's --frames, each of them a task.  devices:
    addresses of lognet-serve with that bundle; each worker sends to all of them, and sends again elsewhere what one
    fails on.  token: the servers', else that in LOGNET_TOKEN here.  certificate: a PEM file, here and on the workers.
    batch: frames a request.  Raises MissingToolError without Dask, UsageError for no files or devices, and what
    read_bundle raises; the tasks raise what lognet-stream ends with, and UsageError for a model without classes.
    """
    try:
        import dask
        from dask import bag
    except ImportError as error:
        raise MissingToolError("Dask is not installed", hint="pip install 'lognet-fpga[dask]'") from error
    if not files or not devices:
        raise UsageError("there must be a file and a device at least")
    content = dask.delayed(read_bundle(Path(bundle)))
    names = [os.fspath(file) for file in files]
    return bag.from_sequence(names, partition_size=1).map(
        _classified,
        bundle=content,
        devices=tuple(devices),
        token=token or read_token(None),
        certificate=None if certificate is None else Path(certificate),
        batch=batch,
    )


def _classified(
    file: str, bundle: Bundle, devices: tuple[str, ...], token: str | None, certificate: Path | None, batch: int
) -> dict[str, object]:
    """On a worker."""
    session = _session(bundle, devices, token, certificate)
    source = open_source(
        file, bundle.input_shape, bundle.preprocessing, classes=bundle.classes, class_names=bundle.class_names
    )
    found = []
    for run in session.fpga_runs(frames for frames, _ in batches_of(source, batch)):
        outputs = session.outputs(run.activations)
        classes = session.output.predictions(outputs)
        if classes is None:
            raise UsageError(f"{bundle.name} has no classes", hint="use lognet-stream --save-outputs")
        found.append(classes)
    return {"file": file, "predictions": np.concatenate(found).tolist()}


def _session(bundle: Bundle, devices: tuple[str, ...], token: str | None, certificate: Path | None) -> Session:
    key = (bundle.digest, devices)
    with _lock:
        if key not in _sessions:
            boards = [RemoteDevice(bundle, url, token, certificate=certificate) for url in devices]
            session = Session(bundle, Fleet(bundle, boards))
            session.device.open()
            _sessions[key] = session
        return _sessions[key]

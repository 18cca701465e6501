"""MLPerf Tiny's reference models and lists of frames: from a local copy of mlcommons/tiny, or fetched from GitHub."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import onnx

from lognet_fpga.errors import InputError
from lognet_fpga.machine.cache import cache_root
from lognet_fpga.mlperf_tiny.checkpoint import read_checkpoint
from lognet_fpga.mlperf_tiny.ds_cnn import ds_cnn
from lognet_fpga.mlperf_tiny.tasks import ReferenceFile, Task
from lognet_fpga.mlperf_tiny.tflite import to_onnx

REPOSITORY = "mlcommons/tiny"
COMMIT = "1afd2c9820f795965a6134facd0b4dfae41ef23f"
_ADDRESS = f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}/"
_TIMEOUT_S = 60
_LOCAL = f"give a local copy of github.com/{REPOSITORY} with --models"


class Reference:
    """The repository's files.  folder: a checkout of it, or any folder with files of these names; None: fetched one by
    one, and kept in the cache's folder."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise InputError(f"there is no folder {folder}", hint=_LOCAL)
        self._folder = folder

    def model(self, task: Task) -> onnx.ModelProto:
        """The task's float model.  Raises InputError for files that are not there or not those, ModelError for what
        cannot be read in spite of that."""
        files = [self.file(each) for each in task.model]
        if len(files) > 1:
            return ds_cnn(read_checkpoint(files[0].parent), task.model_id)
        return to_onnx(files[0].read_bytes(), task.model_id)

    def file(self, wanted: ReferenceFile) -> Path:
        """Where a file is, whole and as it was when its digest was taken."""
        place = self._fetched(wanted) if self._folder is None else self._local(self._folder, wanted)
        try:
            digest = hashlib.sha256(place.read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(f"{place} cannot be read: {error.strerror}", hint=_LOCAL) from error
        if digest != wanted.sha256:
            raise InputError(
                f"{place} is another file than {REPOSITORY} has, or a part of it",
                context=(f"SHA-256 there:  {digest}", f"SHA-256 wanted: {wanted.sha256}"),
                hint=f"fetch it again from {_ADDRESS}{wanted.path}",
            )
        return place

    @staticmethod
    def _local(folder: Path, wanted: ReferenceFile) -> Path:
        path = Path(wanted.path)
        # In a checkout, or by the last parts of the path: many files have the same name.
        places = [folder / Path(*path.parts[start:]) for start in range(len(path.parts))]
        for place in places:
            if place.is_file():
                return place
        raise InputError(
            f"{folder} has neither {wanted.path} nor {path.name}",
            hint=f"give a checkout of github.com/{REPOSITORY}, or a folder with that file",
        )

    @staticmethod
    def _fetched(wanted: ReferenceFile) -> Path:
        place = cache_root() / "mlperf-tiny" / wanted.path
        if place.is_file():
            return place
        try:
            with urllib.request.urlopen(_ADDRESS + wanted.path, timeout=_TIMEOUT_S) as answer:
                content = answer.read()
        except (OSError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", error)
            raise InputError(
                f"{_ADDRESS}{wanted.path} cannot be fetched: {' '.join(str(reason).split())[:100]}",
                hint=f"check the network, or {_LOCAL}",
            ) from error
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as part:
            part.write(content)
        os.replace(part.name, place)
        return place

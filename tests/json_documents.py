"""Holds every JSON that a command writes against lognet_fpga.schema, while the tests run."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from lognet_fpga.cli.reporter import Reporter, _finite
from lognet_fpga.schema import document

_COMMAND = re.compile(r"(?:lognet_fpga\.cli\.|(?:.*/)?lognet-)([a-z]+)")


class Documents:
    """problems: what was found that is not as the schema says, in words."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.checked = 0

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """See what commands write: in this process by their Reporter, in others by what they are read by."""
        documents, write, tell, communicate = self, Reporter._object, Reporter._event, subprocess.Popen.communicate

        def _object(reporter, data):
            documents.check(reporter._program, _finite(data))
            write(reporter, data)

        def _event(reporter, event):
            documents.check("event", _finite(event))
            tell(reporter, event)

        def _communicate(process, *arguments, **options):
            out, err = communicate(process, *arguments, **options)
            documents.read(process.args, out, err)
            return out, err

        patch.setattr(Reporter, "_object", _object)
        patch.setattr(Reporter, "_event", _event)
        patch.setattr(subprocess.Popen, "communicate", _communicate)

    def read(self, arguments: Any, out: str | bytes | None, err: str | bytes | None) -> None:
        """What a process has written, if it was one of the commands."""
        words = [str(word) for word in arguments] if isinstance(arguments, Sequence) else []
        name = next((match[1] for word in words[:4] if (match := _COMMAND.fullmatch(word))), None)
        if name is None:
            return
        if "--json" in words and (text := _text(out)).startswith("{"):
            self._parse(f"lognet-{name}", text)
            if name == "deploy":
                self._bundle(json.loads(text).get("bundle"))
        if re.search(r"--progress[ =]json", " ".join(words)):
            for line in _text(err).splitlines():
                self._parse("event", line)

    def check(self, name: str, data: object) -> None:
        """Note where data is not as the document says.  Programs of tests and benchmarks are no commands."""
        if not name.startswith("lognet-") and name not in ("event", "manifest", "report"):
            return
        self.checked += 1
        for error in _validator(name).iter_errors(json.loads(json.dumps(data, default=str))):
            while error.context:  # of several kinds that which fits best
                kinds = [list(each) for _, each in groupby(error.context, key=lambda inner: inner.schema_path[0])]
                error = min(kinds, key=len)[0]
            where = "/".join(map(str, error.absolute_path)) or "the object"
            self.problems.append(f"{name}: {where}: {error.message[:300]}")

    def _parse(self, name: str, text: str) -> None:
        try:
            data = json.loads(text)
        except ValueError:  # cut off, or beside something else: other tests say whether that may be
            return
        self.check(name, data)

    def _bundle(self, folder: str | None) -> None:
        """The files of a bundle that was just written, where its path leads there from here."""
        if folder is not None and Path(folder).is_absolute():
            for name in ("manifest", "report"):
                if (place := Path(folder) / f"{name}.json").is_file():
                    self._parse(name, place.read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=None)
def _validator(name: str):
    from jsonschema import Draft202012Validator

    return Draft202012Validator(document(name))


def _text(written: str | bytes | None) -> str:
    return written.decode(errors="replace") if isinstance(written, bytes) else written or ""

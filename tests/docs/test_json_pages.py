"""The published JSON Schema is the one that the tests hold all JSON against."""

from __future__ import annotations

import importlib.util
import json
import re
import runpy

import pytest

from lognet_fpga.schema import DOCUMENTS, SCHEMA, document
from tests.docs.markdown import ROOT
from tests.json_documents import Documents

pages = runpy.run_path(str(ROOT / "docs" / "make" / "json_pages.py"))


def test_every_command_has_its_document():
    scripts = re.findall(r"^(lognet-\w+) = ", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(scripts) == {name for name in DOCUMENTS if name.startswith("lognet-")}


def test_the_published_files_are_current():
    for name, made in (("lognet.schema.json", pages["schema_text"]()), ("json.md", pages["page"]())):
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made, "run python docs/make/json_pages.py"


@pytest.fixture
def jsonschema(require_tool):
    require_tool("jsonschema", found=importlib.util.find_spec("jsonschema") is not None)  # the package, not a program


def test_the_schema_is_one(jsonschema):
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(SCHEMA)
    for name in DOCUMENTS:
        assert not list(Draft202012Validator(document(name)).iter_errors({"error": _ERROR})) or name not in _COMMANDS


_COMMANDS = [name for name in DOCUMENTS if name.startswith("lognet-")]
_ERROR = {"kind": "UsageError", "message": "no", "exit_code": 2}


@pytest.mark.parametrize(
    "data, problem",
    [
        ({"event": "note", "stage": "s", "text": "t"}, None),
        ({"event": "note", "stage": "s"}, "text"),
        ({"event": "note", "stage": 1, "text": "t"}, "string"),
        ({"event": "note", "stage": "s", "text": "t", "more": 1}, "more"),
    ],
)
def test_what_is_not_documented_is_seen(jsonschema, data, problem):
    found = Documents()
    found.check("event", data)
    assert bool(found.problems) == (problem is not None)
    assert problem is None or problem in json.dumps(found.problems)

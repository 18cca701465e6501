"""Makes docs/lognet.schema.json and docs/json.md of lognet_fpga.schema.

python docs/make/json_pages.py
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lognet_fpga.schema import DOCUMENTS, PARTS, SCHEMA

DOCS = Path(__file__).parents[1]
WIDTH = 180
INTRODUCTION = """\
# JSON

This page describes what every command writes with `--json`, the two JSON files of a bundle, and the events of
`--progress json`. [lognet.schema.json](lognet.schema.json) says the same in a form for programs, as a JSON Schema
(draft 2020-12): `lognet.schema.json#/$defs/lognet-deploy` is the schema of `lognet-deploy`, and so on. The tests check
every JSON that a command writes against it. If an error leaves no report, the object is `{"error": ...}`. NaN and
infinity, which JSON cannot express, are null.

This page is generated from `lognet_fpga/schema` by `docs/make/json_pages.py`.
"""


def main() -> None:
    (DOCS / "lognet.schema.json").write_text(schema_text(), encoding="utf-8")
    (DOCS / "json.md").write_text(page(), encoding="utf-8")


def schema_text() -> str:
    return json.dumps(SCHEMA, indent=1) + "\n"


def page() -> str:
    parts = [INTRODUCTION.rstrip()]
    for name, schema in {**DOCUMENTS, **PARTS}.items():
        if name == next(iter(PARTS)):
            parts.append("## Parts\n\nObjects that occur in several of these documents.")
        level = "##" if name in DOCUMENTS else "###"
        parts.append(f"{level} {name}")
        if "description" in schema:
            parts.append("\n".join(textwrap.wrap(schema["description"], WIDTH, break_on_hyphens=False)))
        for choice in schema.get("anyOf", [schema]):
            if set(choice["properties"]) != {"error"}:
                parts.append("\n".join(rows(choice, 0)))
    return "\n\n".join(parts) + "\n"


def rows(schema: dict[str, Any], depth: int) -> Iterator[str]:
    """A line for each field, and for those of objects in it."""
    for name, field in schema["properties"].items():
        inner, kind = within(field)
        if name not in schema["required"]:
            kind += ", may be missing"
        said = f": {field['description']}" if "description" in field else ""
        indent = "    " * depth
        yield from textwrap.wrap(
            f"{indent}* `{name}` ({kind}){said}",
            WIDTH,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        if "properties" in inner:
            yield from rows(inner, depth + 1)


def within(field: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """(the object in a field, if there is one; what the field is, in words)."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return {}, f"[{name}](#{name})"
    if "anyOf" in field:
        inner, kind = within(field["anyOf"][0])
        return inner, f"{kind} or null"
    if "enum" in field:
        return {}, ", ".join(f"`{value}`" for value in field["enum"])
    types = field.get("type", "any")
    kind, null = (types[0], " or null") if isinstance(types, list) else (types, "")
    if kind == "array":
        inner, of = within(field["items"])
        return inner, f"list, each {of}{null}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        inner, of = within(field["additionalProperties"])
        return inner, f"object by name, each {of}{null}"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    return field, f"{words.get(kind, kind)}{null}"


if __name__ == "__main__":
    main()

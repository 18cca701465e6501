"""Short words for JSON Schema, so that a description of fields reads as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def text(description: str = "", *, among: tuple[str, ...] = ()) -> Schema:
    return _described({"type": "string", **({"enum": list(among)} if among else {})}, description)


def whole(description: str = "") -> Schema:
    return _described({"type": "integer"}, description)


def number(description: str = "") -> Schema:
    return _described({"type": "number"}, description)


def share(description: str = "") -> Schema:
    return _described({"type": "number", "minimum": 0, "maximum": 1}, description)


def flag(description: str = "") -> Schema:
    return _described({"type": "boolean"}, description)


def items(of: Schema, description: str = "") -> Schema:
    """A list."""
    return _described({"type": "array", "items": of}, description)


def one_or_several(of: Schema, description: str = "") -> Schema:
    """That, or a list of them."""
    return _described({"anyOf": [of, {"type": "array", "items": of}]}, description)


def by_name(of: Schema, description: str = "") -> Schema:
    """An object whose names are no fields, but of what it has."""
    return _described({"type": "object", "additionalProperties": of}, description)


def fields(of: Mapping[str, Schema], description: str = "", *, optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object of just these fields, of which only the optional ones may be missing."""
    made: Schema = {"type": "object", "properties": {**of, **(optional or {})}, "required": list(of)}
    return _described({**made, "additionalProperties": False}, description)


def part(name: str, description: str = "") -> Schema:
    """One of the objects that several documents have: of parts.PARTS."""
    return _described({"$ref": f"#/$defs/{name}"}, description)


def or_null(of: Schema, description: str = "") -> Schema:
    """That, or null."""
    inner = {key: value for key, value in of.items() if key != "description"}
    said = description or of.get("description", "")
    if isinstance(inner.get("type"), str) and "enum" not in inner:
        return _described({**inner, "type": [inner["type"], "null"]}, said)
    return _described({"anyOf": [inner, {"type": "null"}]}, said)


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description} if description else schema

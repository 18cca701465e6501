"""What every JSON that a command writes means, as JSON Schema (draft 2020-12): the one place that describes its fields.

`SCHEMA` is published as docs/lognet.schema.json, and docs/json.md is made of it (`python docs/make/json_pages.py`).
The tests hold every JSON that a command writes while they run against it: a new field needs a line here.
"""

from __future__ import annotations

from lognet_fpga.schema.deployment import DEPLOYMENT
from lognet_fpga.schema.files import FILES
from lognet_fpga.schema.parts import PARTS
from lognet_fpga.schema.running import RUNNING
from lognet_fpga.schema.studies import STUDIES
from lognet_fpga.schema.types import Schema

DOCUMENTS: dict[str, Schema] = {**DEPLOYMENT, **RUNNING, **STUDIES, **FILES}
SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "JSON of the LogNet FPGA toolkit",
    "description": "Each of $defs that is named after a command is what the command writes with --json, on stdout.",
    "$defs": {**DOCUMENTS, **PARTS},
}


def document(name: str) -> Schema:
    """The schema of one document alone: that of a command by its name, "manifest", "report" or "event"."""
    return {**SCHEMA, "$ref": f"#/$defs/{name}"}

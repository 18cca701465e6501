"""The files of a bundle, and the events of --progress json."""

from __future__ import annotations

from lognet_fpga.schema.deployment import REPORT
from lognet_fpga.schema.parts import SHAPE, STREAM_FORMAT
from lognet_fpga.schema.types import Schema, by_name, fields, flag, items, number, or_null, part, text, whole

FILES: dict[str, Schema] = {
    "report": {
        "description": "report.json of a bundle: what lognet-deploy writes, without the bundle's path.",
        **fields(REPORT),
    },
    "manifest": fields(
        {
            "format": text(among=("lognet-bundle",)),
            "format_version": whole(),
            "name": text("name of the bundle"),
            "made_by": text("the toolkit's version"),
            "digest": text("SHA-256 over the manifest without this field"),
            "files": by_name(fields({"sha256": text(), "size": whole("bytes")}), "every file except the manifest"),
            "board": {"type": "object", "description": "the board's description, from overlays/NAME/board.json"},
            "clk_mhz": number("clock of the overlay"),
            "model": fields({"file": text(), "sha256": text()}, "the ONNX file"),
            "core_sha256": text("the SHA-256 in the overlay's registers, which identifies it"),
            "input": fields(
                {"shape": SHAPE, "dtype": text(), "preprocessing": part("preprocessing")},
                optional={"class_names": items(text())},
            ),
            "output": fields(
                {
                    "shape": SHAPE,
                    "bits": whole(),
                    "zero": whole("the activation that stands for zero"),
                    "scale": items(number(), "one per channel: an activation x stands for (x - zero) * scale"),
                },
                "The activations that leave the FPGA",
            ),
            "model_output": part("output"),
            "source": STREAM_FORMAT,
            "sink": STREAM_FORMAT,
            "plan": part("plan"),
            "verification": fields(
                {"done": flag()},
                optional={
                    "passed": flag(),
                    "frames": whole(),
                    "bits": whole(),
                    "differing_bits": whole(),
                    "hardware": text(),
                },
            ),
            "bitstream": or_null(part("bitstream")),
        },
        "manifest.json of a bundle.",
        optional={"accuracy": part("accuracy")},
    ),
    "event": {
        "description": "A line on stderr with `--progress json`; `event` says of which kind.",
        "anyOf": [
            fields(
                {
                    "event": text(among=("stage",)),
                    "stage": text("its name"),
                    "depth": whole("depth of a stage inside other stages"),
                    "state": text(among=("begun", "running", "done", "failed", "interrupted")),
                    "seconds": number(),
                    "done": or_null(whole(), "items done, if they are counted"),
                    "total": or_null(whole()),
                    "detail": text(),
                }
            ),
            fields({"event": text(among=("note",)), "stage": text(), "text": text("a line that a stage prints")}),
            fields(
                {
                    "event": text(among=("section",)),
                    "report": text("its title"),
                    "heading": text(),
                    "lines": items(text()),
                    "columns": items(text()),
                    "rows": items(items(text()), "every value, as it is displayed"),
                }
            ),
            fields({"event": text(among=("warning",)), "message": text()}),
            fields({"event": text(among=("error",)), "kind": text(), "message": text(), "exit_code": whole()}),
        ],
    },
}

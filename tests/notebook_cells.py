"""Runs a notebook's code cells, from top to bottom, as they stand in notebooks/."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "notebooks"


def run(name: str, folder: Path = FOLDER) -> dict:
    """The names that notebook NAME.ipynb in folder has in the end."""
    path = folder / f"{name}.ipynb"
    names: dict = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "notebooks are kept without outputs"
            exec(compile("".join(cell["source"]), str(path), "exec"), names)
    return names

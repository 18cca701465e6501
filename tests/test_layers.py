"""The layering of the package, its types and the form of the code, as pyproject.toml states them."""

from __future__ import annotations

import os
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest


def test_import_contracts(require_tool, tmp_path):
    require_tool("importlinter")
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as main; main()",
            "--cache-dir",
            str(tmp_path),
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_module_imports_itself_by_way_of_others(require_tool):
    """At run time; what only a type checker imports does not count."""
    require_tool("grimp")
    import grimp

    graph = grimp.build_graph("lognet_fpga", cache_dir=None, exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert sum(map(len, imports.values())) > 500  # it did look
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as circle:
        pytest.fail("an import circle: " + " <- ".join(circle.args[1]))


def test_types(require_tool):
    """Its cache is the one that `make check` keeps: what has not changed is not checked again."""
    require_tool("mypy")
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("options", [["check"], ["format", "--check"]])
def test_lint_and_format(require_tool, options):
    require_tool("ruff")
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *options, "--no-cache", "."], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr

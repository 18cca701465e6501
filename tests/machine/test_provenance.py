"""The keys of cached results: which code makes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lognet_fpga.machine import provenance

PACKAGE = "lognet_fpga"
ROOT = Path(provenance.__file__).parents[1]


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A package whose module `maker` needs others in every way that there is."""
    for name, text in {
        "__init__.py": "",
        "maker.py": "from lognet_fpga.near import helper\ndef make():\n    import lognet_fpga.late\n",
        "near/__init__.py": "from lognet_fpga.near.inner import x",
        "near/helper.py": "from lognet_fpga import top",
        "near/inner.py": "x = 1",
        "near/data.cpp": "int main() {}",
        "late.py": "",
        "top.py": "from lognet_fpga.errors import LogNetError",
        "errors.py": "",
        "other.py": "",
        "far/__init__.py": "",
        "far/data.cpp": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    for function in (provenance.made_by, provenance._imports):
        function.cache_clear()
    yield tmp_path
    for function in (provenance.made_by, provenance._imports):
        function.cache_clear()


@pytest.mark.parametrize(
    "name", ["maker.py", "near/__init__.py", "near/helper.py", "near/inner.py", "near/data.cpp", "late.py", "top.py"]
)
def test_a_change_of_anything_that_is_needed_shows(package, name):
    before = provenance.made_by(f"{PACKAGE}.maker")
    (package / name).write_text((package / name).read_text() + "\n")
    provenance.made_by.cache_clear()
    provenance._imports.cache_clear()
    assert provenance.made_by(f"{PACKAGE}.maker") != before


@pytest.mark.parametrize("name", ["other.py", "far/__init__.py", "far/data.cpp", "errors.py"])
def test_a_change_of_anything_else_does_not(package, name):
    before = provenance.made_by(f"{PACKAGE}.maker")
    (package / name).write_text("# changed")
    provenance.made_by.cache_clear()
    assert provenance.made_by(f"{PACKAGE}.maker") == before


def test_the_version_of_a_package_from_outside_shows(monkeypatch):
    name = f"{PACKAGE}.engines.clb.adder_graph"
    assert provenance.made_by(name, "numpy") not in (provenance.made_by(name), provenance.made_by(name, "pytest"))
    before = provenance.made_by(name, "numpy")
    monkeypatch.setattr(provenance, "version", lambda name: "0.0")
    provenance.made_by.cache_clear()
    assert provenance.made_by(name, "numpy") != before
    provenance.made_by.cache_clear()


@pytest.mark.parametrize("module", ["codegen.verilog", "synth.yosys", "verify.simulator", "study.judge", "cost.points"])
def test_all_that_a_module_loads_is_needed(module, require_tool):
    """Against Python itself: what is loaded with the module is what the rule finds, or more."""
    require_tool("onnxruntime")
    code = (
        f"import sys, {PACKAGE}.{module}\n"
        f"print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == '{PACKAGE}'), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    loaded = {Path(line).relative_to(ROOT) for line in done.stdout.split()}
    names = {path: f"{PACKAGE}.{'.'.join(path.with_suffix('').parts)}." for path in loaded}
    without = {path for path, name in names.items() if any(name.startswith(f"{left}.") for left in provenance._WITHOUT)}
    found = {path.relative_to(ROOT) for path in provenance._files(f"{PACKAGE}.{module}")}
    assert loaded - without <= found


def test_the_numbers_that_verilog_depends_on_are_among_its_sources():
    """The generator knows no store: each folding adds the sources of its own."""

    def found(module: str) -> set[str]:
        return {path.relative_to(ROOT).as_posix() for path in provenance._files(f"{PACKAGE}.{module}")}

    assert {"codegen/rom.py", "overlay/layer.py", "ir/quant.py"} <= found("codegen.verilog")
    needed = {
        "bram": {"numerics/log2.py", "engines/bram/layout.py", "engines/bram/modules.py", "engines/bram/blocks/pe.py"},
        "clb": {"engines/clb/schedule.py", "engines/clb/modules.py", "engines/clb/blocks/adders.py", "hw/wiring.py"},
    }
    for store, its in needed.items():
        of_store = found(f"engines.{store}.foldings")
        assert its <= of_store
        assert not any(path.startswith(f"engines/{'clb' if store == 'bram' else 'bram'}/") for path in of_store)


def test_what_decides_about_no_result_is_there():
    """A module that has moved would count again, unseen."""
    for name in provenance._WITHOUT:
        stem = ROOT.joinpath(*name.split(".")[1:])
        assert stem.with_suffix(".py").is_file() or (stem / "__init__.py").is_file(), name

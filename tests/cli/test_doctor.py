"""lognet-doctor, in this environment and in ones that lack something."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest

from lognet_fpga.cli import doctor
from lognet_fpga.errors import MissingToolError
from lognet_fpga.flow import surroundings
from lognet_fpga.machine import tools

DEMANDS = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def said(in_process, capsys):
    """said(*arguments): exit code and JSON."""

    def run(*arguments: str) -> tuple[int, dict]:
        code = in_process(doctor.main, *arguments, "--json")
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def versions(monkeypatch):
    """versions(torch="1.0", onnx=None): what is installed of these packages, None for not at all."""
    real = importlib.metadata.version

    def pretend(**given: str | None) -> None:
        def version(name: str) -> str:
            found = given.get(name, real(name) if name not in given else None)
            if found is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return found

        monkeypatch.setattr(importlib.metadata, "version", version)

    return pretend


def use_of(data: dict, name: str) -> dict:
    return next(use for use in data["uses"] if use["name"] == name)


def test_what_is_here(said):
    """The names are the parser's; versions are those of the packages' own metadata."""
    code, data = said()
    assert code == 0
    assert sorted(use["name"] for use in data["uses"]) == sorted(doctor.USES)
    found = {need["name"]: need["found"] for use in data["uses"] for need in use["needs"]}
    assert found["onnx>=1.16"] == importlib.metadata.version("onnx")
    assert use_of(data, "stream")["ready"]
    assert data["cache"]["free_bytes"] > 0


def test_every_demand_of_an_extra_is_asked_for(said):
    """But those of the tests, and of programs that may come from elsewhere."""
    _, data = said()
    names = {need["name"].split("=")[0].split(">")[0].split("<")[0] for use in data["uses"] for need in use["needs"]}
    wanted = {"numpy", "onnxruntime", "pillow", "myhdl", "da4ml", "onnx", "matplotlib", "aiohttp", "torch", "dask"}
    assert wanted | {"distributed", "opencv-python-headless", "Verilator", "Yosys", "C++ compiler", "Vivado"} <= names
    text = DEMANDS.read_text(encoding="utf-8")
    assert all(f'"{name}' in text for name in wanted)


def test_a_package_that_is_missing_and_one_that_is_too_old(said, versions):
    versions(torch=None, aiohttp="3.8.0")
    code, data = said("deploy")
    assert code == 0
    assert not use_of(data, "retrain")["ready"] and not use_of(data, "serve")["ready"] and use_of(data, "plot")["ready"]
    torch = next(need for need in use_of(data, "retrain")["needs"] if need["name"].startswith("torch"))
    assert (torch["found"], torch["present"]) == (None, None) and torch["getting"] == 'pip install "torch>=2.2"'
    aiohttp = next(need for need in use_of(data, "serve")["needs"] if need["name"].startswith("aiohttp"))
    assert (aiohttp["found"], aiohttp["present"]) == (None, "3.8.0")
    code, data = said("deploy", "retrain")
    assert code == MissingToolError.exit_code and "torch" in data["error"]["message"]
    assert use_of(data, "deploy")["ready"]


def test_programs_that_are_missing(in_process, capsys, monkeypatch, tmp_path):
    for name in ("CXX", "LOGNET_VIVADO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    tools.find_cxx.cache_clear()
    try:
        assert in_process(doctor.main, "verify") == MissingToolError.exit_code
    finally:
        tools.find_cxx.cache_clear()
    text = capsys.readouterr()
    assert "apt install g++" in text.out and "verify is not ready: C++ compiler" in text.err


def test_a_folder_that_was_never_installed(in_process, capsys, monkeypatch):
    def nothing(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(surroundings.importlib.metadata, "requires", nothing)
    assert in_process(doctor.main) == MissingToolError.exit_code
    assert 'pip install -e ".[deploy]"' in capsys.readouterr().err


def test_without_packaging_what_is_there_does(said, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "packaging.specifiers", None)
    monkeypatch.setitem(sys.modules, "packaging.markers", None)
    code, data = said()
    assert code == 0 and use_of(data, "stream")["ready"]

"""The benchmarks of the network, run small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lognet_fpga.bundle import write_bundle
from tests import small_bundle
from tests.patience import HANG_S

FOLDER = Path(__file__).parents[2] / "benchmarks"


def run(script: str, *options: str, folder: Path) -> dict:
    command = [sys.executable, str(FOLDER / script), str(folder), *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path, require_tool) -> Path:
    for name in ("aiohttp", "onnx", "onnxruntime"):
        require_tool(name)
    manifest = small_bundle.manifest(model_output=small_bundle.model_output())
    return write_bundle(small_bundle.files(), manifest, tmp_path).folder


def test_a_small_fleet_in_networks_of_its_own(folder, require_tool):
    """Nothing lost, doubled or out of order, whatever the machine has to do beside it."""
    require_tool("unshare")
    require_tool("ip")
    able = subprocess.run(["unshare", "--user", "--map-root-user", "--net", "true"], capture_output=True)
    if able.returncode or not Path("/dev/net/tun").exists():
        pytest.skip("this machine has no network namespaces for us, or no tun devices")
    options = ("--boards", "4", "--frames", "600", "--batch", "4", "--fps", "400", "--seconds", "0.1", "--delay", "0.5")
    data = run("fleet.py", *options, "--loss", "1", folder=folder)
    assert (data["lost"], data["doubled"], data["out_of_order"]) == (0, 0, 0)
    assert data["frames"] == 600 and any("set aside" in event for event in data["events"])


@pytest.mark.slow
def test_a_good_client_beside_an_attacker(folder):
    data = run("attack.py", "--turns", "1", "--seconds", "0.5", folder=folder)
    assert all(entry["attacked_fps"] > 0 for entry in data["runs"]) and len(data["runs"]) == 4

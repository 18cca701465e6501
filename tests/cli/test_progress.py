"""What a run tells while it runs: events for programs, and the parts of a report as soon as they are known."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from lognet_fpga.errors import EXIT_INTERRUPTED
from tests.cli.process import ROOT, Command
from tests.models import ModelBuilder, save


@pytest.fixture
def model(tmp_path, require_tool):
    require_tool("onnx")
    return save(
        ModelBuilder((1, 8, 8), seed=3).conv(3).relu().pool().conv(4).flatten().gemm(64, 5).model(), tmp_path, "m.onnx"
    )


def events(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_is_an_event(command: Command, model):
    done = command("inspect", model, "--progress", "json")
    found = events(done.stderr)
    stages = [(event["stage"], event["depth"], event["state"]) for event in found if event["event"] == "stage"]
    assert {state for *_, state in stages} <= {"begun", "running", "done"}
    begun = [stage[:2] for stage in stages if stage[2] == "begun"]
    assert begun and sorted(begun) == sorted(stage[:2] for stage in stages if stage[2] == "done")
    sections = [event for event in found if event["event"] == "section"]
    assert sections and {event["report"] for event in sections} == {done.stdout.splitlines()[0]}
    places = [done.stdout.index(f"\n{event['heading']}\n") for event in sections]
    assert places == sorted(places)
    for event in sections:
        assert all(cell in done.stdout for row in event["rows"] for cell in row)
    counted = next(event for event in found if event["event"] == "stage" and event["total"])
    assert 0 <= counted["done"] <= counted["total"]


def test_beside_the_result_for_programs(command: Command, model):
    done = command("inspect", model, "--json", "--progress=json")
    assert json.loads(done.stdout)["possible_layers"] >= 1
    assert any(event["event"] == "section" for event in events(done.stderr))


@pytest.mark.parametrize("options", [["--progress", "json"], ["--progress=json", "--json"]])
def test_errors_are_events(command: Command, options):
    for arguments, code in ((["/no/such.onnx"], 3), (["x.onnx", "--no-such-option"], 2)):
        done = command("inspect", *arguments, *options)
        assert done.returncode == code
        last = events(done.stderr)[-1]
        assert last["event"] == "error" and last["exit_code"] == code


def test_text_is_what_people_get(command: Command, model):
    for options in ([], ["--progress", "text"]):
        assert not command("inspect", model, *options).stderr.startswith("{")


def test_an_interrupted_run_has_said_what_it_knew(command: Command, model, tmp_path):
    np.savez(tmp_path / "f.npz", frames=np.random.default_rng(1).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8))
    arguments = (model, "--frames", tmp_path / "f.npz", "--out", tmp_path, "--progress", "json")
    run = subprocess.Popen(
        [sys.executable, "-m", "lognet_fpga.cli.deploy", *map(str, arguments)],
        env=command.environment({"PYTHONPATH": str(ROOT)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in run.stderr:
        event = json.loads(line)
        if event["event"] == "section" and event["heading"].startswith("Quantization"):
            run.send_signal(signal.SIGINT)
            break
    rest, out = run.stderr.read(), run.stdout.read()
    assert run.wait() == EXIT_INTERRUPTED and events(rest)[-1]["kind"] == "Interrupted"
    assert out.startswith("m.onnx on PYNQ-Z2\n=") and "\nPartition: " in out and "\nQuantization: " in out
    assert not list(tmp_path.glob("m.lognet*"))

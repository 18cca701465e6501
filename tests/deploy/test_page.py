"""report.html in a bundle: a page of report.json."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lognet_fpga.bundle import read_bundle
from lognet_fpga.page.deployment import deployment_page
from tests.page.parsed import Parsed


@pytest.fixture(scope="module")
def bundle(place, deployed):
    return read_bundle(place.folder / deployed["bundle"])


def test_the_page_follows_from_report_json(bundle):
    pictures = {name: content for name, content in bundle.files.items() if name.startswith("changed/")}
    assert bundle.file("report.html").decode() == deployment_page(json.loads(bundle.file("report.json")), pictures)


def test_it_has_the_figures_that_deploy_printed(bundle, deployed):
    page = Parsed(bundle.file("report.html").decode())
    assert page.unclosed == [] and page.lines[1] == "tiny.onnx on PYNQ-Z2"
    nodes = page.tables["Nodes of the model, where they run and why"][1:]
    assert [row[0] for row in nodes] == [row["node"] for row in deployed["partition"]]
    cycles = [row[7] for row in page.tables["Layers on the FPGA, by plan and estimate"][1:]]
    assert cycles == [f"{layer['cycles_per_frame']:,}" for layer in deployed["plan"]["layers"]]
    accuracy, changed = deployed["accuracy"], deployed["answers"]["changed"]
    assert f"{accuracy['deployed_top1']:.1%} of {accuracy['frames']} frames" in page.text
    assert changed["frames"] == round(accuracy["frames"] * (1 - accuracy["agreement"]))
    assert changed["lost"] - changed["gained"] == pytest.approx(
        accuracy["frames"] * (accuracy["float_top1"] - accuracy["deployed_top1"])
    )
    assert len(page.named("img")) == len(changed["shown"]) == min(12, changed["frames"])
    assert f"0 of {deployed['verification']['bits']:,} bits differ" in page.text
    assert (
        f"{accuracy['frames_calibrated']} of the {accuracy['frames']} frames" in page.text
    )  # all of them: it flatters


def test_codes_are_counted(bundle, deployed):
    vectors = bundle.arrays("vectors.npz")
    for layer in deployed["layers"]:
        activations = vectors[layer["name"]]
        assert layer["activation_codes"] == [np.sum(activations == code) for code in range(2 ** layer["out_bits"])]
    for layer, planned in zip(deployed["layers"], deployed["plan"]["layers"]):
        weights = dict(layer["weight_codes"])
        assert sum(weights.values()) - weights.get(0, 0) == planned["nonzero_weights"]
        assert weights.get(0, 0) / sum(weights.values()) == pytest.approx(layer["sparsity"])
        assert weights.keys() <= {0, *(sign * 2**power for sign in (-1, 1) for power in range(7))}


def test_the_shell_and_the_layers_are_the_whole(deployed):
    plan = deployed["plan"]
    for resource, total in plan["estimate"].items():
        parts = sum(layer["estimate"][resource] for layer in plan["layers"]) + plan["shell"][resource]
        if resource == "positions":  # of the whole: what one part has to spare, lone flip-flops of another one take
            assert total <= parts * (1 + 1e-6)
        else:
            assert parts == pytest.approx(total)
        if resource == "lone_ffs":  # bounded by the positions that they take
            assert total <= plan["estimate"]["ff"]
        else:
            assert total <= deployed["chip"]["may_take"][resource] <= deployed["chip"]["has"][resource]

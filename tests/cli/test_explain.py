"""lognet-explain on a bundle with hardware."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lognet_fpga.bundle import make_bundle, write_bundle
from lognet_fpga.bundle.explain import SIGNAL_MAP, explain, weights_of
from lognet_fpga.cli import explain as command
from lognet_fpga.codegen import generate
from lognet_fpga.errors import BundleError, UsageError
from tests import small_bundle
from tests.quant_models import Spec, folded_plan, random_graph, solved
from tests.rtl_bundle import rtl_bundle
from tests.shallow import shallow


@pytest.fixture(scope="module")
def bundle():
    return shallow(rtl_bundle)


@pytest.fixture(scope="module")
def layers(bundle):
    return json.loads(bundle.file(SIGNAL_MAP))["layers"]


def test_weights_of_every_output_are_the_layer_s(layers):
    layer, quant = layers["layer1"], small_bundle.quant_graph().layers[0]
    weights = quant.weights.reshape(len(quant.codes), -1)
    adders = layer["adders"]
    for output, row in enumerate(weights):
        node = adders["inputs"] + len(adders["adders"]) + output
        found = np.zeros(len(row), np.int64)
        for number, weight in weights_of(layer, node).items():
            found[number] = weight
        assert found.tolist() == row.tolist()


def test_bits_of_the_accumulators_are_outputs_in_order(bundle, layers):
    adders = layers["layer1"]["adders"]
    bits = sum(len(run[5]) for run in adders["nets"]["acc"])
    found = [explain(bundle, f"layer1.acc[{index}]").data for index in range(bits)]
    outputs = [data["output"] for data in found]
    assert outputs == sorted(outputs) and set(outputs) == {0, 1, 2}
    assert all(
        (data["leg"], data["bit"]) < (later["leg"], later["bit"])
        for data, later in zip(found, found[1:])
        if data["output"] == later["output"]
    )


def test_taps_are_the_window_s_inputs(bundle):
    first = explain(bundle, "layer1.taps[0]")
    assert (first.data["channel"], first.data["row"], first.data["column"]) == (0, 0, 0)
    last = explain(bundle, f"layer1.taps[{_taps(bundle) - 1}]").data
    assert (last["channel"], last["row"], last["column"]) == (2, 2, 2)


def _taps(bundle) -> int:
    text = bundle.file("verilog/layer1_adders.v").decode()
    return int(text.split("] taps")[0].rsplit("[", 1)[1].split(":")[0]) + 1


def test_names_as_tools_show_them(bundle, layers):
    net = next(name for name in layers["layer1"]["adders"]["nets"] if name.startswith("sum0_"))
    plain = explain(bundle, f"layer1.adders.{net}[0]")
    for name in (f"lognet_overlay/layer1/adders/{net}[0]", f"layer1/adders/{net}_full_adders/held_reg[0]"):
        assert explain(bundle, name) == plain
    assert "node" in plain.data and not plain.data["carry"]
    carry = next(iter(layers["layer1"]["adders"]["carries"]))
    assert explain(bundle, f"layer1.adders.{carry}[0]").data["carry"]


def test_every_net_of_the_map_is_in_the_verilog(bundle, layers):
    text = bundle.file("verilog/layer1_adders.v").decode()
    adders = layers["layer1"]["adders"]
    for net in (*adders["nets"], *adders["carries"]):
        assert f"] {net};" in text or f"] {net}," in text, net


def test_weights_in_memories():
    """Codes are where the weight memory has them, sums and beats say their channels."""
    quant = random_graph(2, (4, 6, 5), Spec(6, pool=None))
    design = shallow(generate, folded_plan([(2, 2)], solved(quant, [True])), "ab" * 32)
    bundle = make_bundle({SIGNAL_MAP: design.signals.encode()}, {"name": "memories"})
    text = " ".join(explain(bundle, "layer1.codes[13]").lines)
    assert "bit 1" in text and "output channels 1, 3, ..., 5" in text and "input channels 1, 3, ..., 3" in text
    assert "output channels 0, 2, ..., 4" in " ".join(explain(bundle, "layer1.sum0[7]").lines)
    assert "input channels 0, 2" in " ".join(explain(bundle, "layer1.x[5]").lines)


@pytest.mark.parametrize(
    "signal,said",
    [
        ("nothing", "layers are layer1"),
        ("layer9.acc[0]", "layers are layer1"),
        ("layer1.acc[100000]", "no bit"),
        ("layer1.out_data[100000]", "no bit"),
        ("layer1.adders.strobe[1]", "no net strobe"),
        ("layer1.window.word[1]", "nothing of window.word"),
        ("layer1.room", "no net room"),
        ("layer1.acc[1", "no signal"),
        ("", "no signal"),
    ],
)
def test_other_signals_are_refused_in_a_line(bundle, signal, said):
    with pytest.raises(UsageError, match=said) as caught:
        explain(bundle, signal)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"layers":{"layer1":{}}}', '{"layers":["layer1"]}'])
def test_a_damaged_map(text):
    with pytest.raises(BundleError):
        explain(make_bundle({SIGNAL_MAP: text.encode()}, {"name": "damaged"}), "layer1.acc[0]")
    with pytest.raises(BundleError, match="has no verilog/map.json"):
        explain(make_bundle({}, {"name": "old"}), "layer1.acc[0]")


def test_the_command(bundle, tmp_path, capsys, in_process):
    folder = write_bundle(bundle.files, bundle.manifest, tmp_path).folder
    assert in_process(command.main, folder, "layer1.acc[0]", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["signal"] == "layer1.adders.acc[0]" and data["output"] == 0 and data["layer"] == "conv"
    assert in_process(command.main, folder, "layer1.acc[0]") == 0
    assert "output channel 0" in capsys.readouterr().out
    assert in_process(command.main, folder, "layer1.none[0]") == 2

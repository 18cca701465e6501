"""report.html: the report's figures, for whoever cannot see too, and nothing of a user's that is markup."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

import pytest

from lognet_fpga.page.deployment import NOT_A_REPORT, deployment_page
from lognet_fpga.page.markup import element
from tests.page.parsed import Parsed
from tests.page.reports import BITSTREAM, HOSTILE, deployment, pictures


def parsed(**changes: object) -> Parsed:
    return Parsed(deployment_page(deployment(**changes), pictures()))


def test_the_verdict_says_what_a_manager_asks():
    verdict = next(line for line in parsed().lines if line.startswith("conv.onnx fits"))
    for part in ("PYNQ-Z2", "500 to 2,000 frames a second", "estimated", "host's processor", "86.4% of 1,000 frames"):
        assert part in verdict
    assert "86.5%" in verdict and "in simulation" in verdict and "nothing has run on hardware" in verdict
    assert verdict.count(".onnx") == 1 and verdict.endswith(".")


def test_the_rate_is_the_slower_part_s():
    fast = {"only_onnxruntime": [], "estimated": {"runtime": "NumPy", "frame_ms": [0.001, 0.002]}}
    assert "run at 91,575 frames a second (estimated, limited by the FPGA)" in parsed(host=fast).text
    unknown = {"only_onnxruntime": [], "estimated": None}
    assert "FPGA part should run at 91,575 frames a second (planned)" in parsed(host=unknown).text


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"accuracy": None, "answers": None}, "its accuracy is not known"),
        ({"verification": None}, "the circuit was not simulated"),
        ({"calibration": {"frames": 64, "source": "random noise"}}, "calibrated on random noise"),
        (
            {"bitstream": BITSTREAM},
            "the bitstream meets its clock by the tools' analysis, and nothing has run on hardware",
        ),
        ({"bitstream": {**BITSTREAM, "timing_met": False}}, "does NOT meet its clock"),
        ({"bitstream": {**BITSTREAM, "timing_met": False}}, "it may compute wrong results"),
        ({"bitstream": {**BITSTREAM, "experimental": True}}, "experimental toolchain"),
    ],
)
def test_what_is_missing_or_wrong_is_said_at_the_top(changes, says):
    page = deployment_page(deployment(**changes), pictures())
    top = Parsed(page[: page.index("<main>")]).text
    assert says in top


def test_figures_are_the_report_s():
    page = parsed(bitstream=BITSTREAM)
    layers = page.tables["Layers on the FPGA, by plan and estimate"]
    assert [row[0] for row in layers[1:]] == ["conv1", "conv2", "conv3"]
    assert layers[1][4:] == ["1,234", "75.0%", "fabric", "1,092", "1,000", "2,000", "1.50"]
    chip = page.tables["Resources of the PYNQ-Z2 (xc7z020clg400-1)"]
    assert chip[0][1:] == ["estimate", "placed: overlay", "placed: whole chip", "a plan may take", "the chip has"] + [
        "estimated share"
    ]
    assert chip[1][1:] == ["4,000", "-", "9,999", "45,220", "53,200", "7.5%"]
    timing = dict(row[:2] for row in page.tables["Clock, cycles, latency"][1:])
    assert timing["Cycles a frame"] == "1,092" and timing["Slack at the planned clock"] == "0.412 ns"
    assert timing["Latency, first pixel to last result"] == "1,506 cycles, 15.1 µs"
    models = page.tables["The original and the deployed model on the same frames"]
    assert models[3] == ["deployed model", "86.35%", "98.80%", "97.00%", "0.16", "0.08"]
    matrix = next(rows for caption, rows in page.tables.items() if caption.startswith("Frames by label"))
    assert matrix[3] == ["conv class 2 (2)", "·", "2", "77", *"13·2413"]
    assert "11 from right to wrong, 9 from wrong to right" in page.text and "conv2.png" in page.text
    assert "30 frames of 1,000 changed class" in page.text
    assert "75.0% of them 0" in page.text  # of the weights
    assert f"{500 / (500 + 255 * 128):.1%} are 0" in page.text  # of the activations


def test_what_joined_layers_take_is_shown():
    data = deployment()
    chain = Parsed(deployment_page(data, {})).text
    data["plan"]["layers"][2]["sources"].append({"layer": None, "stride": [2, 2]})
    joined = Parsed(deployment_page(data, {})).text
    assert "conv2, frames / 2 × 2" in joined and "takes" in joined and "conv2, frames" not in chain


def test_the_verdict_takes_what_is_nearest_to_a_chip():
    synthesis = {"total": {"lut_sites": 13300, "m_lut": 0, "ff": 0, "bram36": 0, "lut": 50000}, "parts": {}}
    assert "takes 8% of the logic (LUTs) (estimated), and" in parsed().text
    assert "takes 25% of the logic (LUTs) (counted after synthesis), and" in parsed(synthesis=synthesis).text
    both = parsed(synthesis=synthesis, bitstream=BITSTREAM)
    assert "takes 19% of the logic (LUTs) (counted after place and route), and" in both.text
    rooms = [row for row in both.tables["Figures and what they rest on"] if row[0].startswith("Room")]
    assert [row[1].split()[0] for row in rooms] == ["8%", "25%", "19%"]


def test_what_auto_chose_from_is_told():
    estimate = {"lut": 26600, "ff": 100, "bram36": 1, "m_lut": 1}
    some = {"fits": True, "pl_fps": 5000.0, "host_fps": 100.0, "host_fps_range": [90.0, 110.0], "fps": 100.0}
    some |= {"host_macs": 3, "estimate": estimate, "prune": None, "layers": 2}
    large = some | {"fits": False, "pl_fps": None, "fps": None, "prune": 0.6, "layers": 3}
    choice = {"layers": 2, "stopped_by": [], "candidates": [some, large]}
    rows = parsed(layer_choice=choice).tables["Numbers of layers: frames a second and room, estimated"][1:]
    assert rows[0] == ["PYNQ-Z2", "2", "5,000", "90 to 110", "100", "50% of the logic (LUTs)", "best"]
    assert rows[1][2:5] == ["-", "90 to 110", "-"] and rows[1][6] == "too large: prune to about 60% zeros"


def test_a_circuit_that_differs_is_not_said_to_agree():
    verified = deployment()["verification"]
    wrong = verified | {"passed": False, "differing_bits": 7, "cycles": {"intervals": [1100], "latency_cycles": 1506}}
    page = parsed(verification=wrong)
    assert "does NOT agree with its model" in page.text and "7 of 1,622,016 bits differ" in page.text
    assert "but 1,100 cycles a frame in simulation" in page.text


def test_synthesis_is_told():
    total = {"lut_sites": 4321, "m_lut": 99, "ff": 5432, "bram36": 2.5}
    paths = {"conv1": {"ns": 4.0}, "conv2": {"ns": 5.0}}
    page = parsed(synthesis={"total": total, "longest_paths": paths, "parts": {}})
    assert page.tables["Resources of the PYNQ-Z2 (xc7z020clg400-1)"][1][2] == "4,321"
    assert ["Longest path, in conv2", "5.0 ns, 200 MHz"] == page.tables["Clock, cycles, latency"][-1][:2]


def test_models_without_labels_and_without_classes():
    accuracy = deployment()["accuracy"]
    no_labels = accuracy | {f"{key}_top{n}": None for key in ("float", "weights", "deployed") for n in (1, 5)}
    page = parsed(accuracy=no_labels)
    assert "it gives the same class as the original model on 97.0% of 1,000 frames" in page.text
    figures = ("cosine", "relative_error", "equal", "comparable")
    outputs = [{"name": "boxes", **dict(zip(figures, (0.999, 0.01, 0.25, 1.0)))}]
    raw = dict.fromkeys(accuracy) | {"frames": 9, "frames_calibrated": 0, "by_layer_frames": 9, "outputs": outputs}
    raw |= {"cosine": 0.999, "by_layer": [{"layer": "conv1", "cosine": 0.999, "relative_error": 0.01}]}
    page = parsed(accuracy=raw, answers=None)
    assert "cosine 0.9990" in page.text and "Error of the outputs, relative" in page.text
    assert any(["boxes", "0.9990", "1.0%", "25.0%", "100.0%"] in rows for rows in page.tables.values())


def test_names_are_text_and_nothing_else():
    honest, hostile = parsed(), parsed(name=HOSTILE)
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in honest.tags]
    attributes = [[sorted(each.keys() - {"class"}) for _, each in page.tags] for page in (hostile, honest)]
    assert attributes[0] == attributes[1]  # class: long texts have one of their own
    assert hostile.unclosed == [] and "<script>alert(1)</script>" in hostile.text
    page = deployment_page(deployment(name=HOSTILE), pictures())
    assert not re.search("[\x00\u202e\ud800-\udfff]", page) and r"\u0000\u202e" in page and r"\udcff" in page
    page.encode()


@pytest.mark.parametrize("name", ["conv", HOSTILE])
def test_nothing_is_fetched_and_no_script_runs(name):
    page = parsed(name=name, bitstream=BITSTREAM)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form", "use"}
    for tag, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on")]
        for key in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
            value = attributes.get(key)
            assert value is None or value.startswith("data:image/bmp;base64," if tag == "img" else "#"), (tag, value)
    whole = deployment_page(deployment(), pictures())
    assert "url(" not in whole and "@import" not in whole
    (policy,) = [meta["content"] for meta in page.named("meta") if "http-equiv" in meta]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_who_does_not_see_it_has_all_of_it():
    page = parsed(bitstream=BITSTREAM)
    assert page.named("html") == [{"lang": "en"}] and page.unclosed == []
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(headings, headings[1:]))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.named("svg") and page.named("table") and page.named("img")
    for drawing in page.named("svg"):
        assert drawing["role"] == "img" and set(drawing["aria-labelledby"].split()) <= set(ids)
    assert len(page.named("title")) == 1 + len(page.named("svg")) == 1 + len(page.named("desc"))
    assert all(image["alt"] for image in page.named("img"))
    assert len(page.named("caption")) == len(page.named("table"))
    assert all(cell.get("scope") in ("row", "col") for cell in page.named("th"))
    anchors = {link["href"].removeprefix("#") for link in page.named("a")}
    assert anchors and anchors <= set(ids)


@pytest.mark.parametrize("layers, classes", [(1, 2), (8, 32), (27, 32)])
def test_it_stays_small(layers, classes):
    nodes = [
        {
            "node": f"node {n} " + "x" * 180,
            "op_type": "Conv",
            "where": "host",
            "reason": "after the cut " * 9,
            "inputs": [],
        }
        for n in range(2000)
    ]
    data = deployment(layers, classes, changed=12)
    data["partition"] += nodes
    page = deployment_page(data, pictures(12))
    assert len(page.encode()) < 300_000
    assert Parsed(page).unclosed == []


@pytest.mark.parametrize("seed", range(4))
def test_damaged_data_are_refused_or_harmless(seed):
    """As of a bundle that somebody has made by hand: one value of the report after the other becomes something else."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    odd = [None, -1, 0, 1e308, "", HOSTILE, [], {}, [[[]]], {"lut": None}, True, 2**70, "9" * 500]
    for _ in range(150):
        data = deployment(bitstream=copy.deepcopy(BITSTREAM))
        for _ in range(rng.randint(1, 3)):
            holder: Any = data
            while True:
                keys = list(holder) if isinstance(holder, dict) else range(len(holder))
                key = rng.choice(keys)
                if not isinstance(holder[key], (dict, list)) or not holder[key] or rng.random() < 0.2:
                    break
                holder = holder[key]
            holder[key] = rng.choice(odd)
        try:
            page = Parsed(deployment_page(data, pictures()))
        except NOT_A_REPORT:
            continue
        assert page.unclosed == [] and not page.named("script")
        assert all(image["src"].startswith("data:image/bmp;base64,") for image in page.named("img"))


def test_the_same_data_give_the_same_page():
    assert deployment_page(deployment(), pictures()) == deployment_page(deployment(), pictures())


def test_a_bar_is_as_long_as_its_value():
    page = deployment_page(deployment(), {})
    chart = page[page.index("Clock cycles a frame") :]
    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', chart[: chart.index("</figure>")])]
    assert widths == pytest.approx([358 * cycles / 1092 for cycles in (1092, 1085, 1078)], abs=0.06)


def test_text_is_escaped_wherever_it_is_put():
    assert element("p", "<&>\"'", title='"<') == '<p title="&quot;&lt;">&lt;&amp;&gt;&quot;&#x27;</p>'
    assert element("p", [None, 3, element("br")]) == "<p>3<br></p>"

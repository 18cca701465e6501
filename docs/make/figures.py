"""Makes the pictures of README.md, docs/figures/*.svg, of data that are in the repository.

    python docs/make/figures.py                                    # the pictures, and README's table
    python docs/make/figures.py --bundle build/demo/NAME.lognet    # the classes that the bundle gives, too

A test holds the pictures against their data: the shipped model, its test frames, docs/networks.md and
docs/figures/published.json.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lognet_fpga.page.charts import BLUE, GREY, ORANGE
from lognet_fpga.page.markup import Markup, Part, element

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "figures"
MODEL = ROOT / "models" / "cifar10_64x3"
WIDTH = 860
INK, PALE, EDGE = "#1b1f24", "#eef4fb", "#c9d1d9"
BEGIN, END = "<!-- rows of docs/networks.md, by docs/make/figures.py -->", "<!-- their end -->"
SHOWN = 10  # frames of the results
# What docs/networks.md calls the four, and what published.json calls what they do.
TASKS = {"IC": "images, CIFAR-10", "KWS": "spoken words", "VWW": "is a person there", "AD": "sounds of machines"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="the bundle of the shipped model, to classify the frames with")
    bundle = parser.parse_args().bundle
    if bundle is not None:
        (FIGURES / "results.json").write_text(json.dumps(results(bundle)) + "\n", encoding="utf-8")
    for name, text in pictures().items():
        (FIGURES / name).write_text(text, encoding="utf-8")
    page = ROOT / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8")), encoding="utf-8")


def pictures() -> dict[str, str]:
    """Name of the file: the picture."""
    return {
        "badges.svg": badges_picture(),
        "model.svg": model_picture(),
        "results.svg": results_picture(),
        "rivals.svg": rivals_picture(),
    }


def readme(page: str) -> str:
    """README.md with its table of whole networks as docs/networks.md has it."""
    return re.sub(f"{BEGIN}.*{END}", lambda _: "\n".join([BEGIN, *network_rows(), END]), page, flags=re.DOTALL)


def network_rows() -> Iterator[str]:
    """Network and board, rate, sizes, accuracy; what a row of another board leaves out is that of the same network."""
    text = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    lines = text.split("## Figures", 1)[1].split("| network | board |", 1)[1].splitlines()[2:]
    yield "| network | board | frames/s | latency, us | LUT6 sites | flip-flops | BRAM36 | DSP | float | deployed |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    before: list[str] = []
    for line in lines[: next(number for number, line in enumerate(lines) if not line.startswith("|"))]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        network, board, fps, _, latency, lut, ff, bram, *accuracy = cells
        if network == "the same":
            network, accuracy = before[0], before[1:]
        before = [network, *accuracy]
        yield f"| {' | '.join([network, board, fps, latency, lut, ff, bram, '0', *accuracy[:2]])} |"


def badges_picture() -> str:
    """What is true of the project, of pyproject.toml and the package."""
    from lognet_fpga.version import __version__

    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    python = re.search(r'requires-python = ">=([\d.]+)"', project)
    licence = re.search(r'license = \{ text = "([^"]+)" \}', project)
    pairs = [
        ("version", __version__, BLUE),
        ("Python", f"{python[1]} or newer", BLUE),
        ("licence", licence[1], BLUE),
        ("vendor tools", "none needed up to the bitstream", BLUE),
        ("run on hardware", "not yet", ORANGE),
    ]
    shapes: list[Part] = []
    x = 0.0
    for name, value, colour in pairs:
        middle, end = x + 6.3 * len(name) + 12, x + 6.3 * (len(name) + len(value)) + 24
        shapes += [
            rect(x, 0, middle, 20, "#4a525a", "#4a525a"),
            rect(middle, 0, end, 20, colour, colour),
            label((x + middle) / 2, 14, name, "#fff", anchor="middle", size=11),
            label((middle + end) / 2, 14, value, "#fff", anchor="middle", size=11),
        ]
        x = end + 8
    return svg(20, "Badges", "; ".join(f"{name}: {value}" for name, value, _ in pairs), shapes)


def results(bundle: Path) -> dict[str, list[int]]:
    """The first test frames, and the classes that the deployed model gives them."""
    import lognet_fpga as ln

    classes = ln.open_bundle(bundle).classify(MODEL / "test_frames.npz")[:SHOWN]
    return {"frames": list(range(SHOWN)), "classes": classes.tolist()}


def model_picture() -> str:
    """What becomes of the shipped model: layers on the chip, weights as shifts."""
    import onnx

    graph = onnx.load(MODEL / "model_log2.onnx").graph
    tensors = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    convolutions = [tensors[node.input[1]] for node in graph.node if node.op_type == "Conv"]
    dense = [tensors[node.input[1]] for node in graph.node if node.op_type == "Gemm"]
    boxes = [("frame", "3 x 32 x 32", "")]
    for number, weights in enumerate(convolutions, 1):
        lines = f"{np.count_nonzero(weights):,} weights", f"{np.mean(weights == 0):.0%} zeros"
        boxes.append((f"conv {number}", *lines))
    boxes += [(f"dense {number}", f"{weights.size:,} weights", "float") for number, weights in enumerate(dense, 1)]
    wide, high, top, gap = 118, 66, 62, 22
    left = (WIDTH - len(boxes) * wide - (len(boxes) - 1) * gap) / 2
    shapes: list[Part] = []
    place = [left + index * (wide + gap) for index in range(len(boxes))]
    last = len(convolutions)
    shapes += [
        rect(place[1] - 11, top - 40, place[last] + wide + 11, top + high + 16, PALE, BLUE),
        label(place[1], top - 22, "on the FPGA: shifts and adders, no multiplier", BLUE, weight="600"),
        rect(place[last + 1] - 9, top - 40, place[-1] + wide + 9, top + high + 16, "#fdf3e7", ORANGE),
        label(place[last + 1], top - 22, "on the host: onnxruntime", ORANGE, weight="600"),
    ]
    for index, (x, lines) in enumerate(zip(place, boxes)):
        shapes.append(rect(x, top, x + wide, top + high, "#fff", EDGE))
        for row, line in enumerate(filter(None, lines)):
            shapes.append(
                label(x + wide / 2, top + 22 + 18 * row, line, anchor="middle", weight=None if row else "600")
            )
        if index:
            shapes.append(arrow(x - gap, x, top + high / 2))
    # Weights of the float model's first filter, each with its code.
    from lognet_fpga.numerics.log2 import log2_codes
    from lognet_fpga.quantize.weights import search_alpha

    float_graph = onnx.load(MODEL / "model.onnx").graph
    name = next(node for node in float_graph.node if node.op_type == "Conv").input[1]
    weights = next(onnx.numpy_helper.to_array(each) for each in float_graph.initializer if each.name == name)
    row = weights.reshape(len(weights), -1)[:1].astype(np.float64)
    codes = log2_codes(row / search_alpha(row, np.ones(row.shape[1]))[:, None])[0].astype(int)
    examples = {int(code): float(weight) for weight, code in zip(row[0], codes)}  # one of each code
    chosen = sorted(examples, key=lambda code: (abs(code), code))
    chosen = [code for code in chosen if code >= 0][:1] + [code for code in chosen if code][-5:]
    y = top + high + 52
    shapes.append(
        label(
            20,
            y,
            "a weight becomes a sign and a power of two (of a unit of its channel), and a product a shift:",
            weight="600",
        )
    )
    for index, code in enumerate(chosen):
        x = 20 + (index % 3) * 280
        line = y + 26 + 22 * (index // 3)
        shift = "nothing at all" if code == 0 else f"{'-' if code < 0 else ''}(x << {int(math.log2(abs(code)))})"
        shapes.append(label(x, line, f"{examples[code]:+.4f} → {code:+d} → {shift}", mono=True))
    return svg(y + 64, "What becomes of a model", "Its convolutions go onto the FPGA, the rest to the host.", shapes)


def results_picture() -> str:
    """Test frames with the classes that the deployed model gives them."""
    from PIL import Image

    data = json.loads((FIGURES / "results.json").read_text(encoding="utf-8"))
    test = np.load(MODEL / "test_frames.npz")
    side, step = 72, WIDTH / len(data["frames"])
    shapes: list[Part] = []
    said = []
    for index, (frame, found) in enumerate(zip(data["frames"], data["classes"])):
        pixels = test["frames"][frame]
        picture = io.BytesIO()
        Image.fromarray(pixels).save(picture, "PNG")
        coded = base64.b64encode(picture.getvalue()).decode()
        x, names = index * step + (step - side) / 2, test["class_names"]
        right = found == test["labels"][frame]
        shapes += [
            element(
                "image",
                x=_n(x),
                y=4,
                width=side,
                height=side,
                href=f"data:image/png;base64,{coded}",
                style="image-rendering: pixelated",
            ),  # fmt: skip
            label(x + side / 2, side + 22, names[found], BLUE if right else ORANGE, anchor="middle", weight="600"),
            label(
                x + side / 2, side + 39, "right" if right else f"is: {names[test['labels'][frame]]}", anchor="middle"
            ),
        ]
        said.append(f"{names[found]}, {'right' if right else 'wrong'}")
    return svg(side + 48, "Test frames and the classes that the deployed model gives them", "; ".join(said), shapes)


def rivals_picture() -> str:
    """Rates on one chip: what others have measured, what is planned here."""
    rows = [(task, list(bars_of(task))) for task in TASKS.values()]
    shapes: list[Part] = []
    y, x0, x1 = 44.0, 330, 660
    most = max(fps for _, bars in rows for *_, fps, _, _ in bars)

    def x(fps: float) -> float:
        return x0 + (x1 - x0) * math.log10(max(fps, 10) / 10) / math.log10(most / 10)

    for power in range(1, int(math.log10(most)) + 1):
        shapes += [
            element("path", d=f"M{_n(x(10**power))} 32V{{bottom}}", stroke=EDGE),
            label(x(10**power), 28, f"{10**power:,}", GREY, anchor="middle", size=11),
        ]
    shapes.append(label(10, 14, "frames a second on an XC7Z020 (logarithmic), and accuracy", weight="600"))
    said = []
    for task, bars in rows:
        shapes.append(label(10, y + 10, task, weight="600"))
        y += 18
        for who, what, fps, quality, measured in bars:
            shapes += [
                label(22, y + 11, f"{who}: {what}", size=12),
                rect(x0, y, x(fps), y + 14, GREY if measured else "url(#planned)", GREY if measured else BLUE),
                label(x(fps) + 6, y + 11, f"{fps:,}, {quality}", size=12),
            ]
            said.append(f"{task}, {who}, {what}: {fps:,} frames a second, {'measured' if measured else 'planned'}")
            y += 20
        y += 8
    shapes += [
        rect(22, y, 46, y + 14, GREY, GREY),
        label(54, y + 11, "measured on a board, published in MLPerf Tiny's results", size=12),
        rect(400, y, 424, y + 14, "url(#planned)", BLUE),
        label(432, y + 11, "this toolkit: planned and simulated; no board has run it", size=12),
    ]
    pattern = element(
        "pattern",
        element("rect", width=6, height=6, fill="#fff"),
        element("path", d="M0 6L6 0M-1 1L1 -1M5 7L7 5", stroke=BLUE, stroke_width=1.5),
        id="planned", width=6, height=6, patternUnits="userSpaceOnUse",
    )  # fmt: skip
    drawn = svg(
        y + 22, "Frames a second on an XC7Z020, logarithmic", "; ".join(said), [element("defs", pattern), *shapes]
    )
    return drawn.replace("{bottom}", _n(y - 8))


def bars_of(task: str) -> Iterator[tuple[str, str, int, str, bool]]:
    """(who, network and board, frames a second, quality, whether it was measured), ours first."""
    text = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    short = next(key for key, name in TASKS.items() if name == task)
    row = re.search(rf"^\| ([^|]*) \({short}\) \| [^|]* \| ([\d,]+) \|", text, re.MULTILINE)
    judged = re.search(
        rf"^\| {re.escape(row[1])} \(MLPerf Tiny\)[^|]*\| PYNQ-Z2 \|(?:[^|]*\|){{7}} ([\d.]+%) \|", text, re.MULTILINE
    )
    quality = judged[1].strip() if judged else "accuracy not judged"
    yield "this toolkit", f"{row[1]}, log2, PYNQ-Z2", int(row[2].replace(",", "")), quality, False
    for each in json.loads((FIGURES / "published.json").read_text(encoding="utf-8")):
        if each["task"] == task:
            yield each["who"], f"{each['network']}, {each['board']}", each["fps"], each["quality"], True


def svg(height: float, title: str, described: str, shapes: Sequence[Part]) -> str:
    """The file."""
    head = [element("title", title), element("desc", described)]
    background = element("rect", width=WIDTH, height=_n(height), fill="#fff")
    drawing = element(
        "svg", *head, background, *shapes, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {_n(height)}",
        width=WIDTH, height=_n(height), font_family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif", role="img",
    )  # fmt: skip
    return re.sub(r"(</\w+>)(?=<)", r"\1\n", drawing).replace("viewbox", "viewBox") + "\n"


def label(
    x: float, y: float, words: str, fill: str = INK, *, anchor: str | None = None, weight: str | None = None,
    size: int = 13, mono: bool = False,
) -> Markup:  # fmt: skip
    family = "ui-monospace, 'DejaVu Sans Mono', monospace" if mono else None
    return element(
        "text", str(words), x=_n(x), y=_n(y), fill=fill, text_anchor=anchor, font_weight=weight, font_size=size,
        font_family=family,
    )  # fmt: skip


def rect(left: float, top: float, right: float, bottom: float, fill: str, stroke: str) -> Markup:
    sides = {"width": _n(right - left), "height": _n(bottom - top)}
    return element("rect", x=_n(left), y=_n(top), rx=3, fill=fill, stroke=stroke, **sides)


def arrow(left: float, right: float, y: float) -> Markup:
    line = f"M{_n(left + 3)} {_n(y)}H{_n(right - 4)}m-5 -4l5 4l-5 4"
    return element("path", d=line, stroke=INK, fill="none")


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


if __name__ == "__main__":
    main()

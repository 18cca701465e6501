"""report.html of a bundle: a deployment to look at, made of report.json and of the pictures that it names."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from lognet_fpga.errors import brief
from lognet_fpga.page import verdict
from lognet_fpga.page.candidates import candidate_table
from lognet_fpga.page.charts import BLUE, GREY, ORANGE, SHADES, Bar, Ids, Stack, bars, histogram, shortened, stacks
from lognet_fpga.page.document import bullets, contents, document, paragraphs, table, wide
from lognet_fpga.page.graph import Node, graph
from lognet_fpga.page.markup import Markup, Part, element, joined
from lognet_fpga.page.words import RESOURCES, Data, counted, percent, size
from lognet_fpga.report import Table

PAGE, PICTURES = "report.html", "changed/"  # in a bundle: the page, and the folder of its pictures
NOT_A_REPORT = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)
MOST_ROWS = 100  # of the table of nodes
MOST_LAYERS = 24  # with histograms
_BINS = 64  # of a histogram of activations
_CLASS = 26  # characters of a class's name
_TICKS = (-64, -16, -4, -1, 0, 1, 4, 16, 64)


def deployment_page(data: Data, pictures: Mapping[str, bytes]) -> str:
    """The page, the same text for the same data.

    data: of report.json.  pictures: those that its field `answers` names, by these names.  Raises one of NOT_A_REPORT
    where data is not what lognet-deploy writes.
    """
    ids = Ids()
    chapters = (
        ("grounds", "What each figure rests on", table(verdict.grounds(data), "Figures and what they rest on")),
        ("graph", "What runs where", _graph(ids, data)),
        ("layers", "Layer by layer", _layers(ids, data)),
        ("codes", "Weights and activations", _codes(ids, data)),
        ("accuracy", "Accuracy", _accuracy(ids, data, pictures)),
        ("chip", "The chip's budget", _chip(ids, data)),
        ("timing", "Timing", _timing(data)),
    )
    links, sections = contents(chapters)
    caveats = verdict.caveats(data)
    head = [
        element("p", verdict.sentence(data), class_="verdict"),
        bullets(caveats, class_="caveats", aria_label="Caveats") if caveats else None,
        links,
    ]
    foot = element("p", "Made by lognet-deploy from report.json of this bundle, which holds every figure in full.")
    return document(f"{data['model']} on {data['chip']['title']}", head, sections, foot)


def node_table(nodes: list[Data]) -> list[Part]:
    """Every node with its place and the reason, up to MOST_ROWS."""
    rows = tuple((row["node"], row["op_type"], row["where"], row["reason"]) for row in nodes[:MOST_ROWS])
    left = len(nodes) - len(rows)
    return [
        table(Table(("node", "operator", "where", "why"), rows), "Nodes of the model, where they run and why"),
        element("p", f"{left:,} more nodes are in the JSON.") if left > 0 else None,
    ]


def node_graph(ids: Ids, nodes: list[Data]) -> Markup:
    """The graph, and the table beside it."""
    drawn = graph(ids, [Node.of(node) for node in nodes])
    return element("div", drawn, element("div", node_table(nodes)), class_="beside")


def _graph(ids: Ids, data: Data) -> list[Part]:
    stopped = [
        f"What keeps further layers from the FPGA: {problem['node']} ({problem['op_type']}): {problem['why']}"
        for problem in data["layer_choice"]["stopped_by"]
    ]
    choice = data["layer_choice"]
    choices = [(data["chip"], each, each["layers"] == choice["layers"]) for each in choice["candidates"]]
    chosen = None
    if choices:
        chosen = [element("h3", "How many layers: what was chosen from (--fpga-layers auto)"), candidate_table(choices)]
    return [paragraphs(stopped), node_graph(ids, data["partition"]), chosen]


def _layers(ids: Ids, data: Data) -> list[Part]:
    plan, layers = data["plan"], data["layers"]
    planned, names = plan["layers"], [layer["name"] for layer in layers]
    slowest = max(layer["cycles_per_frame"] for layer in planned)
    cycles = [
        Bar(
            layer["name"],
            layer["cycles_per_frame"],
            f"{layer['cycles_per_frame']:,} cycles",
            colour=ORANGE if layer["cycles_per_frame"] == slowest else BLUE,
        )
        for layer in planned
    ]
    drawn = [
        bars(ids, "Clock cycles a frame", cycles, "planned; the slowest layer, in orange, sets the rate of all"),
        *(
            bars(
                ids,
                RESOURCES[key],
                [
                    *(
                        Bar(layer["name"], layer["estimate"][key], _amount(key, layer["estimate"][key]))
                        for layer in planned
                    ),
                    Bar("shell (AXI, registers)", plan["shell"][key], _amount(key, plan["shell"][key]), colour=GREY),
                ],
                "estimated",
            )
            for key in ("lut", "ff", "bram36")
            if key != "bram36" or plan["estimate"][key]
        ),
    ]
    lost = _lost(data["accuracy"])
    if lost is not None:
        drawn.append(bars(ids, *lost))
    chosen = data.get("act_bits")  # which older reports do not have
    if chosen is not None and any(layer["error_added"] is not None for layer in chosen["layers"]):
        drawn.append(bars(ids, *_rounding(chosen)))
    drawn.append(
        bars(
            ids,
            "Error of the weights (NMSE)",
            [Bar(layer["name"], layer["nmse"], f"{layer['nmse']:.4f}") for layer in layers],
            "squared error of the log2 weights, relative to the squares of the float ones",
        )
    )
    rows = tuple(
        (
            name,
            size(layer["in_shape"]),
            size(layer["out_shape"]),
            f"{layer['in_bits']}\u00a0→\u00a0{layer['out_bits']}",
            its["nonzero_weights"],
            percent(layer["sparsity"]),
            "fabric" if its["weights"] == "clb" else "block RAM" if its["weights"] == "bram" else its["weights"],
            its["cycles_per_frame"],
            round(its["estimate"]["lut"]),
            round(its["estimate"]["ff"]),
            float(its["estimate"]["bram36"]),
        )
        for name, layer, its in zip(names, layers, planned)
    )
    columns: tuple[str, ...] = ("layer", "input", "output", "bits", "weights", "zeros", "weights in", "cycles a frame")
    if any(len(its.get("sources", ())) > 1 for its in planned):  # which older reports do not have
        columns = ("layer", "takes", *columns[1:])
        rows = tuple((name, _taken(its), *row) for (name, *row), its in zip(rows, planned))
    return [
        element("div", drawn, class_="charts"),
        table(Table((*columns, "LUT", "FF", "BRAM36"), rows), "Layers on the FPGA, by plan and estimate"),
        element(
            "p", "Sizes: channels × height × width. Weights: those other than zero; a zero costs nothing in the fabric."
        ),
    ]


def _rounding(chosen: Data) -> tuple[str, list[Bar], str]:
    """(title, bars, note) of what the bits of each layer's activations cost, where they were chosen."""
    rows = [
        Bar(
            layer["name"],
            layer["error_added"],
            f"{percent(layer['error_added'])}, {layer['bits']} bits",
            colour=ORANGE if layer["hurts"] else BLUE,
        )
        for layer in chosen["layers"]
        if layer["error_added"] is not None
    ]
    note = f"share of the squared error with 8 bits; all together may add {percent(chosen['budget'])}"
    hurting = any(layer["hurts"] for layer in chosen["layers"])
    return "Error added by rounding activations", rows, note + "; in orange: 4 bits would take it all" * hurting


def _lost(accuracy: Data | None) -> tuple[str, list[Bar], str] | None:
    """(title, bars, note) of what each layer loses; None where that is not known."""
    if accuracy is None:
        return None
    steps = [step for step in accuracy["by_layer"] if step["layer"] is not None]
    on = f"counted on {counted(accuracy['by_layer_frames'], 'frame')}, each layer added to those before it"
    if steps and steps[0].get("lost") is not None:
        rows = [
            Bar(
                step["layer"],
                step["lost"],
                f"{step['lost']:.2f} ± {step['lost_error']:.2f}",
                step["lost_error"],
                ORANGE,
            )
            for step in steps
        ]
        what = "top-1 accuracy" if steps[0]["top1"] is not None else "agreement"
        return f"Points of {what} lost, with standard error", rows, on
    known = [step for step in steps if step.get("relative_error") is not None]
    if not known:
        return None
    rows = [Bar(step["layer"], step["relative_error"], percent(step["relative_error"]), 0.0, ORANGE) for step in known]
    return "Error of the outputs, relative", rows, on


def _codes(ids: Ids, data: Data) -> list[Part]:
    frames = "frames of random noise" if data["calibration"]["source"] == "random noise" else "frames"
    intro = (
        "A weight is a code of four bits: 0, or a sign and a power of two from 1 to 64, times a scale of its output "
        f"channel. Activations are whole numbers; they are counted on the bundle's test {frames} (vectors.npz), behind "
        "ReLU and pool."
    )
    layers, drawn = data["layers"][:MOST_LAYERS], []
    for layer in layers:
        drawn += [_weights(ids, layer), _activations(ids, layer)]
    left = len(data["layers"]) - len(layers)
    more = element("p", f"The counts of {left:,} more layers are in report.json.") if left else None
    return [element("p", intro), element("div", drawn, class_="charts"), more]


def _weights(ids: Ids, layer: Data) -> Markup:
    counts = {int(code): int(count) for code, count in layer["weight_codes"]}
    powers = [2**power for power in range(7)]
    codes = [*(-power for power in reversed(powers)), 0, *powers]
    total = sum(counts.values()) or 1
    said = "share of the weights by code: " + ", ".join(f"{code}: {counts.get(code, 0) / total:.1%}" for code in codes)
    return histogram(
        ids,
        f"{layer['name']}: share of weights by code",
        [counts.get(code, 0) / total for code in codes],
        [(place, f"{code}".replace("-", "−")) for place, code in enumerate(codes) if code in _TICKS],
        said,
        f"{total:,} weights, {percent(counts.get(0, 0) / total)} of them 0; one LSB is {_alphas(layer)}",
        axis="code",
    )


def _alphas(layer: Data) -> str:
    least, most = f"{layer['alpha_min']:.3g}", f"{layer['alpha_max']:.3g}"
    return least if least == most else f"{least} to {most} by channel"


def _activations(ids: Ids, layer: Data) -> Part:
    if layer["activation_codes"] is None:
        return element("p", f"Its sums leave the FPGA whole, with {layer['out_bits']} bits.")
    counts = [int(count) for count in layer["activation_codes"]]
    total, top = sum(counts) or 1, len(counts) - 1
    width = max(1, len(counts) // _BINS)
    shares = [sum(counts[start : start + width]) / total for start in range(0, len(counts), width)]
    shares[0] -= counts[0] / total
    used = [code for code, count in enumerate(counts) if count]
    said = (
        f"codes 0 to {top}; {counts[0] / total:.1%} are 0, {counts[-1] / total:.2%} are {top}; the largest that occurs "
        f"is {max(used, default=0)}"
    )
    ticks = [
        (code // width, str(code)) for code in sorted({0, (top + 1) // 4, (top + 1) // 2, 3 * (top + 1) // 4, top})
    ]
    return histogram(
        ids,
        f"{layer['name']}: share of activations by code, without 0",
        [max(0.0, share) for share in shares],
        ticks,
        said,
        f"{percent(counts[0] / total)} are 0, not drawn; {percent(counts[-1] / total, 2)} are at or above {top}",
        colour="#1f6f5c",
        axis=f"code, {width} a bar" if width > 1 else "code",
    )


def _accuracy(ids: Ids, data: Data, pictures: Mapping[str, bytes]) -> list[Part]:
    accuracy, answers = data["accuracy"], data["answers"]
    if accuracy is None:
        return [element("p", "Not known: it is counted on the frames of --eval, or of --frames.")]
    if accuracy["agreement"] is None:
        return [_outputs(accuracy)]
    rows = [
        _judged("original model (float)", accuracy, "float", 1.0, None, None),
        *(
            _judged(name, accuracy, key, accuracy[agreement], accuracy[lost], accuracy[error])
            for name, key, agreement, lost, error in (
                ("with log2 weights", "weights", "weights_agreement", "weights_lost", "weights_lost_error"),
                ("deployed model", "deployed", "agreement", "lost", "lost_error"),
            )
        ),
    ]
    columns = ("model", "top-1", "top-5", "AUC", "class as original", "points lost", "standard error")
    used = [place for place in range(len(columns)) if any(row[place] is not None for row in rows)]
    low, high = (accuracy["lost"] + sign * 2 * accuracy["lost_error"] for sign in (-1, 1))
    parts: list[Part] = [
        element(
            "p",
            f"Counted on {counted(accuracy['frames'], 'frame')}. With this many the true loss lies between {low:.2f} "
            f"and {high:.2f} points in 19 of 20 cases.",
        ),
        table(
            Table(tuple(columns[place] for place in used), tuple(tuple(row[place] for place in used) for row in rows)),
            "The original and the deployed model on the same frames",
        ),
    ]
    if answers is not None:
        parts += [*_confusion(answers), *_changed(answers, accuracy, pictures)]
    return parts


def _judged(
    name: str, accuracy: Data, key: str, agreement: float, lost: float | None, error: float | None
) -> tuple[object, ...]:
    top1, top5, auc = (accuracy[f"{key}_{figure}"] for figure in ("top1", "top5", "auc"))
    shares = [None if share is None else percent(share, 2) for share in (top1, top5)]
    return name, *shares, None if auc is None else f"{auc:.4f}", percent(agreement, 2), lost, error


def _outputs(accuracy: Data) -> Markup:
    rows = tuple(
        (
            output["name"],
            None if output["cosine"] is None else f"{output['cosine']:.4f}",
            percent(output["relative_error"]),
            percent(output["equal"]),
            percent(output["comparable"]),
        )
        for output in accuracy["outputs"]
    )
    columns = ("output", "cosine", "relative error", "equal frames", "comparable frames")
    caption = (
        f"Outputs beside the original model's, {counted(accuracy['frames'], 'frame')}; no classes are read from them"
    )
    return table(Table(columns, rows), caption)


def _confusion(answers: Data) -> list[Part]:
    truth = "label" if answers["truth"] == "labels" else "class by the original model"
    parts: list[Part] = [element("h3", "Which classes it confuses")]
    matrix = answers["confusion"]
    if matrix is not None:
        parts.append(_matrix(matrix, answers, truth))
    if not answers["confused"]:
        return [*parts, element("p", "None on these frames.")]
    rows = tuple(
        (
            f"{_class(answers, pair['truth'])} taken for {_class(answers, pair['class'])}",
            pair["frames"],
            *([pair["float_frames"]] if answers["truth"] == "labels" else []),
        )
        for pair in answers["confused"]
    )
    both = answers["truth"] == "labels"
    columns = ("confusion", "frames, deployed", "frames, original") if both else ("confusion", "frames")
    caption = "Most frequent confusions of the deployed model" + (", beside the original model's" if both else "")
    parts.append(table(Table(columns, rows), caption))
    return [parts[0], element("div", parts[1:], class_="pair")]


def _matrix(matrix: list[list[int]], answers: Data, truth: str) -> Markup:
    """Rows: true classes; columns: classes of the deployed model."""
    worst = max((n for row, line in enumerate(matrix) for place, n in enumerate(line) if place != row), default=0)

    def cell(row: int, place: int, frames: int) -> Markup:
        kind = None
        if frames:
            kind = "right" if row == place else "many" if 2 * frames > worst else "some"
        return element("td", f"{frames:,}" if frames else "·", class_=kind)

    caption = f"Frames by {truth} (rows) and class by the deployed model (columns)"
    numbers = range(len(matrix))
    head = element("tr", element("th", truth, scope="col"), [element("th", str(n), scope="col") for n in numbers])
    body = [
        joined(
            [
                element(
                    "tr",
                    element("th", _class(answers, row), scope="row", class_="name"),
                    [cell(row, place, frames) for place, frames in enumerate(line)],
                ),
                "\n",
            ]
        )
        for row, line in enumerate(matrix)
    ]
    content = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", head),
        element("tbody", body),
        class_="matrix",
    )
    return wide(content, caption)


def _class(answers: Data, number: int) -> str:
    names = answers["class_names"]
    if not names or not 0 <= number < len(names):
        return f"class {number}"
    return f"{shortened(names[number], _CLASS)} ({number})"


def _changed(answers: Data, accuracy: Data, pictures: Mapping[str, bytes]) -> list[Part]:
    changed = answers["changed"]
    line = f"{counted(changed['frames'], 'frame')} of {accuracy['frames']:,} changed class"
    if changed["lost"] is not None:
        line += f": {changed['lost']:,} from right to wrong, {changed['gained']:,} from wrong to right"
    shown = changed["shown"]
    if len(shown) < changed["frames"]:
        line += f"; {len(shown)} of them are shown here"
    items = []
    for frame in shown:
        name = f"frame {frame['frame']}" + (f", {brief(frame['name'])}" if frame["name"] else "")
        before, after = _class(answers, frame["float_class"]), _class(answers, frame["deployed_class"])
        content = pictures.get(frame["picture"]) if frame["picture"] else None
        source = None if content is None else f"data:image/bmp;base64,{b64encode(content).decode()}"
        items.append(
            element(
                "li",
                None if source is None else element("img", src=source, alt=f"picture of {name}"),
                element("strong", name),
                element("br"),
                f"was {before}, now {after}",
                None if frame["label"] is None else [element("br"), f"label {_class(answers, frame['label'])}"],
            )
        )
    return [
        element("h3", "Frames that changed class"),
        element("p", f"{line}."),
        element("ul", items, class_="pictures") if items else None,
    ]


def _taken(layer: Data) -> str:
    """What a planned layer's input is made of."""
    return ", ".join(
        ("frames" if source["layer"] is None else source["layer"])
        + ("" if list(source["stride"]) == [1, 1] else " / {} × {}".format(*source["stride"]))
        for source in layer["sources"]
    )


def _chip(ids: Ids, data: Data) -> list[Part]:
    chip, plan, synthesis, bitstream = data["chip"], data["plan"], data["synthesis"], data["bitstream"]
    parts = [*((layer["name"], layer["estimate"]) for layer in plan["layers"]), ("shell", plan["shell"])]
    if len(parts) > len(SHADES):  # more than can be told apart: the largest ones
        largest = sorted(parts, key=lambda part: -part[1]["lut"])[: len(SHADES) - 1]
        kept = [part for part in parts if part in largest]
        rest = {key: sum(used[key] for name, used in parts if (name, used) not in kept) for key in RESOURCES}
        parts = [*kept, (f"{len(parts) - len(kept)} others", rest)]
    colours = {name: SHADES[place] for place, (name, _) in enumerate(parts)}
    rows = []
    for key, title in RESOURCES.items():
        has, used = chip["has"][key], plan["estimate"][key]
        if has:
            rows.append(
                Stack(
                    title,
                    f"{used / has:.0%}",
                    [(name, its[key] / has) for name, its in parts],
                    chip["may_take"][key] / has,
                )
            )
    total = None if synthesis is None else synthesis["total"]
    placed = None if bitstream is None else bitstream["figures"]
    columns = ["resource", "estimate"]
    columns += ["Yosys"] if total else []
    columns += ["placed: overlay", "placed: whole chip"] if placed else []
    columns += ["a plan may take", "the chip has", "estimated share"]
    lines = []
    for key, title in RESOURCES.items():
        has, used = chip["has"][key], plan["estimate"][key]
        line: list[object] = [title, _number(key, used)]
        line += [_number(key, total.get("lut_sites" if key == "lut" else key))] if total else []
        line += [_number(key, (placed[part] or {}).get(key)) for part in ("overlay", "total")] if placed else []
        share = percent(used / has if has else None)
        lines.append((*line, _number(key, chip["may_take"][key]), _number(key, has), share))
    note = f"shares of {chip['part']}, by estimate; red mark: what a plan may take"
    return [
        element(
            "div",
            stacks(ids, f"Budget of the {chip['title']}", rows, colours, note),
            table(Table(tuple(columns), tuple(lines)), f"Resources of the {chip['title']} ({chip['part']})"),
            class_="beside",
        ),
        element(
            "p",
            "LUT: LUT6 sites, as a placed design fills them. What a plan leaves is for DMA and interconnect, for what "
            "estimates are off by, and for placement and routing.",
        ),
    ]


def _number(resource: str, value: float | None) -> float | None:
    """Block memories come in halves; of all else estimates are no whole numbers, and are shown as such."""
    if value is None:
        return None
    return float(value) if resource == "bram36" else round(value)


def _amount(resource: str, value: float) -> str:
    return f"{value:,.1f}" if resource == "bram36" else f"{value:,.0f}"


def _timing(data: Data) -> list[Part]:
    plan, verified = data["plan"], data["verification"]
    synthesis, bitstream = data["synthesis"], data["bitstream"]
    clk_mhz = plan["clk_mhz"]
    rows: list[tuple[object, ...]] = [
        ("Clock", f"{clk_mhz:g} MHz", "planned"),
        ("Cycles a frame", f"{plan['cycles_per_frame']:,}", "planned"),
        (
            "Latency, first pixel to last result",
            f"{plan['latency_cycles']:,} cycles, {plan['latency_cycles'] / clk_mhz:,.1f} µs",
            "planned",
        ),
    ]
    if verified is not None:
        cycles = verified["cycles"]
        seen = ", ".join(f"{count:,}" for count in sorted(set(cycles["intervals"])))
        rows += [
            ("Cycles a frame", seen, "simulated (Verilator)"),
            (
                "Latency, first pixel to last result",
                f"{cycles['latency_cycles']:,} cycles, {cycles['latency_cycles'] / clk_mhz:,.1f} µs",
                "simulated (Verilator)",
            ),
        ]
    if synthesis is not None and synthesis.get("longest_paths"):
        part, path = max(synthesis["longest_paths"].items(), key=lambda item: item[1]["ns"])
        rows.append(
            (
                f"Longest path, in {part}",
                f"{path['ns']:.1f} ns, {1e3 / path['ns']:.0f} MHz",
                "estimated from Yosys' netlist, before placement",
            )
        )
    if bitstream is not None:
        figures = bitstream["figures"]
        timing = figures["timing"]
        tools = ", ".join(f"{tool} {version}" for tool, version in sorted(bitstream["versions"].items()))
        basis = f"analysed after place and route ({tools})"
        rows += [
            ("Fastest clock by the longest path", f"{figures['fmax_mhz']:.1f} MHz", basis),
            ("Slack at the planned clock", f"{timing['slack_ns']:.3f} ns", basis),
            ("Timing", "met" if bitstream["timing_met"] else "NOT MET, and allowed by the user", basis),
        ]
        if figures.get("power") is not None:
            power = figures["power"]
            rows.append(
                (
                    "Power, whole chip",
                    f"{power['total_w']:.3f} W, {power['static_w']:.3f} W of it static",
                    "estimated by the tool; not measured",
                )
            )
    notes = [] if bitstream is not None else ["What clock a chip reaches shows only after placement and routing."]
    return [table(Table(("figure", "value", "what it is"), tuple(rows)), "Clock, cycles, latency"), paragraphs(notes)]

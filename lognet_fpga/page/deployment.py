"""report.html of a bundle: a deployment to look at, made of report.json and of the pictures that it names."""

from __future__ import annotations

from collections.abc import Mapping

from lognet_fpga.page import verdict
from lognet_fpga.page.accuracy import accuracy_part
from lognet_fpga.page.candidates import candidate_table
from lognet_fpga.page.charts import SHADES, Ids, Stack, stacks
from lognet_fpga.page.document import bullets, contents, document, paragraphs, table
from lognet_fpga.page.graph import Node, graph
from lognet_fpga.page.layers import codes_part, layers_part
from lognet_fpga.page.markup import Markup, Part, element
from lognet_fpga.page.words import RESOURCES, Data, percent
from lognet_fpga.report import Table

PAGE, PICTURES = "report.html", "changed/"  # in a bundle: the page, and the folder of its pictures
NOT_A_REPORT = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)
MOST_ROWS = 100  # of the table of nodes


def deployment_page(data: Data, pictures: Mapping[str, bytes]) -> str:
    """The page, the same text for the same data.

    data: of report.json.  pictures: those that its field `answers` names, by these names.  Raises one of NOT_A_REPORT
    where data is not what lognet-deploy writes.
    """
    ids = Ids()
    chapters = (
        ("grounds", "What each figure rests on", table(verdict.grounds(data), "Figures and what they rest on")),
        ("graph", "What runs where", _graph(ids, data)),
        ("layers", "Layer by layer", layers_part(ids, data)),
        ("codes", "Weights and activations", codes_part(ids, data)),
        ("accuracy", "Accuracy", accuracy_part(data, pictures)),
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

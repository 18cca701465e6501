"""The page of lognet-inspect: what would become of a model, made of the command's JSON."""

from __future__ import annotations

from typing import Any

from lognet_fpga.page.candidates import candidate_table
from lognet_fpga.page.charts import BLUE, GREY, ORANGE, Bar, Ids, bars
from lognet_fpga.page.deployment import node_graph
from lognet_fpga.page.document import contents, document, paragraphs, table
from lognet_fpga.page.markup import Part, element
from lognet_fpga.page.words import RESOURCES, Data, counted, fullest, percent, rate, size
from lognet_fpga.report import Table


def inspection_page(data: Data) -> str:
    """The page, the same text for the same data: the JSON of lognet-inspect, its field `error` included."""
    ids = Ids()
    chapters = [
        ("boards", "Boards: how many layers fit, and how fast", _boards(ids, data)),
        ("graph", "What would run where", _graph(ids, data)),
        ("obstacles", "What stands in the way of more layers", _obstacles(data)),
        ("layers", "Layers that the FPGA could take", _layers(ids, data)),
        ("host", "The host's part", _host(data)),
    ]
    links, sections = contents(chapters)
    error = data["error"]
    refused = (
        None if error is None else element("p", f"lognet-deploy would refuse: {error['message']}", class_="caveats")
    )
    foot = element("p", "Made by lognet-inspect; with --json it gives every figure in full.")
    head = [element("p", sentence(data), class_="verdict"), refused, links]
    return document(f"{data['model']}: an inspection", head, sections, foot)


def sentence(data: Data) -> str:
    """What would become of the model, in one sentence."""
    name, layers = data["model"], data["conv_layers"]
    if not data["possible_layers"]:
        return f"No {_word(data)} of {name} can go onto an FPGA as it is; nothing was built."
    can = f"{data['possible_layers']} of {counted(layers, _word(data))} of {name} can go onto an FPGA"
    best = [(board, _best(board)) for board in data["boards"]]
    fit = [(board, candidate) for board, candidate in best if candidate is not None]
    if not fit:
        return f"{can} by their operators, but by estimate no board looked at has room for any; nothing was built."
    board, candidate = max(fit, key=lambda pair: pair[1]["fps"] or 0)
    fps = candidate["fps"]
    fast = "at a rate that is not known" if fps is None else f"at about {rate(fps)} frames a second"
    there = f"the {board['chip']['title']}, with {counted(candidate['layers'], 'layer')} on the FPGA {fast}"
    where = f"it would run on {there}"
    if len(best) > 1:
        where = f"{len(fit)} of {len(best)} boards have room, and it would be fastest on {there}"
    return f"{can}; {where}; all of this is estimated, and nothing was built."


def _word(data: Data) -> str:
    """What the layers are called, as in partition.walk.layer_word."""
    return "layer" if data["dense_layers"] else "convolution layer"


def _best(board: Data) -> Data | None:
    return next((each for each in board["candidates"] if each["layers"] == board["best_layers"]), None)


def _boards(ids: Ids, data: Data) -> list[Part]:
    if not data["boards"]:
        return [element("p", "No layer can go, so no board was looked at.")]
    best = [(board["chip"], _best(board)) for board in data["boards"]]
    rates, rooms = [], []
    for chip, candidate in best:
        if candidate is None:
            rates.append(Bar(chip["title"], 0, "nothing fits", colour=GREY))
            continue
        limit = "" if candidate["host_fps"] is None else _limit(candidate)
        shown = "not known" if candidate["fps"] is None else f"{rate(candidate['fps'])} frames/s{limit}"
        rates.append(Bar(chip["title"], candidate["fps"] or 0, shown, colour=ORANGE if limit else BLUE))
        shares = [candidate["estimate"][key] / chip["has"][key] for key in RESOURCES if chip["has"][key]]
        rooms.append(Bar(chip["title"], max(shares), fullest(candidate["estimate"], chip["has"])))
    note = (
        "of the best number of layers; orange: the host's part, on the board's own processor or a PC, is the slower one"
    )
    drawn = [bars(ids, "Frames a second, FPGA and host together", rates, f"estimated, {note}")]
    if rooms:
        drawn.append(bars(ids, "Share of the most used resource", rooms, "estimated, of the best number of layers"))
    choices = [
        (board["chip"], each, each["layers"] == board["best_layers"])
        for board in data["boards"]
        for each in board["candidates"]
    ]
    return [
        element("div", drawn, class_="charts"),
        candidate_table(choices),
        element("p", "Estimated, before quantization and adder sharing. FPGA and host work side by side."),
    ]


def _limit(candidate: Data) -> str:
    return ", host" if candidate["pl_fps"] is not None and candidate["host_fps"] < candidate["pl_fps"] else ""


def _graph(ids: Ids, data: Data) -> list[Part]:
    cut, left = data["cut"], data["left_out"]
    lines = [
        f"The model would be cut behind layer {cut['layers']}, at {cut['tensor']}."
        if cut
        else "There is no cut as asked for: the whole model would run on the host."
    ]
    if left:
        lines.append(f"Outputs that would be left out: {', '.join(left)}.")
    return [paragraphs(lines), node_graph(ids, data["operators"])]


def _obstacles(data: Data) -> Part:
    rows = tuple(
        (each["node"], each["op_type"], ", ".join(map(str, each["layers"])), each["why"], each["remedy"])
        for each in data["obstacles"]
    )
    if not rows:
        return element("p", f"Nothing: every {_word(data)} in sequence can go by its operators.")
    columns = ("node", "operator", "with layers", "why", "what would help")
    return table(Table(columns, rows), "Obstacles, and what would help")


def _layers(ids: Ids, data: Data) -> list[Part]:
    layers = data["layers"]
    if not layers:
        return [element("p", "None.")]
    drawn = []
    if all(layer["macs"] is not None for layer in layers):
        macs = [Bar(layer["name"], layer["macs"], f"{layer['macs']:,}") for layer in layers]
        drawn.append(bars(ids, "Multiply-accumulates a frame", macs))
    weights = [Bar(layer["name"], layer["weights"], f"{layer['weights']:,}") for layer in layers]
    zeros = [Bar(layer["name"], *_zeros(layer)) for layer in layers]
    drawn += [
        bars(ids, "Weights", weights),
        bars(ids, "Share of zero weights", zeros, "as log2 codes, where known; a zero costs nothing in the fabric"),
    ]
    rows = tuple(
        (
            layer["name"],
            size(layer["kernel"]),
            size(layer["stride"]),
            size(layer["in_shape"]),
            size(layer["out_shape"]),
            layer["weights"],
            percent(layer["zeros"]),
            percent(layer["zeros_log2"]),
            layer.get("act_bits"),  # which older reports do not have
            layer["macs"],
            percent(layer["macs_share"]),
        )
        for layer in layers
    )
    columns = (
        *("layer", "kernel", "stride", "input", "output", "weights", "zeros", "zeros as log2", "bits"),
        *("MACs", "of model"),
    )
    return [
        element("div", drawn, class_="charts"),
        table(
            Table(columns, rows),
            "Sizes (channels × height × width), weights, bits of the activations that sizes are estimated with, and "
            "multiply-accumulates (MACs) a frame",
        ),
    ]


def _zeros(layer: dict[str, Any]) -> tuple[float, str]:
    share = layer["zeros"] if layer["zeros_log2"] is None else layer["zeros_log2"]
    return share, percent(share)


def _host(data: Data) -> Part:
    host = data["host"]
    macs = (
        "Multiply-accumulates not known" if host["macs"] is None else f"{host['macs']:,} multiply-accumulates a frame"
    )
    share = host["fpga_macs_share"]
    does = "" if share is None else f"; the FPGA would do {percent(share)} of the model's"
    return element("p", f"{macs}{does}; {host['parameters']:,} parameters.")

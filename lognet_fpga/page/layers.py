"""A deployment's layers on its page: bars, a table, histograms of weights and activations."""

from __future__ import annotations

from lognet_fpga.page.charts import BLUE, GREY, ORANGE, Bar, Ids, bars, histogram
from lognet_fpga.page.document import table
from lognet_fpga.page.markup import Markup, Part, element
from lognet_fpga.page.words import RESOURCES, Data, amount, counted, percent, size
from lognet_fpga.report import Table

MOST_LAYERS = 24  # with histograms
_BINS = 64  # of a histogram of activations
_TICKS = (-64, -16, -4, -1, 0, 1, 4, 16, 64)


def layers_part(ids: Ids, data: Data) -> list[Part]:
    """Cycles, resources and errors of every layer."""
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
                        Bar(layer["name"], layer["estimate"][key], amount(key, layer["estimate"][key]))
                        for layer in planned
                    ),
                    Bar("shell (AXI, registers)", plan["shell"][key], amount(key, plan["shell"][key]), colour=GREY),
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
        element("p", "Sizes: channels × height × width. Weights: nonzero ones; a zero costs nothing in the fabric."),
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


def _taken(layer: Data) -> str:
    """What a planned layer's input is made of."""
    return ", ".join(
        ("frames" if source["layer"] is None else source["layer"])
        + ("" if list(source["stride"]) == [1, 1] else " / {} × {}".format(*source["stride"]))
        for source in layer["sources"]
    )


def codes_part(ids: Ids, data: Data) -> list[Part]:
    """How often each code occurs, in weights and activations."""
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

"""A study's figures as SVG; the same study gives the same bytes."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lognet_fpga.errors import MissingToolError
from lognet_fpga.study.experiments import LAYER_BITS
from lognet_fpga.study.nmse import heat_map
from lognet_fpga.study.schemes import CHOICES
from lognet_fpga.study.simulations import Study
from lognet_fpga.study.tables import CHOICE_WORDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"linear": "#c0392b", "log": "#1f618d", "lloyd": "#7f8c8d", "equal": "#85c1e9"}
_NAMES = {"linear": "linear", "log": "log2", "lloyd": "Lloyd", "equal": "log2, as many zeros as linear"}
_ROW = 0.26  # inches a layer


def plots(study: Study) -> dict[str, str]:
    """Heading -> SVG, in the order of the report.  Raises MissingToolError without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingToolError(
            "matplotlib is not installed; the plots need it",
            hint="pip install 'lognet-fpga[plot]'; the figures are in the CSV files all the same",
        )
    largest = study.boundaries.weights.layer
    drawn = {
        "Error by resolution (Fig. 2)": _svg(study, _heat_maps),
        f"Levels and boundaries at {LAYER_BITS} bits over the weights of {largest} (Fig. 1a)": _svg(study, _boundaries),
    }
    if study.layers:
        drawn["Distribution of each layer's weights (Fig. 3)"] = _svg(study, _distributions)
        drawn[f"One layer at {LAYER_BITS} bits (Fig. 3)"] = _svg(study, _layers)
        drawn["Accuracy lost"] = _svg(study, _accuracy)
    return drawn


def _svg(study: Study, draw: Callable[[Figure, Study], None]) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "lognet", "font.size": 8, "font.sans-serif": ["DejaVu Sans"]}
    ):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure, study)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _heat_maps(figure: Figure, study: Study) -> None:
    for axes, choice in zip(figure.subplots(1, 2, sharey=True), CHOICES):
        layers, bits, values = heat_map(study.errors, choice)
        figure.set_size_inches(9, max(2.4, 1.2 + _ROW * len(layers)))
        image = axes.imshow(100 * values, cmap="RdBu", vmin=-15, vmax=15, aspect="auto")
        axes.set_xticks(range(len(bits)), bits)
        axes.set_yticks(range(len(layers)), [_short(layer) for layer in layers])
        axes.set_xlabel("bits")
        axes.set_title(f"range by {CHOICE_WORDS[choice]}; blue: log2 better", fontsize=8)
        for row, column in np.ndindex(*values.shape):
            share = 100 * values[row, column]
            axes.text(column, row, f"{share:.1f}", ha="center", va="center", fontsize=6)
    figure.colorbar(image, ax=figure.axes, label="linear - log2, points of NMSE", shrink=0.9)


def _boundaries(figure: Figure, study: Study) -> None:
    shown = study.boundaries
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(3, 1, 1, 1))
    axes[0].stairs(shown.weights.counts, shown.weights.edges, fill=True, color="#d5d8dc")
    axes[0].set_yscale("log")
    axes[0].set_ylabel("weights")
    for place, (scheme, levels, edges) in zip(axes[1:], shown.rows):
        place.vlines(edges, 0, 1, color=_COLOURS[scheme.kind], linewidth=0.8)
        place.plot(levels, np.full(len(levels), 0.5), "o", color=_COLOURS[scheme.kind], markersize=3)
        place.set_yticks([])
        place.set_ylabel(_NAMES[scheme.kind], rotation=0, ha="right", va="center")
    axes[-1].set_xlabel("weight; lines: boundaries, dots: levels")


def _distributions(figure: Figure, study: Study) -> None:
    columns = 5
    rows = -(-len(study.distributions) // columns)
    figure.set_size_inches(9, 0.4 + 1.1 * rows)
    places = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes, shown in zip(places, study.distributions):
        axes.stairs(shown.counts, shown.edges, fill=True, color="#85929e")
        axes.set_yscale("log")
        axes.set_title(_short(shown.layer), fontsize=6, pad=2)
        axes.tick_params(labelsize=5)
    for axes in places[len(study.distributions) :]:
        axes.set_axis_off()


def _layers(figure: Figure, study: Study) -> None:
    figure.set_size_inches(9, max(2.6, 1.2 + 1.6 * _ROW * len(study.layers)))
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(study.layers))
    for shift, kind in ((-0.2, "linear"), (0.2, "log")):
        values = [100 * getattr(row, f"{kind}_nmse") for row in study.layers]
        left.barh(places + shift, values, 0.38, color=_COLOURS[kind], label=_NAMES[kind])
    for shift, kind in ((-0.27, "linear"), (0.0, "log"), (0.27, "equal")):
        rows = [getattr(row, kind) for row in study.layers]
        right.barh(
            places + shift,
            [row.lost for row in rows],
            0.25,
            xerr=[row.error for row in rows],
            color=_COLOURS[kind],
            label=_NAMES[kind],
            error_kw={"linewidth": 0.6},
        )
    left.set_yticks(places, [_short(row.layer) for row in study.layers])
    left.invert_yaxis()
    left.set_xlabel("NMSE, %")
    right.set_xlabel("points lost, standard error")
    right.legend(frameon=False)


def _accuracy(figure: Figure, study: Study) -> None:
    several = (("all layers' weights", study.table1), ("activations", study.activations))
    for axes, (title, judged) in zip(figure.subplots(1, 2), several):
        quantized = [(row, row.scheme) for row in judged if row.scheme is not None]  # without the float model
        rows, schemes = [row for row, _ in quantized], [scheme for _, scheme in quantized]
        figure.set_size_inches(9, max(3.4, 0.8 + 0.19 * len(rows)))
        names = [f"{scheme}, {scheme.choice}" for scheme in schemes]
        places = np.arange(len(rows))
        colours = [_COLOURS[scheme.kind] for scheme in schemes]
        axes.barh(places, [row.lost for row in rows], 0.7, xerr=[row.error for row in rows], color=colours)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("points lost")


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"...{name[-21:]}"

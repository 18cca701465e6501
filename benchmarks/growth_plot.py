"""The curves of benchmarks/growth.py as a figure."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping, Sequence
from typing import Any

from lognet_fpga.errors import MissingToolError

_TITLES = {"filters": "filters of each layer", "size": "height and width of a frame", "zeros": "share of zeros"}


def growth_svg(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """An SVG, a column for each axis: resources, and below time and speed relative to the axis' first point.

    Raises MissingToolError without matplotlib.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingToolError(
            "matplotlib is not installed, which --plot needs", hint="pip install 'lognet-fpga[plot]'"
        )
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "lognet", "font.size": 9, "font.sans-serif": ["DejaVu Sans"]}
    ):
        figure = Figure(figsize=(9.6, 5.6), layout="constrained")
        FigureCanvasSVG(figure)
        for column, (above, below, axis) in enumerate(zip(*figure.subplots(2, 3, sharex="col"), curves)):
            rows = curves[axis]
            x = [row[axis] for row in rows]
            above.plot(x, [row["estimate"]["lut"] for row in rows], "-", color="#c0392b", label="LUT, estimated")
            above.plot(x, [row["estimate"]["ff"] for row in rows], "-", color="#1f618d", label="FF, estimated")
            counted = [row for row in rows if row["synthesis"]]
            for name, colour, label in (("lut_sites", "#c0392b", "LUT6 sites, Yosys"), ("ff", "#1f618d", "FF, Yosys")):
                above.plot(
                    [row[axis] for row in counted],
                    [row["synthesis"][name] for row in counted],
                    "o",
                    color=colour,
                    markersize=4,
                    label=label,
                )
            below.plot(
                x, [row["deploy_time"] for row in rows], "s-", color="#222222", markersize=4, label="deploy time"
            )
            if all(row["simulation_speed"] for row in rows):
                speeds = [row["simulation_speed"] for row in rows]
                below.plot(x, speeds, "^-", color="#7f8c8d", markersize=4, label="cycles simulated a second")
            below.set_xlabel(_TITLES[axis])
            below.set_yscale("log")
            if axis != "zeros":
                below.set_xscale("log", base=2)
                below.set_xticks(x, [str(value) for value in x])
                below.minorticks_off()
            above.set_ylim(bottom=0)
            for axes in (above, below):
                axes.grid(axis="y", color="#dddddd", linewidth=0.6)
            if column == 0:
                below.set_ylabel("relative to the first point")
                above.legend(frameon=False)
                below.legend(frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()

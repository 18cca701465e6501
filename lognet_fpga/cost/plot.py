"""The study as a figure: cost relative to 1 bit against bits, as Fig. 4 of the paper has it."""

from __future__ import annotations

import importlib.util
import io

from lognet_fpga.cost.cost_report import MEASURES, relative
from lognet_fpga.cost.points import Study
from lognet_fpga.errors import MissingToolError

_STYLES = {"linear": ("o-", "#c0392b"), "log2": ("s-", "#1f618d"), "log-domain": ("^--", "#7f8c8d")}


def cost_svg(study: Study) -> str:
    """An SVG, byte for byte the same for the same study.  Raises MissingToolError without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingToolError(
            "matplotlib is not installed; the plot needs it",
            hint="pip install 'lognet-fpga[plot]'; the figures are in cost.csv and cost.json all the same",
        )
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "lognet", "font.size": 9, "font.sans-serif": ["DejaVu Sans"]}
    ):
        figure = Figure(figsize=(7.6, 6.0), layout="constrained")
        FigureCanvasSVG(figure)
        for axes, (measure, (heading, _)) in zip(figure.subplots(2, 2, sharex=True).flat, MEASURES.items()):
            for kind, (style, colour) in _STYLES.items():
                points = [study.reference, *(p for p in study.points if p.shape.kind == kind)]
                axes.plot(
                    [p.shape.bits for p in points],
                    [relative(study, p, measure) for p in points],
                    style,
                    color=colour,
                    markersize=4,
                    label=kind,
                )
            axes.set_title(heading + (" (estimate)" if measure.startswith("power") else ""), fontsize=9)
            axes.set_ylabel("relative to 1 bit")
            axes.set_xticks(sorted({p.shape.bits for p in study.points}))
            axes.set_ylim(bottom=0)
            axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        for axes in figure.axes[2:]:
            axes.set_xlabel("bits of a weight")
        figure.axes[0].legend(frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()

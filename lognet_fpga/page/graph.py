"""The model's graph as a drawing: a node a line, in the order in which they are computed, edges at the left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lognet_fpga.page.charts import WIDTH, Ids, figure, shortened
from lognet_fpga.page.markup import Markup, element

MOST_FPGA, MOST_HOST = 90, 24  # nodes that are drawn
FPGA, HOST = "FPGA", "host"
FRAMES = ""  # where all starts; no node has this name
_ROW = 26
_LANES = 6  # at most; further edges share the outermost
_LANE = 10  # units apart


@dataclass(frozen=True)
class Node:
    """inputs: names of the nodes that it takes something from, none of what takes the frames."""

    name: str
    op_type: str
    where: str
    inputs: tuple[str, ...]

    @classmethod
    def of(cls, data: Mapping) -> Node:
        """From a field `partition` or `operators`."""
        return cls(str(data["node"]), str(data["op_type"]), str(data["where"]), tuple(map(str, data["inputs"])))


def graph(ids: Ids, nodes: Sequence[Node]) -> Markup:
    """What runs where: the FPGA's nodes first, which take nothing from the host's."""
    ours = [node for node in nodes if node.where == FPGA]
    theirs = [node for node in nodes if node.where != FPGA]
    rows = [*ours[:MOST_FPGA], *theirs[:MOST_HOST]]
    places = {node.name: place for place, node in enumerate(rows, 1)}
    top_of: dict[str, tuple[int, int]] = {}  # first row and end of each side
    for side, first, shown, whole in (
        (FPGA, 1, min(len(ours), MOST_FPGA), len(ours)),
        (HOST, 1 + min(len(ours), MOST_FPGA), min(len(theirs), MOST_HOST), len(theirs)),
    ):
        if whole:
            top_of[side] = first, first + shown
    more = {FPGA: len(ours) - MOST_FPGA, HOST: len(theirs) - MOST_HOST}

    places[FRAMES] = 0
    edges = [
        (places[source], place)
        for place, node in enumerate(rows, 1)
        for source in (node.inputs or (FRAMES,))
        if source in places
    ]
    lanes = _lanes(edges)
    dot = 16 + _LANE * (1 + max(lanes.values(), default=-1))

    ys, y = {0: 14.0}, 14.0 + _ROW
    shapes: list[Markup] = []
    for side, (first, end) in top_of.items():
        begin = y - 12
        y += 22  # the side's name
        for place in range(first, end):
            ys[place] = y
            y += _ROW
        if more[side] > 0:
            shapes.append(element("text", f"… and {more[side]:,} more nodes", x=dot + 14, y=y + 4, class_="small"))
            y += _ROW
        fill, stroke = ("#e3effb", "#0b5cad") if side == FPGA else ("#f3f4f6", "#6e7781")
        shapes = [
            element("rect", x=1, y=begin, width=WIDTH - 2, height=y - begin - 6, rx=6, fill=fill, stroke=stroke),
            *shapes,
            element(
                "text",
                _title(side, len(ours) if side == FPGA else len(theirs)),
                x=dot + 14,
                y=begin + 18,
                fill=stroke,
                font_weight="600",
                class_="side",
            ),
        ]
        y += 10
    shapes += [_edge(edge, lanes.get(edge), dot, ys) for edge in edges]
    shapes += [
        element("circle", cx=dot, cy=14, r=5, fill="#fff", stroke="#1b1f24", stroke_width=2),
        element("text", "frames", x=dot + 14, y=18),
    ]
    for place, node in enumerate(rows, 1):
        at = ys[place]
        label = shortened(node.op_type, 22)
        name = "" if node.name == node.op_type else shortened(node.name, max(8, 36 - len(label)))
        colour = "#0b5cad" if node.where == FPGA else "#6e7781"
        shapes += [
            element("circle", cx=dot, cy=at, r=5, fill=colour),
            element(
                "text",
                element("tspan", label, font_weight="600"),
                element("tspan", name, dx=8, class_="small"),
                x=dot + 14,
                y=at + 4,
            ),
        ]
    said = (
        f"{len(ours):,} nodes on the FPGA: {_ops(ours)}. Then {len(theirs):,} nodes on the host: {_ops(theirs)}. "
        "The table names them with the reasons."
    )
    return figure(ids, "The model, node by node", said, y, shapes)


def _title(side: str, count: int) -> str:
    nodes = f"{count:,} node{'s' if count > 1 else ''}"
    return f"On the FPGA: {nodes}" if side == FPGA else f"On the host's processor: {nodes}"


def _ops(nodes: Sequence[Node]) -> str:
    shown = ", ".join(node.op_type for node in nodes[:40])
    return (shown + (", and more" if len(nodes) > 40 else "")) or "none"


def _lanes(edges: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """The lane of every edge that passes other rows, 0 nearest to the nodes."""
    lanes: dict[tuple[int, int], int] = {}
    busy: list[int] = []  # of each lane the row up to which it is taken
    for start, end in sorted(edges):
        if end == start + 1:
            continue
        lane = next((number for number, until in enumerate(busy) if until <= start), len(busy))
        lane = min(lane, _LANES - 1)
        busy[lane:] = [end, *busy[lane + 1 :]]
        lanes[start, end] = lane
    return lanes


def _edge(edge: tuple[int, int], lane: int | None, dot: int, ys: Mapping[int, float]) -> Markup:
    """Straight from one row to the next; around what lies between in a lane at the left."""
    top, bottom = (ys[row] for row in edge)
    line = f"M{dot} {top:.0f}V{bottom:.0f}"
    if lane is not None:
        x = dot - 12 - lane * _LANE
        line = (
            f"M{dot} {top:.0f}C{x} {top:.0f} {x} {top + 8:.0f} {x} {top + 16:.0f}V{bottom - 16:.0f}"
            f"C{x} {bottom - 8:.0f} {x} {bottom:.0f} {dot} {bottom:.0f}"
        )
    return element("path", d=line, fill="none", stroke="#4a525a", stroke_width=1.5)

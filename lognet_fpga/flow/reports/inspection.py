"""What lognet-inspect tells, as a report for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import brief
from lognet_fpga.flow.inspection import BoardFit, Inspection
from lognet_fpga.flow.reports.candidates import ESTIMATED, candidate_data, candidate_table, reason
from lognet_fpga.flow.reports.chip import chip_data
from lognet_fpga.flow.reports.host import SERVE, SLOW
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.ir.graph import HostOp
from lognet_fpga.page.inspection import sentence
from lognet_fpga.page.words import fullest, rate
from lognet_fpga.partition import Placement, input_nodes
from lognet_fpga.partition.reach import Obstacle
from lognet_fpga.partition.work import Work
from lognet_fpga.report import Report, Section, Table, fold


def build(config: DeployConfig, seen: Inspection) -> Report:
    """Everything that is known of the model before anything is built."""
    host = _host_data(seen)
    operators = _operators(seen)
    data = {
        "model": config.model.name,
        "input_shape": seen.graph.input_shape,
        "conv_layers": seen.reach.available,
        "dense_layers": seen.reach.dense,
        "possible_layers": seen.reach.possible,
        "possible_counts": seen.reach.counts,
        "cut": None if seen.parts is None else {"layers": len(seen.parts.layers), "tensor": seen.parts.cut},
        "left_out": list(_left_out(seen)),
        "operators": operators,
        "obstacles": [_obstacle_data(obstacle) for obstacle in seen.reach.obstacles],
        "layers": _layers_data(seen),
        "host": host,
        "boards": [_board_data(config, fit) for fit in seen.boards],
    }
    sections = (
        _answer_section(seen, data),
        *([_board_section(config, seen)] if seen.boards else []),
        *([_obstacle_section(seen)] if seen.reach.obstacles else []),
        *([_layer_section(_layers_data(seen))] if seen.sketch is not None else []),
        _host_section(seen, host),
        Section("Operators: which node of the model would run where", _cut_lines(seen), _operator_table(operators)),
    )
    return Report(f"{config.model.name}: nothing was built; sizes and rates are estimates", sections, data)


def _answer_section(seen: Inspection, data: Mapping[str, Any]) -> Section:
    """What one must know: what fits where, how fast, what stops the rest, and what would be refused."""
    lines = [sentence(data)]
    if (obstacle := _first_obstacle(seen)) is not None:
        problem = obstacle.problem
        where = brief(f"{problem.node} ({problem.op_type}): {problem.why}")
        lines.append(f"layer {seen.reach.possible + 1} is stopped by {where}; what would help: {problem.remedy}")
    if seen.error is not None:
        lines += ["lognet-deploy would refuse:", *(f"  {line}" for line in seen.error.for_people().splitlines())]
    rows = fold((board["chip"]["title"], [_answer_row(board)]) for board in data["boards"])
    columns = ("board", "layers", "of which fit", "frames a second", "limited by", "room", "--fpga-layers")
    return Section("In short", tuple(lines), Table(columns, rows) if rows else None)


def _answer_row(board: Mapping[str, Any]) -> tuple[object, ...]:
    best = next((each for each in board["candidates"] if each["layers"] == board["best_layers"]), None)
    most = max(each["layers"] for each in board["candidates"])
    if best is None:
        return (most, 0, None, "nothing fits", None, None)
    if best["fps"] is None:
        fps, limit = "not known", "-"
    else:
        fps, limit = rate(best["fps"]), "the FPGA" if best["fps"] >= best["pl_fps"] else "the host's part"
    return (most, board["layers_that_fit"], fps, limit, fullest(best["estimate"], board["chip"]["has"]), best["layers"])


def _first_obstacle(seen: Inspection) -> Obstacle | None:
    """What keeps the first layer behind those that can go from going."""
    following = seen.reach.possible + 1
    return next((each for each in seen.reach.obstacles if following in each.counts), None)


def _operators(seen: Inspection) -> list[dict[str, object]]:
    if seen.parts is not None:
        return [asdict(placement) for placement in seen.parts.placements]
    why = {obstacle.problem.node: obstacle.problem.why for obstacle in seen.reach.obstacles}
    sources = input_nodes(seen.graph)
    return [
        asdict(
            Placement(
                node.name,
                node.op_type,
                "host",
                why.get(node.name) or (node.op.problem if isinstance(node.op, HostOp) else "no cut as asked for"),
                sources[node.outputs[0]],
            )
        )
        for node in seen.graph.nodes
    ]


def _operator_table(operators: list[dict[str, object]]) -> Table:
    return Table(
        ("node", "operator", "where", "why"),
        tuple((row["node"], row["op_type"], row["where"], row["reason"]) for row in operators),
    )


def _cut_lines(seen: Inspection) -> tuple[str, ...]:
    lines = [
        f"{seen.reach.possible} of {seen.reach.available} {seen.reach.word}s in sequence can go onto the FPGA "
        "by their operators"
    ]
    counts = seen.reach.counts
    if counts != tuple(range(1, len(counts) + 1)):
        lines.append(f"numbers of layers that can go: {_span(counts)} (a cut must not lie inside a residual block)")
    if seen.parts is not None:
        lines.append(brief(f"cut: behind layer {len(seen.parts.layers)}, at {seen.parts.cut}"))
        if seen.parts.stopped:
            lines.append(str(seen.parts.stopped))
    if left_out := _left_out(seen):
        lines.append(f"outputs that are left out: {', '.join(map(brief, left_out))}")
    return tuple(lines)


def _left_out(seen: Inspection) -> tuple[str, ...]:
    return (seen.graph if seen.parts is None else seen.parts.graph).left_out


def _obstacle_data(obstacle: Obstacle) -> dict[str, object]:
    return obstacle.problem.to_dict() | {"layers": obstacle.counts, "remedy": obstacle.problem.remedy}


def _obstacle_section(seen: Inspection) -> Section:
    rows = tuple(
        (
            obstacle.problem.node,
            obstacle.problem.op_type,
            _span(obstacle.counts),
            obstacle.problem.why,
            obstacle.problem.remedy,
        )
        for obstacle in seen.reach.obstacles
    )
    return Section(
        "Obstacles: what stands in the way of more layers",
        (),
        Table(("node", "operator", "with layers", "why", "what would help"), rows),
    )


def _span(counts: tuple[int, ...]) -> str:
    if len(counts) > 1 and counts == tuple(range(counts[0], counts[-1] + 1)):
        return f"{counts[0]} to {counts[-1]}"
    return ", ".join(map(str, counts))


def _layers_data(seen: Inspection) -> list[dict[str, object]]:
    """Of those that could go; only where they are sketched."""
    return [_layer_data(seen, index) for index in range(len(seen.layers))]


def _layer_data(seen: Inspection, index: int) -> dict[str, object]:
    layer = seen.layers[index]
    sketched = seen.sketched[index] if index < len(seen.sketched) else None
    outputs = {node.outputs[0] for node in seen.graph.nodes if node.name in layer.nodes}
    macs, total = _macs(seen.work[name] for name in outputs), _macs(seen.work.values())
    return {
        "name": layer.name,
        "kernel": layer.weight.shape[2:],
        "stride": layer.stride,
        "in_shape": layer.in_shape,
        "out_shape": layer.out_shape,
        "groups": layer.groups,
        "weights": layer.weight.size,
        "zeros": float(np.mean(layer.weight == 0)),
        "zeros_log2": None if sketched is None else sketched.sparsity,
        "act_bits": None if sketched is None else sketched.act_bits,
        "macs": None if total is None else macs,
        "macs_share": None if total is None or macs is None else macs / max(1, total),
    }


def _layer_section(layers: list[dict]) -> Section:
    rows = tuple(
        (
            row["name"],
            " x ".join(map(str, row["kernel"])),
            " x ".join(map(str, row["stride"])),
            " x ".join(map(str, row["in_shape"])),
            " x ".join(map(str, row["out_shape"])),
            row["weights"],
            f"{row['zeros']:.1%}",
            "-" if row["zeros_log2"] is None else f"{row['zeros_log2']:.1%}",
            "-" if row["act_bits"] is None else f"{row['act_bits']}",
            row["macs"],
            "-" if row["macs_share"] is None else f"{row['macs_share']:.1%}",
        )
        for row in layers
    )
    columns = (
        "layer",
        "kernel",
        "stride",
        "input",
        "output",
        "weights",
        "zeros",
        "as log2",
        "act",
        "MACs a frame",
        "of model",
    )
    return Section(
        "Layers that the FPGA could take",
        (
            "sizes: channels x height x width; zeros: share of the weights, in the file and after rounding to log2 "
            "codes (with --prune, where given)",
            "act: bits of the activations, that sizes are estimated with; without --act-bits or a model that states "
            "them lognet-deploy chooses them by error",
            "MACs: multiply-accumulates, and their share of the whole model's",
        ),
        Table(columns, rows),
    )


def _host_data(seen: Inspection) -> dict[str, object]:
    """Of the nodes behind the cut; of the whole model where there is none."""
    on_fpga = {node.outputs[0] for node in seen.reach.nodes(len(seen.parts.layers))} if seen.parts else set()
    works = [work for name, work in seen.work.items() if name not in on_fpga]
    macs, total = _macs(works), _macs(seen.work.values())
    return {
        "macs": None if total is None else macs,
        "parameters": sum(work.parameters for work in works),
        "fpga_macs_share": 1 - macs / total if macs is not None and total else None,
    }


def _macs(works: Iterable[Work]) -> int | None:
    """Of all together; None where those of one are not known."""
    macs = [work.macs for work in works]
    known = [count for count in macs if count is not None]
    return sum(known) if len(known) == len(macs) else None


def _host_section(seen: Inspection, host: dict) -> Section:
    if host["macs"] is None:
        macs = "multiply-accumulates not known: some sizes are not static, or some operators are not standard"
    elif host["fpga_macs_share"] is None:
        macs = "no convolution and no product of matrices: no multiply-accumulates that count"
    else:
        macs = (
            f"{host['macs']:,} multiply-accumulates a frame; the FPGA does {host['fpga_macs_share']:.1%} of the model's"
        )
    lines = (macs, f"{host['parameters']:,} parameters")
    return Section("The host's part, behind the cut" if seen.parts else "The host's part: the whole model", lines)


def _board_data(config: DeployConfig, fit: BoardFit) -> dict[str, object]:
    return {
        "board": fit.board.name,
        "chip": chip_data(fit.board),
        "clk_mhz": fit.board.clock_mhz(config.clk_mhz),
        "layers_that_fit": fit.most_layers,
        "best_layers": fit.best.layers if fit.best else None,
        "candidates": [candidate_data(candidate) for candidate in fit.candidates],
    }


def _clocks(config: DeployConfig, seen: Inspection) -> str:
    """The boards' clocks: the usual ones, or the fastest at or below what was asked for."""
    boards: dict[float, list[str]] = {}
    for fit in seen.boards:
        boards.setdefault(fit.board.clock_mhz(config.clk_mhz), []).append(fit.board.title)
    clocks = [f"{mhz_text(mhz)} MHz" + f" ({', '.join(boards[mhz])})" * (len(boards) > 1) for mhz in sorted(boards)]
    asked = f", at most the {config.clk_mhz:g} MHz asked for" if config.clk_mhz not in (None, *boards) else ""
    return ", ".join(clocks) + asked


def _board_section(config: DeployConfig, seen: Inspection) -> Section:
    lines = [
        f"{ESTIMATED}; rates at {_clocks(config, seen)}",
        "FPGA fps: of the fastest plan that fits; host fps: of the host's part on the board's own processor, a range",
        "together: both side by side, at the slower rate, the host's taken in the middle of its range",
    ]
    slow = [fit.board.title for fit in seen.boards if fit.best and fit.best.host_time and fit.best.host_time.slow]
    if slow:
        lines.append(f"{SLOW} on {', '.join(slow)}: {SERVE}")
    if len(seen.boards) == 1 and seen.boards[0].best:
        lines.append(f"best on {seen.boards[0].board.title}: {reason(seen.boards[0].best)}")
    cut, most = len(seen.parts.layers) if seen.parts else 0, max(fit.most_layers for fit in seen.boards)
    if cut > most > 0:
        lines.append(f"the {cut} layers of the cut fit no board here: pass --fpga-layers {most} or auto, or --prune")
    if len(seen.sketched) < len(seen.layers):
        lines.append(f"more than {len(seen.sketched)} layers: far too large for every board here")
    table = candidate_table([candidate for fit in seen.boards for candidate in fit.candidates])
    return Section("Boards: how many layers fit, and how fast", tuple(lines), table)

"""A stream's result as a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeGuard

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.report import Report, Section, Table
from lognet_fpga.runtime.device import BoardFigures
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.streaming import StreamResult

SHOWN_PREDICTIONS = 10
FIGURES = ("load_rate", "pl_rate", "pl_latency", "device_rate", "tail_rate", "wall_rate", "latency_p50", "latency_p99")


LIMITS = {
    "load": "the frames: coming in, loading, preprocessing",
    "fpga": "the FPGA",
    "driver": "the transfers to and from the FPGA",
    "simulation": "simulating the FPGA",
    "wire": "the network to the boards and back",
    "tail": "the host's part of the model",
}
GIGABIT_BYTES = 1e9 / 8 * 1448 / 1538  # a second of payload: TCP with timestamps, in Ethernet's packets of 1,500 bytes


def stream_report(session: Session, result: StreamResult, saved: Path | None = None) -> Report:
    """What `lognet-stream` prints: figures, accuracy beside that of the float model, the first predictions.  saved:
    where the outputs were written."""
    bundle = session.bundle
    batches = f"batches of {min(result.batch, len(result)):,}"
    stages = (
        ("frames: loading and preprocessing", "one by one", result.load_rate),
        ("FPGA: its layers of the model", batches, result.pl_rate),
        ("FPGA: latency of a frame", "one frame", result.pl_latency),
        ("FPGA with the transfers to and from it", batches, result.device_rate),
        ("host: the rest of the model", batches, result.tail_rate),
        ("end to end, all at a time", batches, result.wall_rate),
        ("end to end: latency, half of the frames", batches, result.latency_p50),
        ("end to end: latency, 99% of the frames", batches, result.latency_p99),
    )
    share = f"end to end {100 * result.pl_share:.3g}% of the PL's own rate"
    explained = (
        "PL: programmable logic, the part of the chip that is the FPGA; fps: frames per second",
        f"limited by {LIMITS[result.limited_by]}: {result.limit.value:,.4g} fps; {share}",
    )
    pictures = f"pictures {bundle.preprocessing.spatial_words(bundle.input_shape)}"
    dropped = f", {result.dropped:,} dropped" if result.policy == "drop" else ""
    stopped = ", interrupted" if result.interrupted else ", ended by an error" if result.broken else ""
    about = (
        f"device  {session.device.description}",
        f"frames  {len(result):,}{dropped}{stopped} ({result.source.description})",
        f"input   {pictures}",
    )
    sections = [
        Section("", about),
        Section("Speed", explained, Table(("stage", "sent as", "figure"), stages)),
        *([_board_section(bundle, result)] if result.boards else []),
        Section("Power", result.power.lines() if result.power else (result.power_note,)),
        *_accuracy_section(bundle, result),
        Section("Output of the model", (*result.output.lines(), *([f"written to {saved}"] if saved else []))),
        *([] if result.predictions is None else [_prediction_section(bundle, result, result.predictions)]),
    ]
    data = {
        "bundle": bundle.name,
        "digest": bundle.digest,
        "device": session.device.kind,
        "source": result.source.description,
        "frames": len(result),
        "batch": result.batch,
        "policy": result.policy,
        "dropped": result.dropped,
        "interrupted": result.interrupted,
        **{name: getattr(result, name).to_dict() for name in FIGURES},
        "limited_by": result.limited_by,
        "pl_share": result.pl_share,
        "boards": [_board_data(board) for board in result.boards] or None,
        "gigabit_fps": _gigabit_fps(bundle) if result.boards else None,
        "power": result.power_note if result.power is None else "; ".join(result.power.lines()),
        "power_measured": result.power and result.power.to_dict(),
        "top1": result.top1,
        "top5": result.top5,
        "auc": result.auc,
        "accuracy_at_deploy": dict(bundle.accuracy) if bundle.accuracy else None,
        "output": result.output.to_dict(),
        "predictions": None if result.predictions is None else result.predictions.tolist(),
        "saved_outputs": saved and str(saved),
    }
    return Report(f"{bundle.name} on {bundle.board_title}", tuple(sections), data)


def _gigabit_fps(bundle: Bundle) -> float:
    """The most frames a second that one gigabit Ethernet can carry, in or out, whichever is more."""
    return GIGABIT_BYTES / max(math.prod(bundle.input_shape), math.prod(bundle.output_shape))


def _board_section(bundle: Bundle, result: StreamResult) -> Section:
    there, back = math.prod(bundle.input_shape), math.prod(bundle.output_shape)
    mb_s = result.wall_rate.value * np.array([there, back]) / 1e6
    lines = [
        f"a frame is {there:,} bytes there and {back:,} back: one gigabit Ethernet carries "
        f"{_gigabit_fps(bundle):,.0f} fps at most; it was {mb_s[0]:,.3g} MB/s there and {mb_s[1]:,.3g} back",
        "times of a request (a batch) in ms: half of them, 99% of them, and half of them without the device",
    ]
    if len(result.boards) > 1:
        frames = sum(board.frames for board in result.boards)
        wall_s = len(result) / result.wall_rate.value
        lines.append(
            f"together {frames / wall_s:,.4g} fps of {len(result.boards)} boards; sent again: "
            f"{sum(board.resent for board in result.boards):,} batches"
        )
    rows = tuple(
        (
            board.name,
            f"{board.frames:,}",
            f"{board.frames / board.busy_s:,.4g}" if board.frames else "none",
            *(f"{ms:.3g}" if board.requests else None for ms in _times(board)),
            f"{board.aside}, {board.away_s:.1f} s: {board.reason}" if board.aside else "never",
        )
        for board in result.boards
    )
    columns = ("board", "frames", "fps", "p50", "p99", "wire", "set aside")
    return Section("Boards", tuple(lines), Table(columns, rows))


def _times(board: BoardFigures) -> tuple[float, float, float]:
    return board.latency_p50_ms, board.latency_p99_ms, board.wire_p50_ms


def _board_data(board: BoardFigures) -> dict[str, object]:
    """As in the JSON: asdict, with its rate, and null for times that there are not."""
    data = {name: None if value != value else value for name, value in asdict(board).items()}
    return {**data, "fps": board.frames / board.busy_s if board.frames else 0.0}


def _accuracy_section(bundle: Bundle, result: StreamResult) -> list[Section]:
    """This run beside the figures of lognet-deploy, as far as each is known."""
    known = bundle.accuracy or {}
    count = known.get("frames")
    deploy = f"lognet-deploy{f', {count:,} frames' if isinstance(count, int) else ''}"
    if not result.output.has_classes:
        return _raw_section(known, deploy)
    this = (result.top1, result.top5, None, result.auc)
    models = (
        (f"this run, {len(result):,} frames", this),
        *(
            (f"{name} ({deploy})", tuple(known.get(key) for key in keys))
            for name, keys in (
                ("float model", ("float_top1", "float_top5", "", "float_auc")),
                ("log2 weights", ("weights_top1", "weights_top5", "weights_agreement", "weights_auc")),
                ("deployed model", ("deployed_top1", "deployed_top5", "agreement", "deployed_auc")),
            )
        ),
    )
    rows = [
        (name, *map(_percent, shares), f"{auc:.4f}" if _is_number(auc) else None)
        for name, (*shares, auc) in models
        if any(map(_is_number, (*shares, auc)))
    ]
    columns = ("model", "top-1 %", "top-5 %", "as float %", "AUC")
    shown = len(columns) if any(row[-1] is not None for row in rows) else len(columns) - 1
    table = Table(columns[:shown], tuple(row[:shown] for row in rows))
    return [Section("Accuracy", (), table)] if rows else []


def _raw_section(known: Mapping[str, object], deploy: str) -> list[Section]:
    """How near the outputs were to the float model's."""
    rows = [
        (f"{name} ({deploy})", f"{cosine:.4f}", _percent(known.get(error)))
        for name, key, error in (
            ("log2 weights", "weights_cosine", "weights_relative_error"),
            ("deployed model", "cosine", "relative_error"),
        )
        if _is_number(cosine := known.get(key))
    ]
    lines = ("beside the float model's outputs: cosine, and relative error; there are no classes",)
    return [Section("Accuracy", lines, Table(("model", "cosine", "error %"), tuple(rows)))] if rows else []


def _percent(share: object) -> float | None:
    """A share 0..1 in percent; None for anything else, for a manifest may hold anything."""
    return 100.0 * share if _is_number(share) else None


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _prediction_section(bundle: Bundle, result: StreamResult, predictions: np.ndarray) -> Section:
    of_source, of_model = result.source.class_names, bundle.class_names
    names, labels = result.source.names, result.labels

    def named(number: int, class_names: Sequence[str] | None) -> str:
        return class_names[number] if class_names and 0 <= number < len(class_names) else str(number)

    decision = result.output.decision(result.outputs) if result.outputs is not None else None
    columns = ["frame", "class"] + ["score"] * (decision is not None) + ["label"] * (labels is not None)
    rows = []
    for index, prediction in enumerate(predictions[:SHOWN_PREDICTIONS].tolist()):
        number = int(result.numbers[index])
        score = () if decision is None else (f"{decision[index]:.4g}",)
        label = () if labels is None else (named(int(labels[index]), of_source or of_model),)
        frame = names[number] if names else str(number)
        rows.append((frame, named(prediction, of_model or of_source), *score, *label))
    some = f", the first {len(rows)}" if len(result) > len(rows) else ""
    return Section(f"Predictions{some}", (), Table(tuple(columns), tuple(rows)))

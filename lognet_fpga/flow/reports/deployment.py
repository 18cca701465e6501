"""What deploy tells: the report for people and programs, and the bundle's manifest."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from lognet_fpga.config import DeployConfig
from lognet_fpga.fabric.board import Board
from lognet_fpga.flow.inputs import calibration
from lognet_fpga.flow.layer_choice import LayerChoice
from lognet_fpga.flow.reports import act_bits
from lognet_fpga.flow.reports.candidates import ESTIMATED, candidate_data, candidate_table, reason
from lognet_fpga.flow.reports.chip import chip_data
from lognet_fpga.flow.reports.host import host_data
from lognet_fpga.flow.reports.input import input_data, input_section
from lognet_fpga.flow.reports.rounded import MEASURED, rounded
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.output import ModelOutput
from lognet_fpga.ir.packed import pack
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.machine.archive import ARRAY, write_zip
from lognet_fpga.partition import Partition
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.quantize import ChosenBits
from lognet_fpga.report import Section, Table
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.synth.synthesis import SynthesisReport
from lognet_fpga.verify.accuracy import Accuracy, RawAccuracy
from lognet_fpga.verify.verdict import Verdict
from lognet_fpga.version import __version__

_MOST_COUNTED_BITS = 8  # of activations that are counted code by code


def title(config: DeployConfig, board: Board) -> str:
    return f"{config.model.name} on {board.title}"


def choice_sections(config: DeployConfig, choice: LayerChoice, output: ModelOutput) -> tuple[Section, ...]:
    """What is settled once the model is read and cut."""
    return (
        input_section(config, choice.parts),
        _partition(choice.parts),
        *([_choice(choice)] if choice.candidates else []),
        Section("Output of the model", output.lines()),
    )


def data(
    config: DeployConfig,
    choice: LayerChoice,
    quant: QuantGraph,
    bits: ChosenBits | None,
    plan: HardwarePlan,
    design: VerilogDesign,
    verdict: Verdict | None,
    synthesis: SynthesisReport | None,
    accuracy: Accuracy | RawAccuracy | None,
    frames: Frames,
    tail: bytes,
    output: ModelOutput,
    activations: Sequence[np.ndarray],
    answers: Mapping[str, object] | None,
) -> dict[str, object]:
    """The figures of all sections, for programs.  activations: of every layer, for the vectors."""
    source, judged = config.calibration_source, config.judged_source
    return {
        "model": config.model.name,
        "board": plan.target.board.name,
        "calibration": {
            "frames": len(calibration(frames, config.judged_apart)),
            "source": "random noise" if source is None else source.name,
        },
        "judged": None if accuracy is None or judged is None else {"frames": accuracy.frames, "source": judged.name},
        "input": input_data(config, choice.parts),
        "partition": [asdict(placement) for placement in choice.parts.placements],
        "layer_choice": _choice_data(choice),
        "act_bits": rounded(act_bits.data(bits), MEASURED),
        "layers": rounded([_layer_data(layer, its) for layer, its in zip(quant.layers, activations)]),
        "chip": chip_data(plan.target.board),
        "plan": plan.to_json(),
        "host": host_data(tail, plan.target.board),
        "output": output.to_dict(),
        "verification": None if verdict is None else verdict.to_json(),
        "synthesis": None if synthesis is None else synthesis.to_json(),
        "accuracy": None if accuracy is None else accuracy.to_json(),
        "answers": answers,
        "bitstream": None,  # filled in where one is made of the bundle
        "verilog_sha256": design.digest,
    }


def manifest(
    config: DeployConfig,
    graph: Graph,
    quant: QuantGraph,
    plan: HardwarePlan,
    design: VerilogDesign,
    verdict: Verdict | None,
    accuracy: Accuracy | RawAccuracy | None,
    output: ModelOutput,
    class_names: Sequence[str] | None,
    core_sha256: str,
    name: str,
) -> dict:
    """The manifest's fields; see lognet_fpga.bundle.contents."""
    source: dict[str, object] = {
        "shape": list(quant.input_shape),
        "dtype": "uint8",
        "preprocessing": config.preprocessing.to_dict(),
    }
    if class_names:
        source["class_names"] = list(class_names)
    out = {
        "name": name,
        "made_by": f"lognet-fpga {__version__}",
        "board": asdict(plan.target.board),
        "clk_mhz": plan.target.clk_mhz,
        "model": {"file": config.model.name, "sha256": graph.source_sha256},
        "core_sha256": core_sha256,
        "input": source,
        "output": {
            "shape": list(quant.out_shape),
            "bits": quant.layers[-1].out_bits,
            "zero": quant.layers[-1].out_zero,
            "scale": rounded(quant.layers[-1].out_scale),
        },
        "model_output": output.to_dict(),
        "source": _format(design.source),
        "sink": _format(design.sink),
        "plan": plan.to_json(),
        "verification": {"done": False}
        if verdict is None
        else {
            "done": True,
            "passed": verdict.passed,
            "frames": verdict.frames,
            "bits": verdict.bits,
            "differing_bits": verdict.differing_bits,
            "hardware": "simulated by Verilator; not run on a board",
        },
        "bitstream": None,
    }
    if accuracy is not None:
        out["accuracy"] = accuracy.to_json()
    return out


def output_files(outputs: Sequence[np.ndarray]) -> dict[str, bytes]:
    """What the model gives for the vectors: scores.npy, or outputs.npz where one plain array does not hold it."""
    if len(outputs) == 1 and outputs[0].dtype.kind in "fiub":
        return {"scores.npy": npy_bytes(outputs[0])}
    return {"outputs.npz": npz_bytes(**pack(outputs))}


def json_bytes(data: object) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, default=lambda value: value.tolist()) + "\n").encode()


def npz_bytes(**arrays: np.ndarray) -> bytes:
    """An .npz of the arrays, the same bytes for the same arrays."""
    buffer = io.BytesIO()
    write_zip(buffer, {f"{name}.npy": npy_bytes(array) for name, array in arrays.items()}, ARRAY)
    return buffer.getvalue()


def npy_bytes(array: np.ndarray) -> bytes:
    """An .npy of the array."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _format(form: StreamFormat) -> dict:
    return asdict(form) | {"beats_per_frame": form.beats_per_frame}


def _partition(parts: Partition) -> Section:
    rows = tuple((p.node, p.op_type, p.where, p.reason) for p in parts.placements)
    lines = (str(parts.stopped),) if parts.stopped else ()
    return Section(
        "Partition: which node of the model runs where", lines, Table(("node", "operator", "where", "why"), rows)
    )


def _choice(choice: LayerChoice) -> Section:
    chosen = next(each for each in choice.candidates if each.layers == len(choice.parts.layers))
    lines = (f"{reason(chosen)} ({ESTIMATED})",)
    return Section("Number of layers on the FPGA (--fpga-layers auto)", lines, candidate_table(choice.candidates))


def _choice_data(choice: LayerChoice) -> dict:
    stopped = choice.parts.stopped
    return {
        "layers": len(choice.parts.layers),
        "stopped_by": [problem.to_dict() for problem in stopped.problems] if stopped else [],
        "candidates": [candidate_data(candidate) for candidate in choice.candidates],
    }


def _layer_data(layer: QuantLayer, activations: np.ndarray) -> dict:
    """activations: (frames, *out_shape)."""
    codes, counts = np.unique(layer.codes, return_counts=True)
    return {
        "name": layer.name,
        "in_shape": layer.in_shape,
        "out_shape": layer.out_shape,
        "nmse": layer.nmse,
        "sparsity": layer.sparsity,
        "in_bits": layer.in_bits,
        "act_bits": layer.act_bits,
        "out_bits": layer.out_bits,
        "shift": layer.shift,
        "alpha_min": float(layer.alpha.min()),
        "alpha_max": float(layer.alpha.max()),
        "weight_codes": [[int(code), int(count)] for code, count in zip(codes, counts)],
        "out_zero": layer.out_zero,
        "activation_codes": None
        if layer.out_bits > _MOST_COUNTED_BITS
        else np.bincount(activations.ravel(), minlength=2**layer.out_bits).tolist(),
    }


def quantization_section(quant: QuantGraph, bits: ChosenBits | None, config: DeployConfig, frames: Frames) -> Section:
    place = config.calibration_source
    if place is None:
        source = "calibrated on random noise, because no --frames were given: the accuracy will suffer"
    else:
        count = len(calibration(frames, config.judged_apart))
        source = f"calibrated on {'the first ' if count < len(frames) else ''}{count} frames of {place.name}"
    rows = tuple(
        (
            layer.name,
            " x ".join(map(str, layer.in_shape)),
            " x ".join(map(str, layer.out_shape)),
            f"{layer.nmse:.4f}",
            f"{layer.sparsity:.1%}",
            f"{layer.in_bits} -> {layer.out_bits}",
            *(act_bits.cells(bits, number) if bits else ()),
        )
        for number, layer in enumerate(quant.layers)
    )
    return Section(
        "Quantization: log2 4-bit weights (a sign and a power of two), linear activations",
        (
            source,
            "sizes: channels x height x width; NMSE: squared error relative to the squares; zero weights cost "
            "no hardware",
            *(act_bits.lines(bits) if bits else ()),
        ),
        Table(
            (
                *("layer", "input", "output", "weight NMSE", "zero weights", "bits in -> out"),
                *(act_bits.COLUMNS if bits else ()),
            ),
            rows,
        ),
    )


def verification_section(verdict: Verdict | None) -> Section:
    if verdict is None:
        return Section("Verification", ("not done (--no-verify)",))
    levels: dict[str, list[int]] = {}
    for count in verdict.counts:
        total = levels.setdefault(count.level, [count.frames, 0, 0])
        total[1] += count.bits
        total[2] += count.differing_bits
    rows = tuple((f"{level} against golden.onnx", *totals) for level, totals in levels.items())
    cycles = verdict.cycles
    verdict_line = "passed" if verdict.passed else "FAILED"
    lines = (
        f"{verdict_line}: every activation of every layer compared bit by bit",
        "the Verilog was simulated by Verilator; it was not run on a board",
        f"cycles a frame: {', '.join(f'{c:,}' for c in sorted(set(cycles.intervals)))} simulated, "
        f"{cycles.planned_cycles_per_frame:,} planned; latency: {cycles.latency_cycles:,} cycles simulated, "
        f"{cycles.planned_latency_cycles:,} planned",
        f"with stalls: the source paused in {verdict.idle_percent}% of the cycles and the sink refused data in "
        f"{verdict.stall_percent}%, at random (seed {verdict.seed})",
    )
    return Section("Verification", lines, Table(("compared", "frames", "bits", "differing"), rows))

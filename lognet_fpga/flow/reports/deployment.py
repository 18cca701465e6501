"""What deploy tells: the report for people and programs, and the bundle's manifest."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from lognet_fpga.config import DeployConfig
from lognet_fpga.engines.stores import STORES
from lognet_fpga.fabric.board import Board, Resources
from lognet_fpga.flow.inputs import calibration
from lognet_fpga.flow.layer_choice import LayerChoice
from lognet_fpga.flow.reports import act_bits
from lognet_fpga.flow.reports.candidates import ESTIMATED, candidate_data, candidate_table, reason
from lognet_fpga.flow.reports.chip import chip_data
from lognet_fpga.flow.reports.host import host_data
from lognet_fpga.flow.reports.input import input_data, input_section
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.output import ModelOutput
from lognet_fpga.ir.packed import pack
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.sources import FRAMES, Source
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.machine.archive import ARRAY, write_zip
from lognet_fpga.partition import Partition
from lognet_fpga.plan.budget import budget
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
            "frames": len(calibration(frames)),
            "source": "random noise" if source is None else source.name,
        },
        "judged": None if accuracy is None or judged is None else {"frames": accuracy.frames, "source": judged.name},
        "input": input_data(config, choice.parts),
        "partition": [asdict(placement) for placement in choice.parts.placements],
        "layer_choice": _choice_data(choice),
        "act_bits": act_bits.data(bits),
        "layers": [_layer_data(layer, its) for layer, its in zip(quant.layers, activations)],
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
            "scale": quant.layers[-1].out_scale.tolist(),
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
        count = len(calibration(frames))
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


def plan_section(plan: HardwarePlan, asked_mhz: float | None) -> Section:
    rows: list[tuple[object, ...]] = [
        (
            layer.name,
            layer.nonzero_weights,
            layer.folding.store,
            layer.folding.text,
            layer.folding.ii_cycles,
            layer.folding.cycles_per_frame,
            *_parts(layer.estimate),
        )
        for layer in plan.layers
    ]
    rows.append(("shell", None, None, None, None, None, *_parts(plan.around)))
    rows.append(
        (
            "total",
            sum(layer.nonzero_weights for layer in plan.layers),
            None,
            None,
            None,
            plan.cycles_per_frame,
            *_parts(plan.total),
        )
    )
    board, clk_mhz = plan.target.board, plan.target.clk_mhz
    whole = Resources(board.lut, board.ff, board.bram36, board.m_lut)
    rows.append((f"{board.title} has", None, None, None, None, None, *_parts(whole, lone=False)))
    rows.append(("a plan may take", None, None, None, None, None, *_parts(budget(board), lone=False)))
    total = plan.total
    lines = [
        f"predicted  {plan.fps:,.0f} frames a second: {plan.cycles_per_frame:,} clock "
        f"cycles a frame at {mhz_text(clk_mhz)} MHz",
        f"latency    {plan.latency_cycles / clk_mhz:,.1f} us: "
        f"{plan.latency_cycles:,} cycles from a frame's first pixel "
        "to its last result",
        f"estimated  {total.lut / board.lut:.0%} of the board's LUTs (logic), {total.ff / board.ff:.0%} of its FFs "
        f"(flip-flops), {total.bram36 / board.bram36:.0%} of its BRAM36 (memories of 36 Kbit),",
        f"           {total.m_lut / board.m_lut:.0%} of the LUTs that can hold memory and shift registers (M LUT), "
        f"{total.positions / board.lut:.0%} of the positions,",
        "           each of which has a LUT and two FFs; lone: FFs without a LUT in front, of which it takes only one",
        "weights: those other than zero; slot: one position of the output; in: where the weights are:",
        *(f"           {store.name}, {store.title}" for store in STORES.values()),
        *_input_lines(plan),
    ]
    if asked_mhz is not None and board.pll_mhz is not None and clk_mhz != asked_mhz:
        lines.append(
            f"clock: {mhz_text(clk_mhz)} MHz, the fastest at or below the {mhz_text(asked_mhz)} MHz asked for "
            f"that the board's processor makes, from its PLL of {mhz_text(board.pll_mhz)} MHz"
        )
    if clk_mhz != board.clk_mhz:
        lines.append(
            f"clock: not the {mhz_text(board.clk_mhz)} MHz that this board is planned with by itself; what a chip "
            "reaches shows only after placement and routing"
        )
    return Section(
        f"Plan for {board.title} ({board.part})",
        tuple(lines),
        Table(("layer", "weights", "in", "folding", "cycles a slot", "cycles a frame", *_PARTS), tuple(rows)),
    )


def _input_lines(plan: HardwarePlan) -> list[str]:
    """What layers take that do not just take what the one before them puts out."""
    lines = []
    for number, (layer, sources) in enumerate(zip(plan.layers, plan.sources)):
        if sources == (Source(number - 1),):
            continue
        parts = []
        for place, source in enumerate(sources):
            name = "the frames" if source.layer == FRAMES else plan.layers[source.layer].name
            stride_y, stride_x = source.stride
            every = "" if stride_y == stride_x == 1 else f" (one of every {stride_y} x {stride_x} positions)"
            fifo = plan.fifo_to(number, place)
            parts.append(f"{name}{every}" + ("" if fifo is None else f" (FIFO of {fifo.depth:,} beats)"))
        lines.append(f"           {layer.name} takes {', then '.join(parts)}")
    return ["inputs, one position after the other:", *lines] if lines else []


_PARTS = ("LUT", "M LUT", "FF", "lone", "BRAM36")


def _parts(parts: Resources, lone: bool = True) -> tuple[int, int, int, int | None, float]:
    """lone False: of what a board has, not what is taken of it."""
    own = round(parts.lone) if lone else None
    return round(parts.lut), round(parts.m_lut), round(parts.ff), own, float(parts.bram36)


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


def synthesis_section(plan: HardwarePlan, synthesis: SynthesisReport | None) -> Section:
    if synthesis is None:
        return Section("Synthesis", ("not done; with --synth Yosys counts LUTs, flip-flops and block RAM",))
    estimates: dict[str, Resources] = {layer.name: layer.estimate for layer in plan.layers} | {"shell": plan.around}
    merged: dict[str, list] = {}
    for name, counts in synthesis.parts:
        merged.setdefault(name, []).append(counts)
    rows = []
    for name, several in merged.items():
        counts = sum(several[1:], several[0])
        rows.append(_compare(name, counts, estimates[name]))
    rows.append(_compare("total", synthesis.total, plan.total))
    tool = synthesis.tool if synthesis.tool.startswith("Yosys") else f"Yosys {synthesis.tool}"
    board, clk_mhz, total = plan.target.board, plan.target.clk_mhz, synthesis.total
    lines = [
        f"by {tool}; not placed, not routed, not run on hardware",
        f"whole overlay: {total.lut_sites / board.lut:.0%} of the LUTs, "
        f"{total.m_lut / board.m_lut:.0%} of those for memory and shift registers, "
        f"{total.ff / board.ff:.0%} of "
        f"the flip-flops, {total.bram36 / board.bram36:.0%} of the block RAM of {board.title}",
        f"positions of slices: {total.positions:,} of {board.lut:,} ({total.positions / board.lut:.0%}; estimated "
        f"{plan.total.positions:,.0f}, of {plan.total.lone:,.0f} lone flip-flops), for "
        f"{total.lone_ffs:,} flip-flops are lone (driven by no LUT beside them) and {total.dual_sites:,} LUT sites "
        f"have no bypass for one; {total.control_sets:,} control sets",
        "LUT: sites as a placed design fills them, from the netlist: two small LUTs share one, a carry bit has one",
        "LUT cells: as Yosys counts, for information",
    ]
    slowest, path = max(synthesis.paths, key=lambda item: item[1].ns)
    widest, control = max(synthesis.paths, key=lambda item: item[1].control_loads)
    lines += [
        f"longest path: about {path.ns:.1f} ns ({path.mhz:.0f} MHz), {path.levels} levels of LUTs, in {slowest} from "
        f"{path.begin} to {path.end}; estimated before placement, with guessed nets"
        + (f": slower than the {mhz_text(clk_mhz)} MHz planned for" if path.mhz < clk_mhz else ""),
        f"widest control net: {control.control_loads} registers, {control.control_net} in {widest}",
    ]
    if not board.part.startswith("xc7"):
        lines.append(f"{board.title} ({board.part}) is of another family: a rough guide only")
    return Section(
        "Synthesis for Xilinx 7-series",
        tuple(lines),
        Table(
            (
                "part",
                "LUT",
                "estimate",
                "error",
                "M LUT",
                "estimate",
                "FF",
                "estimate",
                "error",
                "BRAM36",
                "estimate",
                "LUT cells",
            ),
            tuple(rows),
        ),
    )


def _compare(name: str, counts, estimate: Resources) -> tuple:
    def error(estimated: float, counted: float) -> str:
        return f"{estimated / counted - 1:+.1%}" if counted else "-"

    return (
        name,
        counts.lut_sites,
        round(estimate.lut),
        error(estimate.lut, counts.lut_sites),
        counts.m_lut,
        round(estimate.m_lut),
        counts.ff,
        round(estimate.ff),
        error(estimate.ff, counts.ff),
        float(counts.bram36),
        float(estimate.bram36),
        counts.lut,
    )

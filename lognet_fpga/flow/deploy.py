"""The whole way from a float ONNX model to a bundle.  The only file that knows the order of the stages."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from lognet_fpga.bitstream.make import make_bitstream, require_board
from lognet_fpga.bundle import EXECUTION, GOLDEN, SIGNAL_MAP, safe_name, write_bundle
from lognet_fpga.codegen import generate
from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import LogNetError
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.flow.inputs import (
    calibrated_among,
    calibration,
    check_surroundings,
    names_of_all,
    read_frames,
    read_judged,
    settle_preprocessing,
    verified,
)
from lognet_fpga.flow.layer_choice import asked_bits, asked_output, choose_layers, quantize_choice, target_of
from lognet_fpga.flow.reports import deployment
from lognet_fpga.flow.reports.accuracy import accuracy_sections, warn_of_a_lost_model
from lognet_fpga.flow.reports.answers import answers_data
from lognet_fpga.flow.reports.host import host_section
from lognet_fpga.flow.reports.input import warn_of_scaling
from lognet_fpga.flow.reports.plan import plan_section
from lognet_fpga.flow.reports.synthesis import synthesis_section
from lognet_fpga.frontend import load
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.page.deployment import PAGE, deployment_page
from lognet_fpga.partition import make_tail, with_pixels
from lognet_fpga.plan.planner import plan_hardware
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.report import Report, Section
from lognet_fpga.synth.synthesis import SynthesisReport
from lognet_fpga.synth.yosys import synthesize
from lognet_fpga.verify.accuracy import Accuracy, RawAccuracy
from lognet_fpga.verify.check import verify
from lognet_fpga.verify.measure import host_outputs, measure_accuracy
from lognet_fpga.verify.settle_output import PROBES, settle_output, settle_threshold


@dataclass(frozen=True)
class DeployResult:
    """problem: why the bundle, which is written, has no bitstream although one was asked for."""

    report: Report
    bundle_path: Path
    problem: LogNetError | None = None


def deploy(config: DeployConfig, progress: Progress = NoProgress()) -> DeployResult:
    """Run every stage and write the bundle; raises a LogNetError when one cannot do its part.  The bitstream is made
    of the written bundle, which stays as it is where that fails."""
    board = load_board(config.board)
    target = target_of(config, board)
    if config.bitstream is not None:
        require_board(config.bitstream, board)
    check_surroundings(config)
    sections: list[Section] = []

    def settled(*some: Section) -> None:
        sections.extend(some)
        progress.known(deployment.title(config, board), *some)

    with progress.stage(f"read {config.model.name}"):
        graph = asked_output(config, load(config.model, input_shape=config.input_shape))
        config, act_bits = settle_preprocessing(config, graph), asked_bits(config, graph)
        graph = with_pixels(graph, config.preprocessing)
    choice = choose_layers(config, graph, target, act_bits, progress)
    graph = choice.parts.graph  # without outputs that this cut leaves out
    with progress.stage("read the frames"):
        output = settle_output(graph, config.preprocessing)
        frames = read_frames(config, graph, output)
        output = settle_threshold(output, graph, config.preprocessing.apply(frames.frames[:PROBES]))
        judged = read_judged(config, graph, frames, output)

    calibrating = calibration(frames, config.judged_apart)
    warn_of_scaling(choice.parts, config.preprocessing, calibrating)
    settled(*deployment.choice_sections(config, choice, output))
    first = choice
    choice, quant, bits = quantize_choice(config, choice, target, act_bits, calibrating, progress)
    if choice is not first:  # the frames have shown that fewer layers can go
        sections.clear()
        settled(*deployment.choice_sections(config, choice, output))
    settled(deployment.quantization_section(quant, bits, config, frames))
    parts = choice.parts
    golden, execution, tail = golden_onnx(quant), execution_onnx(quant), make_tail(parts, quant)
    core_sha256 = hashlib.sha256(golden).hexdigest()

    accuracy: Accuracy | RawAccuracy | None = None
    if judged is not None:
        accuracy = measure_accuracy(
            parts,
            quant,
            execution,
            tail,
            judged.frames,
            judged.labels,
            config.preprocessing,
            features=judged.features,
            output=output,
            calibrated=calibrated_among(judged, calibrating),
            progress=progress,
        )
    settled(*accuracy_sections(accuracy, config.judged_source))
    if isinstance(accuracy, Accuracy) and judged is not None:
        warn_of_a_lost_model(accuracy, judged.labels)
        if config.max_drop is not None:
            accuracy.require(config.max_drop)

    plan = plan_hardware(quant, target, progress)
    settled(plan_section(plan, config.clk_mhz), host_section(tail, board))
    with progress.stage("generate Verilog"):
        design = generate(plan, core_sha256, quant.name)

    vectors = verified(frames)
    verdict = None
    if config.verify:
        with progress.stage("verify: NumPy reference, golden.onnx, Verilog"):
            verdict = verify(design, quant, golden, vectors, plan, progress, execution=execution)
    settled(deployment.verification_section(verdict))
    if verdict is not None:
        verdict.require()
    synthesis: SynthesisReport | None = synthesize(design, progress) if config.synth else None
    settled(synthesis_section(plan, synthesis))

    activations = quant.run_layers(vectors)
    outputs = host_outputs(tail, activations[-1], output)
    class_names = names_of_all(output.classes, judged, frames)
    answers: dict[str, object] | None = None
    pictures: dict[str, bytes] = {}
    if isinstance(accuracy, Accuracy) and judged is not None:
        answers, pictures = answers_data(accuracy, judged, class_names, config.preprocessing.channel_order)
    data = deployment.data(
        *(
            config,
            choice,
            quant,
            bits,
            plan,
            design,
            verdict,
            synthesis,
            accuracy,
            frames,
            tail,
            output,
            activations,
            answers,
        )
    )
    report = Report(deployment.title(config, board), tuple(sections), data)
    report_json = deployment.json_bytes(report.data)
    files = {
        GOLDEN: golden,
        EXECUTION: execution,
        "tail.onnx": tail,
        "vectors.npz": deployment.npz_bytes(
            frames=vectors, **{layer.name: its for layer, its in zip(quant.layers, activations)}
        ),
        **deployment.output_files(outputs),
        "report.txt": report.text().encode(),
        "report.json": report_json,
        PAGE: deployment_page(json.loads(report_json), pictures).encode(),
        **pictures,
        **{f"verilog/{name}": text.encode() for name, text in design.files},
        SIGNAL_MAP: design.signals.encode(),
    }
    name = safe_name(config.model.stem)
    manifest = deployment.manifest(
        config, graph, quant, plan, design, verdict, accuracy, output, class_names, core_sha256, name
    )
    with progress.stage("write the bundle"):
        paths = write_bundle(files, manifest, config.out_folder)
    if config.bitstream is None:
        return DeployResult(report, paths.folder)
    try:
        made = make_bitstream(paths.folder, config.bitstream, progress)
    except LogNetError as problem:
        return DeployResult(report, paths.folder, problem)
    report = replace(report, sections=(*report.sections, made.section), data={**report.data, "bitstream": made.data})
    return DeployResult(report, made.bundle_path)

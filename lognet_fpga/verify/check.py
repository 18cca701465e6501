"""Compare the levels of a design bit by bit: NumPy reference, golden.onnx and execution.onnx in onnxruntime, Verilog in
Verilator.

golden.onnx is the level that all others are held against, since onnxruntime is not of this project.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lognet_fpga.errors import InputError, MissingToolError, VerificationError
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.verify.rtl import RtlRun, run_rtl, settled_after
from lognet_fpga.verify.simulator import compile_simulator
from lognet_fpga.verify.verdict import Cycles, Difference, LayerCount, Verdict

NUMPY = "NumPy reference"
EXECUTION = "execution.onnx"
FREE = "Verilog"
STALLED = "Verilog with stalls"
CHOKED = "Verilog with full FIFOs"
SINK = "output stream"
IDLE_PERCENT = 30
STALL_PERCENT = 40
CHOKE_PERCENT = 90
_BATCH = 16  # frames at a time in onnxruntime, for its memory


def verify(
    design: VerilogDesign,
    quant: QuantGraph,
    golden: bytes,
    frames: np.ndarray,
    plan: HardwarePlan,
    progress: Progress = NoProgress(),
    *,
    execution: bytes | None = None,
    seed: int = 1,
    stalls: bool = True,
) -> Verdict:
    """Run frames, (n >= 2, channels, h, w) uint8, through every level and compare all activations of all layers.

    golden: the serialized golden.onnx of quant.  execution: its execution.onnx, None to leave it out.  seed: of the
    idles, the stalls and the state before reset in the last run.  stalls False: leave out the runs with idles and
    stalls, which take ten times as long as the one without.  Raises InputError, MissingToolError or ToolError when the
    comparison cannot be made; what it finds is in the Verdict.
    """
    if len(frames) < 2:
        raise InputError(f"verification needs at least 2 frames to measure cycles per frame, not {len(frames)}")
    counts: list[LayerCount] = []
    problems: list[str] = []
    first: list[Difference] = []

    def compare(level: str, layer: str, bits: int, expected: np.ndarray, got: np.ndarray) -> None:
        """Count over the frames that came; what is missing counts as different in all its bits."""
        n = min(len(got), len(expected))
        different = expected[:n] ^ got[:n]
        missing = expected[n:].size * bits
        n_different = int(np.unpackbits(np.ascontiguousarray(different).view(np.uint8)).sum()) + missing
        counts.append(LayerCount(level, layer, len(expected), expected.size * bits, n_different))
        if different.any() and not first:
            frame, channel, y, x = (int(index) for index in np.argwhere(different)[0])
            at = frame, channel, y, x
            first.append(Difference(level, layer, frame, channel, y, x, int(expected[at]), int(got[at])))

    expected = _run_onnx(golden, "golden.onnx", quant, frames, progress)
    with progress.stage("run the NumPy reference") as stage:
        batches = []
        for start in range(0, len(frames), _BATCH):
            batches.append(quant.run_layers(frames[start : start + _BATCH]))
            stage.update(min(start + _BATCH, len(frames)), len(frames))
        for layer, parts in zip(quant.layers, zip(*batches)):
            compare(NUMPY, layer.name, layer.out_bits, expected[layer.name], np.concatenate(parts))
    if execution is not None:
        got = _run_onnx(execution, EXECUTION, quant, frames, progress)
        for layer in quant.layers:
            compare(EXECUTION, layer.name, layer.out_bits, expected[layer.name], got[layer.name])

    simulator = compile_simulator(design, progress)
    cap = 4 * (plan.latency_cycles + plan.cycles_per_frame) + 10_000
    settle = settled_after(plan.cycles_per_frame)
    free = run_rtl(simulator, design, frames, cycle_cap=cap + settle, settle_cycles=settle, progress=progress)
    runs = [(FREE, free)]
    if stalls:
        stalled = run_rtl(
            simulator,
            design,
            frames,
            idle_percent=IDLE_PERCENT,
            stall_percent=STALL_PERCENT,
            seed=seed,
            cycle_cap=10 * cap,
            random_state=True,
            progress=progress,
            step="simulate the Verilog with stalls",
        )
        # A sink so slow that every FIFO runs full; two frames are enough for that.
        choked = run_rtl(
            simulator,
            design,
            frames[:2],
            stall_percent=CHOKE_PERCENT,
            seed=seed,
            cycle_cap=40 * cap,
            progress=progress,
            step="simulate the Verilog with full FIFOs",
        )
        runs += [(STALLED, stalled), (CHOKED, choked)]
    last = quant.layers[-1]
    for level, run in runs:
        problems += [f"{level}: {problem}" for problem in run.problems]
        count = 2 if level == CHOKED else len(frames)
        for layer in quant.layers:
            if layer.name in run.activations:
                compare(level, layer.name, layer.out_bits, expected[layer.name][:count], run.activations[layer.name])
            else:
                problems.append(f"{level}: layer {layer.name} has no monitor")
        compare(level, SINK, last.out_bits, expected[last.name][:count], run.sink)
    return Verdict(
        len(frames),
        seed,
        IDLE_PERCENT if stalls else 0,
        STALL_PERCENT if stalls else 0,
        tuple(counts),
        first[0] if first else None,
        measure_cycles(free, plan),
        tuple(problems),
    )


def measure_cycles(run: RtlRun, plan: HardwarePlan) -> Cycles:
    """Latency of the first frame and the intervals between later frames' last beats, beside what the plan states.

    The first half of the intervals is left out: frames that enter an empty pipeline are not yet in steady state.
    """
    n = min(len(run.first_in_cycle), len(run.last_out_cycle))
    intervals = tuple(int(value) for value in np.diff(run.last_out_cycle))
    latency = int(run.last_out_cycle[0] - run.first_in_cycle[0]) if n else None
    return Cycles(latency, plan.latency_cycles, intervals[len(intervals) // 2 :], plan.cycles_per_frame, run.cycles)


def _run_onnx(
    model: bytes, name: str, quant: QuantGraph, frames: np.ndarray, progress: Progress
) -> Mapping[str, np.ndarray]:
    """Activations of every layer by golden.onnx or execution.onnx, layer name -> (n, *out_shape)."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingToolError(
            "onnxruntime was not found; verification compares with it", hint="pip install onnxruntime"
        ) from error
    names = [layer.name for layer in quant.layers]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    if sorted(outputs) != sorted(names):
        raise VerificationError(
            f"{name} does not have the layers' activations as its outputs",
            context=(f"outputs: {', '.join(outputs)}", f"layers: {', '.join(names)}"),
        )
    source = session.get_inputs()[0].name
    parts = []
    with progress.stage(f"run {name} in onnxruntime") as stage:
        for start in range(0, len(frames), _BATCH):
            parts.append(session.run(names, {source: np.ascontiguousarray(frames[start : start + _BATCH])}))
            stage.update(min(start + _BATCH, len(frames)), len(frames))
    return {name: np.concatenate(chunks) for name, chunks in zip(names, zip(*parts))}

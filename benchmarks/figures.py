"""What the scripts of this folder share: the figures of a whole overlay, kept in the cache.

A result is kept under the content of everything it depends on, the sources of the package included, so that a run that
was stopped takes up where it was and a changed generator gives new figures.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from lognet_fpga.codegen import generate
from lognet_fpga.engines.clb.foldings import CLB
from lognet_fpga.engines.stores import solve_layers
from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.fabric.board import Board
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.fabric.target import Target
from lognet_fpga.flow.inputs import verified
from lognet_fpga.frontend import load
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.machine.cache import cached, digest
from lognet_fpga.partition import partition
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.plan.planner import plan_engines
from lognet_fpga.progress import Progress
from lognet_fpga.quantize import quantize
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.synth.synthesis import PartCounts, SynthesisReport
from lognet_fpga.synth.yosys import synthesize
from lognet_fpga.verify.check import verify

CALIBRATION_FRAMES = 8
_REPOSITORY = Path(__file__).parents[1]
_SEED = 1
_PREPROCESSING = Preprocessing(scale=1 / 255)
_quantized: dict[tuple[object, ...], QuantGraph] = {}


@dataclass(frozen=True, eq=False)
class Overlay:
    """A model as far as its Verilog.  fits: whether the plan stays within the board by its estimate."""

    quant: QuantGraph
    golden: bytes
    plan: HardwarePlan
    fits: bool
    design: VerilogDesign
    frames: np.ndarray


@cache
def sources(*folders: str) -> str:
    """Digest of all that decides about results in these folders and files of the repository."""
    places = [_REPOSITORY / folder for folder in folders]
    files = [
        path
        for place in places
        for path in ([place] if place.is_file() else sorted(place.rglob("*")))
        if path.suffix in (".py", ".cpp", ".json")
    ]
    return digest(*(part for path in files for part in (path.name, path.read_bytes())))


def kept(
    kind: str,
    key: tuple[object, ...],
    make: Callable[[], Mapping[str, Any]],
    folders: tuple[str, ...] = ("lognet_fpga", "overlays"),
) -> dict[str, Any]:
    """What make gives, from the cache where it was made from the same sources: of its own file and of folders."""

    def write(folder: Path) -> None:
        (folder / "figures.json").write_text(json.dumps(make()), encoding="utf-8")

    made_by = sources(make.__code__.co_filename, *folders)
    return json.loads(cached("figures", digest(kind, made_by, *map(repr, key)), write)["figures.json"])


def quantized(model: onnx.ModelProto, *, prune: float, act_bits: int, progress: Progress) -> QuantGraph:
    """All FPGA layers of model, calibrated on noise."""
    key = hashlib.sha256(model.SerializeToString()).hexdigest(), prune, act_bits
    if key not in _quantized:
        with tempfile.TemporaryDirectory() as folder, progress.stage("read the model"):
            place = Path(folder) / "model.onnx"
            place.write_bytes(model.SerializeToString())
            parts = partition(load(place))
        frames = noise(parts.layers[0].in_shape, CALIBRATION_FRAMES)
        made = quantize(parts, frames, _PREPROCESSING, act_bits=act_bits, prune=prune, progress=progress)
        _quantized.clear()  # the last one only: several overlays of a network come one behind the other
        _quantized[key] = made
    return _quantized[key]


def noise(shape: tuple[int, int, int], count: int) -> np.ndarray:
    return np.random.default_rng(_SEED).integers(0, 256, (count, *shape), dtype=np.uint8)


def build_overlay(
    quant: QuantGraph,
    board: Board,
    *,
    fps: float | None,
    clk_mhz: float | None = None,
    must_fit: bool = False,
    progress: Progress,
) -> Overlay:
    """Plan and Verilog in the order of lognet_fpga/flow/deploy.py, all weights in the fabric.

    fps, clk_mhz: as of a Target.  A plan that does not fit the board is made all the same, for then its figures
    are what one wants to see; with must_fit it raises DoesNotFitError.
    """
    golden = golden_onnx(quant)
    engines = solve_layers(quant.layers, [CLB] * len(quant.layers), progress)
    target, fits = Target(board, board.clock_mhz(clk_mhz), (CLB,), fps), True
    with progress.stage(f"plan for {board.title}"):
        try:
            plan = plan_engines(engines, target)
        except DoesNotFitError:
            if must_fit:
                raise
            endless = replace(board, lut=10**8, ff=10**8, bram36=10**6)
            plan = replace(plan_engines(engines, replace(target, board=endless)), target=target)
            fits = False
    with progress.stage("generate Verilog"):
        design = generate(plan, hashlib.sha256(golden).hexdigest())
    return Overlay(quant, golden, plan, fits, design, noise(quant.input_shape, CALIBRATION_FRAMES))


def overlay_figures(
    model: onnx.ModelProto,
    board: str,
    *,
    fps: float | None,
    clk_mhz: float | None = None,
    prune: float,
    act_bits: int,
    synth: bool,
    simulate: bool,
    must_fit: bool = False,
    progress: Progress,
) -> dict[str, Any]:
    """Everything that is reported of a model's overlay, as JSON has it: see `_figures`.  fps, clk_mhz, must_fit:
    as for build_overlay."""
    options = (board, fps, clk_mhz, prune, act_bits, synth, simulate, must_fit)

    def make() -> dict[str, Any]:
        quant = quantized(model, prune=prune, act_bits=act_bits, progress=progress)
        overlay = build_overlay(
            quant, load_board(board), fps=fps, clk_mhz=clk_mhz, must_fit=must_fit, progress=progress
        )
        synthesis = synthesize(overlay.design, progress, jobs=1) if synth else None
        return _figures(overlay, synthesis, simulation(overlay, progress) if simulate else None)

    return kept("overlay", (hashlib.sha256(model.SerializeToString()).hexdigest(), *options), make)


def simulation(overlay: Overlay, progress: Progress) -> dict[str, Any]:
    """What Verilator found in an unstalled run of two frames and more."""
    vectors = verified(Frames(overlay.frames))

    def make() -> dict[str, Any]:
        with progress.stage("verify: NumPy reference, golden.onnx, Verilog"):
            found = verify(overlay.design, overlay.quant, overlay.golden, vectors, overlay.plan, progress, stalls=False)
        return {
            "frames": found.frames,
            "bits": found.bits,
            "differing_bits": found.differing_bits,
            "cycles_as_planned": found.cycles.as_planned,
            "failures": list(found.failures()),
        }

    key = overlay.design.digest, hashlib.sha256(overlay.golden).hexdigest(), json.dumps(overlay.plan.to_json())
    return kept("simulation", key, make, ("lognet_fpga/verify", "lognet_fpga/ir"))


def _figures(
    overlay: Overlay, synthesis: SynthesisReport | None, simulated: Mapping[str, Any] | None
) -> dict[str, Any]:
    plan, counts = overlay.plan, dict(synthesis.parts) if synthesis else {}
    layers = []
    for planned in plan.layers:
        layer, folding, estimate = planned.layer, planned.folding, planned.estimate
        outputs = len(layer.codes)
        layers.append(
            {
                "name": layer.name,
                "matrix": f"{layer.codes[0].size} x {outputs}",
                "zeros": layer.sparsity,
                "weights": planned.nonzero_weights,
                "folding": folding.text,
                "ii_cycles": folding.ii_cycles,
                "acc_bits": folding.acc_bits,
                "adders": folding.to_json().get("adders"),
                "estimate": {"lut": estimate.lut, "ff": estimate.ff, "bram36": estimate.bram36},
                "synthesis": counted(counts[layer.name]) if synthesis else None,
            }
        )
    total = plan.total
    slowest = min((path for _, path in synthesis.paths), key=lambda path: path.mhz) if synthesis else None
    return {
        "board": plan.target.board.name,
        "clk_mhz": plan.target.clk_mhz,
        "fits": overlay.fits,
        "fps": plan.fps,
        "cycles_per_frame": plan.cycles_per_frame,
        "latency_cycles": plan.latency_cycles,
        "zeros": float(np.mean(np.concatenate([layer.codes.ravel() == 0 for layer in overlay.quant.layers]))),
        "layers": layers,
        "estimate": {"lut": total.lut, "ff": total.ff, "bram36": total.bram36},
        "synthesis": counted(synthesis.total) if synthesis else None,
        "path_mhz": slowest and slowest.mhz,
        "simulation": simulated and dict(simulated),
    }


def counted(counts: PartCounts) -> dict[str, Any]:
    """The counts that the tables show."""
    return {
        "lut_sites": counts.lut_sites,
        "lut": counts.lut,
        "ff": counts.ff,
        "bram36": counts.bram36,
        "dsp": counts.dsp,
        "carry4": counts.carry4,
        "srl": counts.srl,
    }

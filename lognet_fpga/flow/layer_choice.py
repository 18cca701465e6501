"""Which layers go onto the FPGA, settled before the slow stages: by operators, by estimated size, by estimated rate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lognet_fpga.config import ALL_LAYERS, AUTO_BITS, AUTO_LAYERS, CLASS_OUTPUT, DeployConfig
from lognet_fpga.engines.folding import Engine
from lognet_fpga.engines.stores import sketch_layers, stores_of
from lognet_fpga.fabric.board import Board
from lognet_fpga.fabric.target import Target
from lognet_fpga.frontend.classes import with_class_output
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.partition import Partition, partition
from lognet_fpga.partition.host_work import HostWork
from lognet_fpga.partition.reach import Reach, asked_graph, reach
from lognet_fpga.partition.work import Work, node_work, total_host_work
from lognet_fpga.plan.far_too_large import far_too_large, require_possible
from lognet_fpga.plan.survey import Candidate, best, survey
from lognet_fpga.progress import NoProgress, Progress, Stage
from lognet_fpga.quantize import AskedBits, ChosenBits, PaddingError, quantize, quantize_by_error
from lognet_fpga.quantize.grid import pinned_bits
from lognet_fpga.quantize.sketch import bits_in, sketch_graph, sketch_layer


@dataclass(frozen=True, eq=False)
class LayerChoice:
    """parts: the cut.  candidates: what was chosen from, empty where the number of layers was given or the usual."""

    parts: Partition
    candidates: tuple[Candidate, ...] = ()


def asked_bits(config: DeployConfig, graph: Graph) -> AskedBits:
    """The bits of the activations that are asked for, else those that the model has."""
    return AskedBits(pinned=pinned_bits(graph)) if config.act_bits == AUTO_BITS else AskedBits(int(config.act_bits))


def target_of(config: DeployConfig, board: Board) -> Target:
    """What config asks of a board."""
    return Target(board, board.clock_mhz(config.clk_mhz), stores_of(config.weights), config.fps)


def choose_layers(
    config: DeployConfig, graph: Graph, target: Target, act_bits: AskedBits, progress: Progress = NoProgress()
) -> LayerChoice:
    """The cut that config.fpga_layers asks for, of graph or of graph with its fully connected layers as convolutions.
    act_bits: as settled.

    Warns where fewer layers than usual can go.  Raises what partition raises, and DoesNotFitError for layers far too
    large for the board.
    """
    candidates: tuple[Candidate, ...] = ()
    graph, count = asked_graph(graph, config.fpga_layers), config.layers_asked
    if config.fpga_layers == ALL_LAYERS:
        far = reach(graph)
        count = far.possible or far.available or None
        if far.possible and (stop := far.stop(far.possible)):
            warnings.warn(str(stop), stacklevel=2)
    if config.fpga_layers == AUTO_LAYERS:
        far = reach(graph)
        if far.possible:
            with progress.stage("choose the number of layers"):
                sketch = sketch_reach(config, far, [target.board], act_bits)
                candidates = survey(sketch, host_work(far, node_work(graph)), target)
            chosen = best(candidates)
            count = chosen.layers if chosen else far.counts[0]
    parts = partition(graph, count)
    if parts.stopped:
        warnings.warn(str(parts.stopped), stacklevel=2)
    if parts.graph.left_out:
        warnings.warn(
            f"outputs that are left out: {', '.join(parts.graph.left_out)}; they are no tensors, need other inputs, or "
            "come from in front of the layers on the FPGA",
            stacklevel=2,
        )
    sketch = sketch_graph(
        graph.name, parts.layers, parts.sources, act_bits=act_bits.expected(len(parts.layers)), prune=config.prune
    )
    require_possible(sketch, target)
    return LayerChoice(parts, candidates)


def asked_output(config: DeployConfig, graph: Graph) -> Graph:
    """graph with the output that config asks for."""
    return with_class_output(graph) if config.output == CLASS_OUTPUT else graph


def quantize_choice(
    config: DeployConfig,
    choice: LayerChoice,
    target: Target,
    act_bits: AskedBits,
    frames: np.ndarray,
    progress: Progress,
) -> tuple[LayerChoice, QuantGraph, ChosenBits | None]:
    """The chosen layers quantized on frames, (n, channels, h, w) uint8; fewer layers, with a warning, where these show
    that one cannot pad as the model does, unless their number was asked for.  ChosenBits where there was a choice."""

    def quantized(parts: Partition) -> tuple[QuantGraph, ChosenBits | None]:
        given, how = act_bits.given(len(parts.layers)), config.preprocessing
        bits = [its for its in given if its is not None]
        if len(bits) == len(given):
            return quantize(parts, frames, how, act_bits=bits, prune=config.prune, progress=progress), None
        return quantize_by_error(parts, frames, how, given=given, prune=config.prune, progress=progress)

    try:
        return choice, *quantized(choice.parts)
    except PaddingError as obstacle:
        graph = choice.parts.graph
        far = reach(graph)
        fewer = max((count for count in far.counts if count <= obstacle.layers), default=0)
        if not fewer or config.layers_asked is not None:
            raise
        layers = f"1 {far.word} goes" if fewer == 1 else f"{fewer} {far.word}s go"
        warnings.warn(f"{layers} onto the FPGA, not {len(choice.parts.layers)}: {obstacle.message}", stacklevel=2)
    again = choose_layers(replace(config, fpga_layers=fewer), graph, target, act_bits)
    return replace(again, candidates=choice.candidates), *quantized(again.parts)


def sketch_reach(
    config: DeployConfig, far: Reach, boards: list[Board], act_bits: AskedBits, stage: Stage | None = None
) -> QuantGraph:
    """Sketch the layers that can go, up to the first with which they are far too large for every board; in any case
    as many as the least number that can."""
    largest = target_of(replace(config, fps=None), max(boards, key=lambda board: board.lut))
    layers: list[QuantLayer] = []
    engines: list[Sequence[Engine]] = []
    span = far.spans[far.possible - 1]
    bits = act_bits.expected(len(span.layers))
    for layer, sources, its_bits in zip(span.layers, span.sources, bits):
        if stage is not None:
            stage.update(len(layers), far.possible)
        last = len(layers) + 1 == far.possible
        layers.append(sketch_layer(layer, bits_in(sources, bits), its_bits, config.prune, last=last))
        engines += sketch_layers(layers[-1:], largest.stores)
        if len(layers) in far.counts and far_too_large(engines, largest, span.sources[: len(layers)]):
            break
    return QuantGraph("sketch", layers[0].in_shape, tuple(layers), span.sources[: len(layers)])


def host_work(far: Reach, work: dict[str, Work]) -> dict[int, HostWork | None]:
    """What the host has to do for a frame behind each number of layers that can go; None where that is not known."""

    def behind(count: int) -> HostWork | None:
        on_fpga = {node.outputs[0] for node in far.nodes(count)}
        entered = HostWork.entry(math.prod(far.spans[count - 1].layers[-1].out_shape))
        return total_host_work((entry.host for name, entry in work.items() if name not in on_fpga), entered)

    return {count: behind(count) for count in far.counts}

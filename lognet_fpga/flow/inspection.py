"""What would happen to a model, said in seconds: operators, sizes and rates by estimate; nothing is built."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from lognet_fpga.config import ALL_LAYERS, AUTO_LAYERS, DeployConfig
from lognet_fpga.errors import DoesNotFitError, LogNetError, UnsupportedModelError
from lognet_fpga.fabric.board import Board
from lognet_fpga.fabric.boards import board_names, load_board
from lognet_fpga.flow.layer_choice import asked_bits, host_work, sketch_reach, target_of
from lognet_fpga.frontend import load
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.partition import FloatLayer, Partition, partition, with_pixels
from lognet_fpga.partition.reach import Reach, asked_graph, reach
from lognet_fpga.partition.work import Work, node_work
from lognet_fpga.plan.survey import Candidate, best, on_board, survey
from lognet_fpga.progress import NoProgress, Progress


@dataclass(frozen=True, eq=False)
class BoardFit:
    """A board with the candidates for every number of layers that can go."""

    board: Board
    candidates: tuple[Candidate, ...]

    @cached_property
    def best(self) -> Candidate | None:
        return best(self.candidates)

    @property
    def most_layers(self) -> int:
        """The most layers that fit, 0 for none."""
        return max((candidate.layers for candidate in self.candidates if candidate.fits), default=0)


@dataclass(frozen=True, eq=False)
class Inspection:
    """work: of every node, by its first output.  sketch: of the layers that can go, up to the first that is far too
    large for every board; None where none can go.  parts: the cut asked for, None where it is impossible.  error: what
    keeps every board from it, None where one can have it.
    """

    graph: Graph
    reach: Reach
    work: dict[str, Work]
    sketch: QuantGraph | None
    boards: tuple[BoardFit, ...]
    parts: Partition | None
    error: LogNetError | None

    @property
    def layers(self) -> tuple[FloatLayer, ...]:
        """All that can go onto the FPGA by their operators."""
        return self.reach.spans[self.reach.possible - 1].layers if self.reach.possible else ()

    @property
    def sketched(self) -> tuple[QuantLayer, ...]:
        """Those of them that are in the sketch."""
        return () if self.sketch is None else self.sketch.layers


def inspect(config: DeployConfig, board: str | None = None, progress: Progress = NoProgress()) -> Inspection:
    """Look at config.model for one board, or for all when None.

    Of config: model, fpga_layers, weights, fps, clk_mhz, act_bits, prune, input_shape, preprocessing; board for
    fpga_layers "auto".
    Raises what frontend.load raises; a model that no board can take is no error here, see Inspection.error.
    """
    boards = [load_board(name) for name in ([board] if board else board_names())]
    with progress.stage(f"read {config.model.name}"):
        graph = _as_cut(load(config.model, input_shape=config.input_shape))
        act_bits = asked_bits(config, graph)
        graph = with_pixels(graph, config.preprocessing.for_model(graph.input_shape))
        graph = asked_graph(graph, config.fpga_layers)
        far, work = reach(graph), node_work(graph)
    seen = Inspection(graph, far, work, None, (), None, None)
    if far.possible:
        with progress.stage("size the layers") as stage:
            sketch = sketch_reach(config, far, boards, act_bits, stage)
        fits: list[BoardFit] = []
        with progress.stage("estimate rates") as stage:
            for number, each in enumerate(boards):
                stage.update(number, len(boards), each.title)
                target, twin = target_of(config, each), next((fit for fit in fits if fit.board.plans_like(each)), None)
                found = on_board(twin.candidates, target) if twin else survey(sketch, host_work(far, work), target)
                fits.append(BoardFit(each, found))
                stage.note(_in_brief(fits[-1]))
        seen = replace(seen, sketch=sketch, boards=tuple(fits))
    seen = _with_cut(seen, _count(config, far, seen.boards))
    return replace(seen, error=seen.error or _size_error(config, seen.boards))


def _with_cut(seen: Inspection, count: int | None) -> Inspection:
    try:
        return replace(seen, parts=partition(seen.graph, count))
    except UnsupportedModelError as refusal:
        return replace(seen, error=refusal)


def _in_brief(fit: BoardFit) -> str:
    """A board in a line."""
    if fit.best is None:
        return f"{fit.board.title}: nothing fits"
    layers = "1 layer" if fit.best.layers == 1 else f"{fit.best.layers} layers"
    rate = "at a rate that is not known" if fit.best.fps is None else f"{fit.best.fps:,.0f} frames a second"
    return f"{fit.board.title}: best with {layers}, {rate}"


def _as_cut(graph: Graph) -> Graph:
    """graph with the outputs that it is usually deployed with."""
    try:
        return partition(graph).graph
    except UnsupportedModelError:
        return graph


def _count(config: DeployConfig, far: Reach, fits: tuple[BoardFit, ...]) -> int | None:
    """For partition; "auto": the best on config.board, the least where nothing fits."""
    if config.fpga_layers == ALL_LAYERS:
        return far.possible or far.available or None
    if config.fpga_layers != AUTO_LAYERS:
        return config.layers_asked
    chosen = next((fit.best for fit in fits if fit.board.name == config.board), None)
    return chosen.layers if chosen else next(iter(far.counts), None)


def _size_error(config: DeployConfig, fits: tuple[BoardFit, ...]) -> DoesNotFitError | None:
    """Where no board has room for the number of layers asked for, or for any layer when none was."""
    asked = config.layers_asked
    if any(candidate.fits and asked in (None, candidate.layers) for fit in fits for candidate in fit.candidates):
        return None
    least = asked or min((candidate.layers for fit in fits for candidate in fit.candidates), default=1)
    layers = "not even the first layer fits" if least == 1 else f"the first {least} layers do not fit"
    where = fits[0].board.title if len(fits) == 1 else "any board"
    rate = f" at {config.fps:g} frames a second" if config.fps else ""
    return DoesNotFitError(
        f"{layers} {where}{rate}, by estimate",
        hint="see the table of boards for the share to --prune, and for fewer layers",
    )

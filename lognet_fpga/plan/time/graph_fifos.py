"""The FIFOs of a graph, by the cycle model: deep enough where a join waits, else as shallow as they may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from lognet_fpga.fabric.latencies import PICK_LATENCY, ROOM_LATENCY, rooms_latency
from lognet_fpga.ir.sources import FRAMES, Sources, takers
from lognet_fpga.plan.hardware_plan import Fifo, PlannedLayer
from lognet_fpga.plan.time.cycles import CycleCounts
from lognet_fpga.plan.time.fifos import MODEL_FRAMES, fifo_reserve, layer_timing, power_of_two
from lognet_fpga.plan.time.graph import Deadlock, Queue, count_graph_cycles
from lognet_fpga.plan.time.layer_timing import LayerTiming

_PAUSED_FRAMES = 3  # run through the model to see that nothing stands still: one behind the other, and one in between


def size_graph_fifos(
    layers: Sequence[PlannedLayer], entry: Sequence[Fifo], sources: Sources
) -> tuple[list[PlannedLayer], tuple[Fifo, ...], CycleCounts]:
    """The layers and the FIFOs behind the entry with depths (powers of two), and the cycles that result.

    A FIFO that ends at a join, but for that of the last layer in front of it, holds what comes while the join waits for
    that one: it is as deep as it needs to be never to hold up anybody.  All others hold up who pushes into them, and
    are the shallowest with which the slowest layer never waits.  Whatever pauses, nothing stands still for good.
    """
    timings = [layer_timing(planned) for planned in layers]
    behind = [entry, *(planned.fifos for planned in layers)]
    queues, least, ample = [], [], []
    for number, its in enumerate(behind, FRAMES):
        timing = timings[max(0, number)]
        row = timing.in_beats * timing.raster.cols if number == FRAMES else timing.row_beats
        for fifo, holds_up in zip(_least_fifos(number, its, layers, timings), _hold_up(number, sources)):
            queues.append(Queue(fifo.stride, None, fifo.reserve))
            least.append(fifo.depth)
            ample.append(max(fifo.depth, power_of_two(2 * row)) if holds_up else 0)

    def run(depths: Sequence[int], frames: int = MODEL_FRAMES, hesitant: bool = False) -> CycleCounts | None:
        """None: it stands still.  A depth of 0 is one without a limit."""
        tried = iter([replace(queue, depth=depth or None) for queue, depth in zip(queues, depths)])
        entered, *left = [tuple(islice(tried, len(its))) for its in behind]
        with suppress(Deadlock):
            return count_graph_cycles(timings, sources, entered, left, frames, hesitant=hesitant)
        return None

    unlimited = run([0] * len(queues))
    assert unlimited is not None  # nobody is held up
    best = unlimited.cycles_per_frame
    known = [0] * len(queues), unlimited  # the last depths with which nothing is slower, and their cycles
    too_few: list[list[int]] = []

    def enough(depths: list[int]) -> bool:
        nonlocal known
        fifos = zip(depths, known[0], known[1].fifo_peaks, queues)
        if any(all(depth <= other for depth, other in zip(depths, others)) for others in too_few):
            return False
        # Where no FIFO is felt that was not felt before, all is as before.
        if not all(
            depth == before or (depth and peak + queue.reserve <= depth) for depth, before, peak, queue in fifos
        ):
            counts = run(depths)
            if counts is None or counts.cycles_per_frame > best:
                too_few.append(depths)
                return False
            known = depths, counts
        known = depths, known[1]
        return True

    while not enough(ample):
        ample = [2 * depth for depth in ample]
    depths, (_, counts) = shallowest(ample, least, enough), known
    depths = [
        depth or max(low, power_of_two(peak + queue.reserve))
        for depth, low, peak, queue in zip(depths, least, counts.fifo_peaks, queues)
    ]
    while not run(depths, _PAUSED_FRAMES, hesitant=True):
        depths = [2 * depth for depth in depths]
        deeper = run(depths)
        assert deeper is not None
        counts = deeper
    sized = (
        Fifo(depth, queue.reserve, peak, queue.stride) for depth, queue, peak in zip(depths, queues, counts.fifo_peaks)
    )
    entry = tuple(islice(sized, len(entry)))
    made = [
        replace(planned, fifo=next(sized), branches=tuple(islice(sized, len(planned.branches)))) for planned in layers
    ]
    return made, entry, counts


def least_graph_fifos(
    layers: Sequence[PlannedLayer], entry: Sequence[Fifo]
) -> tuple[list[PlannedLayer], tuple[Fifo, ...]]:
    """As of size_graph_fifos, but as shallow as they may ever be, which takes no cycle model."""
    timings = [layer_timing(planned) for planned in layers]
    its = [_least_fifos(number, planned.fifos, layers, timings) for number, planned in enumerate(layers)]
    made = [replace(planned, fifo=first, branches=tuple(rest)) for planned, (first, *rest) in zip(layers, its)]
    return made, tuple(_least_fifos(FRAMES, entry, layers, timings))


def _least_fifos(
    number: int, fifos: Sequence[Fifo], layers: Sequence[PlannedLayer], timings: Sequence[LayerTiming]
) -> list[Fifo]:
    """Those behind a layer, or for FRAMES behind the entry, with the reserves that they have and room for no more than
    these and one result."""
    sized = []
    for fifo in fifos:
        late = rooms_latency(len(fifos)) + (PICK_LATENCY if fifo.stride != (1, 1) else 0)
        if number == FRAMES:
            reserve, beats = ROOM_LATENCY + 1 + late, 1
        else:
            reserve = fifo_reserve(layers[number].layer, timings[number], late)
            beats = len(timings[number].beat_cycles)
        sized.append(replace(fifo, depth=power_of_two(reserve + beats), reserve=reserve))
    return sized


def _hold_up(number: int, sources: Sources) -> list[bool]:
    """Which FIFOs behind a layer hold it up."""
    its = [
        place == max(range(len(sources[taker])), key=lambda place: sources[taker][place].layer)
        for taker, place in takers(sources)[number]
    ]
    return its or [True]


def shallowest(depths: list[int], least: Sequence[int], enough: Callable[[list[int]], bool]) -> list[int]:
    """Depths, of which none other than 0 can be halved without being too shallow, or less than `least`.

    At first all are halved as often as each other; what is then too much for all is tried for halves of them, down to
    each alone, for it is few that cannot be shallower.
    """

    def halved(halvings: int, numbers: Sequence[int]) -> list[int]:
        return [
            max(low, depth >> halvings) if number in numbers else depth
            for number, (depth, low) in enumerate(zip(depths, least))
        ]

    limited = [number for number, depth in enumerate(depths) if depth]
    found, too_many = 0, 1 + max((depths[number] // least[number]).bit_length() - 1 for number in limited)
    while too_many - found > 1:
        middle = (found + too_many) // 2
        found, too_many = (middle, too_many) if enough(halved(middle, limited)) else (found, middle)
    depths, groups = halved(found, limited), [limited]
    while groups:
        group = [number for number in groups.pop() if depths[number] > least[number]]
        if group and enough(tried := halved(1, group)):
            depths = tried
            groups.append(group)
        elif len(group) > 1:
            middle = len(group) // 2
            groups += [group[middle:], group[:middle]]
    return depths

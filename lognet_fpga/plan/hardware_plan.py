"""The hardware plan: how each layer is laid onto the board, and what that costs and yields."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache

import numpy as np

from lognet_fpga.engines.folding import Folding, Streams, parts_of
from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.costs import stream_blocks
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.quant import QuantLayer


@dataclass(frozen=True)
class Fifo:
    """The FIFO behind a layer, in beats.  reserve: how many places must be free when a slot starts; peak: the most it
    holds."""

    depth: int
    reserve: int = 0
    peak: int = 0


@dataclass(frozen=True)
class PlannedLayer:
    """A layer, the folding that was chosen for it, and what lies around its engine."""

    layer: QuantLayer
    folding: Folding
    streams: Streams
    fifo: Fifo

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def nonzero_weights(self) -> int:
        """Static weights other than 0."""
        return int(np.count_nonzero(self.layer.codes))

    @property
    def blocks(self) -> dict[str, Resources]:
        """What each block of the layer takes, by its name."""
        lanes, depth = self.streams.channels_per_beat, self.fifo.depth
        return self.folding.blocks(self.streams) | stream_blocks(self.layer, lanes, depth)

    @cached_property
    def estimate(self) -> Resources:
        """What all blocks take together."""
        return _estimate(self.layer, self.folding, self.streams, self.fifo.depth)

    def to_json(self) -> dict[str, object]:
        """See docs/commands.md."""
        folding = self.folding
        return {
            "name": self.name,
            "weights": folding.store,
            "ii_cycles": folding.ii_cycles,
            "acc_bits": folding.acc_bits,
            "slots_per_frame": folding.raster.slots,
            "cycles_per_frame": folding.cycles_per_frame,
            **asdict(self.streams),
            "nonzero_weights": self.nonzero_weights,
            **{f"fifo_{name}": value for name, value in asdict(self.fifo).items()},
            "estimate": asdict(self.estimate),
            **folding.to_json(),
        }


@lru_cache(maxsize=1 << 16)
def _estimate(layer: QuantLayer, folding: Folding, streams: Streams, fifo_depth: int) -> Resources:
    return sum(stream_blocks(layer, streams.channels_per_beat, fifo_depth).values(), parts_of(folding, streams))


@dataclass(frozen=True)
class HardwarePlan:
    """cycles_per_frame: steady state; latency_cycles: from a frame's first input beat to its last output beat,
    in an idle overlay that is never stalled.  shell: estimate of what is not a layer (AXI, registers)."""

    target: Target
    layers: tuple[PlannedLayer, ...]
    shell: Resources
    cycles_per_frame: int
    latency_cycles: int

    @property
    def quant_layers(self) -> tuple[QuantLayer, ...]:
        return tuple(planned.layer for planned in self.layers)

    @property
    def fps(self) -> float:
        """Frames per second of the programmable logic at the target's clock, not stalled from outside."""
        return self.target.clk_mhz * 1e6 / self.cycles_per_frame

    @cached_property
    def total(self) -> Resources:
        return sum((planned.estimate for planned in self.layers), self.shell)

    def to_json(self) -> dict[str, object]:
        """See docs/commands.md."""
        return {
            "fps": self.fps,
            "cycles_per_frame": self.cycles_per_frame,
            "latency_cycles": self.latency_cycles,
            "clk_mhz": self.target.clk_mhz,
            "estimate": asdict(self.total),
            "shell": asdict(self.shell),
            "layers": [planned.to_json() for planned in self.layers],
        }

"""The stores there are.  A new one is its package and a line here."""

from __future__ import annotations

from collections.abc import Sequence

from lognet_fpga.engines.bram.store import BramStore
from lognet_fpga.engines.clb.store import ClbStore
from lognet_fpga.engines.folding import Engine
from lognet_fpga.engines.store import Store
from lognet_fpga.errors import UsageError
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.progress import NoProgress, Progress

AUTO = "auto"  # of --weights: for each layer what is cheaper
STORES: dict[str, Store] = {store.name: store for store in (ClbStore(), BramStore())}


def choices() -> tuple[str, ...]:
    """What --weights may be."""
    return (AUTO, *STORES)


def stores_of(weights: str) -> tuple[str, ...]:
    """The stores that --weights allows.  Raises UsageError for a name of none."""
    if weights not in choices():
        raise UsageError(f"there is no store of weights {weights!r}", hint=f"use one of {', '.join(choices())}")
    return tuple(STORES) if weights == AUTO else (weights,)


def sketch_layers(layers: Sequence[QuantLayer], stores: Sequence[str]) -> list[tuple[Engine, ...]]:
    """For each layer its sketches, one for each of the stores."""
    return [tuple(STORES[name].sketch(layer) for name in stores) for layer in layers]


def solve_layers(
    layers: Sequence[QuantLayer], stores: Sequence[str], progress: Progress = NoProgress()
) -> tuple[Engine, ...]:
    """Each layer in its store, those of one store together; stores: a name for each layer."""
    solved: dict[int, Engine] = {}
    for name in dict.fromkeys(stores):
        ours = [index for index, other in enumerate(stores) if other == name]
        solved |= zip(ours, STORES[name].solve([layers[index] for index in ours], progress))
    return tuple(solved[index] for index in range(len(layers)))

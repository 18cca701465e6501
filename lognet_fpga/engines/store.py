"""A store: where a layer's weights are, and all that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lognet_fpga.engines.folding import Engine
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.progress import Progress


class Store(Protocol):
    """name: as --weights takes it, in reports and JSON.  title: in a few words, for --help.  searches: whether solving
    takes a search, of seconds to minutes."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def searches(self) -> bool: ...

    def sketch(self, layer: QuantLayer) -> Engine:
        """The layer in this store, estimated in a moment."""
        ...

    def solve(self, layers: Sequence[QuantLayer], progress: Progress) -> tuple[Engine, ...]:
        """The layers in this store, ready to be built."""
        ...

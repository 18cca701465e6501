"""What a cocotb test knows of the DMA in front of it; handed over in a file."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.case import CASE_FILE


@dataclass(frozen=True)
class DmaCase:
    """source_bits, sink_bits: of the streams.  seed: of everything random.  n_bytes: to move under faults."""

    source_bits: int
    sink_bits: int
    seed: int
    n_bytes: int

    def save(self, path: Path) -> None:
        path.write_bytes(pickle.dumps(self))


def load_case() -> DmaCase:
    return pickle.loads(Path(os.environ[CASE_FILE]).read_bytes())

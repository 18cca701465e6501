"""What a cocotb test knows of the overlay in front of it; handed over in a file."""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.ir.stream_format import StreamFormat

CASE_FILE = "LOGNET_CONFORMANCE_CASE"  # environment variable
MODEL_SHA256 = hashlib.sha256(b"conformance").hexdigest()


@dataclass(frozen=True)
class Case:
    """quant: the definition of the results.  cycles_per_frame, latency_cycles: what the plan states.
    seed: of everything random.  soak_frames: length of the soak."""

    quant: QuantGraph
    source: StreamFormat
    sink: StreamFormat
    cycles_per_frame: int
    latency_cycles: int
    seed: int
    soak_frames: int

    def save(self, path: Path) -> None:
        path.write_bytes(pickle.dumps(self))


def load_case() -> Case:
    return pickle.loads(Path(os.environ[CASE_FILE]).read_bytes())

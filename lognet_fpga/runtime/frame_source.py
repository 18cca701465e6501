"""What a stream takes its frames from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class FrameSource:
    """pieces: gives an iterator of frames, (n, channels, height, width) uint8 with n > 0, as the FPGA takes them.
    total: how many frames there are, None where nobody knows.  labels, names, class_names: of all of them, as of
    Frames.  live: frames arrive at the source's pace, whether or not anybody takes them.  description: for the user.
    """

    pieces: Callable[[], Iterator[np.ndarray]]
    total: int | None
    description: str
    labels: np.ndarray | None = None
    names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    live: bool = False

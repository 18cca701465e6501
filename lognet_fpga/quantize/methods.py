"""Which methods of post-training quantization are used, and what could be used instead.

The defaults are what lognet-deploy does.  The others are there to be compared with them:
`benchmarks/post_training.py`, docs/science.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from lognet_fpga.numerics.log2 import Boundaries

Alpha = Literal["max", "nmse", "inputs", "output"]
RoundingMethod = Literal["nearest", "greedy", "descent"]
MANY_FRAMES = 1000  # from which on the earlier layers' errors in them are those of other frames, too


@dataclass(frozen=True)
class Methods:
    """alpha: what is made least by plain rounding with it.

      "max"     nothing: the greatest weight is the full scale range
      "nmse"    the squared error of the weights
      "inputs"  the same, each input's mean square being its weight
      "output"  the squared error of the layer's sums
    per_channel: an alpha for each channel, not one for the layer.  fit: alpha is fitted to the codes in the end.
    boundaries: between the codes.  rounding: "nearest"; "greedy", by `weights.round_by_output`; "descent", from there
    on by `weights.descend`.  correct_bias: every channel's mean is what it is in the float model.  centred: what the
    bias corrects does not count as an error of the sums.  follow: 0..1, the share of the earlier layers' errors that
    descent and fit make up for; None: half of them where few frames calibrate, which would else be fitted too well,
    and all of them from MANY_FRAMES on.
    """

    alpha: Alpha = "inputs"
    per_channel: bool = True
    fit: bool = True
    boundaries: Boundaries = "arithmetic"
    rounding: RoundingMethod = "descent"
    correct_bias: bool = True
    centred: bool = True
    follow: float | None = None

    def for_frames(self, count: int) -> Methods:
        """With follow settled, for so many frames that calibrate."""
        return self if self.follow is not None else replace(self, follow=1.0 if count >= MANY_FRAMES else 0.5)

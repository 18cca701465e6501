"""Which methods of post-training quantization are used, and what could be used instead.

The defaults are what lognet-deploy does.  The others are there to be compared with them:
`benchmarks/post_training.py`, docs/science.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lognet_fpga.numerics.log2 import Boundaries

Alpha = Literal["max", "nmse", "inputs", "output", "rounded"]
RoundingMethod = Literal["nearest", "greedy", "descent"]


@dataclass(frozen=True)
class Methods:
    """alpha: what is made least by plain rounding with it, or in the last case by the rounding that is done.

      "max"     nothing: the greatest weight is the full scale range
      "nmse"    the squared error of the weights
      "inputs"  the same, each input's mean square being its weight
      "output"  the squared error of the layer's sums
      "rounded" the same of the codes in the end, started from "inputs"
    per_channel: an alpha for each channel, not one for the layer.  fit: alpha is fitted to the codes in the end.
    boundaries: between the codes.  rounding: "nearest"; "greedy", by `weights.round_by_output`; "descent", from there
    on by `weights.descend`.  correct_bias: every channel's mean is what it is in the float model.  centred: what the
    bias corrects does not count as an error of the sums.  follow: 0..1, the share of the earlier layers' errors that
    rounding and fit make up for, as far as the frames tell them.
    """

    alpha: Alpha = "rounded"
    per_channel: bool = True
    fit: bool = True
    boundaries: Boundaries = "arithmetic"
    rounding: RoundingMethod = "descent"
    correct_bias: bool = True
    centred: bool = True
    follow: float = 1.0

    @property
    def several(self) -> bool:
        """Whether a channel is rounded with more scales than one."""
        return self.alpha == "rounded" and self.per_channel

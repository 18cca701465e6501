"""What the user asks of a retraining, checked once at the door."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lognet_fpga.config import ACT_BITS, AUTO_BITS
from lognet_fpga.errors import UsageError
from lognet_fpga.ir.preprocessing import Preprocessing

METHODS = ("ste", "paper")
RATES = {"ste": 0.01, "paper": 0.003}  # learning rates that did best on the CIFAR-10 models, docs/science.md


@dataclass(frozen=True)
class RetrainConfig:
    """One run of lognet-retrain.  Raises UsageError for a value out of range.

    model: the float ONNX file.  data: frames to train on.  eval_frames: to judge on; None: a tenth of data, kept from
    training.  out: the ONNX file to write.  method: "paper", Algorithm 1 as printed, or "ste", what is usual today.
    epochs: of all layers; last_epochs: then of the last layer alone, the others frozen; last_bits: of the log2 codes
    that this layer is rounded to in the end, 0 for none.  rate: learning rate, None: RATES.  act_bits: of the
    activations, or "auto": chosen layer by layer.  fpga_layers: how many are quantized, as in DeployConfig.  sparsity:
    share of zeros among each layer's weights to reach, 0 to leave them; gamma: or all weights below gamma times their
    layer's root mean square.  distill: share of the loss, 0..1, that is the distance from the float model's answers;
    None: 1 without labels, else 0.  flip, shift: frames are mirrored at random, and moved by up to so many pixels.
    precision: of the sums while training; what is judged and written is exact.
    """

    model: Path
    data: Path
    out: Path
    eval_frames: Path | None = None
    method: Literal["ste", "paper"] = "ste"
    epochs: int = 10
    last_epochs: int = 0
    last_bits: int = 0
    batch: int = 128
    rate: float | None = None
    act_bits: int | Literal["auto"] = 4
    sparsity: float = 0.0
    gamma: float = 0.0
    distill: float | None = None
    flip: bool = False
    shift: int = 0
    fpga_layers: int | Literal["all"] | None = None
    limit: int | None = None
    seed: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    preprocessing: Preprocessing = Preprocessing()
    input_shape: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.out.suffix != ".onnx":
            raise UsageError(f"--out must be the name of an .onnx file, not {self.out}")
        if self.method not in METHODS:
            raise UsageError(f"the method must be {' or '.join(METHODS)}, not {self.method!r}")
        if self.act_bits not in (AUTO_BITS, *ACT_BITS):
            raise UsageError(
                f"the activation bits must be {ACT_BITS[0]} to {ACT_BITS[-1]}, or {AUTO_BITS}, not {self.act_bits}"
            )
        for name, value in (("--sparsity", self.sparsity), ("--distill", self.distill or 0.0)):
            if not 0 <= value <= 1 or (name == "--sparsity" and value == 1):
                raise UsageError(f"{name} must lie between 0 and 1, not {value}")
        if self.gamma < 0 or not math.isfinite(self.gamma):
            raise UsageError(f"--gamma must be 0 or more, not {self.gamma}")
        if self.gamma and self.sparsity:
            raise UsageError("--gamma and --sparsity both say what is pruned", hint="give one of them")
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise UsageError(f"the learning rate must be greater than 0, not {self.rate}")
        if not 0 <= self.last_bits <= 8 or self.last_bits == 1:
            raise UsageError(f"--last-bits must be 2 to 8, or 0 for float weights, not {self.last_bits}")

    @property
    def learning_rate(self) -> float:
        return self.rate if self.rate is not None else RATES[self.method]

    def settings(self) -> dict[str, object]:
        """What a checkpoint belongs to: everything but where the result goes."""
        return {name: str(value) for name, value in asdict(self).items() if name != "out"}

"""A way to quantize a set of numbers, as data: what a row of a table or a point of a figure is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from lognet_fpga.numerics.quantizers import (
    Quantizer,
    Rounding,
    Small,
    fit_by_max,
    fit_by_nmse,
    fit_by_output,
    linear_quantizer,
    lloyd_quantizer,
    log_quantizer,
)
from lognet_fpga.numerics.samples import Samples

Kind = Literal["linear", "log", "lloyd"]
Choice = Literal["max", "nmse", "output"]
KINDS: tuple[Kind, ...] = ("linear", "log", "lloyd")
CHOICES: tuple[Choice, ...] = ("max", "nmse")  # that need nothing but the numbers


@dataclass(frozen=True)
class Scheme:
    """choice: how the full scale range is found; Lloyd's quantizer has none to choose.  base, rounding, small: of the
    logarithmic quantizer, see `numerics.quantizers`."""

    kind: Kind
    bits: int
    choice: Choice = "nmse"
    base: float = 2.0
    rounding: Rounding = "geometric"
    small: Small = "zero"

    def fit(
        self, samples: Samples, *, signed: bool = True, error: Callable[[Quantizer], float] | None = None
    ) -> Quantizer:
        """The quantizer for these numbers.  error: of a layer's sums, for the choice "output"."""
        if self.kind == "lloyd":
            return lloyd_quantizer(samples, self.bits, signed=signed)
        if self.kind == "linear":
            made = partial(linear_quantizer, self.bits, signed=signed)
        else:
            made = partial(
                log_quantizer, self.bits, signed=signed, base=self.base, rounding=self.rounding, small=self.small
            )
        if self.choice == "output":
            if error is None:
                raise ValueError("the full scale range cannot be chosen by output error without a layer's inputs")
            return fit_by_output(samples, made, error)
        return (fit_by_max if self.choice == "max" else fit_by_nmse)(samples, made)

    def __str__(self) -> str:
        name = {"linear": "linear", "log": "log2" if self.base == 2 else f"log {self.base:.4g}", "lloyd": "Lloyd"}
        return f"{name[self.kind]} {self.bits}b"

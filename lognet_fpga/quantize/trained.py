"""What lognet-retrain writes down beside the weights: the integers that a float32 file holds only nearly.

Weights tell their codes themselves (`quantize.grid`); a bias does not tell the grid that it lies on, nor an average its
bits.  They stand in the ONNX file's metadata, with digests of the codes, so that they count for those weights only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from lognet_fpga.ir.graph import Graph

KEY = "lognet_fpga.trained"
_VERSION = 1
_SLACK = 0.25  # of an LSB of the accumulator
_FLOAT32 = 2.0**-22  # of the greatest sum: what a few roundings to float32 leave of a bias


@dataclass(frozen=True)
class TrainedLayer:
    """codes: digest of `codes_digest`.  shift: bits dropped by requantize.  bias: one a channel, in LSB of the
    accumulator, without the half that rounds.  act_bits, out_bits: of the activations, and of what leaves the layer;
    None for sums that leave whole.  average_shift: bits that an average pool drops, None for none.  lsb: (out,), what
    an LSB of the result is worth in a layer without a ReLU, whose end would tell it; None where there is one."""

    codes: str
    shift: int
    bias: tuple[int, ...]
    act_bits: int | None
    out_bits: int | None
    average_shift: int | None
    lsb: tuple[float, ...] | None = None

    def why_not(self, digest: str, bias: np.ndarray, greatest: np.ndarray, average: bool) -> str | None:
        """Why this was not written for the layer in hand; None where it was.

        digest: of its codes.  bias: (out,) in LSB of this accumulator, as the file has it; greatest: (out,) of the
        sums, in the same.  average: whether it ends with an average pool.
        """
        if digest != self.codes or average != (self.average_shift is not None) or len(bias) != len(self.bias):
            return "its weights are not those that were trained"
        if np.any(np.abs(bias - self.bias) > _SLACK + _FLOAT32 * (np.abs(bias) + greatest)):
            return "its biases are not those that were trained"
        return None


def codes_digest(codes: np.ndarray, drop: np.ndarray, empty: np.ndarray) -> str:
    """SHA-256 of codes and drops as in `grid.GivenCodes`, hexadecimal."""
    content = np.where(empty, 0, drop).astype("<i8").tobytes() + codes.astype(np.int8).tobytes()
    return hashlib.sha256(content).hexdigest()


def to_metadata(layers: Sequence[TrainedLayer]) -> dict[str, str]:
    """For the ONNX file's metadata_props."""
    return {KEY: json.dumps({"version": _VERSION, "layers": [asdict(layer) for layer in layers]})}


def read(graph: Graph) -> tuple[TrainedLayer, ...] | None:
    """The layers that lognet-retrain wrote, first to last: none of another file; None where they cannot be read."""
    if KEY not in graph.metadata:
        return ()
    try:
        data = json.loads(graph.metadata[KEY])
        if data["version"] != _VERSION:
            return None
        return tuple(_layer(item) for item in data["layers"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _layer(item: dict[str, Any]) -> TrainedLayer:
    """Raises ValueError, TypeError or KeyError for what to_metadata does not write."""
    stated = {field.name: item[field.name] for field in fields(TrainedLayer) if field.name != "lsb"}
    layer = TrainedLayer(**stated, lsb=item.get("lsb"))  # which files of older versions do not have
    bits = [number for number in (layer.act_bits, layer.out_bits) if number is not None]
    numbers = (layer.shift, *bits, *layer.bias, *([] if layer.average_shift is None else [layer.average_shift]))
    lsb = [] if layer.lsb is None else list(layer.lsb)
    if not all(type(number) is int for number in numbers) or not isinstance(layer.codes, str):
        raise TypeError
    sizes = (layer.shift <= 30, len(bits) != 1, bits == sorted(bits), (layer.average_shift or 0) <= 30)
    if not all(sizes) or not all(1 <= number <= 8 for number in bits) or any(abs(b) >= 2**31 for b in layer.bias):
        raise ValueError
    if min(layer.shift, layer.average_shift or 0) < 0 or not all(type(unit) is float and unit > 0 for unit in lsb):
        raise ValueError
    if (layer.lsb is not None and len(lsb) != len(layer.bias)) or (not bits and layer.lsb is None):
        raise ValueError
    return replace(layer, bias=tuple(layer.bias), lsb=None if layer.lsb is None else tuple(lsb))

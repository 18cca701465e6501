"""What padding stands for must be an activation that codes can say: the numbers, and the refusal where they cannot.

A convolution pads with the model's zero.  Behind a normalization, or a shift behind a ReLU, that is another value of
what the FPGA's layer takes: it is rounded to a code, as every activation is, and must not be clipped to one.
"""

from __future__ import annotations

import numpy as np

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.partition import FloatLayer

_NEARLY_HALF = 0.5 + 1e-3  # of a code: as far as rounding goes, and what float32 leaves of that
WORTH = 0.02  # of a channel's variance: what may be lost of it for codes that reach as far as the padding


class PaddingError(UnsupportedModelError):
    """layers: how many in front of the one that cannot pad; so many can go onto the FPGA."""

    def __init__(self, layer: FloatLayer, layers: int, why: str) -> None:
        hint = "check --input-scale, --input-mean and --input-std; or train without padding there"
        if layers:
            hint = (
                f"pass --fpga-layers {layers}; or put the shift or BatchNormalization between the convolution and its "
                "Relu, and train again"
            )
        super().__init__(f"{layer.name} ({', '.join(layer.nodes[:1])}) pads with zero, which {why}", hint=hint)
        self.layers = layers


def pad_codes(layer: FloatLayer, layers: int, scale: np.ndarray, offset: np.ndarray, bits: int) -> np.ndarray:
    """(in,) int64: the codes that stand for zero outside the frame, the model's input being code * scale + offset.

    layers: how many are in front of it.  Raises PaddingError where one is no code, not even rounded.
    """
    codes, top = (layer.pad_value - offset) / scale, 2**bits - 1
    beyond = np.maximum(codes - top, -codes)
    if any(layer.pads) and np.any(beyond > _NEARLY_HALF):
        channel = int(np.argmax(beyond))
        what = "activations" if layers else "pixels"
        raise PaddingError(
            layer, layers, f"stands for {codes[channel]:.4g} in channel {channel + 1}, where {what} are 0 to {top}"
        )
    return np.clip(np.rint(codes), 0, top).astype(np.int64)


def falls_short(padding: np.ndarray, lsb: np.ndarray, top: int) -> np.ndarray:
    """(out,) bool: channels whose top code, of LSBs worth so much, does not reach what the next layer pads with."""
    return padding > (top + _NEARLY_HALF) * lsb

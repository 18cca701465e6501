"""What is told of the bits of the activations: which were chosen, what they cost, and which layers hurt."""

from __future__ import annotations

from lognet_fpga.quantize import ChosenBits
from lognet_fpga.quantize.act_bits import BUDGET, LEAST_BITS, MOST_BITS

COLUMNS = ("error added", f"with {LEAST_BITS} bits")


def lines(chosen: ChosenBits) -> tuple[str, ...]:
    """In words."""
    told = [
        f"bits of the activations: {LEAST_BITS} to {MOST_BITS}, as few as possible while the squared error of "
        f"the FPGA's results grows by no more than {BUDGET:.0%} over that with {MOST_BITS}",
        f"error of the results: {chosen.error:.1%} of their root mean square, {chosen.error_most:.1%} with {MOST_BITS} "
        "bits everywhere (on calibration frames)",
        f"error added: what rounding this layer's activations adds to the squared error, with its bits and with "
        f"{LEAST_BITS}",
    ]
    if hurting := [layer.name for layer in chosen.layers if layer.hurts]:
        told.append(f"sensitive layers: {', '.join(hurting)}; {LEAST_BITS} bits there would take the whole budget")
    return tuple(told)


def cells(chosen: ChosenBits, number: int) -> tuple[str, str]:
    """Of COLUMNS, for a layer."""
    layer = chosen.layers[number]
    return _percent(layer.added), _percent(layer.least)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def data(chosen: ChosenBits | None) -> dict[str, object] | None:
    """For programs, see docs/commands.md; None where nothing was chosen."""
    if chosen is None:
        return None
    return {
        "budget": BUDGET,
        "error": chosen.error,
        "error_8_bits": chosen.error_most,
        "layers": [
            {
                "name": layer.name,
                "bits": layer.bits,
                "error_added": layer.added,
                "error_added_4_bits": layer.least,
                "hurts": layer.hurts,
            }
            for layer in chosen.layers
        ],
    }

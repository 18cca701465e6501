"""What deploy tells of the way from a picture to the first FPGA layer."""

from __future__ import annotations

import warnings

import numpy as np

from lognet_fpga.config import DeployConfig
from lognet_fpga.ir import reference
from lognet_fpga.ir.graph import Affine
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition import Partition
from lognet_fpga.report import Section

_FAR_OFF = 50  # times: no preprocessing is that far from the one that a model was trained with, and right
_PROBED, _PROBED_POSITIONS = 16, 2**18  # frames, at most


def input_section(config: DeployConfig, parts: Partition) -> Section:
    """In words: the frames, the numeric part, and what the model itself does before its first convolution."""
    shape, preprocessing = parts.layers[0].in_shape, config.preprocessing
    inside = nodes_inside(parts)
    lines = [
        f"frames: {shape[0]} x {shape[1]} x {shape[2]} (channels x height x width), {_numbers_words(preprocessing)}",
        f"pictures: {preprocessing.spatial_words(shape)}"
        if preprocessing.dtype in (None, "uint8")
        else "pictures: none; frames are arrays and tables of numbers",
        f"{'from the frames and ' if preprocessing.is_float else ''}from the options: {preprocessing.numeric_words()}; "
        f"folded into {parts.layers[0].name}"
        if preprocessing.rescales
        else "from the options: nothing; the model gets the pixels as they are, 0 to 255",
        f"inside the model: {', '.join(inside)}; folded into {parts.layers[0].name}"
        if inside
        else "inside the model: nothing before the first convolution",
    ]
    if inside and preprocessing.rescales:
        lines.append("both apply, those of the options first; leave out the options where they say the same twice")
    if config.mean_image:
        lines.append(
            f"{config.mean_image.file}: a mean a pixel cannot be folded, so each channel's mean stands for it; "
            f"no pixel is further from that than {config.mean_image.largest_deviation:.4g}"
        )
    return Section("Input: from a picture to the model's input", tuple(lines))


def _numbers_words(preprocessing: Preprocessing) -> str:
    """What the frames' numbers are, and the codes that the FPGA gets."""
    if preprocessing.is_float:
        return "float32 features, which the host rounds to codes of 0 to 255"
    return "int8, which the FPGA gets with 128 added" if preprocessing.dtype == "int8" else "uint8"


def input_data(config: DeployConfig, parts: Partition) -> dict[str, object]:
    """The same for programs."""
    image = config.mean_image
    return {
        "shape": parts.layers[0].in_shape,
        "preprocessing": config.preprocessing.to_dict(),
        "inside_model": nodes_inside(parts),
        "mean_image": image and {"file": image.file, "largest_deviation": image.largest_deviation},
    }


def nodes_inside(parts: Partition) -> list[str]:
    """Names of the scaling nodes that the model has in front of its first convolution."""
    return [name for name, _ in _scaling_inside(parts)]


def _scaling_inside(parts: Partition) -> list[tuple[str, Affine]]:
    nodes = {node.name: node for node in parts.graph.nodes}
    found = []
    for name in parts.layers[0].nodes:
        if nodes[name].is_convolution:
            break
        op = nodes[name].op
        if isinstance(op, Affine):
            found.append((name, op))
    return found


def warn_of_scaling(parts: Partition, preprocessing: Preprocessing, frames: np.ndarray) -> None:
    """Warn where frames, (n, channels, h, w) uint8, are far from the size that the first layer was trained for.

    Too small: its sums vary by less than 1/50 of what they are on average, so that it sees little but its own biases;
    or options and model together make the whole range of pixels less than 1/50.  Too large: the model takes a mean of
    less than 1/50 of the pixels' range from the pixels as they are.  A model without biases in its first layer and
    without a normalization inside takes any scale, as far as can be seen here.
    """
    if preprocessing.is_float:
        return  # they are what the model takes, on a scale of their own
    some = max(1, min(_PROBED, _PROBED_POSITIONS // (frames.shape[2] * frames.shape[3])))
    layer, x = parts.layers[0], preprocessing.apply(frames[:some])
    if any(size < kernel for size, kernel in zip(x.shape[2:], layer.weight.shape[2:])):
        x = reference.pad(x, layer.pads, layer.pad_value)
    sums = reference.conv(x, layer.weight.astype(np.float32), layer.stride)
    average = layer.bias + sums.mean(axis=(0, 2, 3), dtype=np.float64)
    spread = float(np.linalg.norm(sums.std(axis=(0, 2, 3), dtype=np.float64)))
    share = spread / max(float(np.linalg.norm(average)), 1e-300)
    inside, (scale, mean) = nodes_inside(parts), _normalization_inside(parts)
    factor, _ = preprocessing.affine(len(scale))
    if (span := 255 * np.abs(factor * scale).max()) < 1 / _FAR_OFF:
        warnings.warn(
            f"pixels of 0 to 255 become numbers that span {span:.2g} in front of the first convolution: they are "
            f"scaled {'twice' if inside else 'away'}; leave out --input-scale where the model scales by itself",
            stacklevel=2,
        )
    elif share < 1 / _FAR_OFF and frames.min() < frames.max():
        warnings.warn(
            f"the frames make the sums of {layer.name} vary by only {share:.2%} of what they are on average: the input "
            "is far smaller than the model was trained for, probably scaled twice; see Input in the report",
            stacklevel=2,
        )
    if not preprocessing.rescales and np.all(mean != 0) and np.abs(mean).max() < 255 / _FAR_OFF:
        warnings.warn(
            f"the model takes a mean of {np.abs(mean).max():.3g} from pixels of 0 to 255: it probably was trained on "
            "smaller numbers; give --input-scale 1/255, or what it was trained with",
            stacklevel=2,
        )


def _normalization_inside(parts: Partition) -> tuple[np.ndarray, np.ndarray]:
    """(scale, mean), (channels,) each: (x - mean) * scale is what the nodes of `nodes_inside` make of x; mean 0 where
    they make a constant of it."""
    scale, offset = np.ones(parts.graph.input_shape[0]), np.zeros(parts.graph.input_shape[0])
    for _, op in _scaling_inside(parts):
        scale, offset = scale * op.scale, offset * op.scale + op.offset
    return scale, np.divide(-offset, scale, out=np.zeros_like(scale), where=scale != 0)

"""Outputs of many frames as plain arrays, as an .npz holds them, without pickles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def pack(outputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by name: `outputs` for the first output, `outputs_2`, ... for the others, (n, ...) each.

    An output whose size differs from frame to frame, an object array (n,), is all frames one behind the other along
    their first axis (flat where other axes differ, too), with `outputs_shapes`, (n, axes) int64, beside it:
    np.split(outputs, np.cumsum(outputs_shapes[:, 0])[:-1]) are the frames.
    """
    packed = {}
    for place, output in enumerate(outputs):
        key = _key(place)
        if output.dtype != object:
            packed[key] = output
            continue
        shapes = np.array([frame.shape for frame in output], np.int64).reshape(len(output), -1)
        flat = not shapes.shape[1] or (shapes[:, 1:] != shapes[0, 1:]).any()
        packed[key] = np.concatenate([frame.reshape(-1) if flat else frame for frame in output])
        packed[f"{key}_shapes"] = shapes
    return packed


def unpack(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Back from pack.  Raises ValueError for arrays that do not fit together, KeyError without any."""
    outputs: list[np.ndarray] = []
    while (key := _key(len(outputs))) in arrays or not outputs:
        values = arrays[key]
        if f"{key}_shapes" in arrays:
            shapes = np.asarray(arrays[f"{key}_shapes"], np.int64)
            ends = np.cumsum(shapes.prod(axis=1))
            if shapes.ndim != 2 or shapes.min(initial=0) < 0 or values.size != (ends[-1] if len(ends) else 0):
                raise ValueError(f"{key} and its shapes do not fit together")
            parts = np.split(values.reshape(-1), ends[:-1])
            values = np.empty(len(shapes), object)
            for place, (part, shape) in enumerate(zip(parts, shapes.tolist())):
                values[place] = part.reshape(shape)
        outputs.append(values)
    return outputs


def _key(place: int) -> str:
    return "outputs" if not place else f"outputs_{place + 1}"

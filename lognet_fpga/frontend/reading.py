"""One ONNX node, with what is known about its tensors, as the readers of operators take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from lognet_fpga.ir.graph import Pads
from lognet_fpga.ir.problem import ProblemKind


class Unfit(Exception):
    """The node is valid, but not for the FPGA; the text says why, kind what kind of problem that is."""

    def __init__(self, why: str, kind: ProblemKind = ProblemKind.OTHER) -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True, eq=False)
class Context:
    """One node with what is known about its tensors."""

    node: onnx.NodeProto
    attributes: dict[str, Any]
    tensors: dict[str, onnx.TensorProto]
    shapes: dict[str, tuple[int, ...]]

    def constant(self, index: int) -> np.ndarray | None:
        """Input number index as float64 where it is constant, else None."""
        if index >= len(self.node.input) or self.node.input[index] not in self.tensors:
            return None
        return numpy_helper.to_array(self.tensors[self.node.input[index]]).astype(np.float64)

    def frame(self, index: int = 0) -> tuple[int, int, int]:
        """(channels, height, width) of input number index."""
        shape = self.shapes.get(self.node.input[index], ())
        if len(shape) != 4:
            raise Unfit("its input is not a two-dimensional frame with channels")
        if min(shape[1:]) < 1:
            raise Unfit("its input has no static size")
        return shape[1], shape[2], shape[3]


def resolve_pads(
    attributes: dict[str, Any], size: tuple[int, int], kernel: tuple[int, ...], stride: tuple[int, ...]
) -> Pads:
    """(top, left, bottom, right), auto_pad resolved; kernel: its extent with dilation, size: (height, width)."""
    auto_pad = attributes.get("auto_pad", b"NOTSET").decode()
    if auto_pad == "VALID":
        return 0, 0, 0, 0
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            max(0, (-(-length // step) - 1) * step + extent - length)
            for length, extent, step in zip(size, kernel, stride)
        ]
        less, more = [value // 2 for value in total], [value - value // 2 for value in total]
        first, last = (less, more) if auto_pad == "SAME_UPPER" else (more, less)
        return first[0], first[1], last[0], last[1]
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    return top, left, bottom, right

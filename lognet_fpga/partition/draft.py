"""Layers under construction: what each operator of the float graph does to them, and why one may not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from lognet_fpga.ir.graph import (
    NO_PADS,
    Affine,
    AveragePool,
    Conv,
    HostOp,
    MaxPool,
    Minimum,
    Node,
    Pads,
    Pool,
    Relu,
    ZeroPad,
)
from lognet_fpga.partition.float_layer import FloatLayer

_HALF = 0.5 + 1e-3  # of a code: as far as rounding goes, and what float32 leaves of that


@dataclass(frozen=True)
class Problem:
    """Why one node (or the model's input) cannot be part of the FPGA's chain."""

    node: str
    op_type: str
    why: str


@dataclass(eq=False)
class Draft:
    """A layer under construction; bound: the most that its ReLU lets through."""

    conv: Node
    weight: np.ndarray
    bias: np.ndarray
    pads: Pads
    pad_value: np.ndarray
    nodes: list[str]
    in_shape: tuple[int, ...]
    relu: bool = False
    bound: float = math.inf
    excused: bool = False  # an unsupported node stands where the ReLU should: reported already
    pool: Pool | None = None

    def finish(self, name: str) -> FloatLayer:
        return FloatLayer(
            name,
            self.weight,
            self.bias,
            self.conv.op.stride,
            self.pads,
            self.pad_value,
            np.full(len(self.bias), self.bound),
            self.pool,
            tuple(self.nodes),
            self.in_shape,
            self.conv.op.exact,
        )


@dataclass(eq=False)
class Chain:
    """The layers gathered so far and what is still to be folded into the next.

    pixels: as in ir.graph.Graph.
    affine: scaling of the stream that the next conv must absorb, None for none; waiting: names of nodes that belong
    to the next conv; padding: zeros around the stream that the next pool or conv must absorb, put there by the nodes
    named in padding_nodes.  unread: the last convolution on the way could not be read, so that nothing can be said of
    the activations and pools that belong to it.
    """

    pixels: tuple[tuple[float, float], ...] | None = None
    drafts: list[Draft] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    affine: Affine | None = None
    waiting: list[str] = field(default_factory=list)
    padding: Pads = NO_PADS
    padding_nodes: list[str] = field(default_factory=list)
    unread: bool = False

    @property
    def last(self) -> Draft | None:
        return self.drafts[-1] if self.drafts else None

    def report(self, node: Node, why: str) -> None:
        self.problems.append(Problem(node.name, node.op_type, why))

    def report_missing_relu(self, why: str) -> None:
        if self.drafts and not (self.drafts[-1].relu or self.drafts[-1].excused):
            self.report(self.drafts[-1].conv, why)

    def excuse(self) -> None:
        """The last layer lacks its ReLU for a reason that is reported already."""
        if self.drafts:
            self.drafts[-1].excused = True

    def obstacle(self, node: Node, padding: Pads = NO_PADS) -> str | None:
        """Why the last layer cannot take node, a pool or an activation; None where it can.

        padding: zeros that will be put around the stream before node.
        """
        if isinstance(node.op, (MaxPool, AveragePool)):
            return self._pool_obstacle(node.op, add_pads(self.padding, padding))
        return self._activation_obstacle(node.op)

    def take(self, node: Node, in_shape: tuple[int, ...]) -> None:
        """Take one node, whose input has in_shape, into the layers, or report why that cannot be."""
        layer, op = self.last, node.op
        if isinstance(op, Conv):
            self._open_layer(node, op, in_shape)
            return
        if isinstance(op, HostOp):
            self.report(node, op.problem)
            self.affine, self.padding = None, NO_PADS
            self.excuse()
            self.unread |= node.op_type == "Conv"
            return
        if self.unread:
            return
        if isinstance(op, ZeroPad):
            self.padding = add_pads(self.padding, op.pads)
            self.padding_nodes += node.names
            return
        pool = isinstance(op, (MaxPool, AveragePool))
        if isinstance(op, Affine):
            self._take_affine(node, op)
        elif pool or isinstance(op, (Relu, Minimum)):
            why = self.obstacle(node)
            if why is not None:
                self.report(node, why)
            elif pool:
                layer.pool = replace(op, pads=add_pads(op.pads, self.padding))
                layer.nodes += self.padding_nodes
            else:
                layer.relu |= isinstance(op, Relu)
                layer.bound = min(layer.bound, op.bound)
            if pool:
                self.padding, self.padding_nodes = NO_PADS, []
        ours = layer is not None and (self.affine is None or pool)
        (layer.nodes if ours else self.waiting).extend(node.names)

    def _open_layer(self, node: Node, op: Conv, in_shape: tuple[int, ...]) -> None:
        self.report_missing_relu(f"no Relu stands between it and {node.name}, the next convolution")
        channels = op.weight.shape[1]
        affine = self.affine or Affine(np.ones(channels), np.zeros(channels))
        pads, (top, left, bottom, right) = add_pads(op.pads, self.padding), self.padding
        if pads[0] >= op.weight.shape[2] or pads[1] >= op.weight.shape[3]:
            self.report(
                node, "its padding is not smaller than its kernel, with the zeros put around the frame before it"
            )
        in_shape = (in_shape[0], in_shape[1] - top - bottom, in_shape[2] - left - right)
        # conv(a*x + b) has weights w*a and a bias larger by the sum of w*b; outside the frame, where the model
        # puts 0, x must be -b/a.
        weight = op.weight * affine.scale.reshape(1, -1, 1, 1)
        bias = op.bias + (op.weight * affine.offset.reshape(1, -1, 1, 1)).sum(axis=(1, 2, 3))
        pad_value = np.zeros(channels)
        if any(pads):
            live = affine.scale != 0
            pad_value[live] = -affine.offset[live] / affine.scale[live]
            pad_value = pad_value + 0.0  # no negative zeros
            if np.any(affine.offset[~live] != 0):
                self.report(
                    node, "it pads with zero, but the scaling before it makes a channel a constant other than 0"
                )
            elif (why := self._padding_obstacle(pad_value)) is not None:
                self.report(node, why)
        nodes = [*self.waiting, *self.padding_nodes, *node.names]
        self.drafts.append(Draft(node, weight, bias, pads, pad_value, nodes, in_shape))
        self.affine, self.waiting, self.padding, self.padding_nodes, self.unread = None, [], NO_PADS, [], False

    def _padding_obstacle(self, pad_value: np.ndarray) -> str | None:
        """Why the next layer cannot pad with pad_value, (in,): it must lie among its inputs, for it is one of them.

        The upper end of activations that nothing bounds is found by `quantize.padding`.
        """
        if not self.drafts:
            low, high = np.array(self.pixels or [(-np.inf, np.inf)]).T
            pixel = (pad_value - low) / (high - low) * 255 if self.pixels else np.zeros(1)
            channel = int(np.argmax(np.abs(pixel - 127.5)))
            if -_HALF <= pixel[channel] <= 255 + _HALF:
                return None
            return (
                f"it pads with zero, which with these input options stands for a pixel of {pixel[channel]:.4g} in "
                f"channel {channel + 1}, where frames hold 0 to 255"
            )
        if np.any(pad_value < 0):
            return (
                "it pads with zero, which after the scaling before it stands for a negative activation; "
                "put the BatchNormalization between the convolution and its Relu"
            )
        bound = self.drafts[-1].bound
        if np.any(pad_value > bound * (1 + _HALF / 255)):
            return (
                "it pads with zero, which after the scaling before it stands for an activation of "
                f"{pad_value.max():.4g}, above the {bound:.4g} at which they end; put the BatchNormalization between "
                "the convolution and its Relu"
            )
        return None

    def _take_affine(self, node: Node, op: Affine) -> None:
        layer = self.last
        if any(self.padding) and np.any(op.offset):
            self.report(node, "it shifts the zeros that were put around the frame before it")
        elif layer is None or layer.relu or layer.excused:
            before = self.affine or Affine(np.ones_like(op.scale), np.zeros_like(op.scale))
            self.affine = Affine(before.scale * op.scale, before.offset * op.scale + op.offset)
        elif layer.bound < math.inf:
            self.report(node, "it stands between an upper bound and the Relu: the FPGA has the two in one")
        elif layer.pool is not None and np.any(op.scale < 0):
            self.report(node, "it scales by a negative number behind a max-pool, which turns maxima into minima")
        else:
            layer.weight = layer.weight * op.scale.reshape(-1, 1, 1, 1)
            layer.bias = layer.bias * op.scale + op.offset

    def _activation_obstacle(self, op: Relu | Minimum) -> str | None:
        layer = self.last
        if layer is None:
            return "it stands before the first convolution"
        if self.affine is not None:
            return "it follows a scaling that follows another Relu"
        if isinstance(layer.pool, AveragePool) and op.bound < layer.bound:
            return "it bounds averages: the FPGA bounds the activations before they are averaged"
        return None

    def _pool_obstacle(self, op: Pool, padding: Pads) -> str | None:
        layer, pads = self.last, add_pads(op.pads, padding)
        if layer is None:
            return "it stands before the first convolution"
        conv = layer.conv.op
        if layer.pool is not None:
            return f"it is a second pool behind {layer.conv.name}"
        if any(
            padding and before + step * padding >= extent
            for before, step, padding, extent in zip(layer.pads, conv.stride, pads, layer.weight.shape[2:])
        ):
            # The pool's padding is sent as windows of the convolution, which must end inside the frame or below it.
            return f"its padding reaches past the first window of {layer.conv.name}"
        if isinstance(op, AveragePool) and not layer.relu:
            return "it averages before the Relu: the FPGA has ReLU first"
        if any(padding) and not layer.relu:
            return "zeros are put around the frame before it, and it stands before the Relu"
        if any(padding) and any(before >= extent for before, extent in zip(pads, 2 * op.kernel)):
            return "its padding is not smaller than its window, with the zeros put around the frame before it"
        zeros = pads if isinstance(op, AveragePool) else padding
        if any(zeros) and self.affine is not None and np.any(self.affine.offset):
            return "it pads with zero behind a shift of the activations"
        if isinstance(op, MaxPool) and self.affine is not None and np.any(self.affine.scale < 0):
            return "it follows a scaling by a negative number, which turns maxima into minima"
        return None


def add_pads(one: Pads, other: Pads) -> Pads:
    top, left, bottom, right = (a + b for a, b in zip(one, other))
    return top, left, bottom, right

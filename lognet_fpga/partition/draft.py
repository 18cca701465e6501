"""Layers under construction: what each operator of the float graph does to them, and why one may not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lognet_fpga.ir.exhaustive import assert_never
from lognet_fpga.ir.functions import Function, Step
from lognet_fpga.ir.graph import (
    NO_PADS,
    Affine,
    AveragePool,
    Conv,
    Every,
    HostOp,
    Identity,
    Largest,
    MaxPool,
    Minimum,
    Node,
    Pads,
    Pointwise,
    Pool,
    Ramp,
    Relu,
    ZeroPad,
)
from lognet_fpga.ir.groups import of_own_inputs
from lognet_fpga.ir.problem import ProblemKind
from lognet_fpga.partition.float_layer import FloatLayer

Activation = Relu | Minimum | Ramp | Pointwise
_HALF = 0.5 + 1e-3  # of a code: as far as rounding goes, and what float32 leaves of that


@dataclass(frozen=True)
class Problem:
    """Why one node (or the model's input) cannot be part of the FPGA's chain: in words, and by kind."""

    node: str
    op_type: str
    why: str
    kind: ProblemKind = ProblemKind.OTHER

    @classmethod
    def of(cls, node: Node, why: str, kind: ProblemKind = ProblemKind.OTHER) -> Problem:
        return cls(node.name, node.op_type, why, kind)

    @property
    def remedy(self) -> str:
        """What would help against it, in the model."""
        return self.kind.remedy

    def to_dict(self) -> dict[str, object]:
        """As JSON has it."""
        return {"node": self.node, "op_type": self.op_type, "why": self.why, "kind": self.kind.name.lower()}


@dataclass(eq=False)
class Draft:
    """A layer under construction, of the convolution op that node is; bound: the most that its ReLU lets through;
    function: its activation function if that is no ReLU.  excused: whether it has one is not known, for an unsupported
    node follows it, which is reported."""

    node: Node
    op: Conv
    weight: np.ndarray
    bias: np.ndarray
    pads: Pads
    pad_value: np.ndarray
    nodes: list[str]
    in_shape: tuple[int, int, int]
    relu: bool = False
    bound: float = math.inf
    function: Function | None = None
    excused: bool = False
    pool: Pool | None = None
    ranks: bool = False

    def finish(self, name: str) -> FloatLayer:
        return FloatLayer(
            name,
            self.weight,
            self.bias,
            self.op.stride,
            self.pads,
            self.pad_value,
            np.full(len(self.bias), self.bound),
            self.pool,
            tuple(self.nodes),
            self.in_shape,
            self.op.exact,
            linear=not self.relu,
            function=self.function,
            ranks=self.ranks,
        )

    @property
    def gives_scores(self) -> bool:
        """Whether its sums are those of one position, which leave the FPGA whole where nothing follows."""
        return not self.activated and self.pool is None and math.prod(self.node.out_shape[1:]) == 1

    @property
    def activated(self) -> bool:
        """Whether it has its activation function."""
        return self.relu or self.function is not None


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

    def report(self, node: Node, why: str, kind: ProblemKind = ProblemKind.OTHER) -> None:
        self.problems.append(Problem.of(node, why, kind))

    def end_layer(self) -> None:
        """Nothing more comes to the last layer: an upper bound without a ReLU is an activation function."""
        if self.last is not None and self.last.bound < math.inf and not (self.last.relu or self.last.excused):
            self.last.function = Function((Step("Min", (0, (self.last.bound,))),))
            self.last.bound = math.inf

    def obstacle(self, node: Node, op: Pool | Activation | Largest, padding: Pads = NO_PADS) -> Problem | None:
        """Why the last layer cannot take node, a pool or an activation op; None where it can.

        padding: zeros that will be put around the stream before node.
        """
        if self.last is None:
            return Problem.of(node, "it stands before the first convolution")
        if isinstance(op, Largest):
            return self._ranking_obstacle(self.last, node)
        if isinstance(op, (MaxPool, AveragePool)):
            return self._pool_obstacle(self.last, node, op, add_pads(self.padding, padding))
        return self._activation_obstacle(self.last, node, op)

    def take(self, node: Node, in_shapes: Sequence[tuple[int, ...]], main: int) -> None:
        """Take one node, whose inputs have in_shapes, into the layers, or report why that cannot be.  main: which of
        them is what the last layer gives."""
        op = node.op
        if isinstance(op, HostOp):
            self.report(node, op.problem, op.kind)
            self.affine, self.padding = None, NO_PADS
            if self.last is not None:
                self.last.excused = True
            self.unread |= node.op_type == "Conv"
        elif isinstance(op, Conv):
            self._open_layer(node, op, in_shapes, main)
        elif not self.unread:
            self._take_into_last(node, op)

    def _take_into_last(
        self, node: Node, op: Affine | Activation | Largest | Pool | ZeroPad | Every | Identity
    ) -> None:
        """Take what belongs to the last layer, or to the next convolution."""
        if isinstance(op, ZeroPad):
            self.padding = add_pads(self.padding, op.pads)
            self.padding_nodes += node.names
            return
        if isinstance(op, Affine):
            self._take_affine(node, op)
        elif isinstance(op, (MaxPool, AveragePool)):
            self._take_pool(node, op)
        elif isinstance(op, (Relu, Minimum, Ramp, Pointwise)):
            self._take_activation(node, op)
        elif isinstance(op, Largest):
            if (problem := self.obstacle(node, op)) is not None:
                self.problems.append(problem)
            elif self.last is not None:
                self.last.ranks = True
        elif isinstance(op, Every):
            self.report(node, "it skips positions; the FPGA does so on the way to a join only")
        elif not isinstance(op, Identity):
            assert_never(op)
        ours = self.affine is None or isinstance(op, (MaxPool, AveragePool))
        (self.last.nodes if self.last is not None and ours else self.waiting).extend(node.names)

    def _take_pool(self, node: Node, op: Pool) -> None:
        if (problem := self.obstacle(node, op)) is not None:
            self.problems.append(problem)
        elif self.last is not None:
            if isinstance(op, AveragePool):
                self.end_layer()  # with whatever bounds its results
            self.last.pool = replace(op, pads=add_pads(op.pads, self.padding))
            self.last.nodes += self.padding_nodes
        self.padding, self.padding_nodes = NO_PADS, []

    def _take_activation(self, node: Node, op: Activation) -> None:
        layer = self.last
        if (problem := self.obstacle(node, op)) is not None:
            self.problems.append(problem)
        elif layer is not None and isinstance(op, Pointwise):
            layer.function = op.function
        elif layer is not None and isinstance(op, Ramp):
            layer.weight, layer.bias = layer.weight * op.scale, layer.bias * op.scale + op.offset
            layer.relu, layer.bound = True, 1.0
        elif layer is not None and isinstance(op, (Relu, Minimum)):
            layer.relu |= isinstance(op, Relu)
            layer.bound = min(layer.bound, op.bound)

    def _open_layer(self, node: Node, op: Conv, in_shapes: Sequence[tuple[int, ...]], main: int) -> None:
        self.end_layer()
        channels, (_, height, width) = op.in_channels, in_shapes[main]
        affine = Affine(np.ones(channels), np.zeros(channels))
        if self.affine is not None:
            first = sum(shape[0] for shape in in_shapes[:main])
            ours = slice(first, first + in_shapes[main][0])
            affine.scale[ours], affine.offset[ours] = self.affine.scale, self.affine.offset
        pads, (top, left, bottom, right) = add_pads(op.pads, self.padding), self.padding
        if pads[0] >= op.weight.shape[2] or pads[1] >= op.weight.shape[3]:
            self.report(
                node, "its padding is not smaller than its kernel, with the zeros put around the frame before it"
            )
        if any(self.padding) and len(in_shapes) > 1:
            self.report(node, "zeros are put around one of the frames that it joins")
        in_shape = (channels, height - top - bottom, width - left - right)
        # conv(a*x + b) has weights w*a and a bias larger by the sum of w*b; outside the frame, where the model
        # puts 0, x must be -b/a.
        weight, bias = op.weight, op.bias
        if self.affine is not None:
            scale, offset = (of_own_inputs(part, op.groups, len(op.weight)) for part in (affine.scale, affine.offset))
            weight, bias = op.weight * scale, op.bias + (op.weight * offset).sum(axis=(1, 2, 3))
        pad_value: np.ndarray = np.zeros(channels)
        if any(pads):
            live = affine.scale != 0
            pad_value[live] = -affine.offset[live] / affine.scale[live]
            pad_value = pad_value + 0.0  # no negative zeros
            if np.any(affine.offset[~live] != 0):
                self.report(
                    node, "it pads with zero, but the scaling before it makes a channel a constant other than 0"
                )
            elif (problem := self._padding_obstacle(node, pad_value)) is not None:
                self.problems.append(problem)
        nodes = [*self.waiting, *self.padding_nodes, *node.names]
        self.drafts.append(Draft(node, op, weight, bias, pads, pad_value, nodes, in_shape))
        self.affine, self.waiting, self.padding, self.padding_nodes, self.unread = None, [], NO_PADS, [], False

    def _padding_obstacle(self, node: Node, pad_value: np.ndarray) -> Problem | None:
        """Why the next layer, node, cannot pad with pad_value, (in,): it must lie among its inputs, for it is one.

        The upper end of activations that nothing bounds is found by `quantize.padding`.
        """
        if not self.drafts:
            low, high = np.array(self.pixels or [(-np.inf, np.inf)]).T
            pixel = (pad_value - low) / (high - low) * 255 if self.pixels else np.zeros(1)
            channel = int(np.argmax(np.abs(pixel - 127.5)))
            if -_HALF <= pixel[channel] <= 255 + _HALF:
                return None
            return Problem.of(
                node,
                f"it pads with zero, which with these input options stands for a pixel of {pixel[channel]:.4g} in "
                f"channel {channel + 1}, where frames hold 0 to 255",
                ProblemKind.PIXEL_PADDING,
            )
        if not self.drafts[-1].relu:
            return None  # signed activations, which may have both signs
        if np.any(pad_value < 0):
            return Problem.of(
                node,
                "it pads with zero, which after the scaling before it stands for a negative activation; "
                "put the BatchNormalization between the convolution and its Relu",
                ProblemKind.SHIFTED_PADDING,
            )
        bound = self.drafts[-1].bound
        if np.any(pad_value > bound * (1 + _HALF / 255)):
            return Problem.of(
                node,
                "it pads with zero, which after the scaling before it stands for an activation of "
                f"{pad_value.max():.4g}, above the {bound:.4g} at which they end; put the BatchNormalization between "
                "the convolution and its Relu",
                ProblemKind.SHIFTED_PADDING,
            )
        return None

    def _take_affine(self, node: Node, op: Affine) -> None:
        layer = self.last
        if any(self.padding) and np.any(op.offset):
            self.report(node, "it shifts the zeros that were put around the frame before it")
        elif layer is None or layer.activated or layer.excused:
            before = self.affine or Affine(np.ones_like(op.scale), np.zeros_like(op.scale))
            self.affine = Affine(before.scale * op.scale, before.offset * op.scale + op.offset)
        elif layer.bound < math.inf:
            self.report(node, "it stands between an upper bound and the Relu: the FPGA has the two in one")
        elif layer.pool is not None and np.any(op.scale < 0):
            self.report(node, "it scales by a negative number behind a max-pool, which turns maxima into minima")
        else:
            layer.weight = layer.weight * op.scale.reshape(-1, 1, 1, 1)
            layer.bias = layer.bias * op.scale + op.offset

    def _ranking_obstacle(self, layer: Draft, node: Node) -> Problem | None:
        if layer.activated or layer.pool is not None or layer.bound < math.inf or self.affine is not None:
            return Problem.of(node, "it compares what is no sum of a convolution or fully connected layer any more")
        return None

    def _activation_obstacle(self, layer: Draft, node: Node, op: Activation) -> Problem | None:
        if isinstance(op, Pointwise) and not op.function.finite:
            return Problem.of(node, "it has no value, or an infinite one, for some numbers")
        if self.affine is not None:
            return Problem.of(node, "it follows a scaling that follows another activation function")
        if isinstance(op, (Pointwise, Ramp)) and layer.pool is not None:
            if isinstance(layer.pool, AveragePool):
                why = "it stands behind an average: the FPGA has activation functions in front of pools"
                return Problem.of(node, why, ProblemKind.POOL_BEFORE_RELU)
            if isinstance(op, Pointwise) and not op.function.rises:
                why = "it stands behind a max-pool and does not rise throughout: the FPGA has it in front"
                return Problem.of(node, why, ProblemKind.POOL_BEFORE_RELU)
            if isinstance(op, Pointwise) and any(layer.pool.pads):
                why = "it stands behind a padded max-pool: the FPGA has activation functions in front of pools"
                return Problem.of(node, why, ProblemKind.POOL_BEFORE_RELU)
        if isinstance(op, (Pointwise, Ramp)) and (layer.activated or layer.bound < math.inf):
            return Problem.of(node, "it is a second activation function behind a branch or a pool")
        if isinstance(op, (Relu, Minimum)) and layer.function is not None:
            return Problem.of(node, "it is a second activation function behind a branch or a pool")
        if isinstance(layer.pool, AveragePool) and isinstance(op, (Relu, Minimum)) and op.bound < layer.bound:
            return Problem.of(node, "it bounds averages: the FPGA bounds the activations before they are averaged")
        return None

    def _pool_obstacle(self, layer: Draft, node: Node, op: Pool, padding: Pads) -> Problem | None:
        pads = add_pads(op.pads, padding)
        if layer.pool is not None:
            return Problem.of(node, f"it is a second pool behind {layer.node.name}", ProblemKind.SECOND_POOL)
        if any(
            padding and before + step * padding >= extent
            for before, step, padding, extent in zip(layer.pads, layer.op.stride, pads, layer.weight.shape[2:])
        ):
            # The pool's padding is sent as windows of the convolution, which must end inside the frame or below it.
            why = f"its padding reaches past the first window of {layer.node.name}"
            return Problem.of(node, why, ProblemKind.POOL_PADDING)
        if isinstance(op, AveragePool) and not (layer.activated or layer.bound < math.inf):
            why = "it averages before the Relu: the FPGA has ReLU first"
            return Problem.of(node, why, ProblemKind.POOL_BEFORE_RELU)
        if (
            layer.function is not None
            and any(pads)
            and (isinstance(op, AveragePool) or any(padding) or not layer.function.rises)
        ):
            return Problem.of(
                node,
                "it pads behind an activation function whose least value is not that of the least sums",
                ProblemKind.POOL_PADDING,
            )
        if any(padding) and not layer.relu:
            why = "zeros are put around the frame before it, and it stands before the Relu"
            return Problem.of(node, why, ProblemKind.POOL_BEFORE_RELU)
        if any(padding) and any(before >= extent for before, extent in zip(pads, 2 * op.kernel)):
            why = "its padding is not smaller than its window, with the zeros put around the frame before it"
            return Problem.of(node, why)
        zeros = pads if isinstance(op, AveragePool) else padding
        if any(zeros) and self.affine is not None and np.any(self.affine.offset):
            return Problem.of(node, "it pads with zero behind a shift of the activations")
        if isinstance(op, MaxPool) and self.affine is not None and np.any(self.affine.scale < 0):
            return Problem.of(node, "it follows a scaling by a negative number, which turns maxima into minima")
        return None


def add_pads(one: Pads, other: Pads) -> Pads:
    top, left, bottom, right = (a + b for a, b in zip(one, other))
    return top, left, bottom, right

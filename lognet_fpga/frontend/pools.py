"""Reading pools: windows with their padding, and pools of a whole frame."""

from __future__ import annotations

from lognet_fpga.frontend.reading import Context, Unfit, resolve_pads
from lognet_fpga.ir.border import borders
from lognet_fpga.ir.graph import LARGEST_AVERAGE, NO_PADS, AveragePool, MaxPool, Pads
from lognet_fpga.ir.problem import ProblemKind

_BORDER_FACTORS = 8  # different ones, in each dimension: they steer what the FPGA adds up


def max_pool(context: Context) -> MaxPool:
    kernel, stride, pads, past = _pool_window(context)
    if len([name for name in context.node.output if name]) > 1:
        raise Unfit("it also outputs the indices of the maxima")
    return MaxPool(kernel, stride, (pads[0], pads[1], pads[2] + past[0], pads[3] + past[1]))


def average_pool(context: Context) -> AveragePool:
    kernel, stride, pads, past = _pool_window(context)
    if any(past):
        raise Unfit(
            "it counts its padding (count_include_pad 1), but not what rounding its output size up (ceil_mode) adds",
            ProblemKind.UNEVEN_AVERAGE,
        )
    counted = context.attributes.get("count_include_pad", 0)
    pool = AveragePool(kernel, stride, pads, NO_PADS if counted else pads)
    _check_count(pool)
    for border, side in zip(borders(pool, *context.frame()[1:]), ("height", "width")):
        if (factors := len(set(border.factors))) > _BORDER_FACTORS:
            raise Unfit(
                f"it divides by the number of elements inside the frame (count_include_pad 0), {factors} different "
                f"ones along its {side}; the FPGA takes {_BORDER_FACTORS}",
                ProblemKind.UNEVEN_AVERAGE,
            )
    return pool


def global_pool(context: Context) -> MaxPool | AveragePool:
    """GlobalMaxPool, GlobalAveragePool, and ReduceMax or ReduceMean over height and width."""
    size = context.frame()[1:]
    kind = context.node.op_type
    if kind.startswith("Reduce"):
        axes = context.attributes.get("axes", context.constant(1))
        if axes is None or sorted(int(axis) % 4 for axis in axes) != [2, 3]:
            raise Unfit("it does not reduce height and width alone")
        if not context.attributes.get("keepdims", 1):
            raise Unfit("it turns the feature map into a vector")
    if "Max" in kind:
        return MaxPool(size, size)
    pool = AveragePool(size, size)
    _check_count(pool)
    return pool


def _check_count(pool: AveragePool) -> None:
    if pool.count > LARGEST_AVERAGE:
        height, width = pool.kernel
        raise Unfit(
            f"it averages {height}x{width} elements; the FPGA takes {LARGEST_AVERAGE:,}", ProblemKind.LARGE_POOL
        )


def _pool_window(context: Context) -> tuple[tuple[int, int], tuple[int, int], Pads, tuple[int, int]]:
    """(kernel, stride, pads, rows and columns by which the last windows reach past the padded frame)."""
    attributes = context.attributes
    _, height, width = context.frame()
    kernel = tuple(attributes["kernel_shape"])
    stride = tuple(attributes.get("strides", (1, 1)))
    if any(step != 1 for step in attributes.get("dilations", (1, 1))):
        raise Unfit("its window is dilated")
    pads = resolve_pads(attributes, (height, width), kernel, stride)
    out = context.shapes.get(context.node.output[0], ())[2:]
    if len(out) != 2 or min(out) < 1:
        raise Unfit("its output has no static size")
    past = tuple(
        max(0, (count - 1) * step + extent - length - before - after)
        for count, step, extent, length, before, after in zip(out, stride, kernel, (height, width), pads[:2], pads[2:])
    )
    return kernel, stride, pads, past

"""What can keep a node off the FPGA: kinds, each with what would help against it."""

from __future__ import annotations

from enum import Enum


class ProblemKind(Enum):
    """Kinds of problems that have a remedy of their own, and OTHER; the value is the remedy, in words for the user."""

    INSIDE_BLOCK = "cut in front of that block or behind it"
    BRANCH = (
        "branches that convolutions join: sums with a convolution among them, or a Concat in front of a convolution"
    )
    UNEVEN_AVERAGE = "let the average count none of what lies outside the frame, or all (ceil_mode 0)"
    LARGE_POOL = "pool to a smaller frame before it"
    PIXEL_PADDING = "input options as in training, or no padding in the first convolution"
    SHIFTED_PADDING = "the BatchNormalization or shift between the convolution and its Relu, or no padding behind it"
    ACTIVATION = "train the model with Relu, or a function that is the same at every position, in its place"
    PRODUCT = "cut in front of it, or train the block without the gate (squeeze and excitation, attention)"
    SECOND_POOL = "one pool, as large as both together"
    POOL_PADDING = "pad the convolution or the pool less"
    POOL_BEFORE_RELU = "put the Relu in front of the pool"
    QUANTIZED = "give the float model it was made from"
    OTHER = "leave it, and all behind it, to the host"

    @property
    def remedy(self) -> str:
        """What would help, in the model."""
        return self.value

"""Functions of one number, or several, as data: what activation functions and the operators they are written with do.

A function is a list of steps, each an operator of standard ONNX that works element by element.  So an exporter may
write HardSwish as one node or as x * Clip(x + 3, 0, 6) / 6: both are a function of x, which can be evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Constant = tuple[float, ...]
"""One number for all channels, or one for each."""


@dataclass(frozen=True)
class Step:
    """One operator.  inputs: numbers of the values it takes, those of the function's arguments first, then those of the
    steps before; or constants.  parameters: the operator's, behind its inputs in `OPERATORS`."""

    operator: str
    inputs: tuple[int | Constant, ...]
    parameters: tuple[float, ...] = ()


@dataclass(frozen=True)
class Function:
    """The value of the last step; with no step, the first argument.  arguments: how many it takes."""

    steps: tuple[Step, ...]
    arguments: int = 1

    def __call__(self, *arguments: np.ndarray, axis: int = 1) -> np.ndarray:
        """float64, for arguments of one shape; axis: that of the channels."""
        values = [np.asarray(argument, np.float64) for argument in arguments]
        places = [1] * (values[0].ndim - axis)
        with np.errstate(all="ignore"):  # what is not a number is for the caller to see
            for step in self.steps:
                inputs = [
                    values[entry] if isinstance(entry, int) else np.reshape(entry, (-1, *places[1:]))
                    for entry in step.inputs
                ]
                values.append(OPERATORS[step.operator](*inputs, *step.parameters))
        return np.broadcast_to(values[-1], values[0].shape)

    @property
    def channels(self) -> int:
        """For how many channels it is stated; 1: the same for all."""
        constants = (entry for step in self.steps for entry in step.inputs if isinstance(entry, tuple))
        return max((len(constant) for constant in constants), default=1)

    @property
    def finite(self) -> bool:
        """Whether it has a value everywhere, as far as samples show: logarithms and square roots have not."""
        with np.errstate(all="ignore"):
            return bool(np.all(np.isfinite(self(np.tile(_SAMPLES, (self.channels, 1)), axis=0))))

    @property
    def rises(self) -> bool:
        """Whether a larger argument never gives a smaller value, as far as samples show."""
        values = self._samples()
        return bool(np.all(np.diff(values, axis=1) >= -_SLACK * np.abs(values).max()))

    @property
    def scales(self) -> bool:
        """Whether f(k x) = k f(x) for every k > 0, as far as samples show: as ReLU does, leaky or not."""
        values = self._samples()
        slack = _SLACK * np.abs(values).max()
        return all(np.all(np.abs(self._samples(factor) - factor * values) <= slack) for factor in (0.25, 0.7, 3.0))

    def _samples(self, factor: float = 1.0) -> np.ndarray:
        """Values at _SAMPLES of either sign, times factor: (channels, samples)."""
        return np.nan_to_num(self(np.tile(factor * _SAMPLES, (self.channels, 1)), axis=0))

    def then(self, following: Function) -> Function:
        """following of this one; both of one argument."""
        return composed([(self, (0,)), (following, (1,))])


def composed(parts: Sequence[tuple[Function, tuple[int, ...]]]) -> Function:
    """A function of one argument: part after part, each of values before it, 0 being the argument and n what the n-th
    part gives.  The last part's is the whole function's."""
    steps: list[Step] = []
    values = [0]  # of the argument and of each part, the number in the list of steps
    for function, taken in parts:
        own = [values[place] for place in taken]
        first = 1 + len(steps)
        for step in function.steps:
            inputs = tuple(
                entry
                if isinstance(entry, tuple)
                else own[entry]
                if entry < function.arguments
                else first + entry - function.arguments
                for entry in step.inputs
            )
            steps.append(Step(step.operator, inputs, step.parameters))
        values.append(len(steps) if function.steps else own[0])
    return Function(tuple(steps))


def constant(value: np.ndarray) -> Constant:
    """Of (channels,): one number where all are the same."""
    numbers = tuple(float(number) for number in value)
    return numbers[:1] if len(set(numbers)) == 1 else numbers


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def _elu(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _leaky(x: np.ndarray, slope: float | np.ndarray) -> np.ndarray:
    return np.where(x < 0, slope * x, x)


def _erf(x: np.ndarray) -> np.ndarray:
    return np.interp(x, *_ERF)


def _gelu(x: np.ndarray, tanh: float) -> np.ndarray:
    if tanh:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


# Straight lines between so many points are within 1e-8 of it.
_PLACES = np.linspace(-6, 6, 1 << 16)
_ERF = _PLACES, np.array([math.erf(place) for place in _PLACES])
_SAMPLES = np.concatenate([-np.geomspace(64, 2.0**-12, 1000), [0.0], np.geomspace(2.0**-12, 64, 1000)])
_SLACK = 1e-9

COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
OPERATORS: dict[str, Callable[..., np.ndarray]] = {
    "Abs": np.abs,
    "Add": np.add,
    "Celu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
    "Clip": np.clip,
    "Div": np.divide,
    "Elu": _elu,
    "Erf": _erf,
    "Equal": np.equal,
    "Exp": np.exp,
    "Gelu": _gelu,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "HardSigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "LeakyRelu": _leaky,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Log": np.log,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mish": lambda x: x * np.tanh(_softplus(x)),
    "Mul": np.multiply,
    "Neg": np.negative,
    "PRelu": _leaky,
    "Pow": np.power,
    "Relu": lambda x: np.maximum(x, 0),
    "Selu": lambda x, alpha, gamma: gamma * _elu(x, alpha),
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Swish": lambda x, alpha: x * _sigmoid(alpha * x),
    "Tanh": np.tanh,
    "ThresholdedRelu": lambda x, alpha: np.where(x > alpha, x, 0),
    "Where": np.where,
}

"""Activation functions as tables of codes: what the codes of a layer's sums and of its activations stand for.

A sum becomes one of 2**CODE_BITS codes and that an activation, by a table.  Ranges of both are those of the least
squared error of the activations on the calibration frames, so that what a function keeps constant needs no codes.
A function with f(k x) = k f(x), such as a leaky ReLU, has the same table at every scale, and channels keep scales of
their own; for any other one all channels get one scale, and with it one table, as far as their weights allow it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lognet_fpga.ir.functions import Function
from lognet_fpga.ir.quant import CodeTable
from lognet_fpga.quantize.scales import Span

CODE_BITS = 8  # of a sum's code: a table of 256 places takes four LUTs a bit
_TOP = 2**CODE_BITS - 1
_SCALED_ZEROS = (128, 64, 32, 16)  # codes below zero that are tried where every channel has a scale of its own
_SHARES = 2.0 ** -(np.arange(13) / 4)  # of the range of the sums, or of their activations, that codes are tried for
_SAMPLES = 20_000  # sums that a common scale is chosen on
_TYPICAL_LSB = 1 / 32  # of a sum's code, for sizes alone


@dataclass(frozen=True, eq=False)
class Activations:
    """table: with the code that activation zero is.  zero: that activation; lsb: (out,), what one of them is worth."""

    table: CodeTable
    zero: int
    lsb: np.ndarray


def spans() -> tuple[Span, ...]:
    """The ranges of sums' codes to try where channels have scales of their own."""
    return tuple(Span(-zero, _TOP - zero) for zero in _SCALED_ZEROS)


def common_scale(function: Function, sums: np.ndarray) -> tuple[float, Span]:
    """(what a code of a sum is worth, their range) for all channels; sums: (out, samples) of the float model."""
    sums = sums[:, :: max(1, sums.size // _SAMPLES)]
    wanted = function(sums, axis=0)
    channels = np.arange(len(sums))[:, None]
    best_error, best = np.inf, (_TYPICAL_LSB, Span(-_TOP // 2, _TOP - _TOP // 2))
    for low in np.append(min(0.0, float(sums.min())) * _SHARES, 0.0):
        for high in max(0.0, float(sums.max())) * _SHARES:
            lsb = (high - low) / _TOP
            if not lsb > 0:
                continue
            zero = min(_TOP, int(np.rint(-low / lsb)))
            table = function(np.tile((np.arange(_TOP + 1) - zero) * lsb, (len(sums), 1)), axis=0)
            codes = np.clip(np.rint(sums / lsb) + zero, 0, _TOP).astype(np.int64)
            error = float(np.mean((table[channels, codes] - wanted) ** 2))
            if error < best_error:
                best_error, best = error, (lsb, Span(-zero, _TOP - zero))
    return best


def activations(function: Function, sums: np.ndarray, lsb: np.ndarray, span: Span, act_bits: int) -> Activations:
    """The table of a layer whose sums' codes are worth lsb, (out,), each; sums: (out, samples)."""
    count, top, zero = len(lsb), 2**act_bits - 1, -span.low
    codes = np.clip(np.rint(sums / lsb[:, None]), span.low, span.top).astype(np.int64) + zero
    weight = np.stack([np.bincount(its, minlength=_TOP + 1) for its in codes])
    unit = lsb if function.scales else np.ones(count)
    values = function((np.arange(_TOP + 1) - zero) * lsb[:, None], axis=0) / unit[:, None]
    seen = values[weight > 0]
    low, high = min(0.0, float(seen.min())), max(0.0, float(seen.max()))
    best_error, best = np.inf, (1.0, 0)
    for step in np.append((high - low) * _SHARES / top, 1.0 if function.scales else []):
        for share in np.append(_SHARES[::2], 0.0):
            its_zero = min(top, int(np.rint(-low * share / step))) if step > 0 else 0
            off = (np.clip(np.rint(values / max(step, 1e-30)) + its_zero, 0, top) - its_zero) * step - values
            error = float((off**2 * weight).sum())
            if error < best_error:
                best_error, best = error, (float(step) or 1.0, its_zero)
    step, its_zero = best
    entries = np.clip(np.rint(values / step) + its_zero, 0, top).astype(np.int64)
    return Activations(_table(zero, entries), its_zero, unit * step)


def sketched(function: Function, channels: int, act_bits: int) -> CodeTable:
    """A table as large as that of `activations` will usually be."""
    lsb = np.full(channels, _TYPICAL_LSB)
    sums = np.tile(np.arange(-_TOP // 2, _TOP // 2) * _TYPICAL_LSB, (channels, 1))
    return activations(function, sums, lsb, spans()[0], act_bits).table


def _table(zero: int, entries: np.ndarray) -> CodeTable:
    """entries: (out, codes); one list where all are the same."""
    if np.all(entries == entries[0]):
        entries = entries[:1]
    return CodeTable(CODE_BITS, zero, tuple(map(tuple, entries.tolist())))

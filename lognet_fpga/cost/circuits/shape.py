"""What one lane of the matrix-vector product computes: its numbers, its widths, and its golden twin in NumPy.

A lane is one block RAM with a read port of PORT_BITS bits and the processing elements (PE) that its words feed.  A word
holds the weights of `pes` rows at one column, the lowest row in the lowest bits; where the width of a weight does not
divide PORT_BITS the highest bits of a word are unused.  Every PE sums one row.

    kind         code of a weight                                             activation        a PE's sum
    binary       1 bit: 0 is +1, 1 is -1                                      8 bits, linear    exact
    linear       two's complement                                             8 bits, linear    exact
    log2         a sign bit above a field, as `numerics.log2` has it          8 bits, linear    exact
    log-domain   as log2                                                      4-bit field, log  two logarithms, see
                                                                                                `numerics.log_add`
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lognet_fpga.errors import UsageError
from lognet_fpga.numerics.log2 import largest_code
from lognet_fpga.numerics.log_add import largest_log_sum, log_sum

PORT_BITS = 8
ACT_BITS = 8
LOG_ACT_BITS = 4
KINDS = ("binary", "linear", "log2", "log-domain")


@dataclass(frozen=True)
class LaneShape:
    """kind: one of KINDS; bits: of a weight, 1 for binary and 2..8 for all others; cols: terms of a sum.

    Raises UsageError.
    """

    kind: str
    bits: int
    cols: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"the kind of a weight must be one of {', '.join(KINDS)}, not {self.kind}")
        if not (self.bits == 1 if self.kind == "binary" else 2 <= self.bits <= PORT_BITS):
            raise UsageError(f"a {self.kind} weight cannot have {self.bits} bits")
        if self.cols < 2:
            raise UsageError(f"a row must have at least 2 columns, not {self.cols}")

    @property
    def name(self) -> str:
        return f"{self.kind.replace('-', '_')}_{self.bits}bit"

    @property
    def pes(self) -> int:
        """Weights in a word of the memory, and so rows summed at a time."""
        return PORT_BITS // self.bits

    @property
    def act_bits(self) -> int:
        return LOG_ACT_BITS if self.kind == "log-domain" else ACT_BITS

    @property
    def max_shift(self) -> int:
        """The exponent of the largest log2 weight."""
        return largest_code(self.bits).bit_length() - 1

    @property
    def acc_bits(self) -> int:
        """Bits of a linear sum in two's complement: none of its values is out of range, none of its bits is idle."""
        most = (2**ACT_BITS - 1) * self.cols
        if self.kind == "linear":
            return _signed_bits(-most * 2 ** (self.bits - 1), most * (2 ** (self.bits - 1) - 1))
        largest = most if self.kind == "binary" else most << self.max_shift
        return _signed_bits(-largest, largest)

    @property
    def fraction_bits(self) -> int:
        """Of a logarithm: as many as let a run of equal terms be summed with every one of them counting."""
        return (self.cols - 1).bit_length()

    @property
    def largest_term(self) -> int:
        """Of the log domain: the largest stored logarithm of a product."""
        return 2**LOG_ACT_BITS - 1 + 2 ** (self.bits - 1) - 1 - 1

    @property
    def log_bits(self) -> int:
        """Bits of one stored logarithm."""
        return largest_log_sum(self.largest_term, self.cols).bit_length() + self.fraction_bits

    @property
    def sum_bits(self) -> int:
        """Bits of a PE's output: a linear sum, or the logarithms of the positive (low) and the negative terms
        (high)."""
        return 2 * self.log_bits if self.kind == "log-domain" else self.acc_bits

    @property
    def stages(self) -> int:
        """Cycles from a column's address to its effect on the sums: memory, product (none for binary), sum."""
        return 2 if self.kind == "binary" else 3

    @property
    def cycles(self) -> int:
        """From the start of one product to the start of the next."""
        return self.cols + self.stages

    def weights(self, codes: np.ndarray) -> np.ndarray:
        """What codes stand for, same shape, as Python integers: an 8-bit log2 weight is up to 2^126."""
        codes = np.asarray(codes).astype(object)
        if self.kind == "binary":
            return 1 - 2 * codes
        top = 1 << (self.bits - 1)
        if self.kind == "linear":
            return codes - 2 * (codes & top)
        sign, field = codes // top, codes % top
        return np.vectorize(lambda s, f: (1 - 2 * s) * (1 << f >> 1), otypes=[object])(sign, field)

    def words(self, codes: np.ndarray) -> np.ndarray:
        """(pes, cols) codes -> (cols,) words of the memory."""
        places = np.arange(self.pes) * self.bits
        return np.bitwise_or.reduce(np.asarray(codes, np.int64) << places[:, None], axis=0)

    def sums(self, codes: np.ndarray, activations: np.ndarray) -> list[int]:
        """The golden twin.  codes: (pes, cols); activations: (cols,); the output of each PE, its bits read unsigned."""
        if self.kind != "log-domain":
            totals = self.weights(codes) @ np.asarray(activations).astype(object)
            return [int(total) % 2**self.acc_bits for total in totals]
        positive, negative = (log_sum(terms, self.fraction_bits) for terms in self.log_terms(codes, activations))
        return [int(p) | int(n) << self.log_bits for p, n in zip(positive, negative)]

    def log_terms(self, codes: np.ndarray, activations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Stored logarithms of the positive and of the negative products, (pes, cols) each, 0 where there is none."""
        codes, top = np.asarray(codes, np.int64), 1 << (self.bits - 1)
        field, activations = codes % top, np.asarray(activations, np.int64)
        terms = np.where((field == 0) | (activations == 0), 0, field + activations - 1)
        return np.where(codes < top, terms, 0), np.where(codes >= top, terms, 0)


def _signed_bits(low: int, high: int) -> int:
    """Bits of the narrowest two's complement number that holds low..high."""
    return max((-low - 1).bit_length(), high.bit_length()) + 1

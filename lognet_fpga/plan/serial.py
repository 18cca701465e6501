"""When each adder of a digit-serial engine works: start times, operand delays and masks.

A number travels least significant digit first, digit_bits wires wide.  Shifting it left by k is a delay of
k // digit_bits cycles and a re-splicing of k % digit_bits wires (`DESIGN`: a shift is a delay).  Times are in
clock cycles, counted from the cycle in which digit 0 of the inputs is on the wires.

An adder that starts at S reads digit j of both operands at S + j and shows digit j of its sum at S + j + 1; its
carry is preset in cycle S - 1.  A delayed operand still shows the slot before in its first digits, so these are
masked to zero.  The mask is the synchronous reset of the delay's last flip-flop and costs no logic; a masked wire
therefore has a delay of at least one.
"""

from __future__ import annotations

from dataclasses import dataclass

from lognet_fpga.plan.adder_graph import ZERO, AdderGraph

CONSTANT_ZERO = -1
SRL_CYCLES = 3  # registers in a row without reset or tap, from which on synthesis makes a shift register of them


@dataclass(frozen=True)
class WireBit:
    """One wire of an operand: bit `bit` of a digit of `node`, `delay` cycles late, its first mask_digits digits
    forced to zero for an adder that starts at `start`.  node is CONSTANT_ZERO for a wire that is always zero."""

    node: int
    bit: int
    delay: int
    mask_digits: int
    start: int


@dataclass(frozen=True)
class SerialSchedule:
    """start[i]: cycle in which adder i reads digit 0; out_start: the same for the bias adders behind all outputs."""

    digit_bits: int
    n_digits: int
    inputs: int
    start: tuple[int, ...]
    out_start: int

    @property
    def last_start(self) -> int:
        """The latest of all starts; later than out_start where every output is a shifted sum, whose first digits
        are zero."""
        return max(self.out_start, *self.start, 0)

    def ready(self, node: int) -> int:
        """Cycle in which digit 0 of the node is on the wires."""
        return 0 if node < self.inputs else self.start[node - self.inputs] + 1

    def operand(self, node: int, shift: int, start: int) -> tuple[WireBit, ...]:
        """The digit_bits wires that carry node << shift to an adder that starts at `start`, lowest bit first."""
        if node == ZERO:
            return (WireBit(CONSTANT_ZERO, 0, 0, 0, start),) * self.digit_bits
        digits, bits = divmod(shift, self.digit_bits)
        wires = []
        for bit in range(self.digit_bits):
            late = 1 if bit < bits else 0  # this wire carries the upper bits of the digit before
            if self.n_digits <= digits + late:
                wires.append(WireBit(CONSTANT_ZERO, 0, 0, 0, start))
                continue
            delay = start - self.ready(node) + digits + late
            wires.append(WireBit(node, (bit - bits) % self.digit_bits, delay, digits + late, start))
        return tuple(wires)


def schedule(graph: AdderGraph, digit_bits: int, n_digits: int) -> SerialSchedule:
    """As-soon-as-possible start times for a whole graph."""
    ready = [0] * graph.inputs

    def earliest(node: int, shift: int) -> int:
        digits = shift // digit_bits
        return ready[node] - digits + (1 if digits else 0)  # a whole masked digit needs a delay of one

    start = []
    for adder in graph.adders:
        start.append(max(0, earliest(adder.a, adder.shift_a), earliest(adder.b, adder.shift_b)))
        ready.append(start[-1] + 1)
    out_start = max([0, *(earliest(out.node, out.shift) for out in graph.outputs if out.node != ZERO)])
    return SerialSchedule(digit_bits, n_digits, graph.inputs, tuple(start), out_start)


@dataclass(frozen=True)
class SerialCounts:
    """What an engine is made of, for estimates.

    adder_bits: full adders; delay_ffs: flip-flops of all operand delays, less those sums that are in a shift register
    and have none; shift_registers: SRLs of long delays;
    bias_luts: LUTs of the bias tables; control_ffs: strobes, masks, tables.
    """

    adders: int
    adder_bits: int
    delay_ffs: int
    shift_registers: int
    bias_luts: int
    control_ffs: int
    depth_cycles: int


def count_schedule(graph: AdderGraph, plan: SerialSchedule) -> SerialCounts:
    """Count the parts of the engine, the bias adders included."""
    taps: dict[tuple[int, int], set[int]] = {}
    masked = set()
    operands = [
        (node, shift, start)
        for adder, start in zip(graph.adders, plan.start)
        for node, shift in ((adder.a, adder.shift_a), (adder.b, adder.shift_b))
    ]
    operands += [(out.node, out.shift, plan.out_start) for out in graph.outputs]
    for node, shift, start in operands:
        for wire in plan.operand(node, shift, start):
            if wire.node == CONSTANT_ZERO:
                continue
            taps.setdefault((wire.node, wire.bit), set()).add(wire.delay - (1 if wire.mask_digits else 0))
            if wire.mask_digits:
                masked.add(wire)
    delay_ffs, shift_registers = len(masked), 0
    for (node, _), delays in taps.items():
        reached = 0 if node < graph.inputs else -1  # the register of a sum is the first of its delays
        for delay in sorted(delays):
            if delay - reached >= SRL_CYCLES:
                shift_registers += 1
            else:
                delay_ffs += delay - reached
            reached = delay
    return serial_counts(
        len(graph.adders),
        len(graph.outputs),
        plan.digit_bits,
        plan.n_digits,
        plan.out_start,
        delay_ffs - len(graph.adders) * plan.digit_bits,  # the sums' own are among the adders'
        shift_registers,
    )


def serial_counts(
    adders: int, outputs: int, digit_bits: int, n_digits: int, out_start: int, delay_ffs: int, shift_registers: int
) -> SerialCounts:
    """The parts of an engine whose graph has that many adders; delay_ffs, shift_registers: of its operand delays."""
    bias_luts = outputs * digit_bits if n_digits > 1 else 0
    return SerialCounts(
        adders=adders + outputs,
        adder_bits=(adders + outputs) * digit_bits,
        delay_ffs=delay_ffs,
        shift_registers=shift_registers,
        bias_luts=bias_luts,
        control_ffs=bias_luts + 4 * out_start + 20,
        depth_cycles=out_start + 1,
    )

"""When each adder of a digit-serial engine works: start times, operand delays and masks.

A number travels least significant digit first, digit_bits wires wide.  Shifting it left by k is a delay of
k // digit_bits cycles and a re-splicing of k % digit_bits wires (`DESIGN`: a shift is a delay).  Times are in
clock cycles, counted from the cycle in which digit 0 of the inputs is on the wires.

An adder that starts at S reads digit j of both operands at S + j and shows digit j of its sum at S + j + 1; its
carry is preset in cycle S - 1.  A delayed operand still shows the slot before in its first digits, so these are
masked to zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from lognet_fpga.plan.adder_graph import ZERO, AdderGraph

CONSTANT_ZERO = -1


@dataclass(frozen=True)
class WireBit:
    """One wire of an operand: bit `bit` of a digit of `node`, `delay` cycles late, its first mask_digits digits
    forced to zero.  node is CONSTANT_ZERO for a wire that is always zero."""

    node: int
    bit: int
    delay: int
    mask_digits: int


@dataclass(frozen=True)
class SerialSchedule:
    """start[i]: cycle in which adder i reads digit 0; out_start: the same for the bias adders behind all outputs."""

    digit_bits: int
    n_digits: int
    inputs: int
    start: tuple[int, ...]
    out_start: int

    def ready(self, node: int) -> int:
        """Cycle in which digit 0 of the node is on the wires."""
        return 0 if node < self.inputs else self.start[node - self.inputs] + 1

    def operand(self, node: int, shift: int, start: int) -> tuple[WireBit, ...]:
        """The digit_bits wires that carry node << shift to an adder that starts at `start`, lowest bit first."""
        if node == ZERO:
            return (WireBit(CONSTANT_ZERO, 0, 0, 0),) * self.digit_bits
        digits, bits = divmod(shift, self.digit_bits)
        wires = []
        for bit in range(self.digit_bits):
            late = 1 if bit < bits else 0  # this wire carries the upper bits of the digit before
            if self.n_digits <= digits + late:
                wires.append(WireBit(CONSTANT_ZERO, 0, 0, 0))
                continue
            wires.append(WireBit(node, (bit - bits) % self.digit_bits, start - self.ready(node) + digits + late, digits + late))
        return tuple(wires)


def schedule(graph: AdderGraph, digit_bits: int, n_digits: int) -> SerialSchedule:
    """As-soon-as-possible start times for a whole graph."""
    ready = [0] * graph.inputs
    start = []
    for adder in graph.adders:
        begin = max(0, ready[adder.a] - adder.shift_a // digit_bits, ready[adder.b] - adder.shift_b // digit_bits)
        start.append(begin)
        ready.append(begin + 1)
    out_start = max([0, *(ready[out.node] - out.shift // digit_bits for out in graph.outputs if out.node != ZERO)])
    return SerialSchedule(digit_bits, n_digits, graph.inputs, tuple(start), out_start)


@dataclass(frozen=True)
class SerialCounts:
    """What an engine is made of, for estimates.

    adder_bits: full adders; delay_ffs: flip-flops of all operand delays; shift_registers: SRLs of long delays;
    masked: operand wires behind a mask; bias_luts: LUTs of the bias tables; control_ffs: strobes, masks, tables.
    """

    adders: int
    adder_bits: int
    delay_ffs: int
    shift_registers: int
    masked: int
    bias_luts: int
    control_ffs: int
    depth_cycles: int


def count_schedule(graph: AdderGraph, plan: SerialSchedule) -> SerialCounts:
    """Count the parts of the engine, the bias adders included."""
    uses: dict[tuple[int, int], set[int]] = {}
    masks = 0
    operands = [(node, shift, start) for adder, start in zip(graph.adders, plan.start)
                for node, shift in ((adder.a, adder.shift_a), (adder.b, adder.shift_b))]
    operands += [(out.node, out.shift, plan.out_start) for out in graph.outputs]
    for node, shift, start in operands:
        for wire in plan.operand(node, shift, start):
            if wire.node != CONSTANT_ZERO:
                uses.setdefault((wire.node, wire.bit), set()).add(wire.delay)
                masks += wire.mask_digits > 0
    delay_ffs = shift_registers = 0
    for delays in uses.values():
        reached = 0
        for delay in sorted(delays):
            if delay - reached >= 3:  # a stretch without taps becomes an SRL and its output register
                shift_registers += 1
                delay_ffs += 1
            else:
                delay_ffs += delay - reached
            reached = delay
    adders = len(graph.adders) + len(graph.outputs)
    bias_luts = len(graph.outputs) * plan.digit_bits if plan.n_digits > 1 else 0
    return SerialCounts(adders, adders * plan.digit_bits, delay_ffs, shift_registers, masks, bias_luts,
                        bias_luts + 4 * plan.out_start + 20, plan.out_start + 1)

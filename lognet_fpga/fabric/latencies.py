"""Cycle counts of the blocks' pipelines: fixed by the hardware in `hw`, needed to plan it, stated once here."""

from __future__ import annotations

SLICE_LATENCY = 1  # of a register slice, as at the entry of every layer: from taking a beat to offering it
SLICE_BEATS = 2  # that a register slice holds
SOURCE_LATENCY = 2  # from a beat's acceptance at the entry to its offer to the first layer
SINK_LATENCY = 1  # from the last FIFO to the exit
GO_LATENCY = 1  # from the last beat of a position until its slot may be let go
ROOM_LATENCY = 3  # from a beat into or out of a FIFO until a slot may be let go because of it, or may not
ADMIT_LATENCY = 1  # of what lets frames into several FIFOs: from taking a beat to pushing it
PICK_LATENCY = 1  # of what leaves out positions in front of a FIFO
ROOMS_TOGETHER = 6  # FIFOs of which it is known in a cycle whether all have room: what one LUT looks at
TAP_LATENCY = 3  # from a slot's start strobe to digit 0 on the taps
LINE_MEMORY_CYCLES = 3  # from reading a line buffer's place until what is written back can be read
CAPTURE_LATENCY = 2  # from the last digit of an accumulator to the first beat of the result
WORD_LATENCY = 2  # from the addresses of a word and its weights until both reach the processing elements
RING_WALK_LATENCY = 4  # from letting a computing slot go to the address of its first word in the ring
POSITION_WALK_LATENCY = 2  # the same where the words are read where they arrived
TABLE_LATENCY = 2  # of the tables of an activation function
OUTPUT_LATENCY = 4  # from a captured sum to the beat that carries its activation
FIFO_LATENCY = 3  # from a push into an empty FIFO until it can be popped


def rank_latency(lanes: int) -> int:
    """Of what compares the values of a position, so many channels a beat: from its last beat to the result."""
    return 2 + (lanes - 1).bit_length()


def rooms_latency(fifos: int) -> int:
    """From what so many FIFOs behind a layer tell until the layer knows whether all of them have room."""
    return 0 if fifos <= 1 else 1 + rooms_latency(-(-fifos // ROOMS_TOGETHER))


def accumulator_latency(out_start: int, legs: int, leg_cycles: int) -> int:
    """From a slot's start strobe to the first digits of the accumulators, those of all their legs in step.

    out_start: of the layer's SerialSchedule; legs: of an accumulator.
    """
    return TAP_LATENCY + out_start + 1 + (legs - 1) * leg_cycles


def result_latency(out_start: int, legs: int, leg_cycles: int) -> int:
    """From the cycle in which a slot is let go to the first beat of its result leaving requantize."""
    return 1 + accumulator_latency(out_start, legs, leg_cycles) + leg_cycles - 1 + CAPTURE_LATENCY


def sum_latency(tree_levels: int) -> int:
    """From a word at the processing elements to the cycle in which the accumulators take its sum."""
    return 1 + tree_levels


def capture_latency(walk_latency: int, tree_levels: int) -> int:
    """From letting a computing slot go to its first captured sums, but for the cycles of a pass."""
    return walk_latency + WORD_LATENCY + sum_latency(tree_levels) + 1

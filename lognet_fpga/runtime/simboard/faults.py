"""Faults that the simulated board shows when it is told to."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """What goes wrong; the value says it in words.  A fault holds for one transfer, WRONG_MODEL for all."""

    SEND_HANGS = "MM2S stops half-way"
    OVERLAY_HANGS = "the overlay stops half-way"
    RECEIVE_HANGS = "S2MM stops taking results half-way"
    CLOCK_STOPS = "the overlay's clock stops half-way"
    TLAST_LOST = "the overlay's last TLAST does not reach S2MM"
    TLAST_EARLY = "the overlay's TLAST comes after half of the results"
    TLAST_MISPLACED = "a TLAST in the middle of a frame enters the overlay"
    INPUT_LOST = "the last beat of the frames does not reach the overlay"
    RESULT_TOO_LONG = "the overlay sends a beat too many before TLAST"
    SEND_SLAVE_ERROR = "memory answers a read with an error"
    SEND_DECODE_ERROR = "a read goes to an address without memory"
    RECEIVE_SLAVE_ERROR = "memory answers a write with an error"
    RECEIVE_DECODE_ERROR = "a write goes to an address without memory"
    SEND_HALTED = "another program stops MM2S"
    SLOW_SINK = "S2MM takes results at a tenth of the overlay's rate"
    WRONG_MODEL = "the bitstream holds another model"

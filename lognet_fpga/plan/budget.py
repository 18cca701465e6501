"""How much of a board a plan may take."""

from __future__ import annotations

import math

from lognet_fpga.fabric.board import Board, Resources
from lognet_fpga.fabric.target import Target
from lognet_fpga.plan.hardware_plan import HardwarePlan

# Shares of a board that a plan may take.  The rest is for three things: what lies beside the overlay and is in no
# estimate (DMA, interconnect, resets: some thousand LUTs and flip-flops and a few block RAMs of a Zynq-7020), estimates
# that are off (by up to a tenth a layer, less in sum: docs/architecture.md, "Estimates"), and room for placement and
# routing, which LUT sites need most: a full chip routes slowly or not at all.  A judgement; nothing was placed so full.
# Positions of slices are what LUT sites are counted in, and lone flip-flops may ask for more of them than there are.
HEADROOM = Resources(lut=0.85, ff=0.90, bram36=0.95, m_lut=0.85)


def budget(board: Board) -> Resources:
    """What a plan may take of board."""
    return Resources(
        HEADROOM.lut * board.lut, HEADROOM.ff * board.ff, HEADROOM.bram36 * board.bram36, HEADROOM.m_lut * board.m_lut
    )


def load(plan: HardwarePlan) -> float:
    """The largest share that plan takes of its target's budget, as `share` says."""
    return share(plan.total, plan.target)


def share(total: Resources, target: Target) -> float:
    """The largest share that total takes of target's budget, over all resources, LUT sites by the positions that they
    and lone flip-flops take; more than 1 does not fit."""
    most = budget(target.board) * target.share
    pairs = (
        (total.positions, most.positions),
        (total.ff, most.ff),
        (total.bram36, most.bram36),
        (total.m_lut, most.m_lut),
    )
    return max(used / available if available else math.inf for used, available in pairs if used)


def fits(plan: HardwarePlan) -> bool:
    return load(plan) <= 1

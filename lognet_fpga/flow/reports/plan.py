"""What deploy tells of the plan."""

from __future__ import annotations

from lognet_fpga.engines.stores import STORES
from lognet_fpga.fabric.board import Resources
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.ir.sources import FRAMES, Source
from lognet_fpga.plan.budget import budget
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.report import Section, Table


def plan_section(plan: HardwarePlan, asked_mhz: float | None) -> Section:
    rows: list[tuple[object, ...]] = [
        (
            layer.name,
            layer.nonzero_weights,
            layer.folding.store,
            layer.folding.text,
            layer.folding.ii_cycles,
            layer.folding.cycles_per_frame,
            *_parts(layer.estimate),
        )
        for layer in plan.layers
    ]
    rows.append(("shell", None, None, None, None, None, *_parts(plan.around)))
    rows.append(
        (
            "total",
            sum(layer.nonzero_weights for layer in plan.layers),
            None,
            None,
            None,
            plan.cycles_per_frame,
            *_parts(plan.total),
        )
    )
    board, clk_mhz = plan.target.board, plan.target.clk_mhz
    whole = Resources(board.lut, board.ff, board.bram36, board.m_lut)
    rows.append((f"{board.title} has", None, None, None, None, None, *_parts(whole, lone=False)))
    rows.append(("a plan may take", None, None, None, None, None, *_parts(budget(board), lone=False)))
    total = plan.total
    lines = [
        f"predicted  {plan.fps:,.0f} frames a second: {plan.cycles_per_frame:,} clock "
        f"cycles a frame at {mhz_text(clk_mhz)} MHz",
        f"latency    {plan.latency_cycles / clk_mhz:,.1f} us: "
        f"{plan.latency_cycles:,} cycles from a frame's first pixel "
        "to its last result",
        f"estimated  {total.lut / board.lut:.0%} of the board's LUTs (logic), {total.ff / board.ff:.0%} of its FFs "
        f"(flip-flops), {total.bram36 / board.bram36:.0%} of its BRAM36 (memories of 36 Kbit),",
        f"           {total.m_lut / board.m_lut:.0%} of the LUTs that can hold memory and shift registers (M LUT), "
        f"{total.positions / board.lut:.0%} of the positions,",
        "           each of which has a LUT and two FFs; lone: FFs with no LUT before them, at most one a position",
        "weights: nonzero ones; slot: one position of the output; in: where the weights are:",
        *(f"           {store.name}, {store.title}" for store in STORES.values()),
        *_input_lines(plan),
    ]
    if asked_mhz is not None and board.pll_mhz is not None and clk_mhz != asked_mhz:
        lines.append(
            f"clock: {mhz_text(clk_mhz)} MHz, the fastest at or below the {mhz_text(asked_mhz)} MHz asked for "
            f"that the board's processor makes, from its PLL of {mhz_text(board.pll_mhz)} MHz"
        )
    if clk_mhz != board.clk_mhz:
        lines.append(
            f"clock: not the {mhz_text(board.clk_mhz)} MHz that this board is planned with by itself; what a chip "
            "reaches shows only after placement and routing"
        )
    return Section(
        f"Plan for {board.title} ({board.part})",
        tuple(lines),
        Table(("layer", "weights", "in", "folding", "cycles a slot", "cycles a frame", *_PARTS), tuple(rows)),
    )


def _input_lines(plan: HardwarePlan) -> list[str]:
    """What layers take that do not just take what the one before them puts out."""
    lines = []
    for number, (layer, sources) in enumerate(zip(plan.layers, plan.sources)):
        if sources == (Source(number - 1),):
            continue
        parts = []
        for place, source in enumerate(sources):
            name = "the frames" if source.layer == FRAMES else plan.layers[source.layer].name
            stride_y, stride_x = source.stride
            every = "" if stride_y == stride_x == 1 else f" (one of every {stride_y} x {stride_x} positions)"
            fifo = plan.fifo_to(number, place)
            parts.append(f"{name}{every}" + ("" if fifo is None else f" (FIFO of {fifo.depth:,} beats)"))
        lines.append(f"           {layer.name} takes {', then '.join(parts)}")
    return ["inputs, one position after the other:", *lines] if lines else []


_PARTS = ("LUT", "M LUT", "FF", "lone", "BRAM36")


def _parts(parts: Resources, lone: bool = True) -> tuple[int, int, int, int | None, float]:
    """lone False: of what a board has, not what is taken of it."""
    own = round(parts.lone) if lone else None
    return round(parts.lut), round(parts.m_lut), round(parts.ff), own, float(parts.bram36)

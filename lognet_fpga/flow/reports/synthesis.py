"""What deploy tells of the synthesis by Yosys, beside the estimates."""

from __future__ import annotations

from lognet_fpga.fabric.board import Resources
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.report import Section, Table
from lognet_fpga.synth.synthesis import SynthesisReport


def synthesis_section(plan: HardwarePlan, synthesis: SynthesisReport | None) -> Section:
    if synthesis is None:
        return Section("Synthesis", ("not done; with --synth Yosys counts LUTs, flip-flops and block RAM",))
    estimates: dict[str, Resources] = {layer.name: layer.estimate for layer in plan.layers} | {"shell": plan.around}
    merged: dict[str, list] = {}
    for name, counts in synthesis.parts:
        merged.setdefault(name, []).append(counts)
    rows = []
    for name, several in merged.items():
        counts = sum(several[1:], several[0])
        rows.append(_compare(name, counts, estimates[name]))
    rows.append(_compare("total", synthesis.total, plan.total))
    tool = synthesis.tool if synthesis.tool.startswith("Yosys") else f"Yosys {synthesis.tool}"
    board, clk_mhz, total = plan.target.board, plan.target.clk_mhz, synthesis.total
    lines = [
        f"by {tool}; not placed, not routed, not run on hardware",
        f"whole overlay: {total.lut_sites / board.lut:.0%} of the LUTs, "
        f"{total.m_lut / board.m_lut:.0%} of those for memory and shift registers, "
        f"{total.ff / board.ff:.0%} of "
        f"the flip-flops, {total.bram36 / board.bram36:.0%} of the block RAM of {board.title}",
        f"positions of slices: {total.positions:,} of {board.lut:,} ({total.positions / board.lut:.0%}; estimated "
        f"{plan.total.positions:,.0f}, of {plan.total.lone:,.0f} lone flip-flops), for "
        f"{total.lone_ffs:,} flip-flops are lone (driven by no LUT beside them) and {total.dual_sites:,} LUT sites "
        f"have no bypass for one; {total.control_sets:,} control sets",
        "LUT: sites as a placed design fills them, from the netlist: two small LUTs share one, a carry bit has one",
        "LUT cells: as Yosys counts, for information",
    ]
    slowest, path = max(synthesis.paths, key=lambda item: item[1].ns)
    widest, control = max(synthesis.paths, key=lambda item: item[1].control_loads)
    lines += [
        f"longest path: about {path.ns:.1f} ns ({path.mhz:.0f} MHz), {path.levels} levels of LUTs, in {slowest} from "
        f"{path.begin} to {path.end}; estimated before placement, with guessed nets"
        + (f": slower than the {mhz_text(clk_mhz)} MHz planned for" if path.mhz < clk_mhz else ""),
        f"widest control net: {control.control_loads} registers, {control.control_net} in {widest}",
    ]
    if not board.part.startswith("xc7"):
        lines.append(f"{board.title} ({board.part}) is of another family: a rough guide only")
    return Section(
        "Synthesis for Xilinx 7-series",
        tuple(lines),
        Table(
            (
                "part",
                "LUT",
                "estimate",
                "error",
                "M LUT",
                "estimate",
                "FF",
                "estimate",
                "error",
                "BRAM36",
                "estimate",
                "LUT cells",
            ),
            tuple(rows),
        ),
    )


def _compare(name: str, counts, estimate: Resources) -> tuple:
    def error(estimated: float, counted: float) -> str:
        return f"{estimated / counted - 1:+.1%}" if counted else "-"

    return (
        name,
        counts.lut_sites,
        round(estimate.lut),
        error(estimate.lut, counts.lut_sites),
        counts.m_lut,
        round(estimate.m_lut),
        counts.ff,
        round(estimate.ff),
        error(estimate.ff, counts.ff),
        float(counts.bram36),
        float(estimate.bram36),
        counts.lut,
    )

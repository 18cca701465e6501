"""The sentence at the top of a page, what each figure rests on, and what to mind: all from the report's data."""

from __future__ import annotations

from lognet_fpga.page.words import Data, counted, fullest, host_rates, percent, rate, span
from lognet_fpga.report import Table


def sentence(data: Data) -> str:
    """What became of the model, in one sentence for who reads no other."""
    chip, plan = data["chip"], data["plan"]
    fits = f"{data['model']} fits the {chip['title']}, where it takes {fullest(plan['estimate'], chip['has'])}"
    parts = [_speed(plan["fps"], host_rates(data)), _accuracy(data["accuracy"]), _shown(data)]
    return f"{fits}, and {'; '.join(parts)}."


def _speed(fps: float, hosts: tuple[float, float] | None) -> str:
    if hosts is None:
        return f"its FPGA part should run at {rate(fps)} frames a second (planned), the rest at a rate nobody knows yet"
    limit = "the FPGA" if fps <= hosts[0] else "the board's processor"
    both = span(*(min(fps, host) for host in hosts))
    return f"should run at {both} frames a second (estimated, limited by {limit})"


def _accuracy(accuracy: Data | None) -> str:
    if accuracy is None:
        return "how accurate it is, is not known, for no frames were given"
    frames = counted(accuracy["frames"], "frame")
    if accuracy["deployed_top1"] is not None:
        return (
            f"it is right on {percent(accuracy['deployed_top1'])} of {frames}, the original model on "
            f"{percent(accuracy['float_top1'])}"
        )
    if accuracy["agreement"] is not None:
        return (
            f"it gives the original model's class on {percent(accuracy['agreement'])} of {frames}, which have no labels"
        )
    if accuracy.get("cosine") is not None:
        return f"its outputs are near the original model's on {frames} (cosine {accuracy['cosine']:.4f})"
    return f"its outputs cannot be held against the original model's on {frames}"


def _shown(data: Data) -> str:
    verified, bitstream = data["verification"], data["bitstream"]
    simulated = (
        "the circuit was not simulated"
        if verified is None
        else f"the circuit agrees bit by bit with its model in simulation ({counted(verified['frames'], 'frame')})"
    )
    if bitstream is None:
        return f"{simulated}, there is no bitstream yet, and nothing has run on hardware"
    met = "meets its clock" if bitstream["timing_met"] else "does NOT meet its clock"
    return f"{simulated}, the bitstream {met} by the tools' analysis, and nothing has run on hardware"


def grounds(data: Data) -> Table:
    """Figure, value, what it rests on."""
    plan, chip, verified = data["plan"], data["chip"], data["verification"]
    accuracy, synthesis, bitstream = data["accuracy"], data["synthesis"], data["bitstream"]
    planned = "planned, cycle by cycle"
    simulated = planned if verified is None else "planned, and equal in simulation of the Verilog (Verilator)"
    if verified is not None and set(verified["cycles"]["intervals"]) != {plan["cycles_per_frame"]}:
        simulated = f"planned; simulated: {', '.join(map(str, sorted(set(verified['cycles']['intervals']))))} cycles"
    rows: list[tuple[object, ...]] = [
        (
            "Speed of the FPGA part",
            f"{rate(plan['fps'])} frames a second at {plan['clk_mhz']:g} MHz",
            simulated
            + "; that a chip reaches this clock "
            + ("is what the tools' analysis says" if bitstream and bitstream["timing_met"] else "is not shown"),
        )
    ]
    hosts = host_rates(data)
    if hosts is not None:
        rows.append(
            (
                "Speed of the rest, on the host",
                f"{span(*hosts)} frames a second",
                f"estimated from operators and sizes, in {data['host']['estimated']['runtime']}; not measured",
            )
        )
    if accuracy is not None and accuracy["deployed_top1"] is not None:
        value = f"{percent(accuracy['deployed_top1'])}, original model {percent(accuracy['float_top1'])}"
    elif accuracy is not None and accuracy["agreement"] is not None:
        value = f"{percent(accuracy['agreement'])} as the original model"
    elif accuracy is not None and accuracy.get("cosine") is not None:
        value = f"cosine {accuracy['cosine']:.4f} to the original model's outputs"
    else:
        value = "not known"
    basis = "no frames were given"
    if accuracy is not None:
        calibrated = f"{accuracy['frames_calibrated']:,}" if accuracy["frames_calibrated"] else "none"
        basis = (
            f"counted on {counted(accuracy['frames'], 'frame')} with the chip's exact integers in onnxruntime; "
            f"{calibrated} of them used to calibrate"
        )
    rows.append(("Accuracy", value, basis))
    rows.append(("Room on the chip", fullest(plan["estimate"], chip["has"]), "estimated by formulas"))
    if synthesis is not None:
        total = synthesis["total"]
        used = {"lut": total["lut_sites"], "m_lut": total["m_lut"], "ff": total["ff"], "bram36": total["bram36"]}
        rows.append(
            (
                "Room on the chip, synthesized",
                fullest(used, chip["has"]),
                "counted in Yosys' netlist: not placed, not routed",
            )
        )
    if bitstream is not None:
        placed = bitstream["figures"]["total"]
        rows.append(
            (
                "Room on the chip, placed",
                fullest(placed, chip["has"]),
                "counted after place and route, with what lies around the overlay",
            )
        )
    rows.append(
        (
            "The circuit does what the model says",
            "not checked"
            if verified is None
            else f"{verified['differing_bits']:,} of {verified['bits']:,} bits differ",
            "left out (--no-verify)"
            if verified is None
            else f"simulated by Verilator, {counted(verified['frames'], 'frame')}, with stalls and without",
        )
    )
    rows.append(("On hardware", "not run", "no board has run this; no power was measured"))
    return Table(("figure", "value", "what it rests on"), tuple(rows))


def minds(data: Data) -> list[str]:
    """What a reader must know before relying on the figures."""
    lines = []
    if data["calibration"]["source"] == "random noise":
        lines.append("The model was calibrated on random noise, for no frames were given: it will be less accurate.")
    if data["verification"] is None:
        lines.append("The circuit was not checked against the model (--no-verify).")
    accuracy = data["accuracy"]
    if accuracy is not None and accuracy["frames_calibrated"]:
        lines.append(
            f"{accuracy['frames_calibrated']:,} of the {accuracy['frames']:,} frames that the accuracy is counted on "
            "also calibrated the model, which flatters it."
        )
    bitstream = data["bitstream"]
    if bitstream is not None and not bitstream["timing_met"]:
        lines.append("The bitstream misses its clock, which the user allowed: it may compute wrong results.")
    if bitstream is not None and bitstream["experimental"]:
        lines.append("The bitstream is of an experimental toolchain: no board has run one of it yet.")
    return lines

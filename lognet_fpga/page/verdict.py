"""The sentence at the top of a page, what each figure rests on, and what to bear in mind, of the report's data."""

from __future__ import annotations

from lognet_fpga.page.words import Data, counted, fullest, host_rates, percent, rate, span
from lognet_fpga.report import Table

Row = tuple[str, str, str]
"""A figure, its value, what it rests on."""


def sentence(data: Data) -> str:
    """What became of the model, in one sentence for who reads no other."""
    _, room, basis = _rooms(data)[-1]
    fits = f"{data['model']} fits the {data['chip']['title']}, where it takes {room} ({basis.partition(':')[0]})"
    parts = [_speed(data), _accuracy(data["accuracy"]), _shown(data)]
    return f"{fits}, and {'; '.join(parts)}."


def grounds(data: Data) -> Table:
    """Every figure that counts, with what it rests on."""
    verified = data["verification"]
    checked, basis = "not checked", "left out (--no-verify)"
    if verified is not None:
        checked = f"{verified['differing_bits']:,} of {verified['bits']:,} bits differ"
        basis = f"simulated by Verilator, {counted(verified['frames'], 'frame')}, with stalls and without"
    rows = (
        *_rates(data),
        _accuracy_row(data["accuracy"]),
        *_rooms(data),
        ("The circuit does what the model says", checked, basis),
        ("On hardware", "not run", "no board has run this; no power was measured"),
    )
    return Table(("figure", "value", "what it rests on"), rows)


def caveats(data: Data) -> list[str]:
    """What a reader must know before relying on the figures."""
    lines = []
    if data["calibration"]["source"] == "random noise":
        lines.append(
            "The model was calibrated on random noise, because no frames were given: it will be less accurate."
        )
    if data["verification"] is None:
        lines.append("The circuit was not checked against the model (--no-verify).")
    accuracy = data["accuracy"]
    if accuracy is not None and accuracy["frames_calibrated"]:
        lines.append(
            f"{accuracy['frames_calibrated']:,} of the {accuracy['frames']:,} frames that the accuracy was counted on "
            "were also used to calibrate the model, which flatters it."
        )
    bitstream = data["bitstream"]
    if bitstream is not None and not bitstream["timing_met"]:
        lines.append("The bitstream misses its clock, which the user allowed: it may compute wrong results.")
    if bitstream is not None and bitstream["experimental"]:
        lines.append("The bitstream comes from an experimental toolchain: no board has run one of its bitstreams yet.")
    return lines


def _speed(data: Data) -> str:
    fps, hosts = data["plan"]["fps"], host_rates(data)
    if hosts is None:
        return f"its FPGA part should run at {rate(fps)} frames a second (planned); how fast the rest runs is not known"
    limit = "the FPGA" if fps <= hosts[0] else "the host's processor"
    both = span(*(min(fps, host) for host in hosts))
    return f"should run at {both} frames a second (estimated, limited by {limit})"


def _rates(data: Data) -> list[Row]:
    plan, verified, bitstream, hosts = data["plan"], data["verification"], data["bitstream"], host_rates(data)
    basis = "planned, cycle by cycle"
    if verified is not None:
        cycles = sorted(set(verified["cycles"]["intervals"]))
        simulated = " and ".join(f"{count:,}" for count in cycles)
        same = cycles == [plan["cycles_per_frame"]]
        basis = f"planned, {'and the same' if same else f'but {simulated} cycles a frame'} in simulation of the Verilog"
    clock = "not shown to be reached by a chip"
    if bitstream is not None:
        met = "met" if bitstream["timing_met"] else "NOT met"
        clock = f"{met} by the tools' analysis after place and route"
    value = f"{rate(plan['fps'])} frames a second at {plan['clk_mhz']:g} MHz"
    rows = [("Speed of the FPGA part", value, f"{basis}; the clock is {clock}")]
    if hosts is not None:
        basis = f"estimated from operators and sizes, in {data['host']['estimated']['runtime']}; not measured"
        rows.append(("Speed of the rest, on the host", f"{span(*hosts)} frames a second", basis))
    return rows


def _accuracy(accuracy: Data | None) -> str:
    if accuracy is None:
        return "its accuracy is not known, because no frames were given"
    frames = counted(accuracy["frames"], "frame")
    if accuracy["deployed_top1"] is not None:
        original = percent(accuracy["float_top1"])
        return f"it is right on {percent(accuracy['deployed_top1'])} of {frames}, the original model on {original}"
    if accuracy["agreement"] is not None:
        same = percent(accuracy["agreement"])
        return f"it gives the same class as the original model on {same} of {frames}, which have no labels"
    if accuracy.get("cosine") is not None:
        return (
            f"its outputs point where the original model's do on {frames} (cosine {accuracy['cosine']:.4f}; 1 is equal)"
        )
    return f"its outputs on {frames} cannot be compared with the original model's"


def _accuracy_row(accuracy: Data | None) -> Row:
    if accuracy is None:
        return "Accuracy", "not known", "no frames were given"
    value = "not known"
    if accuracy["deployed_top1"] is not None:
        value = f"{percent(accuracy['deployed_top1'])}, original model {percent(accuracy['float_top1'])}"
    elif accuracy["agreement"] is not None:
        value = f"{percent(accuracy['agreement'])} the same class as the original model"
    elif accuracy.get("cosine") is not None:
        value = f"cosine {accuracy['cosine']:.4f} to the original model's outputs"
    used = f"{accuracy['frames_calibrated']:,}" if accuracy["frames_calibrated"] else "none"
    frames = counted(accuracy["frames"], "frame")
    basis = f"counted on {frames} with the chip's exact integers in onnxruntime; {used} of them used to calibrate"
    return "Accuracy", value, basis


def _rooms(data: Data) -> list[Row]:
    """The most used resource, by all that is known of it; what is nearest to a chip comes last."""
    has, synthesis, bitstream = data["chip"]["has"], data["synthesis"], data["bitstream"]
    rows = [("Room on the chip", fullest(data["plan"]["estimate"], has), "estimated")]
    if synthesis is not None:
        used = synthesis["total"] | {"lut": synthesis["total"]["lut_sites"]}
        basis = "counted after synthesis: Yosys' netlist, not placed, not routed"
        rows.append(("Room on the chip, synthesized", fullest(used, has), basis))
    if bitstream is not None:
        basis = "counted after place and route: the overlay and what lies around it"
        rows.append(("Room on the chip, placed", fullest(bitstream["figures"]["total"], has), basis))
    return rows


def _shown(data: Data) -> str:
    verified, bitstream = data["verification"], data["bitstream"]
    simulated = "the circuit was not simulated"
    if verified is not None:
        agrees = "agrees bit by bit" if verified["passed"] else "does NOT agree"
        simulated = f"the circuit {agrees} with its model in simulation ({counted(verified['frames'], 'frame')})"
    if bitstream is None:
        return f"{simulated}, there is no bitstream yet, and nothing has run on hardware"
    met = "meets its clock" if bitstream["timing_met"] else "does NOT meet its clock"
    return f"{simulated}, the bitstream {met} by the tools' analysis, and nothing has run on hardware"

"""The small bundle with hardware: Verilog generated for it, and the plan that the Verilog keeps."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from lognet_fpga.bundle import Bundle, make_bundle
from tests import small_bundle
from tests.shallow import shallow


def rtl_bundle() -> Bundle:
    """Needs the deploy side: da4ml, myhdl, onnx."""
    from lognet_fpga.codegen import generate
    from lognet_fpga.fabric.boards import load_board
    from lognet_fpga.fabric.target import Target
    from lognet_fpga.plan.planner import plan_hardware

    quant = small_bundle.quant_graph()
    files = small_bundle.files()
    plan = plan_hardware(quant, Target(load_board("pynq-z2"), small_bundle.CLK_MHZ, ("clb",), 100_000.0))
    design = shallow(generate, plan, hashlib.sha256(files["golden.onnx"]).hexdigest(), quant.name)
    del files["verilog/top.v"]
    files |= {f"verilog/{name}": text.encode() for name, text in design.files}
    files["verilog/map.json"] = design.signals.encode()
    cycles = {
        "fps": plan.fps,
        "cycles_per_frame": plan.cycles_per_frame,
        "latency_cycles": plan.latency_cycles,
        "layers": [{"name": "conv"}],
    }
    manifest = small_bundle.manifest(source=asdict(design.source), sink=asdict(design.sink), plan=cycles)
    return make_bundle(files, manifest)

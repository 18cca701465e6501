"""The overlay's top module as Vivado packages it: its ports without the monitors, interfaces named by attributes."""

from __future__ import annotations

from lognet_fpga.bitstream.overlay_system import CORE_TOP, OverlaySystem

WRAPPER = "lognet_overlay_core"
_AXIS, _AXIMM = "xilinx.com:interface:axis:1.0", "xilinx.com:interface:aximm:1.0"
_AXI_LITE = (
    ("awaddr", "input", 12),
    ("awprot", "input", 3),
    ("awvalid", "input", None),
    ("awready", "output", None),
    ("wdata", "input", 32),
    ("wstrb", "input", 4),
    ("wvalid", "input", None),
    ("wready", "output", None),
    ("bresp", "output", 2),
    ("bvalid", "output", None),
    ("bready", "input", None),
    ("araddr", "input", 12),
    ("arprot", "input", 3),
    ("arvalid", "input", None),
    ("arready", "output", None),
    ("rdata", "output", 32),
    ("rresp", "output", 2),
    ("rvalid", "output", None),
    ("rready", "input", None),
)


def wrapper_verilog(overlay: OverlaySystem) -> str:
    """Verilog of module WRAPPER around CORE_TOP."""
    declarations = [
        _port(
            "clk",
            "input",
            None,
            "xilinx.com:signal:clock:1.0 clk CLK",
            "ASSOCIATED_BUSIF s_axis:m_axis:s_axil, ASSOCIATED_RESET rst",
        ),
        _port("rst", "input", None, "xilinx.com:signal:reset:1.0 rst RST", "POLARITY ACTIVE_HIGH"),
    ]
    names = ["clk", "rst"]
    for bus, towards, width in (
        ("s_axis", "input", overlay.system.source_bits),
        ("m_axis", "output", overlay.system.sink_bits),
    ):
        back = "output" if towards == "input" else "input"
        for signal, direction, bits in (
            ("tdata", towards, width),
            ("tvalid", towards, None),
            ("tready", back, None),
            ("tlast", towards, None),
        ):
            names.append(f"{bus}_{signal}")
            declarations.append(_port(names[-1], direction, bits, f"{_AXIS} {bus} {signal.upper()}"))
    for signal, direction, bits in _AXI_LITE:
        names.append(f"s_axil_{signal}")
        declarations.append(
            _port(
                names[-1],
                direction,
                bits,
                f"{_AXIMM} s_axil {signal.upper()}",
                "PROTOCOL AXI4LITE" if signal == "awaddr" else "",
            )
        )
    return "\n".join(
        [
            "`timescale 1ns/1ps",
            "",
            f"module {WRAPPER} (",
            ",\n".join(declarations),
            ");",
            "",
            f"{CORE_TOP} core (",
            ",\n".join(f"    .{name}({name})" for name in names),
            ");",
            "",
            "endmodule",
            "",
        ]
    )


def _port(name: str, direction: str, width: int | None, interface: str, parameters: str = "") -> str:
    attributes = f'X_INTERFACE_INFO = "{interface}"' + (
        f', X_INTERFACE_PARAMETER = "{parameters}"' if parameters else ""
    )
    return f"    (* {attributes} *)\n    {direction} wire {'' if width is None else f'[{width - 1}:0] '}{name}"

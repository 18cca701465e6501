"""The overlay's top module as Vivado packages it: its ports without the monitors, interfaces named by attributes."""

from __future__ import annotations

from lognet_fpga.bitstream.overlay_system import CORE_TOP, OverlaySystem
from lognet_fpga.hw.axi import AxiLite, AxiStream

WRAPPER = "lognet_overlay_core"
_AXIS, _AXIMM = "xilinx.com:interface:axis:1.0", "xilinx.com:interface:aximm:1.0"


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
    for kind, bus, ports in (
        (_AXIS, "s_axis", AxiStream.slave("s_axis", tdata=overlay.system.source_bits)),
        (_AXIS, "m_axis", AxiStream.master("m_axis", tdata=overlay.system.sink_bits)),
        (_AXIMM, "s_axil", AxiLite.slave("s_axil")),
    ):
        for port in ports:
            signal = port.name.removeprefix(f"{bus}_").upper()
            lite = "PROTOCOL AXI4LITE" if kind == _AXIMM and port is ports[0] else ""
            names.append(port.name)
            declarations.append(_port(port.name, port.direction, port.width, f"{kind} {bus} {signal}", lite))
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

"""The top level for the open tools: the processor as a bare cell, the DMA of this project, and the overlay.

lognet_system   PS7, clock and reset; no ports: DDR and the processor's pins are set up by the board's boot
lognet_fabric   everything behind the processor's ports: registers' bridge, DMA, overlay
"""

from __future__ import annotations

from functools import lru_cache, partial

from lognet_fpga.bitstream.overlay_system import CORE_TOP, OverlaySystem
from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.hw.dma.bridge import ID_BITS, register_bridge
from lognet_fpga.hw.dma.dma import AXIL_PORTS, READ_PORTS, WRITE_PORTS, axi_dma
from lognet_fpga.hw.structure import Leaf, Port, inputs, outputs
from lognet_fpga.ir.system import Processor

SYSTEM, FABRIC = "lognet_system", "lognet_fabric"
_PAGE_BITS = 12  # the overlay's registers; those of the DMA begin a page of their own
# The processor's port for registers, as this side sees it.
_CONTROL_PORTS = (
    inputs(s_axi_awid=ID_BITS, s_axi_awaddr=32, s_axi_awlen=8, s_axi_awsize=3, s_axi_awburst=2, s_axi_awvalid=None)
    + outputs(s_axi_awready=None)
    + inputs(s_axi_wdata=32, s_axi_wstrb=4, s_axi_wlast=None, s_axi_wvalid=None)
    + outputs(s_axi_wready=None, s_axi_bid=ID_BITS, s_axi_bresp=2, s_axi_bvalid=None)
    + inputs(s_axi_bready=None)
    + inputs(s_axi_arid=ID_BITS, s_axi_araddr=32, s_axi_arlen=8, s_axi_arsize=3, s_axi_arburst=2, s_axi_arvalid=None)
    + outputs(s_axi_arready=None, s_axi_rid=ID_BITS, s_axi_rdata=32, s_axi_rresp=2, s_axi_rlast=None)
    + outputs(s_axi_rvalid=None)
    + inputs(s_axi_rready=None)
)
_UNUSED = {"s_axi_awsize", "s_axi_awburst", "s_axi_arsize", "s_axi_arburst"}  # accesses of words, one behind another
_SLAVES = ("first", "second")  # the DMA and the overlay


def system_files(overlay: OverlaySystem) -> tuple[tuple[str, str], ...]:
    """(file name, text) of all that lognet_system is made of, the overlay's own files included; sorted by name."""
    source_bits, sink_bits = overlay.system.source_bits, overlay.system.sink_bits
    files = dict(overlay.files)
    files |= dict(_own_files(source_bits, sink_bits, overlay.system.processor))
    files |= {f"{FABRIC}.v": _fabric(source_bits, sink_bits), f"{SYSTEM}.v": _system()}
    return tuple(sorted(files.items()))


@lru_cache(maxsize=8)
def _own_files(source_bits: int, sink_bits: int, processor: Processor) -> tuple[tuple[str, str], ...]:
    """The Verilog of DMA and bridge.  Kept, for it takes seconds to convert."""
    return verilog_files(axi_dma(source_bits, sink_bits)) + verilog_files(_bridge(processor))


def _bridge(processor: Processor) -> Leaf:
    ports = inputs(clk=None, rst=None)
    ports += tuple(port for port in _CONTROL_PORTS if port.name not in _UNUSED)
    ports += outputs(m_awaddr=12, m_wdata=32, m_wstrb=4, m_araddr=12)
    for slave in _SLAVES:
        ports += tuple(
            Port(f"{slave}_{name}", direction, width)
            for name, direction, width in (
                ("awvalid", "output", None),
                ("awready", "input", None),
                ("wvalid", "output", None),
                ("wready", "input", None),
                ("bvalid", "input", None),
                ("bready", "output", None),
                ("arvalid", "output", None),
                ("arready", "input", None),
                ("rdata", "input", 32),
                ("rvalid", "input", None),
                ("rready", "output", None),
            )
        )
    pages = {
        "first_page": processor.dma.base >> _PAGE_BITS,
        "second_page": processor.core.base >> _PAGE_BITS,
        "page_bits": _PAGE_BITS,
    }
    return Leaf("lognet_bridge", ports, partial(register_bridge, **pages))


def _fabric(source_bits: int, sink_bits: int) -> str:
    ports = inputs(clk=None, rst=None) + _CONTROL_PORTS + READ_PORTS + WRITE_PORTS
    bridge = [port.name for port in _CONTROL_PORTS if port.name not in _UNUSED]
    shared = {"awaddr": "m_awaddr", "wdata": "m_wdata", "wstrb": "m_wstrb", "araddr": "m_araddr"}
    nets = [("m_awaddr", 12), ("m_wdata", 32), ("m_wstrb", 4), ("m_araddr", 12)]
    nets += [("to_overlay", source_bits), ("from_overlay", sink_bits)]
    flags = [f"{way}_{name}" for way in ("to_overlay", "from_overlay") for name in ("valid", "ready", "last")]
    slave_nets = (
        "awvalid",
        "awready",
        "wvalid",
        "wready",
        "bvalid",
        "bready",
        "arvalid",
        "arready",
        "rvalid",
        "rready",
    )
    flags += [f"{slave}_{name}" for slave in _SLAVES for name in slave_nets]
    nets += [(f"{slave}_rdata", 32) for slave in _SLAVES]

    def registers(slave: str) -> list[tuple[str, str]]:
        """AXI4-Lite ports to nets; what the bridge does not need is left open, and accesses are unprivileged."""
        wires = {"awprot": "3'b000", "arprot": "3'b000", "bresp": "", "rresp": ""} | shared
        names = (port.name.removeprefix("s_axil_") for port in AXIL_PORTS)
        return [(f"s_axil_{name}", wires.get(name, f"{slave}_{name}")) for name in names]

    def stream(prefix: str, net: str) -> list[tuple[str, str]]:
        return [
            (f"{prefix}_tdata", net),
            *((f"{prefix}_t{name}", f"{net}_{name}") for name in ("valid", "ready", "last")),
        ]

    clock = [("clk", "clk"), ("rst", "rst")]
    own = [(name, name) for name in shared.values()]
    slaves = [
        (net, net) for slave in _SLAVES for net in (*(f"{slave}_{name}" for name in slave_nets), f"{slave}_rdata")
    ]
    memory = [(port.name, port.name) for port in READ_PORTS + WRITE_PORTS]
    return "\n".join(
        [
            "`timescale 1ns/1ps",
            "",
            f"module {FABRIC} (",
            ",\n".join(f"    {port.direction} wire {_range(port.width)}{port.name}" for port in ports),
            ");",
            "",
            *(f"wire {_range(width)}{name};" for name, width in nets),
            *(f"wire {name};" for name in flags),
            "",
            _instance("lognet_bridge", "bridge", clock + [(name, name) for name in bridge] + own + slaves),
            _instance(
                "axi_dma",
                "dma",
                clock + registers("first") + memory + stream("m_axis", "to_overlay") + stream("s_axis", "from_overlay"),
            ),
            _instance(
                CORE_TOP,
                "core",
                clock + registers("second") + stream("s_axis", "to_overlay") + stream("m_axis", "from_overlay"),
            ),
            "endmodule",
            "",
        ]
    )


def _system() -> str:
    """The processor's cell by the names of its ports; whatever is not connected is left to the tools, which tie it."""
    control, memory = [], []
    for port in _CONTROL_PORTS:
        name = port.name.removeprefix("s_axi_")
        narrow = _NARROW.get(name[2:], "")
        control.append((f"MAXIGP0{name.upper()}", f"gp0_{name}{narrow}"))
    for port in READ_PORTS + WRITE_PORTS:
        name = port.name.removeprefix("m_axi_")
        narrow = _NARROW.get(name[2:], "")
        memory.append((f"SAXIHP0{name.upper()}", f"hp0_{name}{narrow}"))
    fixed = {f"SAXIHP0A{way}{name}": value for way in "RW" for name, value in _FIXED.items()}
    fixed |= {"SAXIHP0WID": "6'b000000", "SAXIHP0RDISSUECAP1EN": "1'b0", "SAXIHP0WRISSUECAP1EN": "1'b0"}
    processor = [("FCLKCLK", "fclk"), ("FCLKRESETN", "fresetn"), ("FCLKCLKTRIGN", "4'b0000")]
    processor += [("MAXIGP0ACLK", "clk"), ("SAXIHP0ACLK", "clk"), *control, *memory, *fixed.items()]
    fabric = [("clk", "clk"), ("rst", "rst")]
    fabric += [(port.name, f"gp0_{port.name.removeprefix('s_axi_')}") for port in _CONTROL_PORTS]
    fabric += [(port.name, f"hp0_{port.name.removeprefix('m_axi_')}") for port in READ_PORTS + WRITE_PORTS]
    nets = [(f"gp0_{port.name.removeprefix('s_axi_')}", port.width) for port in _CONTROL_PORTS]
    nets += [(f"hp0_{port.name.removeprefix('m_axi_')}", port.width) for port in READ_PORTS + WRITE_PORTS]
    return "\n".join(
        [
            "`timescale 1ns/1ps",
            "",
            f"module {SYSTEM};",
            "",
            "wire [3:0] fclk;",
            "wire [3:0] fresetn;",
            "wire clk;",
            *(f"wire {_range(width)}{name};" for name, width in nets),
            "",
            "// The processor's lengths and sizes are those of AXI3.",
            *(f"assign gp0_{way}len[7:4] = 4'b0000;" for way in ("aw", "ar")),
            *(f"assign gp0_{way}size[2] = 1'b0;" for way in ("aw", "ar")),
            "",
            "// Its reset comes at any time and leaves with the clock.",
            "reg [2:0] resets = 3'b111;",
            "always @(posedge clk) resets <= {resets[1:0], ~fresetn[0]};",
            "wire rst = resets[2];",
            "",
            "BUFG clock (.I(fclk[0]), .O(clk));",
            "",
            _instance("PS7", "processor", processor),
            _instance(FABRIC, "fabric", fabric),
            "endmodule",
            "",
        ]
    )


_NARROW = {"size": "[1:0]", "len": "[3:0]"}  # in AXI3, and in the processor's cell
_FIXED = {"CACHE": "4'b0011", "LOCK": "2'b00", "PROT": "3'b000", "QOS": "4'b0000"}  # ordinary accesses to memory


def _instance(module: str, name: str, wires: list[tuple[str, str]]) -> str:
    return f"{module} {name} (\n" + ",\n".join(f"    .{port}({wire})" for port, wire in wires) + "\n);\n"


def _range(width: int | None) -> str:
    return "" if width is None else f"[{width - 1}:0] "

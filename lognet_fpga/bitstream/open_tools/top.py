"""The top level for the open tools: the processor as a bare cell, the DMA of this project, and the overlay.

lognet_system   PS7, clock and reset; no ports: DDR and the processor's pins are set up by the board's boot
lognet_fabric   everything behind the processor's ports: registers' bridge, DMA, overlay
"""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import chain

from lognet_fpga.bitstream.overlay_system import CORE_TOP, OverlaySystem
from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.hw.axi import AxiControl, AxiLite
from lognet_fpga.hw.dma.bridge import register_bridge
from lognet_fpga.hw.dma.dma import MEMORY_PORTS, axi_dma
from lognet_fpga.hw.ports import inputs
from lognet_fpga.hw.structure import Leaf
from lognet_fpga.ir.system import Processor

SYSTEM, FABRIC = "lognet_system", "lognet_fabric"
_PAGE_BITS = 12  # the overlay's registers; those of the DMA begin a page of their own
_CONTROL_PORTS = AxiControl.slave("s_axi")  # the processor's port for registers, as this side sees it
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
    return verilog_files(axi_dma(source_bits, sink_bits)) + verilog_files(bridge_module(processor))


def bridge_module(processor: Processor) -> Leaf:
    ports = inputs(clk=None, rst=None) + _CONTROL_PORTS + tuple(chain(*map(AxiLite.master, _SLAVES)))
    pages = {
        "first_page": processor.dma.base >> _PAGE_BITS,
        "second_page": processor.core.base >> _PAGE_BITS,
        "page_bits": _PAGE_BITS,
    }
    return Leaf("lognet_bridge", ports, partial(register_bridge, **pages))


def _fabric(source_bits: int, sink_bits: int) -> str:
    ports = inputs(clk=None, rst=None) + _CONTROL_PORTS + MEMORY_PORTS
    slaves = {slave: AxiLite.master(slave) for slave in _SLAVES}
    nets: list[tuple[str, int | None]] = [("to_overlay", source_bits), ("from_overlay", sink_bits)]
    nets += [(f"{way}_{name}", None) for way in ("to_overlay", "from_overlay") for name in ("valid", "ready", "last")]
    nets += [(port.name, port.width) for ports_of_one in slaves.values() for port in ports_of_one]

    def registers(slave: str) -> list[tuple[str, str]]:
        """AXI4-Lite ports to nets."""
        return [(port.name.replace(slave, "s_axil", 1), port.name) for port in slaves[slave]]

    def stream(prefix: str, net: str) -> list[tuple[str, str]]:
        return [
            (f"{prefix}_tdata", net),
            *((f"{prefix}_t{name}", f"{net}_{name}") for name in ("valid", "ready", "last")),
        ]

    clock = [("clk", "clk"), ("rst", "rst")]
    bridge = [(port.name, port.name) for port in (*_CONTROL_PORTS, *slaves["first"], *slaves["second"])]
    memory = [(port.name, port.name) for port in MEMORY_PORTS]
    return "\n".join(
        [
            "`timescale 1ns/1ps",
            "",
            f"module {FABRIC} (",
            ",\n".join(f"    {port.direction} wire {_range(port.width)}{port.name}" for port in ports),
            ");",
            "",
            *(f"wire {_range(width)}{name};" for name, width in nets),
            "",
            _instance("lognet_bridge", "bridge", clock + bridge),
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
    for port in MEMORY_PORTS:
        name = port.name.removeprefix("m_axi_")
        narrow = _NARROW.get(name[2:], "")
        memory.append((f"SAXIHP0{name.upper()}", f"hp0_{name}{narrow}"))
    fixed = {f"SAXIHP0A{way}{name}": value for way in "RW" for name, value in _FIXED.items()}
    fixed |= {"SAXIHP0WID": "6'b000000", "SAXIHP0RDISSUECAP1EN": "1'b0", "SAXIHP0WRISSUECAP1EN": "1'b0"}
    processor = [("FCLKCLK", "fclk"), ("FCLKRESETN", "fresetn"), ("FCLKCLKTRIGN", "4'b0000")]
    processor += [("MAXIGP0ACLK", "clk"), ("SAXIHP0ACLK", "clk"), *control, *memory, *fixed.items()]
    fabric = [("clk", "clk"), ("rst", "rst")]
    fabric += [(port.name, f"gp0_{port.name.removeprefix('s_axi_')}") for port in _CONTROL_PORTS]
    fabric += [(port.name, f"hp0_{port.name.removeprefix('m_axi_')}") for port in MEMORY_PORTS]
    nets = [(f"gp0_{port.name.removeprefix('s_axi_')}", port.width) for port in _CONTROL_PORTS]
    nets += [(f"hp0_{port.name.removeprefix('m_axi_')}", port.width) for port in MEMORY_PORTS]
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

"""The ports of AXI's interfaces, each list of them once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lognet_fpga.hw.ports import Bundle, back, forth

OKAY, SLVERR, DECERR = 0, 2, 3  # answers


@dataclass(frozen=True, eq=False)
class AxiLite(Bundle):
    """AXI4-Lite with 4 KB of 32-bit registers."""

    awaddr: Any = forth(12)
    awprot: Any = forth(3)
    awvalid: Any = forth()
    awready: Any = back()
    wdata: Any = forth(32)
    wstrb: Any = forth(4)
    wvalid: Any = forth()
    wready: Any = back()
    bresp: Any = back(2)
    bvalid: Any = back()
    bready: Any = forth()
    araddr: Any = forth(12)
    arprot: Any = forth(3)
    arvalid: Any = forth()
    arready: Any = back()
    rdata: Any = back(32)
    rresp: Any = back(2)
    rvalid: Any = back()
    rready: Any = forth()


@dataclass(frozen=True, eq=False)
class AxiStream(Bundle):
    """AXI4-Stream of whole beats."""

    tdata: Any = forth(8)
    tvalid: Any = forth()
    tready: Any = back()
    tlast: Any = forth()


@dataclass(frozen=True, eq=False)
class AxiReads(Bundle):
    """The reading half of a 64-bit port into memory: AXI4, or AXI3, which has fewer bits of a length."""

    arid: Any = forth(6)
    araddr: Any = forth(32)
    arlen: Any = forth(8)
    arsize: Any = forth(3)
    arburst: Any = forth(2)
    arvalid: Any = forth()
    arready: Any = back()
    rid: Any = back(6)
    rdata: Any = back(64)
    rresp: Any = back(2)
    rlast: Any = back()
    rvalid: Any = back()
    rready: Any = forth()


@dataclass(frozen=True, eq=False)
class AxiWrites(Bundle):
    """The writing half."""

    awid: Any = forth(6)
    awaddr: Any = forth(32)
    awlen: Any = forth(8)
    awsize: Any = forth(3)
    awburst: Any = forth(2)
    awvalid: Any = forth()
    awready: Any = back()
    wdata: Any = forth(64)
    wstrb: Any = forth(8)
    wlast: Any = forth()
    wvalid: Any = forth()
    wready: Any = back()
    bid: Any = back(6)
    bresp: Any = back(2)
    bvalid: Any = back()
    bready: Any = forth()


@dataclass(frozen=True, eq=False)
class AxiControl(Bundle):
    """A Zynq's port for registers, AXI3 or AXI4: accesses of words, one behind another."""

    awid: Any = forth(12)
    awaddr: Any = forth(32)
    awlen: Any = forth(8)
    awsize: Any = forth(3)
    awburst: Any = forth(2)
    awvalid: Any = forth()
    awready: Any = back()
    wdata: Any = forth(32)
    wstrb: Any = forth(4)
    wlast: Any = forth()
    wvalid: Any = forth()
    wready: Any = back()
    bid: Any = back(12)
    bresp: Any = back(2)
    bvalid: Any = back()
    bready: Any = forth()
    arid: Any = forth(12)
    araddr: Any = forth(32)
    arlen: Any = forth(8)
    arsize: Any = forth(3)
    arburst: Any = forth(2)
    arvalid: Any = forth()
    arready: Any = back()
    rid: Any = back(12)
    rdata: Any = back(32)
    rresp: Any = back(2)
    rlast: Any = back()
    rvalid: Any = back()
    rready: Any = forth()

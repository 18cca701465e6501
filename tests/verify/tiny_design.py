"""A hand-written design with the same ports as a generated one: two adders, a FIFO, an AXI4-Lite slave."""

from __future__ import annotations

import numpy as np

from lognet_fpga.fabric.board import Board, Resources
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.design import Monitor, VerilogDesign
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.plan.hardware_plan import HardwarePlan

SHAPE = (2, 2, 3)
BEATS = 6  # one position of two channels a beat
LATENCY_CYCLES = BEATS - 1 + 2  # the adder's register, then the FIFO's

ADDER = """
module adder(input clk, input rst, input [16:0] in_data, input in_valid, output in_ready,
             output reg [8:0] out_data, output reg out_valid, input out_ready);
  wire [9:0] sum0 = in_data[7:0] + 2 * in_data[15:8] + 10'd4;
  wire [9:0] sum1 = 2 * in_data[7:0] + in_data[15:8] + 10'd1;
  assign in_ready = !out_valid || out_ready;
  always @(posedge clk) begin
    if (rst) out_valid <= 0;
    else if (in_ready) out_valid <= in_valid;
    if (in_ready) begin
      out_data[3:0] <= sum0[9:7] != 0 ? 4'd15 : sum0[6:3];
      out_data[7:4] <= sum1[9:7] != 0 ? 4'd15 : sum1[6:3];
      out_data[8] <= in_data[16];
    end
  end
endmodule
"""

FIFO = """
module fifo(input clk, input rst, input [8:0] in_data, input in_valid, output in_ready,
            output [8:0] out_data, output out_valid, input out_ready);
  reg [8:0] mem [0:3];
  reg [1:0] wr, rd;
  reg [2:0] count;
  assign in_ready = count < 3;
  assign out_valid = count != 0;
  assign out_data = mem[rd];
  wire push = in_valid && in_ready;
  wire pop = out_valid && out_ready;
  always @(posedge clk) begin
    if (push) mem[wr] <= in_data;
    if (rst) begin
      wr <= 0; rd <= 0; count <= 0;
    end else begin
      wr <= wr + push;
      rd <= rd + pop;
      count <= count + push - pop;
    end
  end
endmodule
"""

TOP = """
module tiny(input clk, input rst,
    input [15:0] s_axis_tdata, input s_axis_tvalid, output s_axis_tready, input s_axis_tlast,
    output [7:0] m_axis_tdata, output m_axis_tvalid, input m_axis_tready, output m_axis_tlast,
    input [11:0] s_axil_awaddr, input [2:0] s_axil_awprot, input s_axil_awvalid, output s_axil_awready,
    input [31:0] s_axil_wdata, input [3:0] s_axil_wstrb, input s_axil_wvalid, output s_axil_wready,
    output [1:0] s_axil_bresp, output s_axil_bvalid, input s_axil_bready,
    input [11:0] s_axil_araddr, input [2:0] s_axil_arprot, input s_axil_arvalid, output s_axil_arready,
    output reg [31:0] s_axil_rdata, output [1:0] s_axil_rresp, output reg s_axil_rvalid, input s_axil_rready,
    output mon_conv1_valid, output [7:0] mon_conv1_data);
  wire [8:0] mid, last;
  wire mid_valid, mid_ready;
  adder the_adder(.clk(clk), .rst(rst), .in_data({s_axis_tlast, s_axis_tdata}), .in_valid(s_axis_tvalid),
    .in_ready(s_axis_tready), .out_data(mid), .out_valid(mid_valid), .out_ready(mid_ready));
  fifo the_fifo(.clk(clk), .rst(rst), .in_data(mid), .in_valid(mid_valid), .in_ready(mid_ready),
    .out_data(last), .out_valid(m_axis_tvalid), .out_ready(m_axis_tready));
  assign m_axis_tdata = last[7:0];
  assign m_axis_tlast = last[8];
  assign mon_conv1_valid = mid_valid && mid_ready;
  assign mon_conv1_data = mid[7:0];
  assign s_axil_awready = 0, s_axil_wready = 0, s_axil_bvalid = 0, s_axil_bresp = 0, s_axil_rresp = 0;
  assign s_axil_arready = !s_axil_rvalid;
  always @(posedge clk) begin
    if (rst) s_axil_rvalid <= 0;
    else if (s_axil_arvalid && s_axil_arready) s_axil_rvalid <= 1;
    else if (s_axil_rready) s_axil_rvalid <= 0;
    if (s_axil_arready) s_axil_rdata <= 32'h1000 + s_axil_araddr;
  end
endmodule
"""


def tiny_design(old: str = "", new: str = "") -> VerilogDesign:
    """The design, with the text `old` replaced by `new` in the file that has it."""
    files = []
    for name, text in (("adder.v", ADDER), ("fifo.v", FIFO), ("tiny.v", TOP)):
        files.append((name, text.replace(old, new) if old else text))
    if old and tuple(files) == (("adder.v", ADDER), ("fifo.v", FIFO), ("tiny.v", TOP)):
        raise ValueError(f"nothing to replace: {old}")
    out = StreamFormat(SHAPE, 4, 2, 8)
    return VerilogDesign(
        "tiny",
        tuple(files),
        StreamFormat(SHAPE, 8, 2, 16),
        out,
        (Monitor("conv1", "mon_conv1", out),),
        (("conv1", "adder"), ("fifo", "fifo")),
    )


def tiny_quant() -> QuantGraph:
    """The same function as a 1x1 convolution."""
    layer = QuantLayer(
        name="conv1",
        in_shape=SHAPE,
        in_bits=8,
        out_bits=4,
        codes=np.array([[1, 2], [2, 1]], np.int8)[:, :, None, None],
        channel_shift=np.zeros(2, np.int64),
        bias=np.array([4, 1]),
        shift=3,
        stride=(1, 1),
        pads=(0, 0, 0, 0),
        pad_value=np.zeros(2, np.int64),
        pool=None,
        alpha=np.ones(2),
        out_scale=np.ones(2),
        nmse=0.0,
    )
    return QuantGraph("tiny", SHAPE, (layer,))


def tiny_plan(latency_cycles: int = LATENCY_CYCLES, cycles_per_frame: int = BEATS) -> HardwarePlan:
    board = Board(
        name="none",
        title="none",
        part="xc7z020clg400-1",
        lut=53200,
        m_lut=17400,
        ff=106400,
        bram36=140,
        dsp=220,
        clk_mhz=100.0,
        processor="none",
        host_mhz=650,
        power_sensor="",
    )
    return HardwarePlan(Target(board, 100.0, ("clb",)), (), Resources(0, 0, 0), cycles_per_frame, latency_cycles)


def tiny_frames(n_frames: int, seed: int) -> np.ndarray:
    """Frames of small values, so that few outputs clip."""
    return np.random.default_rng(seed).integers(0, 60, (n_frames, *SHAPE), dtype=np.uint8)

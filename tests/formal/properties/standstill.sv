// A fork, a layer that gives its first result when it has HOLD beats, a shortcut beside it, and a join: whatever pauses
// there were, as long as beats are offered and taken at the ends something moves.
module standstill(
    input wire clk,
    input wire rst,
    input wire in_valid,
    input wire out_ready
);
// CONSTANTS
reg [1:0] f_resets = 0; // cycles of rst, at most three
reg f_started = 0;
always @(posedge clk) begin
    f_resets <= !rst ? 0 : f_resets == 3 ? 3 : f_resets + 1;
    f_started <= f_started || f_resets == 3;
end
always @* begin
    if (!f_started || (f_resets != 0 && f_resets != 3)) assume (rst);
    if (rst) assume (!in_valid);
end

wire in_ready, room, push, push_data;
wire [1:0] rooms;
admit admit(.clk(clk), .rst(rst), .in_data(1'b0), .in_valid(in_valid), .in_ready(in_ready), .room(room),
    .out_valid(push), .out_data(push_data));
all_room gather(.clk(clk), .rooms(rooms), .room(room));

wire near_valid, near_data, short_valid, short_data, short_ready;
reg [3:0] f_held = 0; // beats in the layer
wire near_ready = f_held < HOLD;
fifo near(.clk(clk), .rst(rst), .in_valid(push), .in_data(push_data), .out_valid(near_valid), .out_data(near_data),
    .out_ready(near_ready), .room(rooms[0]));
fifo shortcut(.clk(clk), .rst(rst), .in_valid(push), .in_data(push_data), .out_valid(short_valid),
    .out_data(short_data), .out_ready(short_ready), .room(rooms[1]));

wire far_room, far_valid, far_data, far_ready;
wire f_result = f_held == HOLD && far_room && !rst;
always @(posedge clk) f_held <= rst ? 0 : f_held + (near_valid && near_ready) - f_result;
far_fifo far(.clk(clk), .rst(rst), .in_valid(f_result), .in_data(1'b0), .out_valid(far_valid), .out_data(far_data),
    .out_ready(far_ready), .room(far_room));

wire out_valid, out_data;
join_slice joined(.clk(clk), .rst(rst), .first_data(far_data), .first_valid(far_valid), .first_ready(far_ready),
    .second_data(short_data), .second_valid(short_valid), .second_ready(short_ready), .out_data(out_data),
    .out_valid(out_valid), .out_ready(out_ready));

// Cycles in which nothing moved that could be kept waiting.
reg [4:0] f_quiet = 0;
wire f_moves = (in_valid && in_ready) || push || (near_valid && near_ready) || f_result || (far_valid && far_ready)
    || (short_valid && short_ready) || (out_valid && out_ready);
always @(posedge clk)
    f_quiet <= rst || f_moves || !in_valid || !out_ready ? 0 : f_quiet == 31 ? 31 : f_quiet + 1;
always @(posedge clk) if (f_started) begin
    nothing_stands_still: assert (f_quiet < QUIET);
    it_comes_through: cover (out_valid && f_held == HOLD);
end
endmodule

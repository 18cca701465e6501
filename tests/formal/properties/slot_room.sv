// What decides on the room in a FIFO, put together as in a layer: sequencer, pool and FIFO are the generated ones, and the
// datapath between is its timing alone: beats so many cycles behind the start of a computing slot, as the plan has them.
// The FIFO is never pushed into when it is full, however the input comes and the output is taken.
module slot_room (input clk, input full, input out_ready);
// CONSTANTS
localparam PLACE = $clog2(DEPTH);
reg f_started = 0;
always @(posedge clk) f_started <= 1;
wire rst = !f_started; // the reset is longer than the datapath: nothing is on its way behind it

wire room, take, load, use_pad, start, compute, blank, shifting;
sequencer slots (.clk(clk), .rst(rst), .full(full), .room(room), .take(take), .load(load), .use_pad(use_pad),
    .start(start), .compute(compute), .blank(blank), .shifting(shifting));

// Bit i: a computing slot was let go i + 1 cycles ago.
reg [LENGTH-1:0] f_line = 0;
wire f_go = start && compute;
wire [LENGTH:0] f_way = {f_line, f_go};
always @(posedge clk) f_line <= rst ? 0 : f_way[LENGTH-1:0];
wire [LENGTH:0] f_now = f_way & BEATS;
wire f_beat = |f_now;

wire f_push;
generate if (POOL) begin
    wire f_data;
    pool pooling (.clk(clk), .rst(rst), .in_valid(f_beat), .in_data(1'b0), .out_valid(f_push), .out_data(f_data));
end else assign f_push = f_beat;
endgenerate

wire out_valid, out_data;
fifo queue (.clk(clk), .rst(rst), .in_valid(f_push), .in_data(1'b0), .out_valid(out_valid), .out_data(out_data),
    .out_ready(out_ready), .room(room));

// Registers inside, made visible by flattening.
(* hierconn *) wire [PLACE:0] \queue.level , \queue.held ;
(* hierconn *) wire \queue.arrived , \queue.valid , \queue.single , \slots.sequence_idle ;
(* hierconn *) wire [WAIT-1:0] \slots.sequence_wait ;
wire [PLACE:0] f_level = \queue.level ; // that it is right is proved with the FIFO

always @(posedge clk) if (f_started) begin
    never_too_full: assert (!f_push || f_level < DEPTH);
    one_beat_a_cycle: assert ((f_now & (f_now - 1'b1)) == 0);
end

// What must be reachable, for the proof to say anything: stated the other way round, its counterexample is the way there.
generate if (REACH) always @(posedge clk) if (f_started)
    reserve_used: assert (f_level <= DEPTH - RESERVE || room || load || !full);
endgenerate

// Computing slots are far enough apart, and without a pool all that is still to come finds room.
integer i;
reg [7:0] f_coming, f_left;
always @* begin
    f_coming = 0;
    f_left = 0;
    for (i = LENGTH; i >= 0; i = i - 1) begin
        f_left = f_left + BEATS[i];
        if (f_way[i]) f_coming = f_coming + f_left;
    end
end
reg [PLACE:0] f_level_past = 0;
reg f_push_past = 0;
always @(posedge clk) begin
    f_level_past <= f_level;
    f_push_past <= f_push && !rst;
end
genvar g;
generate
    for (g = 1; g < II; g = g + 1) always @(posedge clk) if (f_started) assert ((f_way & (f_way >> g)) == 0);
    for (g = 0; g < II && g <= LENGTH; g = g + 1) always @(posedge clk)
        if (f_started && f_way[g])
            assert (\slots.sequence_wait == II - 1 - g && \slots.sequence_idle == (g == II - 1));
endgenerate
always @(posedge clk) if (f_started) begin
    assert (f_level <= DEPTH && \queue.held <= f_level && f_level == \queue.held + \queue.arrived );
    assert (\queue.valid == (\queue.held != 0) && (!out_valid || \queue.single == (\queue.held == 1)));
    if (!POOL) assert (f_level + f_coming <= DEPTH);
    if (room) assert (f_level_past <= DEPTH - RESERVE);
    assert (f_level <= f_level_past + f_push_past);
end
endmodule

// What decides on the room in a FIFO, put together as in a layer: sequencer, pool and FIFO are the generated ones, and the
// datapath between is its timing alone: beats so many cycles behind the start of a computing slot, as the plan has them.
// The FIFO is never pushed into when it is full, however the input comes and the output is taken.
module slot_room (input clk, input full_soon, input out_ready);
// CONSTANTS
localparam PLACE = $clog2(DEPTH);
reg f_started = 0;
always @(posedge clk) f_started <= 1;
wire rst = !f_started; // the reset is longer than the datapath: nothing is on its way behind it

wire room, take, load, pad, start, compute, blank, shifting;
sequencer slots (.clk(clk), .rst(rst), .full_soon(full_soon), .room(room), .take(take), .load(load), .pad(pad),
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
(* hierconn *) wire [PLACE-1:0] \queue.pointers_before ;
(* hierconn *) wire \queue.pointers_moved , \queue.pointers_pushed , \queue.level_moved , \queue.level_pushed ;
(* hierconn *) wire \queue.front , \queue.last , \queue.both , \queue.filled , \queue.pointers_one ;
(* hierconn *) wire \queue.pointers_was_one , \queue.pointers_was_two , \queue.pointers_was_three ;
(* hierconn *) wire signed [EXCESS-1:0] \queue.level_excess ;
(* hierconn *) wire signed [LEFT-1:0] \slots.sequence_timer_left ;
(* hierconn *) wire \slots.sequence_computes ;
wire [1:0] f_shown = \queue.front + \queue.last ;
wire [PLACE:0] f_stored = \queue.pointers_before + (\queue.pointers_moved && \queue.pointers_pushed ) - (\queue.pointers_moved && !\queue.pointers_pushed );
wire [PLACE:0] f_level = f_stored + f_shown; // that these are right is proved with the FIFO

always @(posedge clk) if (f_started) begin
    never_too_full: assert (!f_push || f_level < DEPTH);
    one_beat_a_cycle: assert ((f_now & (f_now - 1'b1)) == 0);
end

// What must be reachable, for the proof to say anything: stated the other way round, its counterexample is the way there.
generate if (REACH) always @(posedge clk) if (f_started)
    reserve_used: assert (f_level <= DEPTH - RESERVE || room || load || !full_soon);
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
wire f_soon = load && \slots.sequence_computes ;
genvar g;
generate
    for (g = 1; g < II; g = g + 1) always @(posedge clk) if (f_started) assert ((f_way & (f_way >> g)) == 0);
    for (g = 0; g < II && g <= LENGTH; g = g + 1) always @(posedge clk) if (f_started && f_way[g]) begin
        if (II > 1) assert (\slots.sequence_timer_left == (II - 3 >= g ? II - 3 - g : -1));
        if (g < II - 1) assert (!load);
    end
endgenerate
always @(posedge clk) if (f_started) begin
    assert (f_level <= DEPTH && f_stored < DEPTH);
    assert (\queue.pointers_was_one == (\queue.pointers_before == 1));
    assert (\queue.pointers_was_two == (\queue.pointers_before == 2));
    assert (\queue.pointers_was_three == (\queue.pointers_before == 3));
    assert (\queue.filled == (f_stored != 0) && \queue.pointers_one == (f_stored == 1));
    assert (\queue.both == (\queue.front && \queue.last ));
    assert (\queue.level_excess + $signed({1'b0, \queue.level_moved && \queue.level_pushed }) - $signed({1'b0, \queue.level_moved && !\queue.level_pushed }) + (DEPTH - RESERVE) + 1 == $signed({1'b0, f_level}));
    if (!POOL) assert (f_level + f_coming + (f_soon ? f_left : 0) <= DEPTH);
end
endmodule

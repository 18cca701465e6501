// The FIFO between two layers: it never loses, doubles, changes or reorders a beat if none is pushed into a full one.
localparam PLACE = $clog2(DEPTH);

reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);
always @* if (f_started && f_level == DEPTH) assume (!in_valid);

wire f_push = in_valid && !rst;
wire f_pop = out_valid && out_ready && !rst;
reg [PLACE:0] f_level, f_level_past, f_readable; // beats inside; a cycle ago; of them those not pushed just now
reg f_arrived;
always @(posedge clk) begin
    f_level <= rst ? 0 : f_level + f_push - f_pop;
    f_level_past <= rst ? DEPTH : f_level;
    f_arrived <= f_push;
    f_readable <= rst ? 0 : f_readable + f_arrived - f_pop;
end

// Any one beat, with the number of beats before it.
(* anyseq *) wire f_pick;
reg f_tracked;
reg [PLACE:0] f_ahead;
reg [WIDTH-1:0] f_beat;
always @(posedge clk)
    if (rst) f_tracked <= 0;
    else if (!f_tracked) begin
        f_tracked <= f_push && f_pick;
        f_ahead <= f_level - f_pop;
        f_beat <= in_data;
    end else if (f_pop) begin
        f_tracked <= f_ahead != 0;
        f_ahead <= f_ahead - 1;
    end

always @(posedge clk) if (f_started && !rst) begin
    none_lost_none_doubled: assert (out_valid == (f_readable != 0));
    if (f_tracked && f_ahead == 0 && out_valid) in_order_unchanged: assert (out_data == f_beat);
    room_as_told: assert (room == (f_level_past + RESERVE <= DEPTH));
    if ($past(!rst && out_valid && !out_ready)) stable: assert (out_valid && $stable(out_data));
    full: cover (f_level == FULL);
    in_and_out_again: cover (f_tracked && f_ahead == 0 && f_pop && f_beat != 0);
end

// How the registers stand to each other, which makes the above inductive; all of it is proved too.
wire [PLACE-1:0] f_place = read + f_ahead[PLACE-1:0];
wire [PLACE-1:0] f_end = read + f_level[PLACE-1:0];
wire [PLACE-1:0] f_next = read + 1'b1;
always @(posedge clk) if (f_started && !rst) begin
    assert (f_level <= DEPTH && f_readable <= DEPTH && level == f_level);
    assert (arrived == f_arrived && held == f_readable && f_readable + f_arrived == f_level);
    assert (valid == (held != 0) && (!valid || single == (held == 1)));
    assert (after == f_next && write == f_end);
    if (valid) assert (out_data == memory[read]);
    if (f_tracked) assert (f_ahead < f_level && memory[f_place] == f_beat);
end

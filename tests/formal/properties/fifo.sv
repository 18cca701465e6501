// The FIFO between two layers: it never loses, doubles, changes or reorders a beat if none is pushed into a full one.
localparam PLACE = $clog2(DEPTH);

reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);
always @* if (f_started && f_level == DEPTH) assume (!in_valid);

wire f_push = in_valid && !rst;
wire f_pop = out_valid && out_ready && !rst;
reg [PLACE:0] f_level, f_level_past, f_readable; // beats inside; a cycle ago; of them those that came LATENCY cycles ago
reg [LATENCY-2:0] f_recent;
always @(posedge clk) begin
    f_level <= rst ? 0 : f_level + f_push - f_pop;
    f_level_past <= rst ? 0 : f_level;
    f_recent <= rst ? 0 : {f_recent, f_push};
    f_readable <= rst ? 0 : f_readable + f_recent[LATENCY-2] - f_pop;
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
wire [1:0] f_shown = front + last; // beats behind the memory
wire [PLACE:0] f_stored = f_level - f_shown;
wire [PLACE-1:0] f_place = read + f_ahead[PLACE-1:0] - f_shown;
wire [PLACE-1:0] f_end = read + f_stored[PLACE-1:0];
wire [PLACE-1:0] f_next = read + 1'b1;
wire [PLACE-1:0] f_after_end = f_end + 1'b1;
wire [PLACE:0] f_sum = pointers_before + (pointers_moved && pointers_pushed) - (pointers_moved && !pointers_pushed);
reg f_was_reset;
always @(posedge clk) f_was_reset <= rst;
always @(posedge clk) if (f_started && !rst) begin
    assert (f_level <= DEPTH && f_shown <= f_level);
    assert (f_readable <= f_level && f_readable + f_recent[0] + f_recent[1] == f_level);
    assert (!f_recent[1] || !(last && front) || f_stored != 0 || f_readable != 2);
    assert (f_sum == f_stored && pointers_before < DEPTH);
    assert (pointers_was_one == (pointers_before == 1) && pointers_was_two == (pointers_before == 2));
    assert (pointers_was_three == (pointers_before == 3));
    assert (filled == (f_stored != 0) && pointers_one == (f_stored == 1));
    assert (both == (front && last) && pointers_after == f_next && pointers_write == f_end);
    assert (pointers_after_write == f_after_end && lane0_write == pointers_write);
    assert (f_was_reset || lane0_read == read);
    assert ($signed(level_excess) + $signed({1'b0, level_moved && level_pushed}) - $signed({1'b0, level_moved && !level_pushed}) == $signed({1'b0, f_level}) - (DEPTH - RESERVE) - 1);
    assert ($signed(level_excess) == $signed({1'b0, f_level_past}) - (DEPTH - RESERVE) - 1);
    if (f_tracked) assert (f_ahead < f_level && f_beat ==
        (f_ahead < last ? out_data : f_ahead < f_shown ? lane0_front : lane0_memory[f_place]));
end

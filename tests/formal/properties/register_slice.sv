// A register slice: it never loses, doubles, changes or reorders a beat.
reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);

wire f_push = in_valid && in_ready && !rst;
wire f_pop = out_valid && out_ready && !rst;
reg [1:0] f_level = 0; // beats inside
always @(posedge clk) f_level <= rst ? 0 : f_level + f_push - f_pop;

// Any one beat, with the number of beats before it.
(* anyseq *) wire f_pick;
reg f_tracked = 0;
reg [1:0] f_ahead;
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

always @(posedge clk) if (f_started) begin
    none_lost_none_doubled: assert (out_valid == (f_level != 0));
    takes_two: assert (in_ready == (f_level < 2));
    if (f_tracked && f_ahead == 0) in_order_unchanged: assert (out_data == f_beat);
    if ($past(!rst && out_valid && !out_ready)) stable: assert (out_valid && $stable(out_data));
    full: cover (f_level == 2);
    in_and_out_again: cover (f_tracked && f_ahead == 1 && f_pop && f_beat != 0);
end

// How the registers stand to each other, which makes the above inductive.
always @(posedge clk) if (f_started) begin
    assert (f_level <= 2 && beats_empty == in_ready && beats_shows_new == in_ready);
    if (f_tracked) assert (f_ahead < f_level && (f_ahead == 0 || beats_stretch0_spare == f_beat));
end

// A slice of two entries: it takes FIRST beats of one, SECOND of the other, and over again; it never loses, doubles,
// changes or reorders one of them.
reg [1:0] f_resets = 0; // cycles of rst, at most three
reg f_started = 0;
always @(posedge clk) begin
    f_resets <= !rst ? 0 : f_resets == 3 ? 3 : f_resets + 1;
    f_started <= f_started || f_resets == 3;
end
always @* begin
    if (!f_started || (f_resets != 0 && f_resets != 3)) assume (rst);
    if (rst && f_resets != 0) assume (!first_valid && !second_valid); // for all blocks are reset at once
end

wire f_first = first_valid && first_ready && !rst;
wire f_second = second_valid && second_ready && !rst;
wire f_push = f_first || f_second;
wire f_pop = out_valid && out_ready && !rst;
reg [1:0] f_level = 0; // beats inside
reg [7:0] f_place = 0; // of the next beat
always @(posedge clk) begin
    f_level <= rst ? 0 : f_level + f_push - f_pop;
    f_place <= rst ? 0 : !f_push ? f_place : f_place == FIRST + SECOND - 1 ? 0 : f_place + 1;
end

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
        f_beat <= f_first ? first_data : second_data;
    end else if (f_pop) begin
        f_tracked <= f_ahead != 0;
        f_ahead <= f_ahead - 1;
    end

always @(posedge clk) if (f_started && !rst && f_resets == 0) begin
    none_lost_none_doubled: assert (out_valid == (f_level != 0));
    takes_two: assert ((first_ready || second_ready) == (f_level < 2));
    in_turn: assert (!(first_ready && f_place >= FIRST) && !(second_ready && f_place < FIRST));
    if (f_tracked && f_ahead == 0) in_order_unchanged: assert (out_data == f_beat);
    if ($past(!rst && out_valid && !out_ready)) stable: assert (out_valid && $stable(out_data));
    full: cover (f_level == 2 && f_place == FIRST);
    turn_and_turn: cover (f_tracked && f_ahead == 1 && f_pop && f_beat != 0 && f_place == 0);
end

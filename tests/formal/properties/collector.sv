// Beats of a position gathered into a word, while a beat of the next position may wait in front, behind a register
// slice.  QUICK: of one beat, and words may be taken in every cycle.
reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);
always @* if (!gather_full) assume (!take);
always @(posedge clk) if (f_started && !QUICK && $past(take && !rst)) assume (!take);
always @(posedge clk) if (f_started && $past(!rst && in_valid && !in_ready))
    assume (in_valid && $stable(in_data));

wire f_push = in_valid && in_ready && !rst;
wire f_pass = offered && ready && !rst; // out of the slice
reg [4:0] f_inside; // beats of positions not taken
reg [4:0] f_passed; // those of them that have passed the slice
reg [3:0] f_index;  // of the next beat in its position
always @(posedge clk) begin
    f_inside <= rst ? 0 : f_inside + f_push - (take ? BEATS : 0);
    f_passed <= rst ? 0 : f_passed + f_pass - (take ? BEATS : 0);
    if (rst) f_index <= 0;
    else if (f_push) f_index <= f_index == BEATS - 1 ? 0 : f_index + 1;
end

// Any one beat: its place in the word, and how many positions are taken before its own.
(* anyseq *) wire f_pick;
reg f_tracked;
reg [2:0] f_ahead;
reg [3:0] f_place;
reg [WIDTH-1:0] f_beat;
wire [2:0] f_before = (f_inside - f_index) / BEATS;
always @(posedge clk)
    if (rst) f_tracked <= 0;
    else if (!f_tracked) begin
        f_tracked <= f_push && f_pick;
        f_ahead <= f_before - take;
        f_place <= f_index;
        f_beat <= in_data;
    end else if (take) begin
        f_tracked <= f_ahead != 0;
        f_ahead <= f_ahead - 1;
    end

// The word is read a cycle after it was taken.
reg f_read;
reg [3:0] f_place_past;
reg [WIDTH-1:0] f_wanted;
always @(posedge clk) begin
    f_read <= !rst && take && f_tracked && f_ahead == 0;
    f_place_past <= f_place;
    f_wanted <= f_beat;
end
wire [WIDTH-1:0] f_found = word >> f_place_past * WIDTH;

always @(posedge clk) if (f_started && !rst) begin
    none_lost_none_doubled: assert (f_passed <= BEATS + 1 && gather_full == (f_passed >= BEATS));
    none_lost_before: assert (f_inside == f_passed + arrive_offered + !arrive_ready);
    if ($past(!rst)) as_told: assert ($past(full_soon) ? gather_full : !gather_full || $past(take));
    if (f_read) in_its_place: assert (f_found == f_wanted);
    if ($past(!rst && f_passed < BEATS) && f_passed < BEATS) open: assert (ready);
    if (QUICK ? take : $past(!rst && take)) makes_place: assert (ready);
    full_rate: cover (take && f_push);
    in_and_out_again: cover (take && f_tracked && f_ahead == 0 && f_beat != 0 && f_place == BEATS - 1);
    three_wait: cover (f_inside == BEATS + 3);
end

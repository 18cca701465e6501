// The entry: a skid buffer that makes one whole frame for every TLAST.
localparam LAST = BEATS - 1;

reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);

// The sender keeps to the contract, but for the place of TLAST.
always @(posedge clk) if (f_started && $past(!rst && s_axis_tvalid && !s_axis_tready))
    assume (s_axis_tvalid && $stable(s_axis_tdata) && $stable(s_axis_tlast) && $stable(frame_ends));
wire f_tlast = s_axis_tlast || frame_ends; // one is as good as the other

// What is to come out: every beat accepted, less those of a frame that is too long, and zeros behind a frame too short.
wire f_push = s_axis_tvalid && s_axis_tready && !rst;
wire f_pop = out_valid && out_ready && !rst;
reg f_too_long;
reg [3:0] f_index; // of the next beat in its frame
wire f_kept = f_push && !f_too_long;
wire f_short = f_kept && f_tlast && f_index != LAST, f_long = f_kept && !f_tlast && f_index == LAST;
wire [3:0] f_zeros = f_short ? LAST - f_index : 0;
reg [3:0] f_owed;
reg f_was_short, f_pause; // the zeros begin a cycle late
always @(posedge clk) begin
    {f_pause, f_was_short} <= rst ? 0 : {f_was_short, f_short};
    f_owed <= rst ? 0 : f_owed + f_kept + f_zeros - f_pop;
    f_too_long <= !rst && (f_long || (f_too_long && !(f_push && f_tlast)));
    if (rst) f_index <= 0;
    else if (f_kept) f_index <= f_tlast || f_index == LAST ? 0 : f_index + 1;
end

// How many of what is owed are zeros, which come out last, for nothing is let in before them.
reg [3:0] f_zeros_owed = 0, f_were_owed = 0;
always @(posedge clk) begin
    f_were_owed <= rst ? 0 : f_zeros_owed;
    if (rst) f_zeros_owed <= 0;
    else if (f_short) f_zeros_owed <= f_zeros;
    else if (f_pop && f_owed <= f_zeros_owed) f_zeros_owed <= f_owed - 1;
end

// Any one of them: a beat, or one of the zeros behind it.
(* anyseq *) wire f_pick;
(* anyseq *) wire [3:0] f_behind;
reg f_tracked;
reg [3:0] f_ahead;
reg [WIDTH-1:0] f_beat;
always @(posedge clk)
    if (rst) f_tracked <= 0;
    else if (!f_tracked) begin
        f_tracked <= f_kept && f_pick && f_behind <= f_zeros;
        f_ahead <= f_owed - f_pop + f_behind;
        f_beat <= f_behind == 0 ? s_axis_tdata[WIDTH-1:0] : 0;
    end else if (f_pop) begin
        f_tracked <= f_ahead != 0;
        f_ahead <= f_ahead - 1;
    end

always @(posedge clk) if (f_started) begin
    if ($past(rst)) closed_in_reset: assert (!s_axis_tready);
    if (!rst) begin
        none_lost_none_doubled: assert (f_owed <= BEATS + 1 && (out_valid == (f_owed != 0) || (f_pause && !out_valid)));
        if (f_tracked && f_ahead == 0 && out_valid) in_order_unchanged: assert (out_data == f_beat);
        if ($past(!rst && out_valid && !out_ready)) stable: assert (out_valid && $stable(out_data));
        if ($past(!rst && out_ready) && f_owed <= 1 && !f_was_short && !f_pause && f_zeros_owed == 0) full_rate: assert (s_axis_tready);
        if (closed) closed_for_zeros: assert (f_zeros_owed != 0 || f_were_owed != 0);
        if (filling) nothing_before_the_zeros: assert (!s_axis_tready);
        if ($past(!rst && s_axis_tready && !s_axis_tvalid)) stays_open: assert (s_axis_tready);
        if (!$past(rst)) errors_told:
            assert ({frame_begin, frame_short, frame_long} == $past({f_kept && f_index == 0, f_short, f_long}));
        both_places_used: cover (f_owed == 2 && !f_zeros);
        dropped: cover (f_push && f_too_long && f_tlast);
        in_and_out_again: cover (f_tracked && f_ahead == 1 && f_pop && f_beat != 0);
        if (BEATS > 1) zero_made: cover (f_tracked && f_ahead == 0 && f_pop && $past(f_short, 4) && f_index != 0);
    end
end

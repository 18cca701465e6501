// The entry: a skid buffer that counts the beats of a frame.
reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);

// The sender keeps to the contract.
always @(posedge clk) if (f_started && $past(!rst && s_axis_tvalid && !s_axis_tready))
    assume (s_axis_tvalid && $stable(s_axis_tdata) && $stable(s_axis_tlast));

wire f_push = s_axis_tvalid && s_axis_tready && !rst;
wire f_pop = out_valid && out_ready && !rst;
reg [1:0] f_level;
reg [7:0] f_index; // of the next beat in its frame
always @(posedge clk) begin
    f_level <= rst ? 0 : f_level + f_push - f_pop;
    if (rst) f_index <= 0;
    else if (f_push) f_index <= f_index == BEATS - 1 ? 0 : f_index + 1;
end

(* anyseq *) wire f_pick;
reg f_tracked;
reg [1:0] f_ahead;
reg [WIDTH-1:0] f_beat;
always @(posedge clk)
    if (rst) f_tracked <= 0;
    else if (!f_tracked) begin
        f_tracked <= f_push && f_pick;
        f_ahead <= f_level - f_pop;
        f_beat <= s_axis_tdata[WIDTH-1:0];
    end else if (f_pop) begin
        f_tracked <= f_ahead != 0;
        f_ahead <= f_ahead - 1;
    end

always @(posedge clk) if (f_started) begin
    if ($past(rst)) closed_in_reset: assert (!s_axis_tready);
    if (!rst) begin
        none_lost_none_doubled: assert (f_level <= 2 && out_valid == (f_level != 0));
        if (f_tracked && f_ahead == 0 && out_valid) in_order_unchanged: assert (out_data == f_beat);
        if ($past(!rst && out_valid && !out_ready)) stable: assert (out_valid && $stable(out_data));
        if ($past(!rst && out_ready)) full_rate: assert (s_axis_tready);
        begin_told: assert (frame_begin == (f_push && f_index == 0));
        tlast_checked: assert (tlast_error == (f_push && s_axis_tlast != (f_index == BEATS - 1)));
        both_places_used: cover (f_level == 2);
        second_frame: cover (frame_begin && $past(s_axis_tlast) && !$past(rst));
        in_and_out_again: cover (f_tracked && f_ahead == 1 && f_pop && f_beat != 0);
        wrong_tlast: cover (tlast_error);
    end
end

always @(posedge clk) if (f_started && !rst) begin
    assert (f_level == held_valid + skid_used && (held_valid || !skid_used) && !(ready && skid_used));
    assert (beat == f_index && f_index < BEATS);
    if (f_tracked) assert (f_ahead < f_level && f_beat == (f_ahead == 0 ? held : skid));
    if (f_level != 0) assert (ready == !skid_used);
end

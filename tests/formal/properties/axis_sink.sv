// The exit: a register slice that marks the last beat of a frame, and of a packet of frames.
reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);
reg [1:0] f_rst = 0; // a reset lasts three cycles and more
always @(posedge clk) f_rst <= rst ? f_rst + (f_rst != 3) : 0;
always @* if (f_rst != 0 && f_rst != 3) assume (rst);
always @(posedge clk) if (f_started && $past(!rst && in_valid && !in_ready))
    assume (in_valid && $stable(in_data));
always @(posedge clk) if (f_started && $past(rst)) assume (!in_valid); // the FIFO in front is reset with it
(* anyconst *) wire [15:0] f_more;
always @* assume (more_frames == f_more && several == (f_more != 0) && !restart);

// Two places, and the number of the beat behind: in its frame, and of its frame in its packet.
wire f_push = in_valid && in_ready && !rst;
wire f_move = m_axis_tvalid && m_axis_tready && !rst;
reg [1:0] f_level = 0;
reg [7:0] f_index, f_in_index;
reg [15:0] f_frame, f_in_frame;
always @(posedge clk) begin
    f_level <= rst ? 0 : f_level + f_push - f_move;
    if (rst) begin
        f_index <= 0;
        f_frame <= 0;
        f_in_index <= 0;
        f_in_frame <= 0;
    end else begin
        if (f_move) begin
            f_index <= f_index == BEATS - 1 ? 0 : f_index + 1;
            if (f_index == BEATS - 1) f_frame <= f_frame == f_more ? 0 : f_frame + 1;
        end
        if (f_push) begin
            f_in_index <= f_in_index == BEATS - 1 ? 0 : f_in_index + 1;
            if (f_in_index == BEATS - 1) f_in_frame <= f_in_frame == f_more ? 0 : f_in_frame + 1;
        end
    end
end
wire f_ends = f_index == BEATS - 1, f_packet_ends = f_ends && f_frame == f_more;

// Any one beat, with the number of beats before it.
(* anyseq *) wire f_pick;
reg f_tracked = 0, f_ahead;
reg [11:0] f_beat;
always @(posedge clk)
    if (rst) f_tracked <= 0;
    else if (!f_tracked) begin
        f_tracked <= f_push && f_pick;
        f_ahead <= f_level - f_move;
        f_beat <= in_data;
    end else if (f_move) begin
        f_tracked <= f_ahead != 0;
        f_ahead <= 0;
    end

always @(posedge clk) if (f_started && !rst) begin
    none_lost_none_doubled: assert (m_axis_tvalid == (f_level != 0) && in_ready == (f_level < 2));
    if (f_tracked && !f_ahead) in_order_unchanged: assert (m_axis_tdata == f_beat);
    tlast_at_the_end: assert (!m_axis_tvalid || m_axis_tlast == f_packet_ends);
    if ($past(!rst)) told: assert ({frame_end, sink_stalled} == $past({f_move && f_ends, m_axis_tvalid && !m_axis_tready}));
    if ($past(!rst && m_axis_tvalid && !m_axis_tready))
        stable: assert (m_axis_tvalid && $stable(m_axis_tdata) && $stable(m_axis_tlast));
    two_frames: cover (frame_end && $past(frame_end, BEATS));
    stalled_at_the_end: cover ($past(m_axis_tvalid && !m_axis_tready) && m_axis_tlast && f_more != 0);
end

// How the registers stand to each other, which makes the above inductive.
wire [7:0] f_next_index = f_ends ? 0 : f_index + 1, f_after_index = f_next_index == BEATS - 1 ? 0 : f_next_index + 1;
wire [15:0] f_next_frame = !f_ends ? f_frame : f_frame == f_more ? 0 : f_frame + 1;
wire f_next_ends = f_next_index == BEATS - 1;
wire [15:0] f_after_frame = !f_next_ends ? f_next_frame : f_next_frame == f_more ? 0 : f_next_frame + 1;
always @(posedge clk) if (f_started && !rst) begin
    assert (f_level <= 2 && leave_beats_empty == in_ready && leave_beats_shows_new == in_ready);
    assert (f_index < BEATS && f_frame <= f_more && f_in_index < BEATS && f_in_frame <= f_more);
    assert (beat == f_in_index && frame_ends == (f_in_index == BEATS - 1));
    assert (packets_more == (f_in_frame != f_more) || packets_begins_again);
    assert (packets_number_number == f_in_frame + 16'd1 || packets_begins_again);
    assert (packets_number_last_but_one == f_more);
    if (BEATS > 1 && f_in_index != 0) assert (packets_one_more == (packets_number_number == f_more));
    assert (packets_whether_several == (f_more != 0) && !(packets_begins_again && f_level != 0));
    if (packets_begins_again) assert (f_in_index == 0 && f_in_frame == 0 && f_index == 0 && f_frame == 0);
    if (f_level == 0) assert (f_in_index == f_index && f_in_frame == f_frame);
    if (f_level == 1) assert (f_in_index == f_next_index && f_in_frame == f_next_frame);
    if (f_level == 2) assert (f_in_index == f_after_index && f_in_frame == f_after_frame);
    if (f_level != 0) assert (marked[13:12] == {f_ends, f_packet_ends});
    if (f_level == 2) assert (leave_beats_stretch0_spare[13:12] == {f_next_ends, f_next_ends && f_next_frame == f_more});
    if (f_tracked) assert (f_ahead < f_level && (!f_ahead || leave_beats_stretch0_spare[11:0] == f_beat));
end

// The exit: marks the last beat of a frame, and leaves all else as it is.
reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);
always @(posedge clk) if (f_started && $past(!rst && in_valid && !in_ready))
    assume (in_valid && $stable(in_data));

wire f_move = m_axis_tvalid && m_axis_tready && !rst;
reg [7:0] f_index;
always @(posedge clk)
    if (rst) f_index <= 0;
    else if (f_move) f_index <= f_index == BEATS - 1 ? 0 : f_index + 1;

always @(posedge clk) if (f_started && !rst) begin
    same_beats: assert (m_axis_tvalid == in_valid && in_ready == m_axis_tready && m_axis_tdata == in_data);
    tlast_at_the_end: assert (!m_axis_tvalid || m_axis_tlast == (f_index == BEATS - 1));
    end_told: assert (frame_end == (f_move && f_index == BEATS - 1));
    if ($past(!rst && m_axis_tvalid && !m_axis_tready))
        stable: assert (m_axis_tvalid && $stable(m_axis_tdata) && $stable(m_axis_tlast));
    assert (beat == f_index && f_index < BEATS);
    two_frames: cover (frame_end && $past(frame_end, BEATS));
    stalled: cover ($past(m_axis_tvalid && !m_axis_tready) && m_axis_tlast);
end

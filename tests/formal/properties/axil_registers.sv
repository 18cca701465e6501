// The AXI4-Lite slave: handshakes, answers, what is read, and how long the stream part is held in reset.
reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);
reg [1:0] f_rst = 0; // docs/stream.md: a reset lasts three cycles and more
always @(posedge clk) f_rst <= rst ? f_rst + (f_rst != 3) : 0;
always @* if (f_rst != 0 && f_rst != 3) assume (rst);

// The master keeps to the rules of AXI: an offer stays until it is taken.
always @(posedge clk) if (f_started && !$past(rst)) begin
    if ($past(s_axil_awvalid && !s_axil_awready)) assume (s_axil_awvalid && $stable(s_axil_awaddr));
    if ($past(s_axil_wvalid && !s_axil_wready))
        assume (s_axil_wvalid && $stable(s_axil_wdata) && $stable(s_axil_wstrb));
    if ($past(s_axil_arvalid && !s_axil_arready)) assume (s_axil_arvalid && $stable(s_axil_araddr));
end

wire f_aw = s_axil_awvalid && s_axil_awready && !rst, f_w = s_axil_wvalid && s_axil_wready && !rst;
wire f_b = s_axil_bvalid && s_axil_bready && !rst;
wire f_ar = s_axil_arvalid && s_axil_arready && !rst, f_r = s_axil_rvalid && s_axil_rready && !rst;
reg f_byte0;        // what is written takes effect two cycles after it was taken
reg [9:0] f_place;
reg [15:0] f_data;
reg f_kept_byte0;   // what was taken a cycle ago
reg [9:0] f_kept_place;
reg [15:0] f_kept_data;
wire f_soft = f_byte0 && f_data[0] && f_place == 2;
wire [1:0] f_clear = f_byte0 && f_place == 3 ? f_data[1:0] : 0;
reg [1:0] f_aws, f_ws, f_ars; // accepted and not answered
reg [15:0] f_since;           // cycles since the last reset of either kind
reg [1:0] f_errors;           // too short, too long; one in the cycle of the clearing is kept
reg [15:0] f_more;            // frames of a packet beyond the first
reg [2:0] f_told;             // it was written one, two, three cycles ago
reg [31:0] f_packet, f_packed;
reg [31:0] f_begun, f_finished, f_cycles, f_stalls, f_idles, f_wanted;
wire f_counting = f_since > RESET_CYCLES;
reg f_decoding, f_reading, f_finding, f_known, f_kept, f_acting, f_acted, f_heard;
reg [4:0] f_word;
wire [255:0] f_model = MODEL;
wire [31:0] f_model_word = f_model >> f_word[2:0] * 32;
always @(posedge clk) begin
    f_aws <= rst ? 0 : f_aws + f_aw - f_b;
    f_ws <= rst ? 0 : f_ws + f_w - f_b;
    f_ars <= rst ? 0 : f_ars + f_ar - f_r;
    f_kept_byte0 <= f_w && s_axil_wstrb[0];
    if (f_w) {f_kept_place, f_kept_data} <= {s_axil_awaddr[11:2], s_axil_wdata[15:0]};
    {f_byte0, f_place, f_data} <= {f_kept_byte0 && !rst, f_kept_place, f_kept_data};
    f_since <= rst || f_soft ? 1 : f_since + !(&f_since);
    f_errors <= rst ? 0 : (f_errors & ~f_clear) | {frame_long, frame_short};
    f_begun <= rst || !f_counting ? 0 : f_begun + frame_begin;
    f_finished <= rst || !f_counting ? 0 : f_finished + frame_end;
    f_cycles <= rst || !f_counting ? 0 : f_cycles + 1;
    f_stalls <= rst || !f_counting ? 0 : f_stalls + sink_stalled;
    f_idles <= rst || !f_counting ? 0 : f_idles + source_idle;
    f_more <= rst ? 0 : f_byte0 && f_place == 9 ? f_data : f_more;
    f_told <= {f_told, f_byte0 && f_place == 9};
    f_packet <= rst || !f_counting ? 0 : packet_begin ? f_cycles : f_packet;
    f_packed <= rst || !f_counting ? 0 : frame_end ? f_cycles : f_packed;
    f_decoding <= rst ? 0 : f_ar;
    f_reading <= rst ? 0 : f_decoding;
    f_finding <= rst ? 0 : f_reading;
    f_kept <= rst ? 0 : f_w;
    f_acting <= rst ? 0 : f_kept;
    {f_heard, f_acted} <= rst ? 0 : {f_acted, f_acting};
    if (f_ar) begin
        f_known <= s_axil_araddr[11:7] == 0;
        f_word <= s_axil_araddr[6:2];
    end
    if (f_reading) begin // what there is two cycles after the address was taken
        f_wanted <= 0;
        if (f_known) case (f_word)
            0: f_wanted <= 32'h4C4F474E;
            1: f_wanted <= 1;
            2: f_wanted <= !f_counting;
            3: f_wanted <= f_errors;
            4: f_wanted <= f_begun;
            5: f_wanted <= f_finished;
            6: f_wanted <= f_cycles;
            7: f_wanted <= f_stalls;
            8: f_wanted <= f_idles;
            9: f_wanted <= f_more;
            10: f_wanted <= f_packet;
            11: f_wanted <= f_packed;
            default: if (f_word[4:3] == 2) f_wanted <= f_model_word;
        endcase
    end
end

always @(posedge clk) if (f_started && !rst) begin
    address_with_data: assert (f_aws == f_ws && f_aws <= 1 && f_ars <= 1);
    each_write_answered_once: assert ({s_axil_bvalid, f_heard, f_acted, f_acting, f_kept} ==
        (f_aws == 0 ? 0 : f_kept ? 1 : f_acting ? 2 : f_acted ? 4 : f_heard ? 8 : 16));
    each_read_answered_once: assert ({s_axil_rvalid, f_finding, f_reading, f_decoding} ==
        (f_ars == 0 ? 0 : f_decoding ? 1 : f_reading ? 2 : f_finding ? 4 : 8));
    if (s_axil_bvalid) write_okay: assert (s_axil_bresp == 0);
    if (s_axil_rvalid) read_okay: assert (s_axil_rresp == 0 && s_axil_rdata == f_wanted);
    if ($past(!rst && s_axil_awvalid && s_axil_wvalid && f_aws == 0 && !f_aw)) write_taken: assert (f_aw && f_w);
    if ($past(!rst && s_axil_arvalid && f_ars == 0 && !f_ar)) read_taken: assert (f_ar);
    if ($past(!rst && s_axil_bvalid && !s_axil_bready)) write_answer_stays: assert (s_axil_bvalid);
    if ($past(!rst && s_axil_rvalid && !s_axil_rready))
        read_answer_stays: assert (s_axil_rvalid && $stable(s_axil_rdata));
    packets_as_told: assert (more_frames == f_more);
    if (s_axil_bvalid && !$past(s_axil_bvalid)) restart_before_the_answer: assert (!packet_restart && !f_told[0] && !f_told[1]);
    if (packet_restart) restart_behind_the_number: assert (several == (f_more != 0) || f_told[0] || $past(rst));
    reset_as_long_as_told: assert (core_rst == (f_since <= RESET_CYCLES + 1));
    soft_reset: cover (f_since == 1 && $past(f_soft) && f_begun == 0);
    out_of_reset_again: cover (!core_rst && f_cycles == 2 && f_finished == 1);
    waits_for_the_master: cover (s_axil_rvalid && $past(s_axil_rvalid && !s_axil_rready) && s_axil_rdata == 3);
    errors_read: cover (s_axil_rvalid && f_errors == 3 && s_axil_rdata == 2 && s_axil_bvalid);
end

always @(posedge clk) if (f_started && !rst) begin
    assert (f_since != 0);
    assert (writes_control == (f_byte0 && f_place == 2) && writes_status == (f_byte0 && f_place == 3));
    assert (writes_packet == (f_byte0 && f_place == 9));
    if (f_byte0) assert (f_acting && written == f_data);
    assert (count_cycles_held == (f_since <= RESET_CYCLES));
    assert (count_begun_held == (f_since <= RESET_CYCLES));
    assert (count_finished_held == (f_since <= RESET_CYCLES));
    assert (count_stalls_held == (f_since <= RESET_CYCLES));
    assert (count_idles_held == (f_since <= RESET_CYCLES));
    assert (stamp_begun_held == (f_since <= RESET_CYCLES));
    assert (stamp_finished_held == (f_since <= RESET_CYCLES));
    assert (reset_left == (f_since > RESET_CYCLES ? 0 : RESET_CYCLES + 1 - f_since));
    assert ({was_long, was_short} == f_errors);
    assert (s_axil_bvalid + $countones(write_steps) == (f_aws != 0) && write_steps == {f_heard, f_acted, f_acting, f_kept});
    assert (s_axil_rvalid + read_steps[0] + read_steps[1] + read_steps[2] == (f_ars != 0));
    assert (read_steps == {f_finding, f_reading, f_decoding} && reset_lasts == (reset_left > 1));
    assert (slave_write_active == (f_aws != 0 || s_axil_awready) && slave_read_active == (f_ars != 0 || s_axil_arready));
    assert (s_axil_awready == s_axil_wready && !(s_axil_awready && f_aws != 0) && !(s_axil_arready && f_ars != 0));
    if (s_axil_awready) assert (s_axil_awvalid && s_axil_wvalid);
    if (s_axil_arready) assert (s_axil_arvalid);
    assert (write_strobed == f_kept_byte0);
    if (f_kept || f_acting) assert (write_address == f_kept_place && written == f_kept_data);
    if (f_decoding) assert (f_known == (read_address[9:5] == 0) && f_word == read_address[4:0]);
    if (f_finding) assert (f_known && f_word[4:3] == 2 ? f_wanted == f_model_word : event_found == f_wanted);
    if (f_reading || f_finding) assert (read_event == (f_known && !f_word[4]) && read_model == (f_known && f_word[4:3] == 2) && read_index == f_word[3:0]);
    assert (frames_begun == f_begun && frames_finished == f_finished);
    assert (per_packet == f_more && packet_begun == f_packet && packet_finished == f_packed);
    assert (cycles == f_cycles && stalls == f_stalls && idles == f_idles);
end

always @(posedge clk) begin // while a reset lasts
    if (f_rst != 0) assert (reset_lasts && f_since == 1);
    if (f_rst > 1) begin
        assert (count_cycles_held && count_begun_held && count_finished_held && count_stalls_held && count_idles_held);
        assert (stamp_begun_held && stamp_finished_held);
    end
    if (f_rst == 3) begin
        assert (cycles == 0 && frames_begun == 0 && frames_finished == 0 && stalls == 0 && idles == 0);
        assert (packet_begun == 0 && packet_finished == 0);
    end
end

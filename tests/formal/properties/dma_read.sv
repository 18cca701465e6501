// Bursts of reads: as AXI3 takes them, none across 4 KB, and none that the FIFO behind has no room for.
reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);

wire f_asks = m_axi_arvalid && m_axi_arready;
reg [9:0] f_pending, f_level; // words asked for that have not come; words in the FIFO
always @(posedge clk) begin
    f_pending <= rst ? 0 : f_pending + (f_asks ? m_axi_arlen + 1 : 0) - m_axi_rvalid;
    f_level <= rst ? 0 : f_level + push - pop;
end
wire [23:0] f_rest = {more_left - borrows, left}; // the count, which is kept in halves
always @* begin
    if (m_axi_rvalid) assume (f_pending != 0);
    if (pop) assume (f_level != 0);
    if (start) assume (f_rest == 0 && !borrows && !waits && !begins && !moves && !are_asked);
end
always @(posedge clk) if (f_started && !$past(rst) && $past(start)) assume (!start && $stable(address) && $stable(n_bytes));

// Where the next burst has to begin, and what is left to ask for.
reg [28:0] f_place;
reg [23:0] f_left;
always @(posedge clk)
    if (rst) f_left <= 0;
    else if (start) begin
        f_place <= address[31:3];
        f_left <= (n_bytes + 7) / 8;
    end else if (f_asks) begin
        f_place <= f_place + m_axi_arlen + 1;
        f_left <= f_left - m_axi_arlen - 1;
    end

always @(posedge clk) if (f_started && !rst) begin
    if (m_axi_arvalid) begin
        as_axi3_has_them: assert (m_axi_arlen < 16 && m_axi_arsize == 3 && m_axi_arburst == 1);
        within_16_words: assert (m_axi_araddr[2:0] == 0 && m_axi_araddr[6:3] + m_axi_arlen[4:0] < 16);
        one_behind_the_other: assert (m_axi_araddr[31:3] == f_place && m_axi_arlen < f_left);
    end
    if ($past(!rst && m_axi_arvalid && !m_axi_arready))
        stable: assert (m_axi_arvalid && $stable(m_axi_araddr) && $stable(m_axi_arlen));
    room_for_all: assert (f_level + push + comes + f_pending <= DEPTH);
    if (quiet && !$past(rst)) nothing_on_its_way: assert (f_pending == 0 && !m_axi_arvalid);
    always_taken: assert (m_axi_rready);
    two_on_their_way: cover (f_pending > 16);
    the_last: cover ($past(f_asks) && f_left == 0 && f_place[3:0] == 5);
end

// How the registers stand to each other, which makes the above inductive.
wire [9:0] f_offered = waits ? m_axi_arlen + 1 : 0; // words of the burst that memory has not taken
wire signed [10:0] f_free = $signed({1'b0, free}) + fewer_free, f_due = $signed({1'b0, pending}) + more_pending;
wire [23:0] f_words = (n_bytes + 7) / 8;
always @(posedge clk) if (f_started && !rst) begin
    if (begins) assert (f_rest == 0 && words == f_words && f_left == words && f_place == address[31:3]);
    if (begins) assert (!waits && !moves && !are_asked && !borrows && !chosen);
    assert (are_asked == (asked != 0) && asked <= f_rest && asked <= 16);
    assert (free <= DEPTH && pending <= DEPTH && f_level <= DEPTH && f_pending <= DEPTH);
    assert (f_free >= $signed({1'b0, asked}));
    assert (f_due >= $signed({1'b0, comes}));
    if (are_asked) assert (waits && f_offered == asked);
    assert (f_due + asked - comes == f_pending + f_offered);
    assert (fewer_free >= -16 && fewer_free <= 1 && more_pending >= -1 && more_pending <= 16);
    if (!begins) assert (f_rest - asked + f_offered == f_left);
    if (!begins && f_left != f_offered)
        assert (f_place + f_offered == (are_asked ? {row + 25'd1, 4'd0} : {row, place}));
    if (waits) assert (f_place == m_axi_araddr[31:3] && m_axi_araddr[2:0] == 0 && m_axi_arlen < 16);
    if (waits) assert (m_axi_araddr[6:3] + m_axi_arlen[4:0] < 16 && f_offered <= f_left);
    assert (f_free - asked + left_one + f_pending + f_offered + comes + push + f_level <= DEPTH);
    if (settled) assert (!are_asked && few == (f_rest < 16) && to_end == 16 - place && fewer_free >= 0);
    if (borrows) assert (were_asked && !are_asked && more_left != 0);
    if (were_asked) assert (!settled && !chosen);
    else assert (fewer_free >= 0 && more_pending <= 0);
    if (chosen) assert (settled && beats != 0 && beats <= 16 && beats <= f_rest && place + beats <= 16);
    if (chosen && has_room) assert (free >= 16);
    if (chosen && beats != f_rest) assert (place + beats == 16);
    if (moves) assert (chosen && !waits && free >= 16);
    if (are_asked && f_left != f_offered) assert (f_place[3:0] + f_offered[4:0] == 16);
    if (quiet) assert (!waits && f_due + asked == comes);
end

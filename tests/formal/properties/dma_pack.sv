// Words and bursts of a packet: every burst lies within 16 words, begins where the one before ended, and is told with
// the last of exactly its words.
reg f_started = 0;
always @(posedge clk) f_started <= 1;
always @* if (!f_started) assume (rst);
always @* if (start) assume (!convert_active && !f_busy);
always @(posedge clk) if (f_started && !$past(rst) && $past(start)) assume ($stable(address) && $stable(n_bytes));

// A packet is at work from its start until it has ended.
reg f_busy;
always @(posedge clk) f_busy <= !rst && (start || (f_busy && !ended));

reg [28:0] f_place; // of the next burst
reg [4:0] f_words;  // of it that were pushed before
always @(posedge clk)
    if (start) begin
        f_place <= address[31:3];
        f_words <= 0;
    end else if (word_push) begin
        f_words <= burst_push ? 0 : f_words + 1;
        if (burst_push) f_place <= f_place + f_words + 1;
    end

reg f_known = 0; // a transfer has been started since the reset
always @(posedge clk) f_known <= !rst && (f_known || start);
always @(posedge clk) if (f_started && !rst && f_known) begin
    if (burst_push) begin
        with_a_word: assert (word_push);
        all_its_words: assert (burst[3:0] == f_words);
        in_its_place: assert (burst[32:4] == f_place);
        within_16_words: assert (burst[7:4] + burst[3:0] < 16);
    end
    if (word_push) marked_last: assert (word[64] == burst_push);
    a_full_burst: cover (burst_push && burst[3:0] == 15);
end

`ifdef COVER // on the straight way, which is found in a tenth of the time
always @* assume (s_axis_tvalid && room && !stop && !slave_error && !decode_error);
always @* if (start) assume (!f_known && address[6:3] == 0 && n_bytes == 128);
`endif

// How the registers stand to each other, which makes the above inductive.
wire f_waits = begins || convert_loading || convert_counting;
wire [28:0] f_pushed = f_place + f_words + word_push; // place behind the last word pushed
wire [4:0] f_end = f_place[3:0] + f_words;
always @(posedge clk) if (f_started && !rst) begin
    if (!f_known) assert (!f_waits && !convert_active && !convert_taken && !convert_full && !word_push && !burst_push && !convert_behind && !f_busy);
    if (!f_busy || ended) assert (!f_waits && !convert_active && !convert_taken && !convert_full && !word_push && !convert_behind);
    if (f_waits) assert (begins + convert_loading + convert_counting == 1 && !convert_active && !convert_taken && !convert_full && !word_push && !convert_behind);
    if (convert_behind) assert (!convert_active && !convert_taken && !convert_full);
    if (convert_full && convert_full_last) assert (!convert_active && !convert_taken);
    if (convert_taken && convert_is_final) assert (!convert_active);
    if (f_known && begins) assert (f_place == address[31:3] && f_words == 0 && convert_begins_last == (address[6:3] == 15));
    if (f_known && !begins) begin
        assert ({convert_row, convert_place} == f_pushed && convert_first == (burst_push ? f_pushed[3:0] : f_place[3:0]));
        assert (convert_row_ends == (convert_place == 15));
        assert (f_end < 16 && (!word_push || burst_push || f_end < 15));
        assert (!burst_push || (word_push && burst == {f_place, f_words[3:0]} && f_words < 16));
        assert (f_words < 16);
    end
end

// SPDX-License-Identifier: GPL-3.0-or-later
//
// Stores the last layer's scores, which come group by group, and sends them as a packet a chunk, in the hypotheses' order,
// PER_BEAT a beat, each in 32 bits. Meanwhile it looks for the best one: with the packet's last beat `m_axis_tuser` is the
// answer. Of equal scores the first hypothesis wins.
`default_nettype none
module amrq_score_stream #(
    parameter LANES = 7,
    parameter LANE_BITS = 3,
    parameter GROUPS = 4,
    parameter GROUP_BITS = 2,
    parameter WIDTH = 16,       // of a score
    parameter BEATS = 27,       // a packet
    parameter BEAT_BITS = 5,
    parameter PER_BEAT = 1,
    parameter BANK_BITS = 3     // 2^BANK_BITS chunks
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire valid,
    input  wire [GROUP_BITS-1:0] group,
    input  wire [LANES*WIDTH-1:0] x,
    output wire sent,
    output wire [32*PER_BEAT-1:0] m_axis_tdata,
    output wire [15:0] m_axis_tuser,  // {hypothesis, class} of the best score up to this beat
    output reg  m_axis_tlast,
    output reg  m_axis_tvalid,
    input  wire m_axis_tready
);
    localparam [BEAT_BITS-1:0] LAST_BEAT = BEATS - 1;
    localparam integer LAST_GROUP = GROUPS - 1;

    // --- storing ---
    reg [LANES*WIDTH-1:0] store [0:(1 << (BANK_BITS + GROUP_BITS))-1];
    reg [BANK_BITS-1:0] write_bank, read_bank;
    reg [BANK_BITS:0] waiting;  // chunks stored and not yet read
    wire stored = valid & group == LAST_GROUP[GROUP_BITS-1:0];
    always @(posedge aclk) if (valid) store[{write_bank, group}] <= x;

    // --- reading: every stage moves on when the output does ---
    wire move = ~m_axis_tvalid | m_axis_tready;
    reg [BEAT_BITS-1:0] beat;
    wire read = move & waiting != 0;
    wire read_end = read & beat == LAST_BEAT;
    assign sent = m_axis_tvalid & m_axis_tready & m_axis_tlast;

    reg valid_1, valid_2, valid_3, valid_4;
    reg [BEAT_BITS-1:0] beat_1, beat_2, beat_3, beat_4;
    always @(posedge aclk)
        if (!aresetn) begin
            write_bank <= 0;
            read_bank <= 0;
            waiting <= 0;
            beat <= 0;
            {valid_1, valid_2, valid_3, valid_4, m_axis_tvalid} <= 5'd0;
        end else begin
            if (stored) write_bank <= write_bank + 1'b1;
            if (stored & ~read_end) waiting <= waiting + 1'b1;
            if (read_end & ~stored) waiting <= waiting - 1'b1;
            if (read) beat <= read_end ? {BEAT_BITS{1'b0}} : beat + 1'b1;
            if (read_end) read_bank <= read_bank + 1'b1;
            if (move) begin
                {valid_1, valid_2, valid_3, valid_4} <= {read, valid_1, valid_2, valid_3};
                m_axis_tvalid <= valid_4;
            end
        end
    reg [BANK_BITS-1:0] bank_1;
    always @(posedge aclk)
        if (move) begin
            {beat_1, beat_2, beat_3, beat_4} <= {beat, beat_1, beat_2, beat_3};
            bank_1 <= read_bank;
            m_axis_tlast <= beat_4 == LAST_BEAT;
        end

    wire [PER_BEAT*WIDTH-1:0] scores_3;
    wire [PER_BEAT-1:0] there_3;
    wire [8*PER_BEAT-1:0] class_3, hypothesis_3;
    genvar k;
    generate
        for (k = 0; k < PER_BEAT; k = k + 1) begin : place
            // Where hypothesis PER_BEAT * beat + k lies, and its class.
            wire [GROUP_BITS-1:0] its_group;
            wire [LANE_BITS-1:0] its_lane;
            wire [7:0] its_hypothesis, its_class;
            wire there;
            amrq_score_map #(.PLACE(k)) map (
                .beat(beat_1), .group(its_group), .lane(its_lane), .hypothesis(its_hypothesis), .label(its_class),
                .there(there)
            );
            reg [LANES*WIDTH-1:0] word_2;
            reg [LANE_BITS-1:0] lane_2;
            reg [16:0] what_2, what_3;
            reg [WIDTH-1:0] picked_2, score_3;
            integer l;
            always @* begin
                picked_2 = {WIDTH{1'b0}};
                for (l = 0; l < LANES; l = l + 1)
                    if (lane_2 == l[LANE_BITS-1:0]) picked_2 = picked_2 | word_2[l*WIDTH +: WIDTH];
            end
            always @(posedge aclk)
                if (move) begin
                    word_2 <= store[{bank_1, its_group}];
                    lane_2 <= its_lane;
                    what_2 <= {there, its_hypothesis, its_class};
                    score_3 <= picked_2 & {WIDTH{what_2[16]}};
                    what_3 <= what_2;
                end
            assign scores_3[k*WIDTH +: WIDTH] = score_3;
            assign {there_3[k], hypothesis_3[8*k +: 8], class_3[8*k +: 8]} = what_3;
        end
    endgenerate

    // --- the best of a beat, then of the packet so far ---
    // Compared without sign, its bit turned over: one carry chain, whose end says that a is less than b.
    localparam [WIDTH-1:0] TURN = 1 << (WIDTH - 1);
    function less(input [WIDTH-1:0] a, input [WIDTH-1:0] b);
        reg [WIDTH:0] difference;
        begin
            /* verilator lint_off BLKSEQ */  // a function's own variable, whoever calls it
            difference = {1'b0, a} - {1'b0, b};
            /* verilator lint_on BLKSEQ */
            less = difference[WIDTH];
        end
    endfunction
    reg [WIDTH-1:0] beat_best, beat_best_4, best;
    reg [15:0] beat_who, beat_who_4, who;
    reg first_4;
    reg [PER_BEAT*WIDTH-1:0] scores_4, scores_5;
    integer p;
    always @* begin
        beat_best = scores_3[WIDTH-1:0] ^ TURN;
        beat_who = {hypothesis_3[7:0], class_3[7:0]};
        for (p = 1; p < PER_BEAT; p = p + 1)
            if (there_3[p] & less(beat_best, scores_3[p*WIDTH +: WIDTH] ^ TURN)) begin
                beat_best = scores_3[p*WIDTH +: WIDTH] ^ TURN;
                beat_who = {hypothesis_3[8*p +: 8], class_3[8*p +: 8]};
            end
    end
    always @(posedge aclk)
        if (move) begin
            first_4 <= beat_3 == 0;
            beat_best_4 <= beat_best;
            beat_who_4 <= beat_who;
            scores_4 <= scores_3;
            scores_5 <= scores_4;
            // Only beats that are there: the best must outlast a gap in the packet.
            if (valid_4 & (first_4 | less(best, beat_best_4))) begin
                best <= beat_best_4;
                who <= beat_who_4;
            end
        end
    assign m_axis_tuser = who;
    generate
        for (k = 0; k < PER_BEAT; k = k + 1) begin : widen
            assign m_axis_tdata[32*k +: 32] = {{(32-WIDTH){scores_5[k*WIDTH + WIDTH-1]}}, scores_5[k*WIDTH +: WIDTH]};
        end
    endgenerate
endmodule
`default_nettype wire

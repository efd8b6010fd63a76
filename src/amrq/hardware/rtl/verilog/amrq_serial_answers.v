// SPDX-License-Identifier: GPL-3.0-or-later
//
// Answers to a serial line: docs/serial-protocol.md. A frame is
//
//   a5, type, number of the request, what the type carries, CRC-32 of all behind the a5 (the lowest byte first).
//
// Type 81 says who is there: the bytes of IDENTITY, the lowest first. Type 82 brings a chunk's scores of SCORE_BYTES each,
// then the best hypothesis and its class. The classifier waits while the line is busy.
`default_nettype none
module amrq_serial_answers #(
    parameter SCORES = 27,
    parameter SCORE_BYTES = 2,    // 1 to 4
    parameter PER_BEAT = 1,
    parameter PART_BITS = 1,      // number the scores of a beat
    parameter INDEX_BITS = 6,     // number the scores, and the bytes of IDENTITY
    parameter QUEUE_BITS = 5,     // 2^QUEUE_BITS chunks can be inside
    parameter IDENTITY_BYTES = 44,
    parameter [8*IDENTITY_BYTES-1:0] IDENTITY = 0
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire identify,
    input  wire begins,
    input  wire [7:0] number,
    input  wire [32*PER_BEAT-1:0] s_axis_tdata,
    input  wire [15:0] s_axis_tuser,
    input  wire s_axis_tvalid,
    output wire s_axis_tready,
    output wire valid,            // a byte
    input  wire ready,
    output reg  [7:0] data,
    output reg  sent,             // for one clock: scores
    output reg  [3:0] label       // of the last chunk
);
    localparam [7:0] SYNC = 8'ha5, WHO = 8'h81, ANSWER = 8'h82;
    localparam [2:0] REST = 3'd0, TYPE = 3'd1, NUMBER = 3'd2, BODY = 3'd3, BEST = 3'd4, CLASS = 3'd5, CHECK = 3'd6;
    localparam integer LAST_SCORE = SCORES - 1;
    localparam integer LAST_BYTE = SCORE_BYTES - 1;
    localparam integer LAST_PART = PER_BEAT - 1;
    localparam integer LAST_IDENTITY = IDENTITY_BYTES - 1;

    // --- the numbers of the chunks that are inside ---
    reg [7:0] numbers [0:(1 << QUEUE_BITS)-1];
    reg [QUEUE_BITS-1:0] push, pop;
    always @(posedge aclk) if (begins) numbers[push] <= number;

    reg [2:0] state;
    reg asked;                    // who is there; asked_number
    reg [7:0] asked_number, its_number;
    reg who;                      // the frame at hand says so
    reg [INDEX_BITS-1:0] index;   // of the score or of the byte
    reg [PART_BITS-1:0] part;     // of the beat
    reg [1:0] byte_of;            // of the score, or of the CRC
    reg [7:0] best, its_class;
    reg [31:0] crc;
    wire [31:0] crc_after;
    amrq_crc32 crc32 (.crc(crc), .data(data), .crc_after(crc_after));

    wire [32*PER_BEAT-1:0] beat = s_axis_tdata;
    wire [31:0] score = beat[32*part +: 32];
    wire score_ends = byte_of == LAST_BYTE[1:0];
    wire last_score = index == LAST_SCORE[INDEX_BITS-1:0];
    wire beat_ends = score_ends & (part == LAST_PART[PART_BITS-1:0] | last_score);
    // Beats may come with gaps between them.
    assign valid = state != REST & (state != BODY | who | s_axis_tvalid);
    wire go = valid & ready;
    assign s_axis_tready = go & state == BODY & ~who & beat_ends;

    reg lead;                     // the a5 is out: it goes before the type
    always @* begin
        case (state)
            TYPE: data = lead ? (who ? WHO : ANSWER) : SYNC;
            NUMBER: data = its_number;
            BODY: data = who ? IDENTITY[8*index +: 8] : score[8*byte_of +: 8];
            BEST: data = best;
            CLASS: data = its_class;
            default: data = ~crc[8*byte_of +: 8];
        endcase
    end

    always @(posedge aclk) begin
        sent <= 1'b0;
        if (identify) begin
            asked <= 1'b1;
            asked_number <= number;
        end
        if (!aresetn) begin
            state <= REST;
            asked <= 1'b0;
            push <= 0;
            pop <= 0;
            label <= 4'd0;
        end else begin
            if (begins) push <= push + 1'b1;
            if (state == REST) begin
                lead <= 1'b0;
                crc <= 32'hffffffff;
                index <= 0;
                part <= 0;
                byte_of <= 2'd0;
                who <= asked;
                its_number <= asked ? asked_number : numbers[pop];
                if (asked) begin
                    state <= TYPE;
                    asked <= identify;
                end else if (s_axis_tvalid) begin
                    state <= TYPE;
                    pop <= pop + 1'b1;
                end
            end else if (go) begin
                if (lead & state != CHECK) crc <= crc_after;
                case (state)
                    TYPE: begin
                        lead <= 1'b1;
                        if (lead) state <= NUMBER;
                    end
                    NUMBER: state <= BODY;
                    BODY:
                        if (who) begin
                            index <= index + 1'b1;
                            if (index == LAST_IDENTITY[INDEX_BITS-1:0]) state <= CHECK;
                        end else begin
                            byte_of <= score_ends ? 2'd0 : byte_of + 2'd1;
                            if (score_ends) begin
                                index <= index + 1'b1;
                                part <= beat_ends ? {PART_BITS{1'b0}} : part + 1'b1;
                            end
                            if (score_ends & last_score) begin
                                {best, its_class} <= s_axis_tuser;
                                state <= BEST;
                            end
                        end
                    BEST: state <= CLASS;
                    CLASS: begin
                        label <= its_class[3:0];
                        sent <= 1'b1;
                        state <= CHECK;
                    end
                    default: begin
                        byte_of <= byte_of + 2'd1;
                        if (byte_of == 2'd3) state <= REST;
                    end
                endcase
            end
        end
    end
endmodule
`default_nettype wire

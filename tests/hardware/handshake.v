// SPDX-License-Identifier: GPL-3.0-or-later
//
// What AXI4-Stream asks of both ends, for a solver: proven for all inputs and any time, with small parameters.
`default_nettype none
module output_handshake (
    input wire aclk,
    input wire aresetn,
    input wire valid,
    input wire group,
    input wire [7:0] x,
    input wire ready
);
    wire sent, last, up;
    wire [31:0] data;
    wire [15:0] answer;
    amrq_score_stream #(.LANES(2), .LANE_BITS(1), .GROUPS(2), .GROUP_BITS(1), .WIDTH(4), .BEATS(3), .BEAT_BITS(2),
                        .PER_BEAT(1), .BANK_BITS(1)) dut (
        .aclk(aclk), .aresetn(aresetn), .valid(valid), .group(group), .x(x), .sent(sent), .m_axis_tdata(data),
        .m_axis_tuser(answer), .m_axis_tlast(last), .m_axis_tvalid(up), .m_axis_tready(ready)
    );
    reg stalled = 1'b0;
    reg [48:0] before;
    always @(posedge aclk) begin
        stalled <= aresetn & up & ~ready;
        before <= {last, answer, data};
        // What is offered stays, and stays the same, until it is taken.
        if (stalled) assert (up & before == {last, answer, data});
    end
endmodule

module input_handshake (
    input wire aclk,
    input wire aresetn,
    input wire valid,
    input wire sent
);
    parameter FOLD = 1;
    wire ready, first, last;
    amrq_chunk_gate #(.LENGTH(3), .COUNT_BITS(2), .PLACES(2), .PLACE_BITS(2), .SPACING(2), .SPACING_BITS(2), .FOLD(FOLD))
        dut (.aclk(aclk), .aresetn(aresetn), .valid(valid), .ready(ready), .sent(sent), .first(first), .last(last));
    reg began = 1'b0;
    reg [3:0] pause = 4'd15;  // clocks since a symbol was let in
    always @(posedge aclk) begin
        began <= 1'b1;
        if (~began) assume (~aresetn);
        pause <= !aresetn ? 4'd15 : valid & ready ? 4'd0 : pause + {3'd0, pause != 4'd15};
        // No symbol sooner than the layers can take it.
        if (began & aresetn & valid & ready) assert (pause >= FOLD - 1);
    end
endmodule

// Stands for the check sum: what it is does not matter here, and this one is easily solved.
module amrq_crc32 (
    input  wire [31:0] crc,
    input  wire [7:0] data,
    output wire [31:0] crc_after
);
    assign crc_after = {crc[23:0], data};
endmodule

// Chunks from a serial line to the classifier.
module request_handshake (
    input wire aclk,
    input wire aresetn,
    input wire valid,
    input wire [7:0] data,
    input wire ready
);
    wire identify, begins, heard, damaged, up;
    wire [7:0] number, side;
    wire [15:0] symbol;
    amrq_serial_requests #(.LENGTH(1), .SYMBOL_BYTES(2), .SIDES(0), .SIDE_BITS(8), .ADDRESS_BITS(1), .PAUSE_BITS(2)) dut (
        .aclk(aclk), .aresetn(aresetn), .valid(valid), .data(data), .identify(identify), .begins(begins), .number(number),
        .heard(heard), .damaged(damaged), .symbol(symbol), .side(side), .symbol_valid(up), .symbol_ready(ready)
    );
    reg began = 1'b0;
    reg ran = 1'b0;
    reg stalled = 1'b0;
    reg [15:0] before;
    always @(posedge aclk) begin
        began <= 1'b1;
        if (~began) assume (~aresetn);
        stalled <= began & aresetn & up & ~ready;
        before <= symbol;
        if (stalled) assert (up & before == symbol);
        ran <= began & aresetn;
        // Nothing goes in but what came in a whole frame, whose number is known then.
        if (ran & begins) assert (heard & ~identify);
    end
endmodule

// From the classifier to a DMA.
module dma_handshake (
    input wire aclk,
    input wire aresetn,
    input wire taken,
    input wire taken_last,
    input wire [63:0] data,
    input wire [15:0] best,
    input wire last,
    input wire valid,
    input wire ready
);
    wire taken_from, out_last, up;
    wire [31:0] word;
    amrq_dma #(.LENGTH(1), .COUNT_BITS(1), .PER_BEAT(2), .PART_BITS(1), .QUEUE_BITS(1)) dut (
        .aclk(aclk), .aresetn(aresetn), .taken(taken), .taken_last(taken_last), .s_axis_tdata(data), .s_axis_tuser(best),
        .s_axis_tlast(last), .s_axis_tvalid(valid), .s_axis_tready(taken_from), .m_axis_tdata(word),
        .m_axis_tlast(out_last), .m_axis_tvalid(up), .m_axis_tready(ready)
    );
    reg began = 1'b0;
    reg inside = 1'b0;   // a chunk
    reg ending = 1'b0;   // its last beat is through, the word behind it is not
    reg in_stalled = 1'b0, stalled = 1'b0;
    reg [80:0] in_before;
    reg [32:0] before;
    always @(posedge aclk) begin
        began <= 1'b1;
        if (~began) assume (~aresetn);
        // The classifier keeps the law at its own port, answers no chunk that is not inside, and one at a time here.
        if (in_stalled) assume (valid & in_before == {last, best, data});
        if (up) assume (inside);
        if (taken) assume (~inside);
        ending <= aresetn & (valid & taken_from & last | ending & ~(up & ready));
        inside <= aresetn & (taken | inside & ~(ending & up & ready));
        in_stalled <= began & aresetn & valid & ~taken_from;
        in_before <= {last, best, data};
        stalled <= began & aresetn & up & ~ready;
        before <= {out_last, word};
        if (stalled) assert (up & before == {out_last, word});
    end
endmodule
`default_nettype wire

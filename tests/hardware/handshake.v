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
`default_nettype wire

// SPDX-License-Identifier: GPL-3.0-or-later
//
// Lets symbols in, and counts them into chunks.
//
// Nothing behind it can be stopped: from here to the store of scores a chunk moves on every clock. So a chunk's last symbol
// is let in only when there is a place for its scores, and when the head is through with the chunk before. Where layers take
// FOLD clocks a symbol, so does the gate.
`default_nettype none
module amrq_chunk_gate #(
    parameter LENGTH = 32,      // symbols a chunk
    parameter COUNT_BITS = 6,   // hold LENGTH
    parameter PLACES = 8,       // chunks between here and the end of the output
    parameter PLACE_BITS = 4,   // hold PLACES
    parameter SPACING = 32,     // clocks from one chunk's last symbol to the next one's, at least
    parameter SPACING_BITS = 6, // hold SPACING
    parameter FOLD = 1          // clocks from one symbol to the next, at least: 1, 2, 4 or 8
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire valid,
    output wire ready,
    input  wire sent,   // a chunk has left through the output
    output wire first,  // the symbol at hand is a chunk's first
    output wire last    // ... or its last
);
    localparam [COUNT_BITS-1:0] LAST = LENGTH - 1;
    localparam [PLACE_BITS-1:0] FULL = PLACES;
    localparam [SPACING_BITS-1:0] PAUSE = SPACING - 1;

    reg up;
    reg [COUNT_BITS-1:0] count;
    reg [PLACE_BITS-1:0] taken;
    reg [SPACING_BITS-1:0] pause;

    wire rested;
    generate
        if (FOLD > 1) begin : folded
            localparam integer REST = FOLD - 1;
            reg [2:0] rest;
            assign rested = rest == 3'd0;
            always @(posedge aclk)
                if (!aresetn) rest <= 3'd0;
                else if (valid & ready) rest <= REST[2:0];
                else if (~rested) rest <= rest - 3'd1;
        end else begin : plain
            assign rested = 1'b1;
        end
    endgenerate

    assign first = count == 0;
    assign last = count == LAST;
    assign ready = up & rested & ~(last & (taken == FULL | pause != 0));
    wire closes = valid & ready & last;

    always @(posedge aclk)
        if (!aresetn) begin
            up <= 1'b0;
            count <= 0;
            taken <= 0;
            pause <= 0;
        end else begin
            up <= 1'b1;
            if (valid & ready) count <= last ? {COUNT_BITS{1'b0}} : count + 1'b1;
            if (closes & ~sent) taken <= taken + 1'b1;
            if (sent & ~closes) taken <= taken - 1'b1;
            if (closes) pause <= PAUSE;
            else if (pause != 0) pause <= pause - 1'b1;
        end
endmodule
`default_nettype wire

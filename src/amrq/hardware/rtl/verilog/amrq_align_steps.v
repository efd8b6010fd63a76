// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goes through a chunk's 32 symbols, 2^FOLD_BITS clocks a symbol, from the clock after `start`. `place` goes on from chunk to
// chunk: the place in a memory of several chunks.
`default_nettype none
module amrq_align_steps #(
    parameter FOLD_BITS = 2,
    parameter PLACE_BITS = 6  // 6 or more
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire start,
    output wire go,    // a symbol's first clock
    output wire last,  // the symbol is its chunk's last
    output reg  [PLACE_BITS-1:0] place
);
    reg active;
    reg [FOLD_BITS-1:0] slot;
    assign go = active & slot == 0;
    assign last = &place[4:0];

    always @(posedge aclk)
        if (!aresetn) begin
            active <= 1'b0;
            slot <= 0;
            place <= 0;
        end else begin
            if (start) active <= 1'b1;
            else if (last & (&slot)) active <= 1'b0;
            if (active) slot <= slot + 1'b1;
            if (active & (&slot)) place <= place + 1'b1;
        end
endmodule
`default_nettype wire

// SPDX-License-Identifier: GPL-3.0-or-later
//
// Each symbol of a chunk with the one before and the one after; zeros beyond the chunk's ends.
//
// Symbols come FOLD clocks after one another or later. A symbol's window is made when the next one comes, that of a chunk's
// last one FOLD clocks after it, whether the next chunk begins then or not. So windows, too, come FOLD clocks after one
// another or later, and the last one's way is always as long.
`default_nettype none
module amrq_window #(
    parameter WIDTH = 120,  // bits of a symbol
    parameter FOLD = 4
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire valid,
    input  wire first,
    input  wire last,
    input  wire [WIDTH-1:0] x,
    output wire go,               // in the clock before y is there
    output wire go_first,
    output wire go_last,
    output reg  [3*WIDTH-1:0] y   // the symbol before in the lowest bits
);
    reg [WIDTH-1:0] now;
    reg now_first;
    reg [FOLD-1:0] ended;
    wire [FOLD:0] since_last = {ended, valid & last};
    assign go = go_last | valid & ~first;
    assign go_first = now_first;
    assign go_last = since_last[FOLD];

    always @(posedge aclk) begin
        ended <= aresetn ? since_last[FOLD-1:0] : {FOLD{1'b0}};
        if (valid) begin
            now <= x;
            now_first <= first;
        end
        if (go) y <= {
            go_last ? {WIDTH{1'b0}} : x, now, now_first ? {WIDTH{1'b0}} : y[WIDTH +: WIDTH]
        };
    end
endmodule
`default_nettype wire

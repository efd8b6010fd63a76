// SPDX-License-Identifier: GPL-3.0-or-later
//
// x * 2^LEFT / 2^RIGHT, rounded half to even, saturated to 8 bits; no clock.
//
// With RIGHT above 0, x must have half a step (2^(RIGHT - 1)) added to it already, which costs nothing where a bias is added.
// What is left of half to even: where x then ends in RIGHT zeros, the sum was right between two steps, and the last bit that
// stays is cleared.
`default_nettype none
module amrq_requantise #(
    parameter WIDTH = 16,
    parameter SIGNED = 1,      // 1: x is in two's complement
    parameter LEFT = 0,
    parameter RIGHT = 4,
    parameter OUT_SIGNED = 0,  // 1: -128 to 127; 0: 0 to 255
    parameter RELU = 1         // 1: nothing below 0
) (
    input  wire [WIDTH-1:0] x,
    output wire [7:0] y
);
    // Room for 8 bits and their sign above what is shifted away.
    localparam NEEDED = (WIDTH + LEFT > RIGHT + 10) ? WIDTH + LEFT : RIGHT + 10;
    localparam WIDE = NEEDED + 1;
    localparam KEPT = WIDE - RIGHT;
    localparam LIMIT = OUT_SIGNED != 0 ? 7 : 8;  // bits of the largest result

    wire sign = SIGNED != 0 ? x[WIDTH-1] : 1'b0;
    wire [WIDE-1:0] wide = {{(WIDE-WIDTH){sign}}, x} << LEFT;
    wire [KEPT-1:0] steps = wide[WIDE-1:RIGHT];
    wire tie;
    generate
        if (RIGHT > 0) begin : rounded
            assign tie = ~|wide[(RIGHT > 0 ? RIGHT - 1 : 0):0];
        end else begin : exact
            assign tie = 1'b0;
        end
    endgenerate
    wire below = steps[KEPT-1];
    wire over = ~below & |steps[KEPT-1:LIMIT];
    wire under = below & (OUT_SIGNED == 0 || RELU != 0 || ~&steps[KEPT-1:LIMIT]);
    localparam [7:0] MOST = OUT_SIGNED != 0 ? 8'd127 : 8'd255;
    localparam [7:0] LEAST = (OUT_SIGNED != 0 && RELU == 0) ? 8'd128 : 8'd0;
    assign y = over ? MOST : under ? LEAST : {steps[7:1], steps[0] & ~tie};
endmodule
`default_nettype wire

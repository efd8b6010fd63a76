// SPDX-License-Identifier: GPL-3.0-or-later
//
// A product of two numbers with signs, two clocks after them: registers before and after, as in a DSP slice.
`default_nettype none
module amrq_multiply #(
    parameter A = 13,  // bits
    parameter B = 13   // bits
) (
    input  wire aclk,
    input  wire signed [A-1:0] a,
    input  wire signed [B-1:0] b,
    output reg  signed [A+B-1:0] y
);
    reg signed [A-1:0] a_1;
    reg signed [B-1:0] b_1;
    always @(posedge aclk) begin
        a_1 <= a;
        b_1 <= b;
        y <= a_1 * b_1;
    end
endmodule
`default_nettype wire

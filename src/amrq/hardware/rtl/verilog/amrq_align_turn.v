// SPDX-License-Identifier: GPL-3.0-or-later
//
// x + j y turned by c - j s, or with FORWARD by c + j s, divided by 2^SHIFT and rounded half up; by one multiplier.
`default_nettype none
module amrq_align_turn #(
    parameter IN = 13,      // bits of x and y
    parameter BY = 12,      // bits of c and s
    parameter OUT = 13,     // bits of re and im
    parameter SHIFT = 11,
    parameter FORWARD = 0
) (
    input  wire aclk,
    /* verilator lint_off UNUSEDSIGNAL */
    input  wire [6:0] at,   // bit k: k clocks after x, y, c and s are there; they stay for four
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire signed [IN-1:0] x,
    input  wire signed [IN-1:0] y,
    input  wire signed [BY-1:0] c,
    input  wire signed [BY-1:0] s,
    output reg  signed [OUT-1:0] re,  // 7 clocks later; it stays for four
    output reg  signed [OUT-1:0] im
);
    // x c, y s, y c, x s
    wire signed [IN+BY-1:0] product;
    amrq_multiply #(.A(IN), .B(BY)) multiply (
        .aclk(aclk), .a(at[0] | at[3] ? x : y), .b(at[0] | at[2] ? c : s), .y(product)
    );
    localparam WIDTH = (IN + BY + 1 > OUT + SHIFT) ? IN + BY + 1 : OUT + SHIFT;
    localparam signed [WIDTH-1:0] HALF = 1 << (SHIFT - 1);
    wire signed [WIDTH-1:0] wide = {{(WIDTH-IN-BY){product[IN+BY-1]}}, product};
    reg signed [WIDTH-1:0] first;
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one, copies of the sign
    reg signed [WIDTH-1:0] sum;
    /* verilator lint_on UNUSEDSIGNAL */
    wire plus = at[3] ^ (FORWARD != 0);
    reg signed [OUT-1:0] re_early;
    always @(posedge aclk) begin
        first <= wide + HALF;
        sum <= plus ? first + wide : first - wide;
        if (at[4]) re_early <= sum[SHIFT +: OUT];
        if (at[6]) {re, im} <= {re_early, sum[SHIFT +: OUT]};
    end
endmodule
`default_nettype wire

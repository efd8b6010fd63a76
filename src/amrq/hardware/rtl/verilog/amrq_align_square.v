// SPDX-License-Identifier: GPL-3.0-or-later
//
// The square of c + j s, scaled, by one multiplier: (c^2 - s^2) / 2^11 as (c - s) (c + s), and c s / 2^10.
`default_nettype none
module amrq_align_square (
    input  wire aclk,
    /* verilator lint_off UNUSEDSIGNAL */
    input  wire [3:0] at,  // bit k: k clocks after c and s are there; they stay for two
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire signed [12:0] c,
    input  wire signed [12:0] s,
    output reg  signed [12:0] c_squared,  // 3 clocks later
    output reg  signed [12:0] s_squared   // 4 clocks later
);
    wire signed [13:0] c_wide = {c[12], c};
    wire signed [13:0] s_wide = {s[12], s};
    wire signed [13:0] a = at[0] ? c_wide - s_wide : c_wide;
    wire signed [13:0] b = at[0] ? c_wide + s_wide : s_wide;
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one, copies of the sign
    wire signed [27:0] y;
    /* verilator lint_on UNUSEDSIGNAL */
    amrq_multiply #(.A(14), .B(14)) multiply (.aclk(aclk), .a(a), .b(b), .y(y));
    always @(posedge aclk) begin
        if (at[2]) c_squared <= y[23:11];
        if (at[3]) s_squared <= y[22:10];
    end
endmodule
`default_nettype wire

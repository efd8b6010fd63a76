// SPDX-License-Identifier: GPL-3.0-or-later
//
// What becomes of a sum, one a clock: the output's bias is added, then it is shifted, rounded half to even and saturated.
// Each output has a bias and a shift of its own, in the memory of parameters, whose word comes two clocks after the sum.
//
// The sum is first shifted to the left by LEFT and then to the right by `shift`, so that one shifter serves outputs that
// grow and those that shrink; what goes beyond the point is kept, to round by. A score leaves without saturation: its shift
// is at most LEFT.
`default_nettype none
module amrq_array_rounder #(
    parameter SUM_BITS = 24,
    parameter BIAS_BITS = 14,
    parameter SHIFT_BITS = 4,
    parameter LEFT = 1,
    parameter MOST = 13,  // largest shift
    parameter SCORE_BITS = 24
) (
    input  wire aclk,
    input  wire [SUM_BITS-1:0] sum,
    input  wire [SHIFT_BITS+BIAS_BITS-1:0] parameters,  // {shift, bias}
    input  wire out_signed,
    input  wire relu,
    output reg  [7:0] y,  // seven clocks after the sum
    output reg  [SCORE_BITS-1:0] score
);
    localparam WHOLE = ((SUM_BITS + LEFT > 10) ? SUM_BITS + LEFT : 10) + 1;
    localparam WIDE = WHOLE + MOST;
    // The shift is done in two clocks, the lower half of its bits first.
    localparam LOW = SHIFT_BITS / 2;

    reg [SUM_BITS-1:0] sum_1, sum_2, sum_3;
    reg [SHIFT_BITS-1:0] shift_3;
    reg signed [WIDE-1:0] wide_4, wide_5;
    reg [SHIFT_BITS-LOW-1:0] shift_4;
    wire [SHIFT_BITS-1:0] low_3, high_4;
    generate
        if (LOW > 0) begin : halves
            assign low_3 = {{(SHIFT_BITS-LOW){1'b0}}, shift_3[(LOW > 0 ? LOW - 1 : 0):0]};
            assign high_4 = {shift_4, {(LOW > 0 ? LOW : 1){1'b0}}};
        end else begin : whole
            assign low_3 = {SHIFT_BITS{1'b0}};
            assign high_4 = shift_4;
        end
    endgenerate
    wire signed [WIDE-1:0] wide_3 = {{(WHOLE-SUM_BITS){sum_3[SUM_BITS-1]}}, sum_3, {MOST{1'b0}}} << LEFT;

    wire [WHOLE-1:0] steps = wide_5[WIDE-1:MOST];
    wire up = wide_5[MOST-1] & (steps[0] | |(wide_5[MOST-1:0] << 1));  // above the half, or at it and odd
    reg [WHOLE:0] rounded_6;
    wire below = rounded_6[WHOLE];
    wire over = ~below & (|rounded_6[WHOLE-1:8] | (out_signed & rounded_6[7]));
    wire under = below & (~out_signed | relu | ~&rounded_6[WHOLE-1:7]);

    always @(posedge aclk) begin
        sum_1 <= sum;
        sum_2 <= sum_1;
        sum_3 <= sum_2 + {{(SUM_BITS-BIAS_BITS){parameters[BIAS_BITS-1]}}, parameters[BIAS_BITS-1:0]};
        shift_3 <= parameters[BIAS_BITS +: SHIFT_BITS];
        wide_4 <= wide_3 >>> low_3;
        shift_4 <= shift_3[SHIFT_BITS-1:LOW];
        wide_5 <= wide_4 >>> high_4;
        rounded_6 <= {steps[WHOLE-1], steps} + {{WHOLE{1'b0}}, up};
        y <= over ? {~out_signed, 7'h7f} : under ? {out_signed & ~relu, 7'h00} : rounded_6[7:0];
        score <= rounded_6[SCORE_BITS-1:0];
    end
endmodule
`default_nettype wire

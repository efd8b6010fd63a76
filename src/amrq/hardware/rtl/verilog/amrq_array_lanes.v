// SPDX-License-Identifier: GPL-3.0-or-later
//
// The multipliers. Each lane makes the sum of one output: one number a clock for all of them, times a weight of its own.
// When the sums are complete they go aside and leave one by one, the first lane's first, while the next ones are made.
`default_nettype none
module amrq_array_lanes #(
    parameter LANES = 16,
    parameter LANE_BITS = 4,
    parameter WEIGHT_BITS = 8,
    parameter SUM_BITS = 24
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire active,
    input  wire first,
    input  wire last,
    input  wire [8:0] x,  // three clocks after `active`
    input  wire [LANES*WEIGHT_BITS-1:0] weights,
    input  wire [LANE_BITS-1:0] last_lane,  // the last one whose sum is wanted, a clock after `complete`
    output wire complete,                   // the sums go aside
    output reg  leaving,
    output reg  [LANE_BITS-1:0] lane,
    output wire [SUM_BITS-1:0] sum
);
    localparam PRODUCT_BITS = 9 + WEIGHT_BITS;

    reg [4:0] active_at, first_at;
    reg [5:0] last_at;
    always @(posedge aclk) begin
        active_at <= aresetn ? {active_at[3:0], active} : 5'd0;
        last_at <= aresetn ? {last_at[4:0], last} : 6'd0;
        first_at <= {first_at[3:0], first};
    end
    assign complete = last_at[5];

    always @(posedge aclk)
        if (!aresetn) leaving <= 1'b0;
        else if (complete) leaving <= 1'b1;
        else if (lane == last_lane) leaving <= 1'b0;
    always @(posedge aclk) lane <= complete ? {LANE_BITS{1'b0}} : lane + 1'b1;

    wire [SUM_BITS-1:0] aside [0:LANES];
    assign aside[LANES] = {SUM_BITS{1'b0}};
    assign sum = aside[0];
    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : multiplier
            // Of each multiplier's own, to lie beside it: weights come from all over the chip.
            reg signed [8:0] factor;
            reg signed [WEIGHT_BITS-1:0] weight;
            reg signed [PRODUCT_BITS-1:0] product;
            reg signed [SUM_BITS-1:0] total;
            reg [SUM_BITS-1:0] kept;
            wire signed [SUM_BITS-1:0] wide = {{(SUM_BITS-PRODUCT_BITS){product[PRODUCT_BITS-1]}}, product};
            always @(posedge aclk) begin
                factor <= x;
                weight <= weights[l*WEIGHT_BITS +: WEIGHT_BITS];
                product <= factor * weight;
                if (active_at[4]) total <= wide + (first_at[4] ? {SUM_BITS{1'b0}} : total);
                kept <= complete ? total : aside[l+1];
            end
            assign aside[l] = kept;
        end
    endgenerate
endmodule
`default_nettype wire

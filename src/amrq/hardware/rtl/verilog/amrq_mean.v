// SPDX-License-Identifier: GPL-3.0-or-later
//
// The mean over a chunk's symbols, channel by channel: sum, shift, round half to even, saturate. `y` holds for the one clock
// in which `done` is high.
`default_nettype none
module amrq_mean #(
    parameter CHANNELS = 48,
    parameter SUM_BITS = 14,   // no sum with half a step overflows
    parameter IN_SIGNED = 0,
    parameter OUT_SIGNED = 0,
    parameter LEFT = 0,
    parameter RIGHT = 3
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire valid,
    input  wire first,
    input  wire last,
    input  wire [8*CHANNELS-1:0] x,
    output reg  done,
    output wire [8*CHANNELS-1:0] y
);
    localparam [SUM_BITS-1:0] HALF = RIGHT > 0 ? 1 << (RIGHT > 0 ? RIGHT - 1 : 0) : 0;

    always @(posedge aclk) done <= aresetn & valid & last;

    genvar c;
    generate
        for (c = 0; c < CHANNELS; c = c + 1) begin : channel
            wire [7:0] value = x[8*c +: 8];
            wire sign = IN_SIGNED != 0 ? value[7] : 1'b0;
            reg [SUM_BITS-1:0] sum;
            always @(posedge aclk)
                // The plain operand first: the choice then goes into the same look-up table as the addition.
                if (valid) sum <= {{(SUM_BITS-8){sign}}, value} + (first ? HALF : sum);
            amrq_requantise #(
                .WIDTH(SUM_BITS), .SIGNED(IN_SIGNED), .LEFT(LEFT), .RIGHT(RIGHT), .OUT_SIGNED(OUT_SIGNED), .RELU(0)
            ) divide (.x(sum), .y(y[8*c +: 8]));
        end
    endgenerate
endmodule
`default_nettype wire

// SPDX-License-Identifier: GPL-3.0-or-later
//
// One component of a symbol as the first layer takes it: the magnitude where the model folds the plane, then the port's
// unit to the layer's by a shift to the left, then saturation. The magnitude has one bit more than the port, so that of
// -128 is 128.
`default_nettype none
module amrq_input #(
    parameter BITS = 8,    // of the port, two's complement
    parameter FOLD = 1,    // 1: take the magnitude
    parameter LEFT = 0,    // places to shift
    parameter SIGNED = 0   // 1: -128 to 127 out; 0: 0 to 255
) (
    input  wire aclk,
    input  wire [BITS-1:0] x,
    output reg  [7:0] y
);
    wire [BITS:0] wide = {x[BITS-1], x};
    wire [BITS:0] folded = (FOLD != 0 && x[BITS-1]) ? ~wide + 1'b1 : wide;
    wire [7:0] saturated;
    amrq_requantise #(.WIDTH(BITS + 1), .SIGNED(1), .LEFT(LEFT), .RIGHT(0), .OUT_SIGNED(SIGNED), .RELU(0))
        saturate (.x(folded), .y(saturated));
    always @(posedge aclk) y <= saturated;
endmodule
`default_nettype wire

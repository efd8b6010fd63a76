// SPDX-License-Identifier: GPL-3.0-or-later
//
// Magnitude and angle of x + j y by CORDIC in vectoring mode, a step a clock: 12 clocks after the clock after `load`.
`default_nettype none
module amrq_cordic #(
    parameter BITS = 17,                 // of x and y, with sign
    parameter [12*14-1:0] ARCTANGENTS = 0  // atan(2^-i) in units of 2^-16 turns, the first in the lowest bits
) (
    input  wire aclk,
    input  wire load,
    input  wire signed [BITS-1:0] x,
    input  wire signed [BITS-1:0] y,
    output wire [BITS:0] magnitude,      // 1.64676 times too large
    output reg  [15:0] angle
);
    reg signed [BITS+1:0] u, v;
    wire signed [BITS+1:0] x_wide = {{2{x[BITS-1]}}, x};
    wire signed [BITS+1:0] y_wide = {{2{y[BITS-1]}}, y};
    reg [3:0] i;
    reg [12*14-1:0] steps;  // the next one in the lowest bits
    wire up = ~v[BITS+1];
    wire signed [BITS+1:0] u_part = u >>> i;
    wire signed [BITS+1:0] v_part = v >>> i;
    wire working = i < 4'd12;
    always @(posedge aclk)
        if (load) begin
            u <= x[BITS-1] ? -x_wide : x_wide;
            v <= x[BITS-1] ? -y_wide : y_wide;
            angle <= {x[BITS-1], 15'd0};
            steps <= ARCTANGENTS;
            i <= 4'd0;
        end else if (working) begin
            u <= up ? u + v_part : u - v_part;
            v <= up ? v - u_part : v + u_part;
            angle <= up ? angle + {2'd0, steps[13:0]} : angle - {2'd0, steps[13:0]};
            steps <= {14'd0, steps[12*14-1:14]};
            i <= i + 4'd1;
        end
    assign magnitude = u[BITS:0];
endmodule
`default_nettype wire

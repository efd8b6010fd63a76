// SPDX-License-Identifier: GPL-3.0-or-later
//
// Takes a vector of 8-bit numbers and gives its bits plane by plane, the last bits first, once for each group of outputs: 8
// GROUPS clocks from the clock after `load`.
`default_nettype none
module amrq_bit_planes #(
    parameter INPUTS = 48,
    parameter GROUPS = 4,
    parameter GROUP_BITS = 2
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire load,
    input  wire [8*INPUTS-1:0] x,
    output wire [INPUTS-1:0] bits,
    output reg  active,
    output wire first,  // plane
    output wire last,   // plane
    output wire [GROUP_BITS-1:0] group
);
    localparam [GROUP_BITS+2:0] END = 8 * GROUPS - 1;

    reg [GROUP_BITS+2:0] step;
    assign group = step[GROUP_BITS+2:3];
    assign first = step[2:0] == 3'd0;
    assign last = step[2:0] == 3'd7;

    always @(posedge aclk)
        if (!aresetn) begin
            active <= 1'b0;
            step <= 0;
        end else if (load) begin
            active <= 1'b1;
            step <= 0;
        end else if (active) begin
            active <= step != END;
            step <= step + 1'b1;
        end

    genvar i;
    generate
        for (i = 0; i < INPUTS; i = i + 1) begin : number
            reg [7:0] value;  // turns round once a group
            always @(posedge aclk) value <= load ? x[8*i +: 8] : {value[0], value[7:1]};
            assign bits[i] = value[0];
        end
    endgenerate
endmodule
`default_nettype wire

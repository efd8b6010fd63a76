// SPDX-License-Identifier: GPL-3.0-or-later
//
// Collects a layer's outputs, which come group by group, into one vector for the next layer. `y` holds for the one clock in
// which `done` is high: position group * LANES + lane.
`default_nettype none
module amrq_gather #(
    parameter LANES = 9,
    parameter GROUPS = 4,
    parameter GROUP_BITS = 2
) (
    /* verilator lint_off UNUSEDSIGNAL */  // with one group there is nothing to keep
    input  wire aclk,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire valid,
    input  wire [GROUP_BITS-1:0] group,
    input  wire [8*LANES-1:0] x,
    output wire done,
    output wire [8*LANES*GROUPS-1:0] y
);
    localparam integer LAST = GROUPS - 1;
    assign done = valid & group == LAST[GROUP_BITS-1:0];
    assign y[8*LANES*(GROUPS-1) +: 8*LANES] = x;

    genvar g;
    generate
        for (g = 0; g < GROUPS - 1; g = g + 1) begin : early
            localparam integer NUMBER = g;
            reg [8*LANES-1:0] kept;
            always @(posedge aclk) if (valid & group == NUMBER[GROUP_BITS-1:0]) kept <= x;
            assign y[8*LANES*g +: 8*LANES] = kept;
        end
    endgenerate
endmodule
`default_nettype wire

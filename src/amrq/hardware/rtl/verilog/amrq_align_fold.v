// SPDX-License-Identifier: GPL-3.0-or-later
//
// A coordinate's magnitude in units of 2^-5, rounded half up, at most 127; no clock.
`default_nettype none
module amrq_align_fold #(
    parameter BITS = 13
) (
    input  wire [BITS-1:0] x,
    output wire [6:0] y
);
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
    wire [BITS:0] half_up = {1'b0, x[BITS-1] ? ~x : x} + {{(BITS-3){1'b0}}, 3'b100, x[BITS-1]};
    /* verilator lint_on UNUSEDSIGNAL */
    assign y = |half_up[BITS:11] ? 7'd127 : half_up[10:4];
endmodule
`default_nettype wire

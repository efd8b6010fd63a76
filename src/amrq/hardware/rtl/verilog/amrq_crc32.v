// SPDX-License-Identifier: GPL-3.0-or-later
//
// One byte more of a CRC-32 (IEEE 802.3, as zlib computes it); it begins with all ones, and its complement is sent.
`default_nettype none
module amrq_crc32 (
    input  wire [31:0] crc,
    input  wire [7:0] data,
    output wire [31:0] crc_after
);
    function [31:0] step(input [31:0] old, input [7:0] x);
        integer k;
        begin
            step = old ^ {24'd0, x};
            for (k = 0; k < 8; k = k + 1) step = {1'b0, step[31:1]} ^ (step[0] ? 32'hedb88320 : 32'd0);
        end
    endfunction
    assign crc_after = step(crc, data);
endmodule
`default_nettype wire

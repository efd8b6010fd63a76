// SPDX-License-Identifier: GPL-3.0-or-later
//
// A memory that is only read, filled from a file of hexadecimal words; `word` belongs to the address of two clocks before. The
// second register is there for speed: a block RAM alone takes half a clock and more to answer.
`default_nettype none
module amrq_rom #(
    parameter WIDTH = 32,
    parameter WORDS = 512,
    parameter ADDRESS_BITS = 9,
    parameter FILE = ""
) (
    input  wire aclk,
    input  wire [ADDRESS_BITS-1:0] address,
    output reg  [WIDTH-1:0] word
);
    reg [WIDTH-1:0] words [0:WORDS-1];
    generate
        if (FILE != "") begin : filled
            initial $readmemh(FILE, words);
        end
    endgenerate

    reg [WIDTH-1:0] early;
    always @(posedge aclk) begin
        early <= words[address];
        word <= early;
    end
endmodule
`default_nettype wire

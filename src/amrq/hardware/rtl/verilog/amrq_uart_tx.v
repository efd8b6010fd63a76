// SPDX-License-Identifier: GPL-3.0-or-later
//
// Sends bytes on a serial line: one start bit, 8 bits, the lowest first, one stop bit.
`default_nettype none
module amrq_uart_tx #(
    parameter CLOCKS = 25,    // a bit
    parameter CLOCK_BITS = 5  // hold CLOCKS
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire valid,
    output wire ready,
    input  wire [7:0] data,
    output wire line
);
    localparam integer BIT = CLOCKS - 1;

    reg [CLOCK_BITS-1:0] wait_for;
    reg [3:0] left;           // bits to send, the one on the line among them
    reg [8:0] bits;           // bit 0 is on the line

    initial bits = 9'h1ff;    // a line at rest, before the reset as well
    assign line = bits[0];
    assign ready = left == 4'd0;

    always @(posedge aclk)
        if (!aresetn) begin
            bits <= 9'h1ff;
            left <= 4'd0;
            wait_for <= 0;
        end else if (ready) begin
            if (valid) begin
                bits <= {data, 1'b0};
                left <= 4'd10;
                wait_for <= BIT[CLOCK_BITS-1:0];
            end
        end else if (wait_for != 0) wait_for <= wait_for - 1'b1;
        else begin
            bits <= {1'b1, bits[8:1]};
            left <= left - 4'd1;
            wait_for <= BIT[CLOCK_BITS-1:0];
        end
endmodule
`default_nettype wire

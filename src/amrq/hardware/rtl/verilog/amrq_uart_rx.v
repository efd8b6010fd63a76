// SPDX-License-Identifier: GPL-3.0-or-later
//
// Receives bytes from a serial line: one start bit, 8 bits, the lowest first, one stop bit. A byte whose stop bit is
// missing is dropped.
`default_nettype none
module amrq_uart_rx #(
    parameter CLOCKS = 25,    // a bit
    parameter CLOCK_BITS = 5  // hold CLOCKS
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire line,
    output reg  valid,        // for one clock
    output reg  [7:0] data
);
    localparam integer BIT = CLOCKS - 1;
    localparam integer HALF = (CLOCKS - 1) / 2;

    reg [2:0] seen;           // two registers against metastability, and the value before
    reg [CLOCK_BITS-1:0] wait_for;
    reg [3:0] left;           // bits to come, the stop bit among them
    reg start;                // the bit at hand is the start bit

    always @(posedge aclk) begin
        seen <= {seen[1:0], line};
        valid <= 1'b0;
        if (!aresetn) begin
            seen <= 3'b111;
            left <= 4'd0;
            start <= 1'b0;
            wait_for <= 0;
        end else if (left == 4'd0 & ~start) begin
            if (seen[2] & ~seen[1]) begin
                start <= 1'b1;
                wait_for <= HALF[CLOCK_BITS-1:0];
            end
        end else if (wait_for != 0) wait_for <= wait_for - 1'b1;
        else begin
            wait_for <= BIT[CLOCK_BITS-1:0];
            start <= 1'b0;
            if (start) left <= seen[1] ? 4'd0 : 4'd9;  // a glitch is no start bit
            else begin
                left <= left - 4'd1;
                if (left == 4'd1) valid <= seen[1];
                else data <= {seen[1], data[7:1]};
            end
        end
    end
endmodule
`default_nettype wire

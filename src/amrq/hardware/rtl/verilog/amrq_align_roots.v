// SPDX-License-Identifier: GPL-3.0-or-later
//
// From the sums of a chunk to how strongly they agree, and to cosine and sine of the phase of each of six copies: one CORDIC,
// 16 clocks a copy.
`default_nettype none
module amrq_align_roots #(
    parameter [12*14-1:0] ARCTANGENTS = 0,
    parameter FILE = ""       // contents of the table of cosines
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire start,
    input  wire [6*24-1:0] c_sums,
    input  wire [6*24-1:0] s_sums,
    output reg  done,         // what follows is there, and stays for 24 clocks at least
    output reg  [6*12-1:0] cosines,
    output reg  [6*12-1:0] sines,
    output reg  [6*8-1:0] agreements
);
    reg active;
    reg [3:0] clock;
    reg [2:0] copy;
    always @(posedge aclk)
        if (!aresetn) begin
            active <= 1'b0;
            clock <= 4'd0;
            copy <= 3'd0;
        end else if (start) begin
            active <= 1'b1;
            clock <= 4'd0;
            copy <= 3'd0;
        end else if (active) begin
            clock <= clock + 4'd1;
            if (clock == 4'd15) begin
                copy <= copy + 3'd1;
                active <= copy != 3'd5;
            end
        end

    // --- magnitude and angle ---
    reg signed [23:0] c_sum, s_sum;
    reg signed [16:0] x, y;
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
    wire signed [23:0] c_half_up = c_sum + 24'sd64;
    wire signed [23:0] s_half_up = s_sum + 24'sd64;
    /* verilator lint_on UNUSEDSIGNAL */
    // Copies are told apart one by one: an index times 12 or 24 would become a multiplier before the registers.
    reg [23:0] c_here, s_here;
    integer k;
    always @* begin
        {c_here, s_here} = 48'd0;
        for (k = 0; k < 6; k = k + 1)
            if (copy == k[2:0]) {c_here, s_here} = {c_sums[24*k +: 24], s_sums[24*k +: 24]};
    end
    always @(posedge aclk) begin
        c_sum <= c_here;
        s_sum <= s_here;
        x <= c_half_up[23:7];
        y <= s_half_up[23:7];
    end
    wire [17:0] magnitude;
    wire [15:0] angle;
    amrq_cordic #(.BITS(17), .ARCTANGENTS(ARCTANGENTS)) cordic (
        .aclk(aclk), .load(active & clock == 4'd2), .x(x), .y(y), .magnitude(magnitude), .angle(angle)
    );

    // --- phase: the angle relative to that of copy 0, divided ---
    reg [6:0] at;  // bit k: k + 1 clocks after CORDIC is through
    always @(posedge aclk) at <= aresetn ? {at[5:0], active & clock == 4'd15} : 7'd0;
    reg [17:0] found_magnitude;
    reg signed [15:0] found_angle;
    reg [2:0] found;  // copy
    reg signed [15:0] second, relative, root;
    always @(posedge aclk) begin
        if (active & clock == 4'd15) begin
            found_magnitude <= magnitude;
            found_angle <= angle;
            found <= copy;
        end
        if (at[0]) begin
            if (found == 3'd0) second <= found_angle;
            case (found)
                3'd4: relative <= found_angle - (second <<< 2) - 16'sd16384;
                3'd5: relative <= found_angle - (second <<< 3) - 16'sd16384;
                default: relative <= found_angle - (second <<< 1) - 16'sd16384;
            endcase
        end
        if (at[1])
            case (found)
                3'd0: root <= second >>> 1;
                3'd4: root <= (second >>> 1) + (relative >>> 3) + 16'sd2048;
                3'd5: root <= (second >>> 1) + (relative >>> 4) + 16'sd1024;
                default: root <= (second >>> 1) + (relative >>> 2) + 16'sd4096;
            endcase
    end

    // --- agreement ---
    reg [23:0] times_40;
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
    reg [23:0] times_39;
    /* verilator lint_on UNUSEDSIGNAL */
    reg [7:0] agreement;
    always @(posedge aclk) begin
        times_40 <= {1'b0, found_magnitude, 5'd0} + {3'd0, found_magnitude, 3'd0};
        times_39 <= times_40 - {6'd0, found_magnitude} + 24'd8192;
        if (at[2]) agreement <= |times_39[23:22] ? 8'd255 : times_39[21:14];
    end

    // --- cosine and sine ---
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
    wire [15:0] half_up = root + 16'd32;
    /* verilator lint_on UNUSEDSIGNAL */
    reg [9:0] entry;
    wire [11:0] value;
    amrq_rom #(.WIDTH(12), .WORDS(1024), .ADDRESS_BITS(10), .FILE(FILE)) table_of_cosines (
        .aclk(aclk), .address(entry), .word(value)
    );
    reg [11:0] cosine;
    integer n;
    always @(posedge aclk) begin
        if (at[2]) entry <= half_up[15:6];
        if (at[3]) entry <= entry - 10'd256;
        if (at[5]) cosine <= value;
        for (n = 0; n < 6; n = n + 1)
            if (at[6] & found == n[2:0]) begin
                cosines[12*n +: 12] <= cosine;
                sines[12*n +: 12] <= value;
                agreements[8*n +: 8] <= agreement;
            end
        done <= aresetn & at[6] & found == 3'd5;
    end
endmodule
`default_nettype wire

// SPDX-License-Identifier: GPL-3.0-or-later
//
// Two fits a chunk, one after the other, 56 clocks each: CORDIC, two divisions, and the factor that turns and scales a copy; with
// MISFIT also what the fit leaves over.
`default_nettype none
module amrq_align_fit #(
    parameter [12*14-1:0] ARCTANGENTS = 0,
    parameter FILE = "",          // contents of the table of cosines
    parameter [25:0] GAIN_0 = 0,  // numerators of the gains
    parameter [25:0] GAIN_1 = 0,
    parameter MISFIT = 0
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire start,
    /* verilator lint_off UNUSEDSIGNAL */  // without MISFIT
    input  wire [2*26-1:0] powers,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire [2*11-1:0] norms,
    input  wire [2*19-1:0] cs,
    input  wire [2*19-1:0] ss,
    output reg  done,             // what follows is there, until the next chunk's is
    output reg  [4*13-1:0] factors,  // cosine and sine of grid 0, of grid 1
    output wire [15:0] misfits       // 255 at most, of grid 0 in the lower bits
);
    reg active, grid;
    reg [5:0] clock;
    always @(posedge aclk)
        if (!aresetn) begin
            active <= 1'b0;
            grid <= 1'b0;
            clock <= 6'd0;
        end else if (start) begin
            active <= 1'b1;
            grid <= 1'b0;
            clock <= 6'd0;
        end else if (active) begin
            clock <= clock == 6'd55 ? 6'd0 : clock + 6'd1;
            if (clock == 6'd55) begin
                grid <= ~grid;
                active <= ~grid;
            end
        end

    // --- 0 to 14: magnitude and angle ---
    reg signed [18:0] x, y;
    reg [10:0] norm;
    always @(posedge aclk) if (clock == 6'd0) begin
        x <= grid ? cs[37:19] : cs[18:0];
        y <= grid ? ss[37:19] : ss[18:0];
        norm <= grid ? norms[21:11] : norms[10:0];
    end
    wire [19:0] magnitude;
    wire [15:0] angle;
    amrq_cordic #(.BITS(19), .ARCTANGENTS(ARCTANGENTS)) cordic (
        .aclk(aclk), .load(clock == 6'd1), .x(x), .y(y), .magnitude(magnitude), .angle(angle)
    );

    // --- 14 to 35: ratio = 64 magnitude / norm ---
    reg [10:0] rest;
    reg [19:0] dividend;  // what is left of it above, the quotient below
    wire [11:0] partial = {rest, dividend[19]};
    wire fits = partial >= {1'b0, norm};
    /* verilator lint_off UNUSEDSIGNAL */
    wire [11:0] partial_rest = partial - {1'b0, norm};
    /* verilator lint_on UNUSEDSIGNAL */
    always @(posedge aclk)
        if (clock == 6'd14) begin
            rest <= {5'd0, magnitude[19:14]};
            dividend <= {magnitude[13:0], 6'd0};
        end else if (clock > 6'd14 & clock < 6'd35) begin
            rest <= fits ? partial_rest[10:0] : partial[10:0];
            dividend <= {dividend[18:0], fits};
        end

    // --- 35 to 49: gain = numerator / ratio, within its limits ---
    wire [25:0] numerator = grid ? GAIN_1 : GAIN_0;
    reg [16:0] ratio;
    reg [16:0] over;
    reg [11:0] quotient;
    reg beyond;
    wire [17:0] next = {over, quotient[11]};
    wire goes = next >= {1'b0, ratio};
    /* verilator lint_off UNUSEDSIGNAL */
    wire [17:0] next_over = next - {1'b0, ratio};
    /* verilator lint_on UNUSEDSIGNAL */
    reg [11:0] gain;
    always @(posedge aclk) begin
        if (clock == 6'd35) begin
            ratio <= dividend[16:0];
            over <= {3'd0, numerator[25:12]};
            quotient <= numerator[11:0];
        end else if (clock > 6'd35 & clock < 6'd48) begin
            over <= goes ? next_over[16:0] : next[16:0];
            quotient <= {quotient[10:0], goes};
        end
        if (clock == 6'd36) beyond <= over >= ratio;
        if (clock == 6'd48) gain <= beyond ? 12'd4095 : quotient < 12'd1024 ? 12'd1024 : quotient;
    end

    // --- cosine and sine times the gain ---
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
    wire [15:0] half_up = angle + 16'd32;
    /* verilator lint_on UNUSEDSIGNAL */
    reg [9:0] entry;
    wire [11:0] value;
    amrq_rom #(.WIDTH(12), .WORDS(1024), .ADDRESS_BITS(10), .FILE(FILE)) table_of_cosines (
        .aclk(aclk), .address(entry), .word(value)
    );
    reg signed [11:0] cosine, sine;
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
    wire signed [24:0] scaled;
    /* verilator lint_on UNUSEDSIGNAL */
    amrq_multiply #(.A(12), .B(13)) scale (.aclk(aclk), .a(clock == 6'd49 ? cosine : sine), .b({1'b0, gain}), .y(scaled));
    reg [25:0] factor_0;
    reg [12:0] factor;
    always @(posedge aclk) begin
        if (clock == 6'd15) entry <= half_up[15:6];
        if (clock == 6'd16) entry <= entry - 10'd256;
        if (clock == 6'd18) cosine <= value;
        if (clock == 6'd19) sine <= value;
        if (clock == 6'd51) factor <= scaled[23:11];
        if (clock == 6'd52 & ~grid) factor_0 <= {scaled[23:11], factor};
        if (clock == 6'd52 & grid) factors <= {scaled[23:11], factor, factor_0};
        done <= aresetn & active & clock == 6'd52 & grid;
    end

    // --- what is left over ---
    generate
        if (MISFIT != 0) begin : misfit
            reg [19:0] found;
            /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
            wire signed [38:0] product;
            /* verilator lint_on UNUSEDSIGNAL */
            amrq_multiply #(.A(21), .B(18)) multiply (.aclk(aclk), .a({1'b0, found}), .b({1'b0, ratio}), .y(product));
            reg [25:0] power;
            reg [30:0] times_3, times_3_late;
            reg [34:0] times_51;
            /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
            reg [40:0] times_3021;
            reg [31:0] left_half_up;
            /* verilator lint_on UNUSEDSIGNAL */
            reg signed [30:0] left;
            // The mean power of a grid's points is 10 or 20 squared steps.
            /* verilator lint_off UNUSEDSIGNAL */  // no power reaches 2^26
            wire [31:0] times_5 = left[30] ? 32'd0 : {2'd0, left[29:0]} + {left[29:0], 2'd0};
            /* verilator lint_on UNUSEDSIGNAL */
            reg [15:0] held;
            reg [7:0] held_0;
            wire [7:0] now = |left_half_up[31:26] ? 8'd255 : left_half_up[25:18];
            always @(posedge aclk) begin
                if (clock == 6'd14) found <= magnitude;
                power <= grid ? powers[51:26] : powers[25:0];
                times_3 <= {2'd0, product[36:8]} + {1'b0, product[36:8], 1'b0};
                times_51 <= {4'd0, times_3} + {times_3, 4'd0};
                times_3_late <= times_3;
                times_3021 <= {times_3_late, 10'd0} - {6'd0, times_51};
                left <= $signed({5'd0, power}) - $signed({1'b0, times_3021[40:11]});
                left_half_up <= (grid ? {times_5[29:0], 2'd0} : {times_5[30:0], 1'b0}) + 32'd131072;
                if (clock == 6'd50 & ~grid) held_0 <= now;
                if (clock == 6'd50 & grid) held <= {now, held_0};
            end
            assign misfits = held;
        end else begin : none
            assign misfits = 16'd0;
        end
    endgenerate
endmodule
`default_nettype wire

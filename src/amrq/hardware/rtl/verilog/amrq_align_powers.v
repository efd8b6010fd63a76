// SPDX-License-Identifier: GPL-3.0-or-later
//
// The powers of a symbol's phase and their weighted sums over the chunk, one for each of six copies. Powers M of the copies: 2,
// 4, 4, 4, 8, 16. Clock k after `go` is at[k]; each of the seven multipliers on the way is used two or three times a symbol.
`default_nettype none
module amrq_align_powers #(
    parameter FILE = ""  // contents of the table: magnitude, weights of the copies from 5 to 0, shrink
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire go,    // re and im are there, and stay for four clocks
    input  wire last,  // ... those of a chunk's last symbol
    input  wire signed [12:0] re,
    input  wire signed [12:0] im,
    output wire magnitude_go,
    output wire [6:0] magnitude,
    output wire done,  // the sums of copy 0 are there; those of the others follow within 16 clocks
    output wire [6*24-1:0] c_sums,
    output wire [6*24-1:0] s_sums
);
    reg [22:0] went, ended;
    wire [23:0] at = {went, go};
    wire [23:0] end_at = {ended, last};
    always @(posedge aclk) begin
        went <= aresetn ? at[22:0] : 23'd0;
        ended <= end_at[22:0];
    end

    // --- re^2, im^2, re im; the row of the table ---
    wire signed [25:0] y;
    amrq_multiply multiply (.aclk(aclk), .a(at[1] ? im : re), .b(at[0] ? re : im), .y(y));
    reg [23:0] re_squared;
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
    reg [23:0] squared;
    /* verilator lint_on UNUSEDSIGNAL */
    reg signed [16:0] d, e;
    reg [8:0] row;
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
    wire signed [25:0] difference = {2'd0, re_squared} - y;
    /* verilator lint_on UNUSEDSIGNAL */
    always @(posedge aclk) begin
        if (at[2]) re_squared <= y[23:0];
        if (at[3]) begin
            squared <= re_squared + y[23:0];
            d <= difference[24:8];
        end
        if (at[4]) begin
            e <= y[23:7];
            row <= |squared[23:20] ? {2'b11, 7'd0} + {2'd0, squared[23:17]}
                 : |squared[19:14] ? 9'd128 + {1'b0, squared[19:12]} : {2'd0, squared[13:7]};
        end
    end

    wire [69:0] word;
    amrq_rom #(.WIDTH(70), .WORDS(512), .ADDRESS_BITS(9), .FILE(FILE)) table_of_rows (
        .aclk(aclk), .address(row), .word(word)
    );
    assign magnitude = word[69:63];
    assign magnitude_go = at[7];

    // --- powers ---
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one, copies of the sign
    wire signed [32:0] shrunk;
    /* verilator lint_on UNUSEDSIGNAL */
    amrq_multiply #(.A(17), .B(16)) shrink (.aclk(aclk), .a(at[7] ? d : e), .b({1'b0, word[14:0]}), .y(shrunk));
    reg signed [12:0] c2, s2;
    always @(posedge aclk) begin
        if (at[9]) c2 <= shrunk[21:9];
        if (at[10]) s2 <= shrunk[21:9];
    end
    wire signed [12:0] c4, s4, c8, s8, c16, s16;
    amrq_align_square fourth (.aclk(aclk), .at(at[14:11]), .c(c2), .s(s2), .c_squared(c4), .s_squared(s4));
    amrq_align_square eighth (.aclk(aclk), .at(at[18:15]), .c(c4), .s(s4), .c_squared(c8), .s_squared(s8));
    amrq_align_square sixteenth (.aclk(aclk), .at(at[22:19]), .c(c8), .s(s8), .c_squared(c16), .s_squared(s16));

    // --- sums; the weights wait for the powers ---
    reg [47:0] weights_2;
    reg [39:0] weights_4;
    reg [15:0] weights_8;
    reg [7:0] weights_16;
    always @(posedge aclk) begin
        if (at[10]) weights_2 <= word[62:15];
        if (at[14]) weights_4 <= weights_2[47:8];
        if (at[18]) weights_8 <= weights_4[39:24];
        if (at[22]) weights_16 <= weights_8[15:8];
    end
    /* verilator lint_off UNUSEDSIGNAL */  // those of the other copies come later, and before they are read
    wire [5:0] dones;
    /* verilator lint_on UNUSEDSIGNAL */
    assign done = dones[0];
    amrq_align_weigh copy0 (.aclk(aclk), .aresetn(aresetn), .go(at[11]), .last(end_at[11]), .w(weights_2[7:0]), .c(c2), .s(s2),
                            .done(dones[0]), .c_sum(c_sums[0 +: 24]), .s_sum(s_sums[0 +: 24]));
    genvar k;
    generate
        for (k = 0; k < 3; k = k + 1) begin : copies
            amrq_align_weigh copy (.aclk(aclk), .aresetn(aresetn), .go(at[15]), .last(end_at[15]), .w(weights_4[8*k +: 8]), .c(c4),
                                   .s(s4), .done(dones[1+k]), .c_sum(c_sums[24*(1+k) +: 24]), .s_sum(s_sums[24*(1+k) +: 24]));
        end
    endgenerate
    amrq_align_weigh copy4 (.aclk(aclk), .aresetn(aresetn), .go(at[19]), .last(end_at[19]), .w(weights_8[7:0]), .c(c8), .s(s8),
                            .done(dones[4]), .c_sum(c_sums[96 +: 24]), .s_sum(s_sums[96 +: 24]));
    amrq_align_weigh copy5 (.aclk(aclk), .aresetn(aresetn), .go(at[23]), .last(end_at[23]), .w(weights_16), .c(c16), .s(s16),
                            .done(dones[5]), .c_sum(c_sums[120 +: 24]), .s_sum(s_sums[120 +: 24]));
endmodule
`default_nettype wire

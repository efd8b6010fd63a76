// SPDX-License-Identifier: GPL-3.0-or-later
//
// The level control: a chunk's symbols, of any level, become coordinates of an RMS of 2^9.
//
// Three steps, each for a chunk of its own at the same time: symbols come in, and the bits that they use are found; they are
// shifted, and their power is added up; they are multiplied by the gain, which a table gives.
`default_nettype none
module amrq_align_level #(
    parameter BITS = 8,       // of I and of Q, 8 to 16
    parameter FOLD_BITS = 2,  // 2^FOLD_BITS clocks a symbol
    parameter FILE = ""       // contents of the table
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire take,         // a symbol is there
    input  wire [BITS-1:0] i,
    input  wire [BITS-1:0] q,
    output reg  go,           // re and im are there, and stay for 2^FOLD_BITS clocks
    output reg  last,         // ... those of a chunk's last symbol
    output reg  signed [12:0] re,
    output reg  signed [12:0] im
);
    // --- symbols come in ---
    wire [BITS-1:0] i_size = i[BITS-1] ? ~i + 1'b1 : i;
    wire [BITS-1:0] q_size = q[BITS-1] ? ~q + 1'b1 : q;
    reg [2*BITS-1:0] received [0:63];
    reg [5:0] taken;
    reg [BITS-1:0] used;
    reg filled;
    always @(posedge aclk) begin
        if (!aresetn) begin
            taken <= 6'd0;
            filled <= 1'b0;
        end else begin
            if (take) taken <= taken + 1'b1;
            filled <= take & (&taken[4:0]);
        end
        if (take) begin
            received[taken] <= {q, i};
            used <= i_size | q_size | (taken[4:0] == 5'd0 ? {BITS{1'b0}} : used);
        end
    end

    // Places to the left until the largest coordinate has 16 bits.
    integer n;
    reg [4:0] free;
    always @* begin
        free = BITS[4:0];
        for (n = 0; n < BITS; n = n + 1) if (used[n]) free = BITS[4:0] - 5'd1 - n[4:0];
    end
    reg [4:0] left;
    always @(posedge aclk) if (filled) left <= free;

    // --- blocks: shifted, their power added up; I first, then Q ---
    wire block_go, block_last;
    wire [5:0] block_place;
    amrq_align_steps #(.FOLD_BITS(FOLD_BITS)) block_steps (
        .aclk(aclk), .aresetn(aresetn), .start(filled), .go(block_go), .last(block_last), .place(block_place)
    );
    reg [5:0] block_at, block_end;
    reg [2*BITS-1:0] word;
    always @(posedge aclk) begin
        block_at <= aresetn ? {block_at[4:0], block_go} : 6'd0;
        block_end <= {block_end[4:0], block_last};
        word <= received[block_place];
    end
    wire signed [BITS-1:0] chosen = block_at[0] ? word[BITS-1:0] : word[2*BITS-1:BITS];
    wire signed [17:0] wide = {{(18-BITS){chosen[BITS-1]}}, chosen};
    wire signed [17:0] raised = (wide <<< (16 - BITS)) <<< left;
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
    wire signed [17:0] half_up = raised + 18'sd16;
    /* verilator lint_on UNUSEDSIGNAL */
    reg signed [12:0] x;
    reg signed [12:0] x_i;
    always @(posedge aclk) begin
        x <= half_up[17:5];
        x_i <= x;
    end

    /* verilator lint_off UNUSEDSIGNAL */  // the largest is 2^11
    wire signed [25:0] square;
    /* verilator lint_on UNUSEDSIGNAL */
    amrq_multiply squarer (.aclk(aclk), .a(x), .b(x), .y(square));
    reg [25:0] blocks [0:63];
    reg [23:0] square_i;
    reg [19:0] both;
    reg [24:0] power;
    reg summed;
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one
    wire [23:0] squares = square_i + square[23:0];
    /* verilator lint_on UNUSEDSIGNAL */
    reg fresh;        // the next power is a chunk's first
    always @(posedge aclk) begin
        if (block_at[2]) blocks[block_place] <= {x, x_i};
        square_i <= square[23:0];
        both <= squares[23:4];
        if (block_at[5]) power <= {5'd0, both} + (fresh ? 25'd0 : power);
        fresh <= aresetn ? (block_at[5] ? block_end[5] : fresh) : 1'b1;
        summed <= aresetn & block_at[5] & block_end[5];
    end

    // --- gain ---
    reg [2:0] halvings;
    reg [7:0] entry;
    always @(posedge aclk) if (summed)
        if (power[24]) {halvings, entry} <= {3'd4, 1'b0, power[24:18]};
        else if (|power[23:22]) {halvings, entry} <= {3'd3, power[23:16]};
        else if (|power[21:20]) {halvings, entry} <= {3'd2, power[21:14]};
        else if (|power[19:18]) {halvings, entry} <= {3'd1, power[19:12]};
        else {halvings, entry} <= {3'd0, power[17:10]};
    wire [11:0] table_gain;
    amrq_rom #(.WIDTH(12), .WORDS(256), .ADDRESS_BITS(8), .FILE(FILE)) table_of_levels (
        .aclk(aclk), .address(entry), .word(table_gain)
    );
    reg [2:0] wait_at;
    reg [11:0] gain;
    reg [2:0] gain_halvings;
    always @(posedge aclk) begin
        wait_at <= aresetn ? {wait_at[1:0], summed} : 3'd0;
        if (wait_at[2]) {gain, gain_halvings} <= {table_gain, halvings};
    end

    // --- coordinates: I first, then Q ---
    wire out_go, out_last;
    wire [5:0] out_place;
    amrq_align_steps #(.FOLD_BITS(FOLD_BITS)) out_steps (
        .aclk(aclk), .aresetn(aresetn), .start(wait_at[2]), .go(out_go), .last(out_last), .place(out_place)
    );
    reg [5:0] out_at, out_end;
    reg [25:0] block;
    always @(posedge aclk) begin
        out_at <= aresetn ? {out_at[4:0], out_go} : 6'd0;
        out_end <= {out_end[4:0], out_last};
        block <= blocks[out_place];
    end
    wire signed [12:0] block_x = out_at[0] ? block[12:0] : block[25:13];
    wire signed [25:0] product;
    amrq_multiply scaler (.aclk(aclk), .a(block_x), .b({1'b0, gain}), .y(product));
    reg [2:0] down;  // as gain_halvings, until the chunk's last symbol is through
    reg signed [25:0] rounded;
    reg signed [12:0] z, z_i;
    /* verilator lint_off UNUSEDSIGNAL */  // bits below the last one, copies of the sign
    wire signed [25:0] divided = rounded >>> down;
    /* verilator lint_on UNUSEDSIGNAL */
    always @(posedge aclk) begin
        if (out_at[1]) down <= gain_halvings;
        rounded <= product + (26'sd512 <<< down);
        z <= divided[22:10];
        z_i <= z;
        go <= aresetn & out_at[5];
        last <= out_end[5];
        if (out_at[5]) {re, im} <= {z_i, z};
    end
endmodule
`default_nettype wire

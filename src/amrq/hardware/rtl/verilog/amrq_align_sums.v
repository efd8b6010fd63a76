// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a fit to a grid takes, summed over a chunk: the power of the copy, that of the nearest points of the grid, and the
// projection of the one on the other. Two multipliers.
`default_nettype none
module amrq_align_sums #(
    parameter IN = 13,     // bits of a coordinate
    parameter FIRST = 324,   // |re| from which the odd multiple is 3
    parameter SECOND = 65535  // ... 5; 65535: never
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire go,        // re and im are there, and stay for four clocks
    input  wire last,
    input  wire signed [IN-1:0] re,
    input  wire signed [IN-1:0] im,
    output reg  done,      // the sums are there, until the next chunk's are
    output reg  [25:0] power,
    output reg  [10:0] norm,
    output reg  signed [18:0] c,
    output reg  signed [18:0] s
);
    reg [6:0] at, end_at;
    reg [4:0] first_at;
    reg fresh;
    always @(posedge aclk) begin
        at <= aresetn ? {at[5:0], go} : 7'd0;
        end_at <= {end_at[5:0], last};
        first_at <= {first_at[3:0], fresh};
        fresh <= aresetn ? (go ? last : fresh) : 1'b1;
        done <= aresetn & at[6] & end_at[6];
    end

    // --- the nearest point ---
    localparam [15:0] THREE = FIRST;
    localparam [15:0] FIVE = SECOND;
    function [2:0] multiple(input signed [15:0] x);
        reg [15:0] size;
        begin
            size = x[15] ? -x : x;
            multiple = size >= FIVE ? 3'd5 : size >= THREE ? 3'd3 : 3'd1;
        end
    endfunction
    function signed [3:0] signed_as(input [2:0] size, input sign);
        signed_as = sign ? -{1'b0, size} : {1'b0, size};
    endfunction
    function [4:0] square(input [1:0] half);
        square = half[1] ? 5'd25 : half[0] ? 5'd9 : 5'd1;
    endfunction
    wire signed [15:0] re_wide = {{(16-IN){re[IN-1]}}, re};
    wire signed [15:0] im_wide = {{(16-IN){im[IN-1]}}, im};
    wire [2:0] a_size = multiple(re_wide);
    wire [2:0] b_size = multiple(im_wide);
    reg signed [3:0] a, b;
    reg signed [IN-1:0] re_1, im_1;
    reg [5:0] point;
    always @(posedge aclk) if (go) begin
        a <= signed_as(a_size, re[IN-1]);
        b <= signed_as(b_size, im[IN-1]);
        point <= {1'b0, square(a_size[2:1])} + {1'b0, square(b_size[2:1])};
        {re_1, im_1} <= {re, im};
    end

    // --- products: re^2, im^2; a re, b im, b re, a im ---
    /* verilator lint_off UNUSEDSIGNAL */  // no sum reaches 2^26
    wire signed [2*IN-1:0] squared;
    /* verilator lint_on UNUSEDSIGNAL */
    wire signed [IN-1:0] squared_of = go ? re : im;
    amrq_multiply #(.A(IN), .B(IN)) squarer (.aclk(aclk), .a(squared_of), .b(squared_of), .y(squared));
    wire signed [IN+3:0] product;
    amrq_multiply #(.A(IN), .B(4)) project (
        .aclk(aclk), .a(at[0] | at[2] ? re_1 : im_1), .b(at[0] | at[3] ? a : b), .y(product)
    );

    // --- sums ---
    /* verilator lint_off UNUSEDSIGNAL */  // no projection reaches 2^18
    wire signed [19:0] product_20 = {{(16-IN){product[IN+3]}}, product};
    /* verilator lint_on UNUSEDSIGNAL */
    wire signed [18:0] product_wide = product_20[18:0];
    reg [25:0] power_now;
    reg [10:0] norm_now;
    reg signed [18:0] c_now, s_now;
    always @(posedge aclk) begin
        if (at[1] | at[2]) power_now <= squared[25:0] + (at[1] & first_at[1] ? 26'd0 : power_now);
        if (at[0]) norm_now <= {5'd0, point} + (first_at[0] ? 11'd0 : norm_now);
        if (at[2] | at[3]) c_now <= product_wide + (at[2] & first_at[2] ? 19'sd0 : c_now);
        if (at[4]) s_now <= product_wide + (first_at[4] ? 19'sd0 : s_now);
        if (at[5]) s_now <= s_now - product_wide;
        if (at[3] & end_at[3]) {power, norm} <= {power_now, norm_now};
        if (at[4] & end_at[4]) c <= c_now;
        if (at[6] & end_at[6]) s <= s_now;
    end
endmodule
`default_nettype wire

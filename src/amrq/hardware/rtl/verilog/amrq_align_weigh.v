// SPDX-License-Identifier: GPL-3.0-or-later
//
// The weighted sum of a power's phases over a chunk, by one multiplier: sums of w c and w s.
`default_nettype none
module amrq_align_weigh (
    input  wire aclk,
    input  wire aresetn,
    input  wire go,    // w, c and s are there, and stay for two clocks
    input  wire last,  // ... those of a chunk's last symbol
    input  wire signed [7:0] w,
    input  wire signed [12:0] c,
    input  wire signed [12:0] s,
    output reg  done,  // the sums are there, until the next chunk's are
    output reg  signed [23:0] c_sum,
    output reg  signed [23:0] s_sum
);
    reg [3:0] at, end_at;
    always @(posedge aclk) begin
        at <= aresetn ? {at[2:0], go} : 4'd0;
        end_at <= {end_at[2:0], last};
        done <= aresetn & at[3] & end_at[3];
    end
    wire signed [20:0] y;
    amrq_multiply #(.A(8), .B(13)) multiply (.aclk(aclk), .a(w), .b(go ? c : s), .y(y));
    wire signed [23:0] wide = {{3{y[20]}}, y};
    reg signed [23:0] c_now, s_now;
    reg c_fresh, s_fresh;  // the next product is a chunk's first
    always @(posedge aclk) begin
        if (at[1]) c_now <= wide + (c_fresh ? 24'sd0 : c_now);
        if (at[2]) s_now <= wide + (s_fresh ? 24'sd0 : s_now);
        c_fresh <= aresetn ? (at[1] ? end_at[1] : c_fresh) : 1'b1;
        s_fresh <= aresetn ? (at[2] ? end_at[2] : s_fresh) : 1'b1;
        if (at[2] & end_at[2]) c_sum <= c_now;
        if (at[3] & end_at[3]) s_sum <= s_now;
    end
endmodule
`default_nettype wire

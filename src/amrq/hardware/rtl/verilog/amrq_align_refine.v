// SPDX-License-Identifier: GPL-3.0-or-later
//
// Keeps two copies of a chunk until their fits are known, then turns and scales them.
`default_nettype none
module amrq_align_refine #(
    parameter FOLD_BITS = 2,
    parameter IN = 13              // bits of a coordinate that comes in
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire put,
    input  wire [4*IN-1:0] copies,  // re and im of one, re and im of the other
    input  wire start,             // factors are there
    input  wire [4*13-1:0] factors,
    output wire go,                // fitted is there, and stays for four clocks
    output wire last,
    output wire [4*15-1:0] fitted
);
    reg [4*IN-1:0] kept [0:127];
    reg [6:0] put_place;
    always @(posedge aclk) begin
        if (!aresetn) put_place <= 7'd0;
        else if (put) put_place <= put_place + 7'd1;
        if (put) kept[put_place] <= copies;
    end

    wire step_go, step_last;
    wire [6:0] place;
    amrq_align_steps #(.FOLD_BITS(FOLD_BITS), .PLACE_BITS(7)) steps (
        .aclk(aclk), .aresetn(aresetn), .start(start), .go(step_go), .last(step_last), .place(place)
    );
    reg [4*IN-1:0] early, z;
    reg [8:0] went, ended;
    reg [1:0] started;
    reg [4*13-1:0] by;
    always @(posedge aclk) begin
        went <= aresetn ? {went[7:0], step_go} : 9'd0;
        ended <= {ended[7:0], step_last};
        early <= kept[place];
        z <= early;
        started <= aresetn ? {started[0], start} : 2'd0;
        if (started[1]) by <= factors;
    end
    assign go = went[8];
    assign last = ended[8];

    genvar g;
    generate
        for (g = 0; g < 2; g = g + 1) begin : grid
            amrq_align_turn #(.IN(IN), .BY(13), .OUT(15), .FORWARD(1)) turn (
                .aclk(aclk), .at(went[7:1]), .x(z[2*IN*g +: IN]), .y(z[2*IN*g+IN +: IN]), .c(by[26*g +: 13]), .s(by[26*g+13 +: 13]),
                .re(fitted[30*g +: 15]), .im(fitted[30*g+15 +: 15])
            );
        end
    endgenerate
endmodule
`default_nettype wire

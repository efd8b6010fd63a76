// SPDX-License-Identifier: GPL-3.0-or-later
//
// Keeps a chunk's coordinates until its phases are known, then turns six copies of it. Those of the copies 2 and 3 go on to the
// grids; `word` is what the network is given of the others, with the product with the symbol before and the magnitude.
`default_nettype none
module amrq_align_copies #(
    parameter FOLD_BITS = 2
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire z_go,
    input  wire z_last,
    input  wire [12:0] z_re,
    input  wire [12:0] z_im,
    input  wire magnitude_go,
    input  wire [6:0] magnitude,
    input  wire start,          // cosines and sines are there
    input  wire [6*12-1:0] cosines,
    input  wire [6*12-1:0] sines,
    output wire go,             // copies are there, and stay for four clocks
    output wire last,
    output wire [4*13-1:0] copies,  // re and im of copy 2, re and im of copy 3
    output reg  word_go,
    output reg  [78:0] word     // magnitude; step's im, re; im of the copies 5, 4, 1, 0; re of them
);
    // --- memories of four chunks ---
    reg [25:0] kept [0:127];
    reg [6:0] magnitudes [0:127];
    reg [25:0] lasts [0:3];     // last symbols: what is before the first ones
    reg [6:0] z_place, magnitude_place;
    always @(posedge aclk) begin
        if (!aresetn) begin
            z_place <= 7'd0;
            magnitude_place <= 7'd0;
        end else begin
            if (z_go) z_place <= z_place + 7'd1;
            if (magnitude_go) magnitude_place <= magnitude_place + 7'd1;
        end
        if (z_go) kept[z_place] <= {z_im, z_re};
        if (z_go & z_last) lasts[z_place[6:5]] <= {z_im, z_re};
        if (magnitude_go) magnitudes[magnitude_place] <= magnitude;
    end

    // --- reading ---
    wire step_go, step_last;
    wire [6:0] place;
    amrq_align_steps #(.FOLD_BITS(FOLD_BITS), .PLACE_BITS(7)) steps (
        .aclk(aclk), .aresetn(aresetn), .start(start), .go(step_go), .last(step_last), .place(place)
    );
    reg [25:0] early, z, previous;
    reg [6:0] magnitude_early, magnitude_late, magnitude_now;  // now: with the copies
    reg [8:0] went, ended;
    always @(posedge aclk) begin
        went <= aresetn ? {went[7:0], step_go} : 9'd0;
        ended <= {ended[7:0], step_last};
        early <= kept[place];
        z <= early;
        magnitude_early <= magnitudes[place];
        magnitude_late <= magnitude_early;
    end
    wire [7:0] at = went[8:1];  // bit 0: z is there
    assign go = at[7];
    assign last = ended[8];

    reg [1:0] started;
    reg [6*12-1:0] c, s;
    always @(posedge aclk) begin
        started <= aresetn ? {started[0], start} : 2'd0;
        if (started[1]) {c, s, previous} <= {cosines, sines, lasts[place[6:5]]};
        else if (at[3]) previous <= z;
        if (at[3]) magnitude_now <= magnitude_late;
    end

    // --- turning ---
    wire signed [12:0] re [0:5];
    wire signed [12:0] im [0:5];
    wire [6:0] re_size [0:5];
    wire [6:0] im_size [0:5];
    genvar k;
    generate
        for (k = 0; k < 6; k = k + 1) begin : copy
            amrq_align_turn turn (
                .aclk(aclk), .at(at[6:0]), .x(z[12:0]), .y(z[25:13]), .c(c[12*k +: 12]), .s(s[12*k +: 12]), .re(re[k]), .im(im[k])
            );
            amrq_align_fold fold_re (.x(re[k]), .y(re_size[k]));
            amrq_align_fold fold_im (.x(im[k]), .y(im_size[k]));
        end
    endgenerate
    assign copies = {im[3], re[3], im[2], re[2]};

    wire signed [13:0] step_re, step_im;
    amrq_align_turn #(.BY(13), .OUT(14), .SHIFT(13)) step (
        .aclk(aclk), .at(at[6:0]), .x(z[12:0]), .y(z[25:13]), .c(previous[12:0]), .s(previous[25:13]), .re(step_re), .im(step_im)
    );
    function [7:0] saturated(input signed [13:0] x);
        saturated = x > 127 ? 8'd127 : x < -128 ? 8'd128 : x[7:0];
    endfunction

    always @(posedge aclk) begin
        word_go <= aresetn & at[7];
        if (at[7]) word <= {
            magnitude_now, saturated(step_im), saturated(step_re),
            im_size[5], im_size[4], im_size[1], im_size[0], re_size[5], re_size[4], re_size[1], re_size[0]
        };
    end
endmodule
`default_nettype wire

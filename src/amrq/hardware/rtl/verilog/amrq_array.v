// SPDX-License-Identifier: GPL-3.0-or-later
//
// A network of convolutions, max pools and fully connected layers, all of them made by the same LANES multipliers in turn.
//
//   symbols  -> 4 chunks of input \
//   numbers  -> two halves, turn about -> lanes -> rounder -> max pool -> the other half, or scores out
//   weights  -> one word of LANES a clock /
`default_nettype none
module amrq_array #(
    parameter LENGTH_BITS = 5,    // hold the number of a symbol in its chunk
    parameter LANES = 16,
    parameter LANE_BITS = 4,
    parameter LAYERS = 3,
    parameter LAYER_BITS = 2,
    parameter TABLE_BITS = 64,    // of amrq_array_layers
    parameter ADDRESS_BITS = 10,
    parameter NUMBERS_BITS = 9,   // of an address of the memory of numbers
    parameter TERM_BITS = 9,
    parameter POSITION_BITS = 5,
    parameter GROUP_BITS = 5,
    parameter WEIGHT_BITS = 8,
    parameter WEIGHT_ADDRESS_BITS = 9,
    parameter BIAS_BITS = 14,
    parameter SHIFT_BITS = 4,
    parameter OUTPUTS = 553,
    parameter OUTPUT_BITS = 10,
    parameter PARAMETER_FILE = "",
    parameter SUM_BITS = 24,
    parameter LEFT = 1,
    parameter MOST = 13,
    parameter SCORE_BITS = 24,
    parameter INDEX_BITS = 4,     // of a score
    parameter TAIL = 30,
    parameter TAIL_BITS = 5
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire take,
    input  wire last,             // the symbol taken is a chunk's last
    input  wire [15:0] symbol,    // a clock after `take`
    output wire valid,
    output wire [INDEX_BITS-1:0] index,
    output wire [SCORE_BITS-1:0] score
);
    // --- symbols wait here until their chunk's turn ---
    reg [15:0] symbols [0:(4 << LENGTH_BITS)-1];
    reg [1:0] write_bank, read_bank;
    reg [LENGTH_BITS-1:0] place;
    reg take_1, last_1;
    always @(posedge aclk)
        if (!aresetn) begin
            {take_1, last_1} <= 2'd0;
            write_bank <= 2'd0;
            place <= 0;
        end else begin
            take_1 <= take;
            last_1 <= take & last;
            if (take_1) place <= last_1 ? {LENGTH_BITS{1'b0}} : place + 1'b1;
            if (last_1) write_bank <= write_bank + 1'b1;
        end
    always @(posedge aclk) if (take_1) symbols[{write_bank, place}] <= symbol;

    // --- the layer at hand ---
    wire [LAYER_BITS-1:0] layer;
    wire [TABLE_BITS-1:0] entry;
    reg  [TABLE_BITS-1:0] now;
    amrq_array_layers layers (.layer(layer), .entry(entry));
    wire begins, leaves;
    always @(posedge aclk) if (begins) now <= entry;
    wire [ADDRESS_BITS-1:0] start, step, limit, outs;
    wire [TERM_BITS-1:0] last_term, last_clock;
    wire [POSITION_BITS-1:0] last_position;
    wire [GROUP_BITS-1:0] last_group;
    wire [LANE_BITS-1:0] end_lane;  // the last of the last group
    wire pool, in_signed, out_signed, relu, from_input, to_scores;
    assign {start, step, limit, outs, last_term, last_clock, last_position, last_group, end_lane,
            pool, in_signed, out_signed, relu, from_input, to_scores} = now;

    /* verilator lint_off UNUSEDSIGNAL */  // what is beyond the memories is read as zero
    wire [ADDRESS_BITS-1:0] address;
    /* verilator lint_on UNUSEDSIGNAL */
    wire [WEIGHT_ADDRESS_BITS-1:0] weight;
    wire outside, active, first_term, final_term;
    amrq_array_control #(
        .LAYERS(LAYERS), .LAYER_BITS(LAYER_BITS), .ADDRESS_BITS(ADDRESS_BITS), .WEIGHT_BITS(WEIGHT_ADDRESS_BITS),
        .TERM_BITS(TERM_BITS), .POSITION_BITS(POSITION_BITS), .GROUP_BITS(GROUP_BITS), .TAIL(TAIL), .TAIL_BITS(TAIL_BITS)
    ) control (
        .aclk(aclk), .aresetn(aresetn), .closed(last_1), .layer(layer),
        // A layer begins with what the table says of it, before that stands in `now`.
        .start(begins ? entry[TABLE_BITS-1 -: ADDRESS_BITS] : start),
        .step(step), .limit(limit), .last_term(last_term), .last_clock(last_clock), .last_position(last_position),
        .last_group(last_group), .begins(begins), .leaves(leaves), .address(address), .outside(outside),
        .weight(weight), .active(active), .first(first_term), .last(final_term)
    );

    // --- numbers and weights ---
    reg half;  // of the memory of numbers that is read; the other one is written
    reg [7:0] numbers [0:(2 << NUMBERS_BITS)-1];
    always @(posedge aclk)
        if (!aresetn) begin
            half <= 1'b0;
            read_bank <= 2'd0;
        end else if (leaves) begin
            half <= ~half;
            if (from_input) read_bank <= read_bank + 1'b1;
        end
    reg [7:0] number_1, number_2;
    reg [15:0] symbol_1, symbol_2;
    reg outside_1, outside_2, quadrature_1, quadrature_2;
    reg [8:0] x_3;
    wire [7:0] chosen = from_input ? (quadrature_2 ? symbol_2[15:8] : symbol_2[7:0]) : number_2;
    always @(posedge aclk) begin
        number_1 <= numbers[{half, address[NUMBERS_BITS-1:0]}];
        symbol_1 <= symbols[{read_bank, address[LENGTH_BITS:1]}];
        outside_1 <= outside;
        quadrature_1 <= address[0];
        // A memory takes half a clock and more to answer, so that nothing is asked of its number in the same clock.
        {number_2, symbol_2, outside_2, quadrature_2} <= {number_1, symbol_1, outside_1, quadrature_1};
        x_3 <= outside_2 ? 9'd0 : {in_signed & chosen[7], chosen};
    end
    wire [LANES*WEIGHT_BITS-1:0] weights_3;
    amrq_array_weights weight_memory (.aclk(aclk), .address(weight), .word(weights_3));

    // --- sums ---
    reg [LANE_BITS-1:0] last_lane;
    wire complete, leaving;
    wire [LANE_BITS-1:0] lane;
    wire [SUM_BITS-1:0] sum;
    amrq_array_lanes #(.LANES(LANES), .LANE_BITS(LANE_BITS), .WEIGHT_BITS(WEIGHT_BITS), .SUM_BITS(SUM_BITS)) lanes (
        .aclk(aclk), .aresetn(aresetn), .active(active), .first(first_term), .last(final_term), .x(x_3),
        .weights(weights_3), .last_lane(last_lane), .complete(complete), .leaving(leaving), .lane(lane), .sum(sum)
    );

    // Which outputs they are: counted here, since the next sums are on their way by then.
    localparam [ADDRESS_BITS-1:0] A_GROUP = LANES;
    localparam integer LAST_LANE = LANES - 1;
    reg [POSITION_BITS-1:0] position;
    reg [GROUP_BITS-1:0] group;
    reg [OUTPUT_BITS-1:0] which, group_which;
    reg [ADDRESS_BITS-1:0] target, row, group_row;
    reg odd;
    wire [OUTPUT_BITS-1:0] next_which = which + {{(OUTPUT_BITS-1){1'b0}}, leaving};
    wire [ADDRESS_BITS-1:0] next_group_row = group == 0 ? {ADDRESS_BITS{1'b0}} : group_row + A_GROUP;
    wire [ADDRESS_BITS-1:0] next_row =
        position == 0 ? next_group_row : row + (pool & position[0] ? {ADDRESS_BITS{1'b0}} : outs);
    always @(posedge aclk)
        if (begins) begin
            position <= 0;
            group <= 0;
            if (layer == 0) which <= 0;
        end else if (complete) begin
            position <= position == last_position ? {POSITION_BITS{1'b0}} : position + 1'b1;
            if (position == last_position) group <= group + 1'b1;
            if (position == 0) begin
                group_which <= next_which;
                group_row <= next_group_row;
            end
            which <= position == 0 ? next_which : group_which;
            row <= next_row;
            target <= next_row;
            odd <= position[0];
            last_lane <= group == last_group ? end_lane : LAST_LANE[LANE_BITS-1:0];
        end else begin
            which <= next_which;
            target <= target + 1'b1;
        end

    // --- biases, shifts, rounding ---
    wire [SHIFT_BITS+BIAS_BITS-1:0] parameters_2;
    amrq_rom #(.WIDTH(SHIFT_BITS + BIAS_BITS), .WORDS(OUTPUTS), .ADDRESS_BITS(OUTPUT_BITS), .FILE(PARAMETER_FILE))
        parameter_memory (.aclk(aclk), .address(which), .word(parameters_2));
    wire [7:0] y_7;
    amrq_array_rounder #(
        .SUM_BITS(SUM_BITS), .BIAS_BITS(BIAS_BITS), .SHIFT_BITS(SHIFT_BITS), .LEFT(LEFT), .MOST(MOST),
        .SCORE_BITS(SCORE_BITS)
    ) rounder (
        .aclk(aclk), .sum(sum), .parameters(parameters_2), .out_signed(out_signed), .relu(relu), .y(y_7), .score(score)
    );

    // --- max pool, and where it goes ---
    localparam PASSED = ADDRESS_BITS + LANE_BITS + 1;
    reg [6:0] leaving_at;
    reg [7*PASSED-1:0] passed;  // the oldest in the upper bits
    always @(posedge aclk) begin
        leaving_at <= aresetn ? {leaving_at[5:0], leaving} : 7'd0;
        passed <= {passed[6*PASSED-1:0], target, lane, odd};
    end
    /* verilator lint_off UNUSEDSIGNAL */  // what is stored is in range
    wire [ADDRESS_BITS-1:0] target_7;
    /* verilator lint_on UNUSEDSIGNAL */
    wire [LANE_BITS-1:0] lane_7;
    wire odd_7;
    assign {target_7, lane_7, odd_7} = passed[6*PASSED +: PASSED];
    assign valid = leaving_at[6] & to_scores;
    assign index = target_7[INDEX_BITS-1:0];

    reg [7:0] early [0:LANES-1];  // of a pair of symbols the first one's outputs
    wire [7:0] early_7 = early[lane_7];
    wire [7:0] turn = {out_signed, 7'd0};
    wire larger = (early_7 ^ turn) > (y_7 ^ turn);
    reg store_8;
    reg [7:0] y_8;
    reg [NUMBERS_BITS-1:0] target_8;
    always @(posedge aclk) begin
        if (leaving_at[6]) early[lane_7] <= y_7;
        store_8 <= aresetn & leaving_at[6] & ~to_scores & (~pool | odd_7);
        y_8 <= pool & larger ? early_7 : y_7;
        target_8 <= target_7[NUMBERS_BITS-1:0];
        if (store_8) numbers[{~half, target_8}] <= y_8;
    end
endmodule
`default_nettype wire

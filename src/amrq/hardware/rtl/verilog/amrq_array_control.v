// SPDX-License-Identifier: GPL-3.0-or-later
//
// Takes a chunk through its layers: which number to read and which word of weights, clock by clock.
//
// A layer is a loop over groups of outputs, in it one over positions, in it one over terms. Numbers lie symbol by symbol,
// so that what an output sees at a position is one stretch of them and the next position's begins STEP further on; what of a
// stretch lies before 0 or from LIMIT on are the zeros beyond the ends of the chunk. A fully connected layer has one position.
// Weights lie in the order of their use: a group's are read again for each position. A stretch takes SPAN clocks, TERMS or
// more, since the lanes' sums leave one by one; a layer ends with TAIL clocks, in which its last outputs are stored.
`default_nettype none
module amrq_array_control #(
    parameter LAYERS = 3,
    parameter LAYER_BITS = 2,
    parameter ADDRESS_BITS = 10,  // of a number, with a sign
    parameter WEIGHT_BITS = 15,   // of a weight word's address
    parameter TERM_BITS = 9,
    parameter POSITION_BITS = 5,
    parameter GROUP_BITS = 5,
    parameter TAIL = 30,
    parameter TAIL_BITS = 5
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire closed,  // a chunk has come in
    // the layer at hand; all but `limit` are used while it begins or runs
    output reg  [LAYER_BITS-1:0] layer,
    input  wire [ADDRESS_BITS-1:0] start,  // of the first position's stretch
    input  wire [ADDRESS_BITS-1:0] step,
    input  wire [ADDRESS_BITS-1:0] limit,
    input  wire [TERM_BITS-1:0] last_term,
    input  wire [TERM_BITS-1:0] last_clock,
    input  wire [POSITION_BITS-1:0] last_position,
    input  wire [GROUP_BITS-1:0] last_group,
    // what to do
    output wire begins,      // this clock comes before a layer's first
    output wire leaves,      // ... is a layer's last one
    output reg  [ADDRESS_BITS-1:0] address,
    output wire outside,     // the number is one of the zeros beyond the ends
    output reg  [WEIGHT_BITS-1:0] weight,
    output reg  active,      // there is a product to add
    output wire first,       // it is a sum's first
    output wire last         // ... or its last
);
    localparam [1:0] IDLE = 2'd0, BEGIN = 2'd1, RUN = 2'd2, END = 2'd3;
    localparam integer LAST_LAYER = LAYERS - 1;
    localparam [TAIL_BITS-1:0] LAST_TAIL = TAIL - 1;

    reg [1:0] state;
    reg [1:0] waiting;  // chunks that have come in and have not begun
    reg [ADDRESS_BITS-1:0] row;
    reg [WEIGHT_BITS-1:0] group_weight;
    reg [TERM_BITS-1:0] term;
    reg [POSITION_BITS-1:0] position;
    reg [GROUP_BITS-1:0] group;
    reg [TAIL_BITS-1:0] tail;

    wire taken = state == IDLE & waiting != 0;
    assign begins = state == BEGIN;
    assign leaves = state == END & tail == LAST_TAIL;
    assign first = active & term == 0;
    assign last = active & term == last_term;
    assign outside = address[ADDRESS_BITS-1] | address >= limit;

    wire stretch_ends = term == last_clock;
    wire group_ends = stretch_ends & position == last_position;
    wire [ADDRESS_BITS-1:0] next_row = row + step;
    wire [WEIGHT_BITS-1:0] next_weight = weight + {{(WEIGHT_BITS-1){1'b0}}, active};

    always @(posedge aclk)
        if (!aresetn) begin
            state <= IDLE;
            waiting <= 0;
            active <= 1'b0;
        end else begin
            if (closed & ~taken) waiting <= waiting + 1'b1;
            if (taken & ~closed) waiting <= waiting - 1'b1;
            case (state)
                IDLE: if (taken) state <= BEGIN;
                BEGIN: begin
                    state <= RUN;
                    active <= 1'b1;
                end
                RUN: begin
                    if (group_ends & group == last_group) state <= END;
                    active <= stretch_ends ? ~(group_ends & group == last_group) : active & ~last;
                end
                END: if (leaves) state <= layer == LAST_LAYER[LAYER_BITS-1:0] ? IDLE : BEGIN;
            endcase
        end

    always @(posedge aclk)
        case (state)
            IDLE: begin
                layer <= 0;
                weight <= 0;
                group_weight <= 0;
            end
            BEGIN: begin
                row <= start;
                address <= start;
                term <= 0;
                position <= 0;
                group <= 0;
                tail <= 0;
            end
            RUN: begin
                term <= stretch_ends ? {TERM_BITS{1'b0}} : term + 1'b1;
                weight <= stretch_ends & ~group_ends ? group_weight : next_weight;
                if (stretch_ends) begin
                    row <= group_ends ? start : next_row;
                    address <= group_ends ? start : next_row;
                    position <= group_ends ? {POSITION_BITS{1'b0}} : position + 1'b1;
                end else address <= address + 1'b1;
                if (group_ends) begin
                    group <= group + 1'b1;
                    group_weight <= next_weight;
                end
            end
            END: begin
                tail <= tail + 1'b1;
                if (leaves & layer != LAST_LAYER[LAYER_BITS-1:0]) layer <= layer + 1'b1;
            end
        endcase
endmodule
`default_nettype wire

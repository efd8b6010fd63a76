// SPDX-License-Identifier: GPL-3.0-or-later
//
// Makes a classifier's streams fit for a DMA: behind the scores of a chunk, 32 bits a beat, comes a word with the best
// hypothesis (bits 15:8) and its class (bits 7:0). A transfer out ends behind the chunk with which a transfer in ended, so
// that any number of chunks is one transfer each way.
`default_nettype none
module amrq_dma #(
    parameter LENGTH = 32,     // symbols a chunk
    parameter COUNT_BITS = 6,  // hold LENGTH
    parameter PER_BEAT = 1,    // scores in a beat of the classifier
    parameter PART_BITS = 1,   // number them
    parameter QUEUE_BITS = 5   // 2^QUEUE_BITS chunks can be inside
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire taken,         // the classifier takes a symbol
    input  wire taken_last,    // ... with which a transfer ends
    input  wire [32*PER_BEAT-1:0] s_axis_tdata,
    input  wire [15:0] s_axis_tuser,
    input  wire s_axis_tlast,
    input  wire s_axis_tvalid,
    output wire s_axis_tready,
    output wire [31:0] m_axis_tdata,
    output wire m_axis_tlast,
    output wire m_axis_tvalid,
    input  wire m_axis_tready
);
    localparam integer LAST = LENGTH - 1;
    localparam integer LAST_PART = PER_BEAT - 1;

    // --- chunks inside: whether a transfer ends with them ---
    reg [COUNT_BITS-1:0] count;
    reg ends [0:(1 << QUEUE_BITS)-1];
    reg [QUEUE_BITS-1:0] push, pop;
    wire closes = taken & count == LAST[COUNT_BITS-1:0];
    always @(posedge aclk) if (closes) ends[push] <= taken_last;
    always @(posedge aclk)
        if (!aresetn) begin
            count <= 0;
            push <= 0;
        end else begin
            if (taken) count <= closes ? {COUNT_BITS{1'b0}} : count + 1'b1;
            if (closes) push <= push + 1'b1;
        end

    // --- a beat's scores one by one, then the class ---
    reg best;                  // the word behind the scores is out
    reg [15:0] who;
    reg [PART_BITS-1:0] part;
    wire move = m_axis_tvalid & m_axis_tready;
    wire beat_ends = part == LAST_PART[PART_BITS-1:0];
    assign m_axis_tvalid = best | s_axis_tvalid;
    assign m_axis_tdata = best ? {16'd0, who} : s_axis_tdata[32*part +: 32];
    assign m_axis_tlast = best & ends[pop];
    assign s_axis_tready = ~best & m_axis_tready & beat_ends;
    always @(posedge aclk)
        if (!aresetn) begin
            best <= 1'b0;
            part <= 0;
            pop <= 0;
        end else if (move) begin
            if (best) begin
                best <= 1'b0;
                pop <= pop + 1'b1;
            end else begin
                part <= beat_ends ? {PART_BITS{1'b0}} : part + 1'b1;
                if (beat_ends & s_axis_tlast) begin
                    best <= 1'b1;
                    who <= s_axis_tuser;
                end
            end
        end
endmodule
`default_nettype wire

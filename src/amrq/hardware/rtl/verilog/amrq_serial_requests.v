// SPDX-License-Identifier: GPL-3.0-or-later
//
// Frames from a serial line to chunks: docs/serial-protocol.md. A frame is
//
//   a5, type, number, what the type carries, CRC-32 of all behind the a5 (the lowest byte first).
//
// Type 1 asks who is there. Type 2 brings a chunk: SIDES bytes and LENGTH symbols of SYMBOL_BYTES. A chunk is kept until its
// CRC has been found right, so that a damaged frame reaches nothing. Between frames all bytes but a5 are passed over, and so
// is the rest of a frame in which nothing comes for 2^PAUSE_BITS clocks.
`default_nettype none
module amrq_serial_requests #(
    parameter LENGTH = 32,
    parameter SYMBOL_BYTES = 2,   // 2 or 4
    parameter SIDES = 0,
    parameter SIDE_BITS = 8,      // 8 * SIDES, or 8 where there are none
    parameter ADDRESS_BITS = 6,   // of a chunk's bytes
    parameter PAUSE_BITS = 20
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire valid,            // a byte
    input  wire [7:0] data,
    output reg  identify,         // for one clock: somebody asks who is there
    output reg  begins,           // for one clock: a chunk is going in
    output reg  [7:0] number,     // of that request
    output reg  heard,            // for one clock: a whole frame
    output reg  damaged,          // for one clock: a frame with a wrong CRC, or a chunk for which there was no room
    output reg  [8*SYMBOL_BYTES-1:0] symbol,
    output reg  [SIDE_BITS-1:0] side,
    output reg  symbol_valid,
    input  wire symbol_ready
);
    localparam integer BYTES = SIDES + LENGTH * SYMBOL_BYTES;
    localparam integer END = BYTES - 1;
    localparam [7:0] SYNC = 8'ha5, IDENTIFY = 8'd1, CLASSIFY = 8'd2;
    localparam [2:0] SEEK = 3'd0, TYPE = 3'd1, NUMBER = 3'd2, BODY = 3'd3, CHECK = 3'd4;

    // --- a frame ---
    reg [2:0] state;
    reg chunk;                    // the frame brings one
    reg [7:0] its_number;
    reg [ADDRESS_BITS-1:0] place; // of the byte that comes next
    reg [1:0] check;              // byte of the CRC that comes next
    reg wrong;                    // one of those before was not right
    reg [PAUSE_BITS-1:0] pause;
    reg [31:0] crc;
    wire [31:0] crc_after;
    amrq_crc32 crc32 (.crc(crc), .data(data), .crc_after(crc_after));
    wire differs = wrong | (data != ~crc[{check, 3'd0} +: 8]);
    wire last_check = valid & state == CHECK & check == 2'd3;

    // --- what a chunk is kept in: one half is filled while the other is read ---
    reg [7:0] store [0:(2 << ADDRESS_BITS)-1];
    reg fill;                     // half that is filled
    reg waiting;                  // the other half holds a chunk that is not all read
    wire accept = last_check & chunk & ~differs & ~waiting;
    always @(posedge aclk) if (valid & state == BODY) store[{fill, place}] <= data;

    always @(posedge aclk) begin
        identify <= 1'b0;
        heard <= 1'b0;
        damaged <= 1'b0;
        begins <= accept;
        pause <= valid | state == SEEK ? {PAUSE_BITS{1'b0}} : pause + 1'b1;
        if (!aresetn) begin
            state <= SEEK;
            fill <= 1'b0;
        end else if (valid) begin
            if (state == TYPE | state == NUMBER | state == BODY) crc <= crc_after;
            case (state)
                TYPE: begin
                    chunk <= data == CLASSIFY;
                    state <= data == IDENTIFY | data == CLASSIFY ? NUMBER : data == SYNC ? TYPE : SEEK;
                    if (data == SYNC) crc <= 32'hffffffff;
                end
                NUMBER: begin
                    its_number <= data;
                    place <= 0;
                    check <= 2'd0;
                    wrong <= 1'b0;
                    state <= chunk ? BODY : CHECK;
                end
                BODY: begin
                    place <= place + 1'b1;
                    if (place == END[ADDRESS_BITS-1:0]) state <= CHECK;
                end
                CHECK: begin
                    check <= check + 2'd1;
                    wrong <= differs;
                    if (check == 2'd3) begin
                        state <= SEEK;
                        heard <= ~differs;
                        damaged <= differs | (chunk & waiting);
                        identify <= ~differs & ~chunk;
                        if (~differs) number <= its_number;
                        if (accept) fill <= ~fill;
                    end
                end
                default: begin
                    crc <= 32'hffffffff;
                    if (data == SYNC) state <= TYPE;
                end
            endcase
        end else if (&pause) state <= SEEK;  // not in the clock of a byte, which may be a chunk's last one
    end

    // --- out of the store, a byte at a time ---
    reg [ADDRESS_BITS-1:0] address;
    reg [7:0] got;
    reg got_valid;
    reg [ADDRESS_BITS:0] left;    // bytes to read
    reg [2:0] have;               // bytes of the symbol
    localparam [2:0] WHOLE = SYMBOL_BYTES;
    localparam integer ALL = BYTES;
    localparam integer SYMBOLS = LENGTH * SYMBOL_BYTES;
    wire sides_come = left > SYMBOLS[ADDRESS_BITS:0];
    /* verilator lint_off UNUSEDSIGNAL */  // what is shifted out
    wire [SIDE_BITS+7:0] next_side = {got, side};
    wire [8*SYMBOL_BYTES+7:0] next_symbol = {got, symbol};
    /* verilator lint_on UNUSEDSIGNAL */
    // One byte in two clocks: read, then taken.
    wire read = left != 0 & ~got_valid & ~symbol_valid;
    wire taken = symbol_valid & symbol_ready;
    always @(posedge aclk) got <= store[{~fill, address}];
    always @(posedge aclk)
        if (!aresetn) begin
            waiting <= 1'b0;
            left <= 0;
            got_valid <= 1'b0;
            symbol_valid <= 1'b0;
            have <= 3'd0;
            address <= 0;
        end else begin
            got_valid <= read;
            if (accept) begin
                waiting <= 1'b1;
                left <= ALL[ADDRESS_BITS:0];
                address <= 0;
                have <= 3'd0;
            end
            if (got_valid) begin
                left <= left - 1'b1;
                address <= address + 1'b1;
                if (sides_come) side <= next_side[SIDE_BITS+7:8];
                else begin
                    symbol <= next_symbol[8*SYMBOL_BYTES+7:8];
                    have <= have + 3'd1;
                    if (have == WHOLE - 3'd1) begin
                        have <= 3'd0;
                        symbol_valid <= 1'b1;
                    end
                end
            end
            if (taken) begin
                symbol_valid <= 1'b0;
                if (left == 0) waiting <= 1'b0;
            end
        end
endmodule
`default_nettype wire

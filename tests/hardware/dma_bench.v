// SPDX-License-Identifier: GPL-3.0-or-later
//
// Sends transfers of symbols to amrq_pynq and compares what comes out, both sides stalling at random.
`timescale 1ns / 1ps
module dma_bench;
    reg [`SYMBOL_BITS:0] beats [0:`BEATS-1];  // the transfer's end, the symbol
    reg [32:0] words [0:`WORDS-1];            // the transfer's end, the word
    initial begin
        $readmemh("beats.hex", beats);
        $readmemh("words.hex", words);
    end
    reg aclk = 1'b0;
    always #5 aclk = ~aclk;
    reg aresetn = 1'b0;
    reg [`SYMBOL_BITS-1:0] s_tdata;
    reg s_tlast, s_tvalid = 1'b0, m_tready = 1'b0;
    wire s_tready, m_tlast, m_tvalid;
    wire [31:0] m_tdata;
    wire [3:0] m_tkeep;
    amrq_pynq dut (
        .aclk(aclk), .aresetn(aresetn), .s_axis_tdata(s_tdata), .s_axis_tlast(s_tlast), .s_axis_tvalid(s_tvalid),
        .s_axis_tready(s_tready), .m_axis_tdata(m_tdata), .m_axis_tkeep(m_tkeep), .m_axis_tlast(m_tlast),
        .m_axis_tvalid(m_tvalid), .m_axis_tready(m_tready)
    );
    integer offered = 0, got = 0, errors = 0, clock = 0;
    reg [31:0] noise = 32'd1;
    always @(posedge aclk) begin
        noise <= noise * 32'd1664525 + 32'd1013904223;
        clock <= clock + 1;
        m_tready <= noise[31:30] != 0;
        if (aresetn) begin
            if (~s_tvalid | s_tready) begin
                s_tvalid <= offered < `BEATS && noise[29:28] != 0;
                if (offered < `BEATS && noise[29:28] != 0) begin
                    {s_tlast, s_tdata} <= beats[offered];
                    offered <= offered + 1;
                end
            end
            if (m_tvalid & m_tready) begin
                if ({m_tlast, m_tdata} !== words[got] || m_tkeep !== 4'hf) begin
                    errors <= errors + 1;
                    $display("FAIL: word %0d is %b %h, not %h", got, m_tlast, m_tdata, words[got]);
                end
                got <= got + 1;
            end
            if (got == `WORDS || clock == 200000) begin
                if (errors == 0 && got == `WORDS) $display("PASS");
                else $display("FAIL: %0d words, %0d wrong", got, errors);
                $finish(0);
            end
        end
    end
    initial begin
        repeat (3) @(negedge aclk);
        aresetn = 1'b1;
    end
endmodule

# SPDX-License-Identifier: GPL-3.0-or-later
"""A network as a whole piece of hardware."""

from dataclasses import dataclass
from importlib.resources import files

from amrq.errors import AmrqError
from amrq.hardware.integer_layer import IntegerLayer
from amrq.hardware.integer_network import IntegerNetwork
from amrq.hardware.rtl.bits_for import bits_for
from amrq.hardware.rtl.folded_symbol_layer import FoldedSymbolLayer
from amrq.hardware.rtl.head_layer import HeadLayer
from amrq.hardware.rtl.input_port import InputPort
from amrq.hardware.rtl.module_name import module_name
from amrq.hardware.rtl.port_fold import port_fold
from amrq.hardware.rtl.score_map import score_map
from amrq.hardware.rtl.symbol_layer import SymbolLayer
from amrq.hardware.rtl.verilog_text import VerilogText

__all__ = ["RtlDesign"]

_LIBRARY = (
    "amrq_bit_planes",
    "amrq_chunk_gate",
    "amrq_gather",
    "amrq_input",
    "amrq_mean",
    "amrq_requantise",
    "amrq_score_stream",
)
_MOST_GROUPS = 4
"""More would leave a table of six inputs too few of the layer's own."""
_FOLDS = (1, 2, 4, 8)
_MOST_HYPOTHESES = 256
_BEYOND_SCORES = 7
"""Clocks of a chunk's way that no layer and no beat accounts for: input, mean, the store and its reading."""


@dataclass(frozen=True)
class _Widths:
    """Widths of ports and numbers of the top level."""

    component: int
    beats: int
    per_beat: int
    banks: int
    spacing: int


class RtlDesign:
    """Verilog of a network of a known phase: a symbol a clock or every few in, scores and class of each chunk out.

    Args:
        network: its parts; chunks reach it normalised.
        input_bits: width of I and of Q.
        fold: clocks a symbol: 1, 2, 4 or 8. Layers at each symbol take their inputs 8 / fold bits a clock.

    Attributes:
        architecture: `pipeline`.
        network: as given.
        fold: as given.
        port: what I and Q are, and what becomes of them before the first layer.
        module: name of the top level.
        latency: clocks from a chunk's last symbol to its packet's last beat, where nothing waits.
        beats: beats a packet.
        per_beat: scores a beat.
        files: Verilog by file name.

    Raises:
        AmrqError: the network is not one of magnitudes or of plain I and Q, has a layer that looks at neighbours, or is
            too large for the output; the fold is another one.
    """

    architecture = "pipeline"

    def __init__(self, network: IntegerNetwork, input_bits: int = 8, fold: int = 1) -> None:
        if fold not in _FOLDS:
            raise AmrqError(f"a symbol can take 1, 2, 4 or 8 clocks (fold), not {fold}.")
        self.network = network
        self.fold = fold
        self.port = InputPort(input_bits, port_fold(network), network.symbol_layers[0].input)
        self.module = module_name(network.contract.name, (*_LIBRARY, "amrq_score_map"))
        length = network.mean.symbols * fold  # in clocks
        self._symbol = [_symbol_layer(layer, fold) for layer in network.symbol_layers]
        groups = 1
        while groups < _MOST_GROUPS and 16 * groups <= length:
            groups *= 2
        self._head: list[HeadLayer] = []
        channels = network.mean.channels + network.side_inputs
        inputs, width = tuple(range(channels)), channels
        for layer in network.head_layers:
            last = layer.output is None
            self._head.append(HeadLayer(layer, inputs, width, groups, network.score_shifts if last else None))
            inputs, width = self._head[-1].positions, self._head[-1].lanes * groups
        scores = network.head_layers[-1].outputs
        if scores > _MOST_HYPOTHESES or self._head[-1].y_bits > 32:
            raise AmrqError(
                f"model {network.contract.name!r} has {scores} outputs of {self._head[-1].y_bits} "
                "bits: amrq rtl sends at "
                f"most {_MOST_HYPOTHESES} of 32."
            )
        self.per_beat = -(-scores // length)
        self.beats = -(-scores // self.per_beat)
        symbol_latency = sum(layer.latency for layer in self._symbol)
        self.latency = symbol_latency + sum(h.latency for h in self._head) + self.beats + _BEYOND_SCORES
        spacing = max(8 * groups, symbol_latency + 3)
        banks = VerilogText.index(-(-self.latency // max(length, spacing)) + 2)
        self._widths = _Widths(8 * -(-input_bits // 8), self.beats, self.per_beat, banks, spacing)
        self.full_rate = spacing <= length
        self.files = self._files()

    @property
    def symbol_bits(self) -> int:
        """Width of the input stream's tdata."""
        return 2 * self._widths.component

    @property
    def side_bits(self) -> int:
        """Width of the input stream's tuser; 0 where there is none."""
        return 8 * self.network.side_inputs

    @property
    def places(self) -> int:
        """Chunks between a chunk's last symbol and the end of the output, at most."""
        return 1 << self._widths.banks

    @property
    def clocks_a_chunk(self) -> int:
        """Clocks from one chunk to the next, where nothing waits."""
        return max(self.network.mean.symbols * self.fold, self._widths.spacing)

    @property
    def symbol_clocks(self) -> str:
        """How often a symbol may come, in words."""
        return "a clock" if self.fold == 1 else f"every {self.fold} clocks"

    def _files(self) -> dict[str, str]:
        network = self.network
        classes = network.contract.classes
        hypotheses = network.contract.weighed()
        names = [h.label if h.es_n0_db is None else f"{h.label} at {h.es_n0_db:g} dB" for h in hypotheses]
        found = {f"{self.module}.v": self._top()}
        found |= {f"{layer.module}.v": layer.verilog() for layer in self._symbol}
        found |= {f"{layer.module}.v": layer.verilog() for layer in self._head}
        last = self._head[-1]
        found["amrq_score_map.v"] = score_map(
            last.positions,
            last.lanes,
            last.group_bits,
            [classes.index(h.label) for h in hypotheses],
            self.per_beat,
            names,
        )
        folder = files("amrq.hardware.rtl") / "verilog"
        return found | {f"{name}.v": (folder / f"{name}.v").read_text() for name in _LIBRARY}

    def _top(self) -> str:
        net, port, w = self.network, self.port, self._widths
        first, mean = net.symbol_layers[0], net.mean
        length, side = mean.symbols, net.side_inputs
        lines = [
            "// SPDX-License-Identifier: GPL-3.0-or-later",
            "//",
            f"// Model {VerilogText.quoted(net.contract.name)}: one symbol {self.symbol_clocks} in, "
            f"{net.head_layers[-1].outputs} scores and the class of each chunk of "
            f"{length} symbols out.",
            "// README.md beside this file says what the ports mean.",
            "`default_nettype none",
            f"module {self.module} (",
            "    input  wire aclk,",
            "    input  wire aresetn,",
            *port.declaration,
            *([f"    input  wire [{self.side_bits - 1}:0] s_axis_tuser,"] if side else []),
            "    input  wire s_axis_tvalid,",
            "    output wire s_axis_tready,",
            f"    output wire [{32 * w.per_beat - 1}:0] m_axis_tdata,",
            "    output wire [15:0] m_axis_tuser,",
            "    output wire m_axis_tlast,",
            "    output wire m_axis_tvalid,",
            "    input  wire m_axis_tready",
            ");",
            "    // --- symbols become chunks ---",
            "    wire sent, first, last;",
            f"    amrq_chunk_gate #(.LENGTH({length}), .COUNT_BITS({length.bit_length()}), .PLACES({1 << w.banks}), "
            f".PLACE_BITS({w.banks + 1}), .SPACING({w.spacing}), .SPACING_BITS({w.spacing.bit_length()}), "
            f".FOLD({self.fold})) gate (",
            "        .aclk(aclk), .aresetn(aresetn), .valid(s_axis_tvalid), .ready(s_axis_tready),",
            "        .sent(sent), .first(first), .last(last)",
            "    );",
            "    wire take = s_axis_tvalid & s_axis_tready;",
            "",
            f"    // --- I and Q of {port.bits} bits to the first layer's inputs ---",
            f"    wire [{8 * first.inputs - 1}:0] symbol;",
        ]
        for number, name in enumerate("IQ"):
            lines += [
                f"    amrq_input #(.BITS({port.bits}), .FOLD({int(port.fold)}), .LEFT({port.left}), "
                f".SIGNED({int(port.layer.signed)})) input_{name.lower()} (",
                f"        .aclk(aclk), .x(s_axis_tdata[{w.component * number} +: {port.bits}]), "
                f".y(symbol[{8 * number} +: 8])",
                "    );",
            ]
        layers = ["", "    // --- the layers that run at every symbol ---"]
        value, latency = "symbol", 1
        for layer, made in zip(net.symbol_layers, self._symbol, strict=True):
            start = f".start(valid_at[{latency - 1}]), " if isinstance(made, FoldedSymbolLayer) else ""
            layers += [
                f"    wire [{8 * layer.outputs - 1}:0] {made.module}_y;",
                f"    {made.module} {made.module}_i (.aclk(aclk), {start}.x({value}), .y({made.module}_y));",
            ]
            value, latency = f"{made.module}_y", latency + made.latency
        sum_bits = self._sum_bits()
        lines += [
            "",
            f"    // --- a symbol's marks go along with it and are at the mean {latency} clocks after it was taken ---",
            f"    reg [{latency - 1}:0] valid_at, first_at, last_at;",
            "    always @(posedge aclk) begin",
            f"        valid_at <= aresetn ? {{valid_at[{latency - 2}:0], take}} : {latency}'d0;",
            f"        first_at <= {{first_at[{latency - 2}:0], first}};",
            f"        last_at <= {{last_at[{latency - 2}:0], last}};",
            "    end",
            *layers,
            "",
            "    // --- the mean ---",
            "    wire mean_done;",
            f"    wire [{8 * mean.channels - 1}:0] mean_y;",
            f"    amrq_mean #(.CHANNELS({mean.channels}), .SUM_BITS({sum_bits}), .IN_SIGNED({int(mean.input.signed)}), "
            f".OUT_SIGNED({int(mean.output.signed)}), .LEFT({max(-mean.shift, 0)}), "
            f".RIGHT({max(mean.shift, 0)})) mean (",
            f"        .aclk(aclk), .aresetn(aresetn), .valid(valid_at[{latency - 1}]), "
            f".first(first_at[{latency - 1}]), "
            f".last(last_at[{latency - 1}]),",
            f"        .x({value}), .done(mean_done), .y(mean_y)",
            "    );",
        ]
        given = "mean_y"
        if side:
            lines += [
                "",
                "    // What joins the mean, as it stood beside the chunk's last symbol: the next "
                "chunk's comes later than",
                "    // this one's mean.",
                f"    reg [{self.side_bits - 1}:0] side;",
                "    always @(posedge aclk) if (take & last) side <= s_axis_tuser;",
            ]
            given = "{side, mean_y}"
        lines += ["", "    // --- the head, once a chunk ---"]
        load = "mean_done"
        for number, head in enumerate(self._head):
            name = head.module
            lines += [
                f"    wire {name}_valid;",
                f"    wire [{head.group_bits - 1}:0] {name}_group;",
                f"    wire [{head.lanes * head.y_bits - 1}:0] {name}_y;",
                f"    {name} {name}_i (",
                f"        .aclk(aclk), .aresetn(aresetn), .load({load}), .x({given}),",
                f"        .valid({name}_valid), .group({name}_group), .y({name}_y)",
                "    );",
            ]
            if number < len(self._head) - 1:
                lines += [
                    f"    wire {name}_done;",
                    f"    wire [{8 * head.lanes * head.groups - 1}:0] {name}_all;",
                    f"    amrq_gather #(.LANES({head.lanes}), .GROUPS({head.groups}), .GROUP_BITS({head.group_bits})) "
                    f"{name}_gather (",
                    f"        .aclk(aclk), .valid({name}_valid), .group({name}_group), "
                    f".x({name}_y), .done({name}_done), "
                    f".y({name}_all)",
                    "    );",
                ]
                load, given = f"{name}_done", f"{name}_all"
        end = self._head[-1]
        lines += [
            "",
            "    // --- scores and class out ---",
            f"    amrq_score_stream #(.LANES({end.lanes}), "
            f".LANE_BITS({VerilogText.index(end.lanes)}), .GROUPS({end.groups}), "
            f".GROUP_BITS({end.group_bits}), .WIDTH({end.y_bits}), .BEATS({w.beats}), "
            f".BEAT_BITS({VerilogText.index(w.beats)}), .PER_BEAT({w.per_beat}), .BANK_BITS({w.banks})) scores (",
            f"        .aclk(aclk), .aresetn(aresetn), .valid({end.module}_valid), .group({end.module}_group), "
            f".x({end.module}_y), .sent(sent),",
            "        .m_axis_tdata(m_axis_tdata), .m_axis_tuser(m_axis_tuser), .m_axis_tlast(m_axis_tlast),",
            "        .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready)",
            "    );",
            "endmodule",
            "`default_nettype wire",
        ]
        return "\n".join(lines) + "\n"

    def _sum_bits(self) -> int:
        mean = self.network.mean
        half = 1 << (mean.shift - 1) if mean.shift > 0 else 0
        ends = (mean.symbols * mean.input.lowest, mean.symbols * mean.input.highest + half)
        return max(bits_for(*ends), 9)


def _symbol_layer(layer: IntegerLayer, fold: int) -> SymbolLayer | FoldedSymbolLayer:
    """Return the layer as hardware; refuse one that looks at neighbours."""
    if layer.kernel != 1:
        raise AmrqError(
            f"layer {layer.name} looks at {layer.kernel} symbols at a time: amrq rtl makes layers that look at one."
        )
    return SymbolLayer(layer) if fold == 1 else FoldedSymbolLayer(layer, fold)

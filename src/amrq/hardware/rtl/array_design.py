# SPDX-License-Identifier: GPL-3.0-or-later
"""A network by one array of multipliers, used in turn."""

from importlib.resources import files

from amrq.errors import AmrqError
from amrq.hardware.integer_flatten import IntegerFlatten
from amrq.hardware.integer_network import IntegerNetwork
from amrq.hardware.rtl.array_layer import ArrayLayer
from amrq.hardware.rtl.bits_for import bits_for
from amrq.hardware.rtl.input_port import InputPort
from amrq.hardware.rtl.module_name import module_name
from amrq.hardware.rtl.port_fold import port_fold
from amrq.hardware.rtl.score_map import score_map
from amrq.hardware.rtl.verilog_text import VerilogText

__all__ = ["ArrayDesign"]

_LIBRARY = (
    "amrq_array",
    "amrq_array_control",
    "amrq_array_lanes",
    "amrq_array_rounder",
    "amrq_chunk_gate",
    "amrq_input",
    "amrq_requantise",
    "amrq_rom",
    "amrq_score_stream",
)
_GENERATED = ("amrq_array_layers", "amrq_array_weights", "amrq_score_map")
_MOST_LANES = 256
_MOST_HYPOTHESES = 256
_PLACES = 3
"""Chunks taken and not sent; a fourth may be coming in, and the memories of symbols and of scores have four places."""
_BANK_BITS = 12
"""The memory of weights is one of 2^12 words or several, each with registers behind it: one large one would be put
together from blocks all over the chip, and choosing between them takes longer than a clock should."""
_WAY = 14
"""Clocks from a sum's last product to its output in the memory, without those of the lanes before it."""
_BESIDE_LAYERS = 5
"""Clocks of a chunk's way that no layer, no lane and no beat accounts for: input, and reading the store of scores."""


class ArrayDesign:
    """Verilog of a network of convolutions, max pools and fully connected layers, all made by the same multipliers.

    Weights lie in memory, one word of all lanes a clock. Any number of layers, of any widths, goes through the same
    modules; a table of the layers and the contents of two memories are all that differs.

    Args:
        network: its parts; chunks reach it normalised.
        input_bits: width of I and of Q.
        lanes: multipliers.

    Attributes:
        architecture: `array`.
        network: as given.
        fold: clocks that a symbol takes: 1.
        port: what I and Q are, and what becomes of them before the first layer.
        module: name of the top level.
        lanes: multipliers.
        layers: as the array goes through them.
        clocks_a_chunk: from one chunk to the next, where nothing waits.
        latency: clocks from a chunk's last symbol to its packet's last beat, where nothing waits.
        beats: beats a packet.
        files: Verilog and contents of memories by file name.

    Raises:
        AmrqError: the network takes a mean, side inputs or something else than I and Q or their magnitudes, is too
            large for the output, or the number of lanes is out of range.
    """

    architecture = "array"
    fold = 1
    full_rate = False
    per_beat = 1
    places = _PLACES
    side_bits = 0

    def __init__(self, network: IntegerNetwork, input_bits: int = 8, lanes: int = 16) -> None:
        name = network.contract.name
        if not 1 <= lanes <= _MOST_LANES:
            raise AmrqError(f"the array can have 1 to {_MOST_LANES} lanes, not {lanes}.")
        between = network.between
        if not isinstance(between, IntegerFlatten) or network.side_inputs:
            raise AmrqError(
                f"model {name!r} takes a mean over its symbols or a level: the array makes networks of convolutions, "
                "max pools and fully connected layers alone."
            )
        self.network = network
        self.port = InputPort(input_bits, port_fold(network), network.symbol_layers[0].input)
        self.lanes = lanes
        self.module = module_name(network.contract.name, (*_LIBRARY, *_GENERATED))
        self.layers: list[ArrayLayer] = []
        symbols = network.contract.chunk_length
        for layer in network.symbol_layers:
            self.layers.append(ArrayLayer.convolution(layer, symbols, lanes))
            symbols //= layer.pool
        for layer in network.head_layers:
            self.layers.append(ArrayLayer.dense(layer, symbols, lanes))
            symbols = 1
        self._tail = lanes + _WAY
        self.clocks_a_chunk = 1 + sum(layer.clocks + 1 + self._tail for layer in self.layers)
        self.beats = network.head_layers[-1].outputs
        # The last layer need not be stored: its scores leave when they are made.
        unused = lanes - self.layers[-1].last_lanes
        self.latency = self.clocks_a_chunk - unused + self.beats + _BESIDE_LAYERS
        self._score_shifts = network.score_shifts
        score_ends = [end << int(self._score_shifts.max()) for end in self.layers[-1].layer.accumulator_range]
        self._score_bits = bits_for(*score_ends)
        if self.beats > _MOST_HYPOTHESES or self._score_bits > 32:
            raise AmrqError(
                f"model {name!r} has {self.beats} outputs of {self._score_bits} bits: amrq rtl sends at most "
                f"{_MOST_HYPOTHESES} of 32."
            )
        self.files = self._files()

    @property
    def symbol_bits(self) -> int:
        """Width of the input stream's tdata."""
        return 2 * 8 * -(-self.port.bits // 8)

    @property
    def multiplications(self) -> int:
        """Products of a chunk, those with the zeros beyond its ends among them."""
        return sum(layer.positions * layer.taps.size for layer in self.layers)

    def _files(self) -> dict[str, str]:
        network = self.network
        hypotheses = network.contract.weighed()
        names = [h.label if h.es_n0_db is None else f"{h.label} at {h.es_n0_db:g} dB" for h in hypotheses]
        weight_bits = max(layer.layer.weight_bits for layer in self.layers)
        words = [word for layer in self.layers for word in layer.words(weight_bits)]
        banks = [words[k : k + (1 << _BANK_BITS)] for k in range(0, len(words), 1 << _BANK_BITS)]
        bias_bits = max(layer.layer.bias_bits for layer in self.layers)
        most_left = max(0, int(self._score_shifts.max()), *(-int(s.shifts.min()) for s in self.layers[:-1]))
        # One shifter: first all to the left by the most that any output needs, then each to the right.
        shifts = [int(s) + most_left for layer in self.layers[:-1] for s in layer.shifts]
        shifts += [most_left - int(s) for s in self._score_shifts]
        biases = [int(b) for layer in self.layers for b in layer.layer.biases]
        shift_bits = bits_for(0, max(shifts))
        parameters = [s << bias_bits | b % (1 << bias_bits) for s, b in zip(shifts, biases, strict=True)]

        def lines(numbers: list[int], bits: int) -> str:
            return "".join(f"{n:0{-(-bits // 4)}x}\n" for n in numbers)

        table = self._table()
        constants: dict[str, int | str] = {
            "LENGTH_BITS": VerilogText.index(network.contract.chunk_length),
            "LANES": self.lanes,
            "LANE_BITS": VerilogText.index(self.lanes),
            "LAYERS": len(self.layers),
            "LAYER_BITS": VerilogText.index(len(self.layers)),
            "TABLE_BITS": sum(bits for _, bits, _ in table),
            **self._widths(),
            "WEIGHT_BITS": weight_bits,
            "WEIGHT_ADDRESS_BITS": VerilogText.index(len(words)),
            "BIAS_BITS": bias_bits,
            "SHIFT_BITS": shift_bits,
            "OUTPUTS": len(biases),
            "OUTPUT_BITS": VerilogText.index(len(biases)),
            "PARAMETER_FILE": f'"{self.module}_parameters.hex"',
            "SUM_BITS": max(
                *(layer.layer.accumulator_bits for layer in self.layers), bias_bits + 1, weight_bits + 10
            ),
            "LEFT": most_left,
            "MOST": max(*shifts, 1),
            "SCORE_BITS": self._score_bits,
            "INDEX_BITS": VerilogText.index(self.beats),
            "TAIL": self._tail,
            "TAIL_BITS": self._tail.bit_length(),
        }
        folder = files("amrq.hardware.rtl") / "verilog"
        return {
            f"{self.module}.v": self._top(constants),
            "amrq_array_layers.v": self._layer_table(table),
            "amrq_array_weights.v": self._weight_memory(
                [len(bank) for bank in banks], weight_bits * self.lanes
            ),
            "amrq_score_map.v": score_map(
                range(self.beats),
                1,
                VerilogText.index(self.beats),
                [network.contract.classes.index(h.label) for h in hypotheses],
                1,
                names,
            ),
            **{
                f"{self.module}_weights_{number}.hex": lines(bank, weight_bits * self.lanes)
                for number, bank in enumerate(banks)
            },
            f"{self.module}_parameters.hex": lines(parameters, shift_bits + bias_bits),
            **{f"{name}.v": (folder / f"{name}.v").read_text() for name in _LIBRARY},
        }

    def _widths(self) -> dict[str, int]:
        numbers = max(layer.limit for layer in self.layers)
        # An address runs over both ends of the chunk, and over the last group's empty lanes.
        beyond = max(layer.limit + layer.reach for layer in self.layers)
        stored = max(layer.positions * layer.layer.outputs + self.lanes for layer in self.layers)
        return {
            "ADDRESS_BITS": max(beyond, stored).bit_length() + 1,
            "NUMBERS_BITS": VerilogText.index(numbers),
            "TERM_BITS": VerilogText.index(max(layer.span for layer in self.layers)),
            "POSITION_BITS": VerilogText.index(max(layer.positions for layer in self.layers)),
            "GROUP_BITS": VerilogText.index(max(layer.groups for layer in self.layers)),
        }

    def _table(self) -> list[tuple[str, int, list[int]]]:
        """Return the fields of a layer: name, width, the layers' values."""
        w, layers = self._widths(), self.layers
        own = [layer.layer for layer in layers]
        outputs = [layer.output for layer in own]
        last = len(layers) - 1
        return [
            ("start", w["ADDRESS_BITS"], [-layer.reach for layer in layers]),
            ("step", w["ADDRESS_BITS"], [layer.step for layer in layers]),
            ("limit", w["ADDRESS_BITS"], [layer.limit for layer in layers]),
            ("outputs", w["ADDRESS_BITS"], [layer.outputs for layer in own]),
            ("last term", w["TERM_BITS"], [layer.terms - 1 for layer in layers]),
            ("last clock", w["TERM_BITS"], [layer.span - 1 for layer in layers]),
            ("last position", w["POSITION_BITS"], [layer.positions - 1 for layer in layers]),
            ("last group", w["GROUP_BITS"], [layer.groups - 1 for layer in layers]),
            ("last lane", VerilogText.index(self.lanes), [layer.last_lanes - 1 for layer in layers]),
            ("max pool", 1, [layer.pool - 1 for layer in own]),
            ("input signed", 1, [int(layer.input.signed) for layer in own]),
            ("output signed", 1, [int(o is not None and o.signed) for o in outputs]),
            ("ReLU", 1, [int(layer.relu) for layer in own]),
            ("from input", 1, [int(number == 0) for number in range(len(layers))]),
            ("to scores", 1, [int(number == last) for number in range(len(layers))]),
        ]

    def _layer_table(self, table: list[tuple[str, int, list[int]]]) -> str:
        width = sum(bits for _, bits, _ in table)
        bits = VerilogText.index(len(self.layers))
        lines = [
            "// SPDX-License-Identifier: GPL-3.0-or-later",
            "//",
            f"// The {len(self.layers)} layers: {', '.join(name for name, _, _ in table)}.",
            "`default_nettype none",
            "module amrq_array_layers (",
            f"    input  wire [{bits - 1}:0] layer,",
            f"    output reg  [{width - 1}:0] entry",
            ");",
            "    always @*",
            "        case (layer)",
        ]
        for number, layer in enumerate(self.layers):
            fields = ", ".join(VerilogText.constant(values[number], wide) for _, wide, values in table)
            lines += [
                f"            // {layer.layer.name}: {layer.positions} x {layer.layer.outputs} outputs of "
                f"{layer.terms} products, {layer.clocks} clocks",
                f"            {bits}'d{number}: entry = {{{fields}}};",
            ]
        lines += [
            f"            default: entry = {width}'d0;",
            "        endcase",
            "endmodule",
            "`default_nettype wire",
        ]
        return "\n".join(lines) + "\n"

    def _weight_memory(self, sizes: list[int], width: int) -> str:
        address_bits = VerilogText.index(sum(sizes))
        lines = [
            "// SPDX-License-Identifier: GPL-3.0-or-later",
            "//",
            f"// The weights, {sum(sizes)} words of {self.lanes}, in the order of their use; `word` belongs to the "
            "address of three",
            "// clocks before.",
            "`default_nettype none",
            "module amrq_array_weights (",
            "    input  wire aclk,",
            f"    input  wire [{address_bits - 1}:0] address,",
            f"    output reg  [{width - 1}:0] word",
            ");",
        ]
        for number, size in enumerate(sizes):
            bits = min(VerilogText.index(size), address_bits)
            lines += [
                f"    wire [{width - 1}:0] word_{number};",
                f"    amrq_rom #(.WIDTH({width}), .WORDS({size}), .ADDRESS_BITS({bits}), "
                f'.FILE("{self.module}_weights_{number}.hex"))',
                f"        bank_{number} (.aclk(aclk), .address(address[{bits - 1}:0]), .word(word_{number}));",
            ]
        if len(sizes) == 1:
            lines += ["    always @(posedge aclk) word <= word_0;"]
        else:
            bank = f"[{address_bits - 1}:{_BANK_BITS}]"
            bits = address_bits - _BANK_BITS
            lines += [
                f"    reg {bank} chosen_1, chosen_2;",
                "    always @(posedge aclk) begin",
                f"        chosen_1 <= address{bank};",
                "        chosen_2 <= chosen_1;",
                "        case (chosen_2)",
                *(f"            {bits}'d{n}: word <= word_{n};" for n in range(len(sizes) - 1)),
                f"            default: word <= word_{len(sizes) - 1};",
                "        endcase",
                "    end",
            ]
        return "\n".join([*lines, "endmodule", "`default_nettype wire"]) + "\n"

    def _top(self, constants: dict[str, int | str]) -> str:
        net, port = self.network, self.port
        length, component = net.contract.chunk_length, self.symbol_bits // 2
        index, score = VerilogText.index(self.beats), self._score_bits
        given = [f".{name}({value})" for name, value in constants.items()]
        rows = [", ".join(given[k : k + 5]) for k in range(0, len(given), 5)]
        lines = [
            "// SPDX-License-Identifier: GPL-3.0-or-later",
            "//",
            f"// Model {VerilogText.quoted(net.contract.name)}: chunks of {length} symbols in, {self.beats} scores and "
            "the class of each out; "
            f"{len(self.layers)} layers by {self.lanes} multipliers in turn.",
            "// README.md beside this file says what the ports mean.",
            "`default_nettype none",
            f"module {self.module} (",
            "    input  wire aclk,",
            "    input  wire aresetn,",
            *port.declaration,
            "    input  wire s_axis_tvalid,",
            "    output wire s_axis_tready,",
            "    output wire [31:0] m_axis_tdata,",
            "    output wire [15:0] m_axis_tuser,",
            "    output wire m_axis_tlast,",
            "    output wire m_axis_tvalid,",
            "    input  wire m_axis_tready",
            ");",
            "    // --- symbols become chunks ---",
            "    wire sent, last;",
            "    /* verilator lint_off UNUSEDSIGNAL */  // symbols are counted anew where they are kept",
            "    wire first;",
            "    /* verilator lint_on UNUSEDSIGNAL */",
            f"    amrq_chunk_gate #(.LENGTH({length}), .COUNT_BITS({length.bit_length()}), .PLACES({self.places}), "
            ".PLACE_BITS(2), .SPACING(1), .SPACING_BITS(1)) gate (",
            "        .aclk(aclk), .aresetn(aresetn), .valid(s_axis_tvalid), .ready(s_axis_tready),",
            "        .sent(sent), .first(first), .last(last)",
            "    );",
            "",
            f"    // --- I and Q of {port.bits} bits to the first layer's inputs ---",
            "    wire [15:0] symbol;",
        ]
        for number, name in enumerate("IQ"):
            lines += [
                f"    amrq_input #(.BITS({port.bits}), .FOLD({int(port.fold)}), .LEFT({port.left}), "
                f".SIGNED({int(port.layer.signed)})) input_{name.lower()} (",
                f"        .aclk(aclk), .x(s_axis_tdata[{component * number} +: {port.bits}]), "
                f".y(symbol[{8 * number} +: 8])",
                "    );",
            ]
        lines += [
            "",
            "    // --- the layers ---",
            "    wire valid;",
            f"    wire [{index - 1}:0] index;",
            f"    wire [{score - 1}:0] score;",
            "    amrq_array #(",
            *(f"        {row}{',' if number < len(rows) - 1 else ''}" for number, row in enumerate(rows)),
            "    ) layers (",
            "        .aclk(aclk), .aresetn(aresetn), .take(s_axis_tvalid & s_axis_tready), .last(last),",
            "        .symbol(symbol), .valid(valid), .index(index), .score(score)",
            "    );",
            "",
            "    // --- scores and class out ---",
            f"    amrq_score_stream #(.LANES(1), .LANE_BITS(1), .GROUPS({self.beats}), .GROUP_BITS({index}), "
            f".WIDTH({score}), .BEATS({self.beats}), .BEAT_BITS({index}), .PER_BEAT(1), .BANK_BITS(2)) scores (",
            "        .aclk(aclk), .aresetn(aresetn), .valid(valid), .group(index), .x(score), .sent(sent),",
            "        .m_axis_tdata(m_axis_tdata), .m_axis_tuser(m_axis_tuser), .m_axis_tlast(m_axis_tlast),",
            "        .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready)",
            "    );",
            "endmodule",
            "`default_nettype wire",
        ]
        return "\n".join(lines) + "\n"

# SPDX-License-Identifier: GPL-3.0-or-later
"""A network by one array of multipliers, used in turn."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError, ModelError
from amrq.hardware import IntegerFlattening, IntegerLayer, IntegerNetwork
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.templates import VerilogText, bits_for, rendered

__all__ = ["ArrayDesign", "ArrayLayer"]

_LEAST_SHIFT = -9
"""What is shifted further to the left saturates to 8 bits all the same."""


@dataclass(frozen=True, eq=False)
class ArrayLayer:
    """Groups of outputs, positions, terms.

    Attributes:
        layer: what is computed.
        taps: int64 [out, terms], weights in the order of the numbers that they meet: symbol by symbol.
        positions: at which an output is computed.
        step: numbers from one position's first to the next one's.
        reach: numbers that the first position's stretch begins before the chunk.
        limit: numbers that the layer is given.
        lanes: outputs made at a time.
    """

    layer: IntegerLayer
    taps: NDArray[np.int64]
    positions: int
    step: int
    reach: int
    limit: int
    lanes: int

    @classmethod
    def convolution(cls, layer: IntegerLayer, symbols: int, lanes: int) -> "ArrayLayer":
        """Return a layer that runs at every one of `symbols` symbols."""
        taps = layer.weights.transpose(0, 2, 1).reshape(layer.outputs, -1).astype(np.int64)
        reach = layer.kernel // 2 * layer.inputs
        return cls(layer, taps, symbols, layer.inputs, reach, symbols * layer.inputs, lanes)

    @classmethod
    def dense(cls, layer: IntegerLayer, symbols: int, lanes: int) -> "ArrayLayer":
        """Return a layer that runs once, on `symbols` symbols whose channels the weights take one after the other."""
        by_channel = layer.weights.reshape(layer.outputs, -1, symbols).astype(np.int64)
        taps = by_channel.transpose(0, 2, 1).reshape(layer.outputs, -1)
        return cls(layer, taps, 1, 0, 0, layer.inputs, lanes)

    @property
    def terms(self) -> int:
        """Products of a sum."""
        return self.taps.shape[1]

    @property
    def groups(self) -> int:
        """Rounds in which all outputs are made."""
        return -(-self.layer.outputs // self.lanes)

    @property
    def last_lanes(self) -> int:
        """Lanes that the last round has use for."""
        return self.layer.outputs - (self.groups - 1) * self.lanes

    @property
    def span(self) -> int:
        """Clocks of a sum; one more sum may not be complete before the one before has left the lanes."""
        return max(self.terms, self.lanes)

    @property
    def clocks(self) -> int:
        """Clocks of the loops, without what a layer takes to begin and to end."""
        return self.groups * self.positions * self.span

    @property
    def shifts(self) -> NDArray[np.int64]:
        """int64 [out], to the right, of a layer that rounds: those that make a difference."""
        return self.layer.shifts.clip(_LEAST_SHIFT, self.layer.accumulator_bits + 1)

    def words(self, weight_bits: int) -> list[int]:
        """Return the weights in the order of their use, a word a clock, the first lane in the lowest bits."""
        placed = np.zeros((self.groups * self.lanes, self.terms), np.int64)
        placed[: self.layer.outputs] = self.taps
        rows = placed.reshape(self.groups, self.lanes, self.terms).transpose(0, 2, 1).reshape(-1, self.lanes)
        rows = rows % (1 << weight_bits)
        return [sum(w << weight_bits * k for k, w in enumerate(row)) for row in rows.tolist()]


_MOST_LANES = 256
_PLACES = 3
"""Chunks taken and not sent; a fourth may be coming in, and the memories of symbols and of scores have four places."""
_BANK_BITS = 12
"""The memory of weights is one of 2^12 words or several, each with registers behind it: one large one would be put
together from blocks all over the chip, and choosing between them takes longer than a clock should."""
_WAY = 14
"""Clocks from a sum's last product to its output in the memory, without those of the lanes before it."""
_BESIDE_LAYERS = 5
"""Clocks of a chunk's way that no layer, no lane and no beat accounts for: input, and reading the store of scores."""


class _Field(NamedTuple):
    """A column of the table of layers.

    Attributes:
        name: for people.
        bits: its width.
        values: of the layers.
    """

    name: str
    bits: int
    values: list[int]


class ArrayDesign(Design):
    """A network of convolutions, max pools and fully connected layers, all made by the same multipliers.

    Weights lie in memory, one word of all lanes a clock. Any number of layers, of any widths, goes through the same
    modules; a table of the layers and the contents of two memories are all that differs.

    Args:
        network: its parts; chunks reach it normalised.
        input_bits: width of I and of Q.
        lanes: multipliers.

    Attributes:
        lanes: multipliers.
        layers: as the array goes through them.

    Raises:
        ModelError: the network takes a mean, side inputs or something other than I and Q or their magnitudes, or is too
            large for the output.
        AmrqError: the number of lanes is out of range.
    """

    architecture = "array"
    copied = (
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
    generated = ("amrq_array_layers", "amrq_array_weights", "amrq_score_map")
    places = _PLACES

    def __init__(self, network: IntegerNetwork, input_bits: int = 8, lanes: int = 16) -> None:
        name = network.contract.name
        if not 1 <= lanes <= _MOST_LANES:
            raise AmrqError(f"the array can have 1 to {_MOST_LANES} lanes, not {lanes}.")
        between = network.between
        if not isinstance(between, IntegerFlattening) or network.side_inputs:
            raise ModelError(
                f"model {name!r} takes a mean over its symbols or a level: the array makes networks of convolutions, "
                "max pools and fully connected layers alone."
            )
        super().__init__(network, input_bits)
        self.lanes = lanes
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
        self.score_bits = bits_for(*score_ends)
        self._check_scores(self.score_bits)
        self.files = self._files()

    @property
    def rate(self) -> str:
        """How fast symbols are taken and chunks are done, in words."""
        return (
            "The input takes one symbol a clock until three chunks wait inside. While the output is taken, a chunk is "
            f"done every {self.clocks_a_chunk} clocks."
        )

    @property
    def multiplications(self) -> int:
        """Products of a chunk, those with the zeros beyond its ends among them."""
        return sum(layer.positions * layer.taps.size for layer in self.layers)

    @property
    def weight_words(self) -> int:
        """Words of the weights' memory, a clock each."""
        return sum(layer.groups * layer.terms for layer in self.layers)

    def _files(self) -> dict[str, str]:
        network = self.network
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
            "TABLE_BITS": sum(field.bits for field in table),
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
            "SCORE_BITS": self.score_bits,
            "INDEX_BITS": VerilogText.index(self.beats),
            "TAIL": self._tail,
            "TAIL_BITS": self._tail.bit_length(),
        }
        return {
            f"{self.module}.v": self._top(constants),
            "amrq_array_layers.v": self._layer_table(table),
            "amrq_array_weights.v": self._weight_memory(
                [len(bank) for bank in banks], weight_bits * self.lanes
            ),
            **{
                f"{self.module}_weights_{number}.hex": lines(bank, weight_bits * self.lanes)
                for number, bank in enumerate(banks)
            },
            f"{self.module}_parameters.hex": lines(parameters, shift_bits + bias_bits),
            **self._common_files(range(self.beats), 1, VerilogText.index(self.beats)),
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

    def _table(self) -> list[_Field]:
        """Return the fields of a layer: name, width, the layers' values."""
        w, layers = self._widths(), self.layers
        own = [layer.layer for layer in layers]
        outputs = [layer.output for layer in own]
        last = len(layers) - 1
        return [
            _Field("start", w["ADDRESS_BITS"], [-layer.reach for layer in layers]),
            _Field("step", w["ADDRESS_BITS"], [layer.step for layer in layers]),
            _Field("limit", w["ADDRESS_BITS"], [layer.limit for layer in layers]),
            _Field("outputs", w["ADDRESS_BITS"], [layer.outputs for layer in own]),
            _Field("last term", w["TERM_BITS"], [layer.terms - 1 for layer in layers]),
            _Field("last clock", w["TERM_BITS"], [layer.span - 1 for layer in layers]),
            _Field("last position", w["POSITION_BITS"], [layer.positions - 1 for layer in layers]),
            _Field("last group", w["GROUP_BITS"], [layer.groups - 1 for layer in layers]),
            _Field("last lane", VerilogText.index(self.lanes), [layer.last_lanes - 1 for layer in layers]),
            _Field("max pool", 1, [layer.pool - 1 for layer in own]),
            _Field("input signed", 1, [int(layer.input.signed) for layer in own]),
            _Field("output signed", 1, [int(o is not None and o.signed) for o in outputs]),
            _Field("ReLU", 1, [int(layer.relu) for layer in own]),
            _Field("from input", 1, [int(number == 0) for number in range(len(layers))]),
            _Field("to scores", 1, [int(number == last) for number in range(len(layers))]),
        ]

    def _layer_table(self, table: list[_Field]) -> str:
        return rendered(
            "array_layers.v.in",
            layers=self.layers,
            layer_bits=VerilogText.index(len(self.layers)),
            fields=table,
            width=sum(field.bits for field in table),
        )

    def _weight_memory(self, sizes: list[int], width: int) -> str:
        return rendered(
            "array_weights.v.in",
            module=self.module,
            lanes=self.lanes,
            sizes=sizes,
            width=width,
            address_bits=VerilogText.index(sum(sizes)),
            bank_bits=_BANK_BITS,
        )

    def _top(self, constants: dict[str, int | str]) -> str:
        length, index = self.network.contract.chunk_length, VerilogText.index(self.beats)
        return rendered(
            "array.v.in",
            design=self,
            port=self.port,
            constants=constants,
            gate={
                "LENGTH": length,
                "COUNT_BITS": length.bit_length(),
                "PLACES": self.places,
                "PLACE_BITS": 2,
                "SPACING": 1,
                "SPACING_BITS": 1,
            },
            stream={
                "LANES": 1,
                "LANE_BITS": 1,
                "GROUPS": self.beats,
                "GROUP_BITS": index,
                "WIDTH": self.score_bits,
                "BEATS": self.beats,
                "BEAT_BITS": index,
                "PER_BEAT": 1,
                "BANK_BITS": 2,
            },
        )

# SPDX-License-Identifier: GPL-3.0-or-later
"""A design on a board that can be bought: clock, pins, and the classifier at the board's serial line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from amrq.errors import AmrqError
from amrq.hardware import SerialIdentity
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.templates import VerilogText, module_text, rendered
from amrq.options import above, check, described, option

__all__ = ["BoardOptions", "SerialBoard"]

_CLOCK = 75.0
"""MHz where none is asked for: more than 500,000 chunks of 128 clocks, and 25 clocks a bit at 3,000,000 bits/s."""
_LARGE, _CLOCK_OF_LARGE = 10_000, 65.0
"""Weights of an aligned network whose wires are too long for that, as those of `blind-full-int4` were; and what it
reached with room to spare."""
_CRYSTAL = 25.0
"""MHz, of a ULX3S."""
_SLOWEST_COMPARISON, _SLOWEST_OSCILLATOR, _FASTEST_OSCILLATOR = 3.125, 400.0, 800.0
"""MHz, of an ECP5's PLL (Lattice, FPGA-DS-02012, sysCLOCK PLL timing)."""
_BAUD_ERROR = 0.02
"""Of the length of a bit: over the 9.5 bits up to the middle of a stop bit that makes a fifth of one."""
_MOST_ON_THE_WAY = 8
"""Chunks that a computer may have asked about; with as many the line is never idle."""
_SMALLEST_FOR_ALIGNER = 45
_LEDS = ("B2", "C2", "C1", "D2", "D1", "E2", "E1", "H3")


@described
@dataclass(frozen=True)
class BoardOptions:
    """A board, and how its design is clocked.

    Raises:
        AmrqError: a value is not allowed, or the clock cannot be made.
    """

    board: str | None = option(
        None,
        "Write a design for this board as well. ulx3s (Lattice ECP5): the classifier at the USB serial line, pins, and "
        "'make bitstream' without a vendor's tools. pynq (Zynq): streams for a DMA and a Vivado script, not run yet.",
        choices={"ulx3s": "Radiona ULX3S", "pynq": "PYNQ-Z1 or -Z2"},
        flag="--board NAME",
    )
    fpga: int = option(
        85,
        "Size of the ULX3S's FPGA, in thousands of look-up tables.",
        choices={12: "LFE5U-12F", 25: "LFE5U-25F", 45: "LFE5U-45F", 85: "LFE5U-85F"},
        flag="--fpga SIZE",
    )
    clock_mhz: float | None = option(
        None,
        "Clock of the classifier. Without it, 75 MHz on a ULX3S, 65 for blind-full-..., whose wires are longer, and "
        "100 on a PYNQ.",
        unit="MHz",
        within=above(0, 400),
        flag="--clock MHZ",
    )
    baud: int = option(
        3_000_000,
        "Speed of the serial line; the ULX3S's USB chip takes up to 3,000,000.",
        unit="bits/s",
        within=above(0, 12_000_000),
        flag="--baud BITS",
    )

    def __post_init__(self) -> None:
        """Refuse what no board can be made with."""
        check(self)


class _Pll(NamedTuple):
    """Dividers: clock = 25 MHz / reference * feedback; the oscillator runs at that times output."""

    reference: int
    feedback: int
    output: int


def _pll(clock_mhz: float) -> _Pll:
    """Return dividers for a clock; those with the fastest comparison.

    >>> _pll(75.0)
    _Pll(reference=1, feedback=3, output=8)
    """
    for reference in range(1, int(_CRYSTAL / _SLOWEST_COMPARISON) + 1):
        feedback = clock_mhz * reference / _CRYSTAL
        output = min(128, int((_SLOWEST_OSCILLATOR + _FASTEST_OSCILLATOR) / 2 / clock_mhz))
        if feedback != round(feedback) or not 1 <= feedback <= 80 or output < 1:
            continue
        if _SLOWEST_OSCILLATOR <= clock_mhz * output <= _FASTEST_OSCILLATOR:
            return _Pll(reference, round(feedback), output)
    raise AmrqError(
        f"a ULX3S cannot make a clock of {clock_mhz:g} MHz: choose 25 MHz times a fraction with a denominator of at "
        "most 8, such as 62.5, 65 or 75."
    )


def _usual_clock(design: Design) -> float:
    """Return the clock of a design where none is asked for, MHz."""
    if not design.aligned:
        return _CLOCK
    layers = (*design.network.symbol_layers, *design.network.head_layers)
    return _CLOCK_OF_LARGE if sum(layer.weights.size for layer in layers) > _LARGE else _CLOCK


class SerialBoard:
    """A design behind the serial line of a board: requests in, scores out (docs/serial-protocol.md).

    Args:
        design: the classifier.
        model_sha256: SHA-256 of the model's ONNX file: what the board says of itself.
        options: which board, clock, baud rate; its `board` need not be given.
        pause_bits: a frame in which nothing comes for 2^pause_bits clocks has ended: 14 ms at 75 MHz.

    Attributes:
        design: as given.
        module: name of the top level.
        identity: what the board says of itself.
        clock_mhz: of the classifier.
        clocks_a_bit: of the serial line.
        files: Verilog, contents of memories and constraints by file name, those of the classifier included.

    Raises:
        AmrqError: the clock cannot be made, the baud rate does not fit it, or the FPGA is too small.
    """

    module = "amrq_ulx3s"
    constraints = "ulx3s.lpf"
    leds = _LEDS

    copied = ("amrq_crc32", "amrq_serial_answers", "amrq_serial_requests", "amrq_uart_rx", "amrq_uart_tx")
    """Modules beside the design's that are the same on every board."""

    def __init__(
        self, design: Design, model_sha256: bytes, options: BoardOptions | None = None, pause_bits: int = 20
    ) -> None:
        options = options or BoardOptions()
        self.pause_bits = pause_bits
        if design.aligned and options.fpga < _SMALLEST_FOR_ALIGNER:
            raise AmrqError(
                f"an LFE5U-{options.fpga}F has 28 multipliers and the integer aligner takes 34: choose a ULX3S with an "
                "LFE5U-45F or -85F, or a model of known phase, such as coherent-small-int4."
            )
        self.design = design
        self.fpga = options.fpga
        self.clock_mhz = options.clock_mhz or _usual_clock(design)
        self.pll = _pll(self.clock_mhz)
        self.baud = options.baud
        exact = 1e6 * self.clock_mhz / options.baud
        self.clocks_a_bit = round(exact)
        if self.clocks_a_bit < 4 or abs(exact / self.clocks_a_bit - 1) > _BAUD_ERROR:
            raise AmrqError(
                f"a clock of {self.clock_mhz:g} MHz cannot make {options.baud:,} bits/s to 2 %: choose another "
                "baud rate or clock; 75 MHz makes 3,000,000."
            )
        network = design.network
        side = network.head_layers[0].input
        self.identity = SerialIdentity(
            model_sha256,
            input_bits=design.port.bits,
            chunk_length=network.contract.chunk_length,
            sides=design.given_sides,
            sides_signed=side.signed,
            scores=network.head_layers[-1].outputs,
            score_bytes=-(-design.score_bits // 8),
            window=min(design.places, _MOST_ON_THE_WAY),
            input_exponent=design.port.exponent,
            side_exponent=side.exponent,
            score_exponent=network.score_exponent,
        )
        self.files = self._files()

    @property
    def side_bits(self) -> int:
        """Width of the side inputs' wire; it is there in any case."""
        return max(self.design.side_bits, 8)

    @property
    def identity_bytes(self) -> bytes:
        """What it says of itself, as it is sent."""
        return self.identity.to_bytes()

    @property
    def identity_hex(self) -> str:
        """The same as a number whose lowest byte is sent first."""
        return self.identity_bytes[::-1].hex()

    @property
    def requests(self) -> Mapping[str, int]:
        """Parameters of `amrq_serial_requests`."""
        identity = self.identity
        return {
            "LENGTH": identity.chunk_length,
            "SYMBOL_BYTES": 2 * identity.component_bytes,
            "SIDES": identity.sides,
            "SIDE_BITS": self.side_bits,
            "ADDRESS_BITS": VerilogText.index(identity.chunk_bytes),
        }

    @property
    def answers(self) -> Mapping[str, int]:
        """Parameters of `amrq_serial_answers`."""
        identity, design = self.identity, self.design
        return {
            "SCORES": identity.scores,
            "SCORE_BYTES": identity.score_bytes,
            "PER_BEAT": design.per_beat,
            "PART_BITS": VerilogText.index(design.per_beat),
            "INDEX_BITS": VerilogText.index(max(identity.scores, len(self.identity_bytes))),
            # Those that the design keeps, one that goes in and one whose answer goes out.
            "QUEUE_BITS": VerilogText.index(design.places + 2),
            "IDENTITY_BYTES": len(self.identity_bytes),
        }

    @property
    def chunks_a_second(self) -> float:
        """Classifications a second that the serial line lets through, at most: the longer way counts."""
        longest = max(self.identity.chunk_bytes, self.identity.score_body) + 7
        return self.clock_mhz * 1e6 / self.clocks_a_bit / 10 / longest

    @property
    def sources(self) -> list[str]:
        """Names of the Verilog files beside the classifier's."""
        return sorted(name for name in self.files if name.endswith(".v") and name not in self.design.files)

    @property
    def size_flag(self) -> str:
        """What nextpnr calls the FPGA."""
        return f"--{self.fpga}k"

    def _files(self) -> dict[str, str]:
        return {
            **self.design.files,
            **{f"{name}.v": module_text(name) for name in self.copied},
            "amrq_serial_board.v": rendered("serial_board.v.in", board=self),
            f"{self.module}.v": rendered("ulx3s.v.in", board=self),
            self.constraints: rendered("ulx3s.lpf.in", board=self),
        }

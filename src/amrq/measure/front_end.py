# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that describe a stream, and the settings of the symbol front end."""

from dataclasses import dataclass

from amrq.options import OptionError, Range, above, at_least, between, check, described, option
from amrq.text import engineering

__all__ = ["USUAL_ROLLOFF", "FrontEndOptions", "StreamInfo"]

USUAL_ROLLOFF = 0.35
"""Roll-off of a pulse that is not known."""

_MOST_SAMPLES_PER_SYMBOL = 4096
"""Beyond, blocks of the channel outgrow memory's caches by far."""
_SUITABLE_BANDWIDTH = 1.7
"""Of the symbol rate: lets a roll-off of 0.5 pass with 10 % of offset."""
_FLAGS = {
    "sample_rate": "--rate",
    "symbol_rate": "--symbol-rate",
    "offset": "--offset",
    "bandwidth": "--channel-bandwidth",
}
"""What the commands call the options that have to go together."""


@described
@dataclass(frozen=True)
class StreamInfo:
    """Description of a stream of samples, or of the symbols made from it.

    Raises:
        AmrqError: a value is out of its range.

    >>> StreamInfo(sample_rate=250e3, symbol_rate=9600, offset=12.5e3).symbol_rate
    9600.0
    """

    sample_rate: float = option(
        0.0, "Samples per second. 0: not known.", unit="S/s", within=at_least(0), flag="--rate"
    )
    symbol_rate: float = option(
        0.0,
        "Symbols per second, right to 2 %. 0: not known, and decisions then have no time.",
        unit="Bd",
        within=at_least(0),
    )
    offset: float = option(
        0.0,
        "Frequency of the signal relative to the middle of the band.",
        unit="Hz",
        label="Offset from the Centre Frequency",
    )
    frequency: float | None = option(
        None,
        "Centre frequency of the band. Without it, the stream's tags 'rx_freq' give it.",
        unit="Hz",
        label="Centre Frequency",
        flag="--freq",
        advanced=True,
    )
    samples_per_symbol: int = option(
        1,
        "Samples per symbol of the chunks; the model's contract must agree.",
        within=at_least(1),
        advanced=True,
    )
    chunk_length: int = option(
        0,
        "Samples per chunk, as in the Chunker; the model's contract must agree. 0: the contract's own.",
        unit="samples",
        within=at_least(0),
    )
    source: str = option(
        "stream",
        "Name of the source in records and counters: a device, a file, an address.",
        label="Name of the Source",
        advanced=True,
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)


@described
@dataclass(frozen=True)
class FrontEndOptions:
    """Settings of the symbol front end: filters, timing and carrier recovery.

    Raises:
        AmrqError: a value is out of its range.

    >>> FrontEndOptions(rolloff=0.2).channel_width(sample_rate=100e3, symbol_rate=25e3)
    42500.0
    """

    rolloff: float = option(
        0.0,
        "Roll-off of the root-raised-cosine pulse. 0: estimated from the spectrum, rectangular pulses included.",
        within=between(0, 1),
        label="Roll-off",
    )
    bandwidth: float = option(
        0.0,
        "Width of the channel whose power sets level and gate, from the symbol rate to 3 times the symbol rate and "
        "0.95 of the sample rate. 0: 1.7 times the symbol rate.",
        unit="Hz",
        within=at_least(0),
        label="Channel Bandwidth",
        flag="--channel-bandwidth",
    )
    gate_db: float = option(
        -200.0,
        "Power in the channel, relative to full scale, below which the answer is 'no signal'. -200: no gate.",
        unit="dB",
        within=Range(endless=True),
        label="Power Gate",
        flag="--gate",
    )
    timing_bandwidth: float = option(
        0.008,
        "Noise bandwidth of the timing over the symbol rate. It limits the memory: 3,072 symbols at 0.008.",
        within=above(0, at_most=0.05),
        label="Timing Bandwidth (of the symbol rate)",
        advanced=True,
    )
    cleaning: bool = option(
        True,
        "Remove a line at 0 Hz that is no part of the signal, and the image by I/Q imbalance.",
        choices={True: "On", False: "Off"},
        advanced=True,
    )
    equaliser: bool = option(
        True,
        "Equalise signals whose symbols show that an echo or a filter is in the way.",
        choices={True: "On", False: "Off"},
        advanced=True,
    )
    carrier_recovery: bool = option(
        True,
        "Estimate and remove the remaining carrier offset.",
        choices={True: "On", False: "Off"},
        advanced=True,
    )
    max_carrier_offset: float = option(
        0.15,
        "Largest carrier offset to look for, over the symbol rate.",
        within=above(0, at_most=0.25),
        label="Largest Carrier Offset (of the symbol rate)",
        advanced=True,
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)

    def channel_width(self, sample_rate: float, symbol_rate: float) -> float:
        """Return the width of the channel filter, Hz.

        Args:
            sample_rate: samples a second of the stream.
            symbol_rate: symbols a second.

        Raises:
            AmrqError: the rates do not fit each other, or the bandwidth does not fit them.
        """
        check_rates(sample_rate, symbol_rate)
        width = self.bandwidth or min(_SUITABLE_BANDWIDTH * symbol_rate, 0.85 * sample_rate)
        widest = min(3 * symbol_rate, 0.95 * sample_rate)
        if width not in between(symbol_rate, widest):
            raise OptionError(
                _FLAGS,
                "{bandwidth} {width} is outside {narrowest} to {widest} (3 times the {symbol_rate}, 0.95 times the "
                "sample rate): give 0 for a suitable one.",
                width=engineering(width, "Hz"),
                narrowest=engineering(symbol_rate, "Hz"),
                widest=engineering(widest, "Hz"),
            )
        return width


def check_rates(sample_rate: float, symbol_rate: float) -> None:
    """Refuse rates that a symbol front end cannot use.

    Args:
        sample_rate: samples a second of the stream.
        symbol_rate: symbols a second.

    Raises:
        AmrqError: a rate is not valid, or there are fewer than 2 or more than 4,096 samples a symbol.
    """
    for name, rate, unit in (("sample_rate", sample_rate, "S/s"), ("symbol_rate", symbol_rate, "Bd")):
        if rate not in above(0):
            raise OptionError(
                _FLAGS, f"{{{name}}} {engineering(rate, unit)} is not a rate: give a number above 0."
            )
    text, shown = "", {"samples": engineering(sample_rate, "S/s"), "symbols": engineering(symbol_rate, "Bd")}
    if sample_rate > _MOST_SAMPLES_PER_SYMBOL * symbol_rate:
        text = (
            f"{{sample_rate}} {{samples}} is more than {_MOST_SAMPLES_PER_SYMBOL} times the {{symbol_rate}} "
            "{symbols}: decimate before the front end."
        )
    elif sample_rate < 2 * symbol_rate:
        text = (
            "{sample_rate} {samples} is below twice the {symbol_rate} {symbols}: timing needs at least two samples a "
            "symbol, so sample faster."
        )
    if text:
        raise OptionError(_FLAGS, text, **shown)


def check_offset(offset: float, sample_rate: float) -> None:
    """Refuse an offset in Hz that is outside the band of a stream.

    Args:
        offset: from the middle of the band.
        sample_rate: samples a second of the stream.

    Raises:
        AmrqError: it is outside.
    """
    if not abs(offset) <= sample_rate / 2:
        low, high = engineering(-sample_rate / 2, "Hz"), engineering(sample_rate / 2, "Hz")
        raise OptionError(
            _FLAGS, f"{{offset}} {engineering(offset, 'Hz')} is outside the band of {low} to {high}."
        )

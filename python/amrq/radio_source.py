# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples from a radio that SoapySDR knows."""

import functools
import math
import re
from collections.abc import Mapping
from typing import Any

from gnuradio import blocks, gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._overflow_marker import overflow_marker

from amrq.errors import DeviceError
from amrq.sources import Gain, SourceCounts, read_gain
from amrq.text import engineering, printable

__all__ = ["radio_source"]

_TUNED = 0.02
"""A radio that ends up further from the rate asked for than this part of it cannot do that rate."""

_PACKAGES = {"lime": "lms7"}
"""Drivers whose package has another name."""
_REPEATS_AT_RETUNES = [3, 10, 6]
"""The GNU Radio from which on its Soapy source tags retunes (gnuradio#6492)."""
_BUFFER = 2**17
"""Samples between radio, marker and what follows, at least: 55 ms at 2.4 MS/s."""
_GATHERED_SECONDS, _MOST_GATHERED = 0.022, 2**17
"""Seconds and samples that are gathered before the marker is asked what it does with them, as many as the front end
works on at a time: of a radio's smaller pieces GNU Radio would ask it hundreds or thousands of times a second, which
takes more than its work."""
_PIECE, _DEFAULT_BUFFER = 4096, 8192
"""Samples of which many are gathered in multiples, so that buffers are used to their ends; and of a default buffer."""


class radio_source(gr.hier_block2):
    """One receive channel of a radio, through GNU Radio's own Soapy source.

    Tags written: `rx_rate`, `rx_freq` and, if the radio has a clock, `rx_time`, on the first sample and after an
    overflow; `rx_overflow` after an overflow, with the number of overflows so far; `rx_freq` on the first sample
    passed on after a retune. Samples that the radio's buffers still held at that moment are of the former frequency.

    Args:
        device: SoapySDR's device arguments, `driver=rtlsdr` for instance.
        sample_rate: samples a second.
        frequency: centre, Hz.
        gain: overall gain in dB, or gains of single elements (`LNA=20,VGA=16`, or a mapping); None leaves the gain to
            the radio (automatic gain if it has one).
        antenna: its name; empty leaves the radio's choice.
        bandwidth: of the analogue filter, Hz; 0 leaves the radio's choice.
        ppm: correction of the radio's oscillator, parts per million.

    Raises:
        DeviceError: GNU Radio has no Soapy blocks, no such radio answers, or it does not support a setting.
    """

    @checked_arguments
    def __init__(
        self,
        device: str,
        sample_rate: float,
        frequency: float,
        gain: Gain | str = None,
        antenna: str = "",
        bandwidth: float = 0.0,
        ppm: float = 0.0,
    ) -> None:
        gr.hier_block2.__init__(
            self, "amrq_radio_source", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex)
        )
        for name, value in (("sample rate", sample_rate), ("frequency", frequency)):
            if not 0 < value < math.inf:
                raise DeviceError(f"the radio's {name} must be above 0 Hz, not {value}.")
        self._radio = _open(device)
        _ask(device, engineering(sample_rate, "S/s"), lambda: self._radio.set_sample_rate(0, sample_rate))
        real = self._radio.get_sample_rate(0)
        if abs(real - sample_rate) > _TUNED * sample_rate:
            raise DeviceError(
                f"the radio {device!r} runs at {engineering(real, 'S/s')} where {engineering(sample_rate, 'S/s')} "
                "were asked for: give a rate that it has."
            )
        if ppm:
            _ask(device, f"a correction of {ppm:g} ppm", lambda: self._radio.set_frequency_correction(0, ppm))
        ranges = [(span.minimum(), span.maximum()) for span in self._radio.get_frequency_range(0)]
        if ranges and not any(low <= frequency <= high for low, high in ranges):
            said = ", ".join(f"{engineering(low, 'Hz')} to {engineering(high, 'Hz')}" for low, high in ranges)
            raise DeviceError(
                f"the radio {device!r} cannot do {engineering(frequency, 'Hz')}: it tunes from {said}."
            )
        _ask(device, engineering(frequency, "Hz"), lambda: self._radio.set_frequency(0, frequency))
        if antenna:
            _ask(device, f"antenna {antenna!r}", lambda: self._set_antenna(antenna))
        if bandwidth:
            _ask(
                device,
                f"a bandwidth of {engineering(bandwidth, 'Hz')}",
                lambda: self._radio.set_bandwidth(0, bandwidth),
            )
        self._device = device
        self.set_gain(gain)
        release = [int(number) for number in re.findall(r"\d+", gr.version())]
        self._marker = overflow_marker(repeats_at_retunes=release >= _REPEATS_AT_RETUNES)
        self._gatherer = blocks.copy(gr.sizeof_gr_complex)
        # What is left of a piece at the end of a stream would be lost, but a radio's does not end.
        gathered = max(min(_GATHERED_SECONDS * real, float(_MOST_GATHERED)), 1.0)
        # Of a buffer of GNU Radio's default size, what does not divide it would be left out, with a warning.
        few = gathered < _DEFAULT_BUFFER
        gathered = 1 << round(math.log2(gathered)) if few else math.ceil(gathered / _PIECE) * _PIECE
        self._gatherer.set_output_multiple(gathered)
        self.parts = (self._radio, self._gatherer, self._marker)
        """The blocks inside."""
        for block in self.parts:
            # At a radio's rate the default buffer of 8,192 samples lasts 3 ms; a block in Python may wait longer to
            # run.
            level = block.log_level()
            block.set_log_level("warning")  # no report of the buffer on stdout
            block.set_min_output_buffer(max(_BUFFER, 4 * gathered))
            block.set_log_level(level)
        self.connect(*self.parts, self)

    def _set_antenna(self, antenna: str) -> None:
        names = list(self._radio.list_antennas(0))
        if antenna not in names:
            raise ValueError(f"it has {', '.join(names) or 'none to choose from'}")
        self._radio.set_antenna(0, antenna)

    def sample_rate(self) -> float:
        """Return the actual sample rate of the radio, samples a second."""
        return float(self._radio.get_sample_rate(0))

    def overflows(self) -> int:
        """Return how often samples were lost because they were not fetched from the radio in time."""
        return self._marker.overflows

    def counts(self) -> SourceCounts:
        """Return counts of the losses and faults so far."""
        return SourceCounts(overflows=self.overflows())

    @property
    def error(self) -> Exception | None:
        """The error that ended the stream early; None if there was none."""
        return self._marker.error

    @checked_arguments
    def set_frequency(self, frequency: float) -> None:
        """Tune to another frequency, Hz."""
        self._radio.set_frequency(0, frequency)
        self._marker.retuned(float(self._radio.get_frequency(0)))

    def set_gain(self, gain: Gain | str) -> None:
        """Set the gain; None leaves it to the radio.

        Args:
            gain: overall gain in dB, which the radio's driver divides among its elements; or gains of single elements,
                as a mapping or as text: `LNA=20,VGA=16`. Other elements keep their gain.

        Raises:
            DeviceError: the radio does not support the gain.
        """
        wanted = read_gain(gain)
        # Everything is checked before anything is set: the Soapy block only logs a value out of range.
        if isinstance(wanted, float):
            span = self._radio.get_gain_range(0)
            if not span.minimum() <= wanted <= span.maximum():
                raise DeviceError(
                    f"the radio {self._device!r} cannot do a gain of {wanted:g} dB: it has {_decibels(span)}."
                )
        elif wanted is not None:
            wanted = self._elements(wanted)
        if self._radio.has_gain_mode(0):
            self._radio.set_gain_mode(0, wanted is None)
        if isinstance(wanted, float):
            _ask(self._device, f"a gain of {wanted:g} dB", lambda: self._radio.set_gain(0, wanted))
            return
        for name, value in (wanted or {}).items():
            what = f"a gain of {value:g} dB in {name}"
            _ask(self._device, what, functools.partial(self._radio.set_gain, 0, name, value))

    def _elements(self, wanted: Mapping[str, float]) -> dict[str, float]:
        """Return gains under the radio's own names of its elements; upper and lower case are the same."""
        spans = {name: self._radio.get_gain_range(0, name) for name in self._radio.list_gains(0)}
        there = ", ".join(f"{name} ({_decibels(span)})" for name, span in spans.items()) or "none"
        known = {name.lower(): name for name in spans}
        found: dict[str, float] = {}
        for given, value in wanted.items():
            name = given if given in spans else known.get(given.lower())
            if name is None or name in found:
                what = (
                    f"no gain element '{printable(given)}'"
                    if name is None
                    else f"one gain element {name}, not two"
                )
                raise DeviceError(f"the radio {self._device!r} has {what}: its elements are {there}.")
            if not spans[name].minimum() <= value <= spans[name].maximum():
                raise DeviceError(
                    f"the radio {self._device!r} cannot do a gain of {value:g} dB in {name}: its elements are {there}."
                )
            found[name] = value
        return found


def _decibels(span: Any) -> str:
    return f"{span.minimum():g} to {span.maximum():g} dB"


def _open(device: str) -> Any:
    try:
        from gnuradio import soapy
    except ImportError as error:
        raise DeviceError(
            f"this GNU Radio has no Soapy blocks ({error}): install them (gr-soapy is part of GNU Radio 3.10)."
        ) from None
    try:
        return soapy.source(device, "fc32", 1, "", "", [""], [""])
    except (RuntimeError, ValueError) as error:
        driver = re.search(r"driver=(\w+)", device)
        name = driver[1] if driver else "all"
        module = f"soapysdr-module-{_PACKAGES.get(name, name)} on Debian"
        raise DeviceError(
            f"no radio answers to {device!r} ({str(error).rstrip('.')}): plug it in, and see that SoapySDR has its "
            f"driver ({module}); 'amrq devices' lists what is there."
        ) from None


def _ask(device: str, what: str, setting: Any) -> None:
    try:
        setting()
    except (RuntimeError, ValueError) as error:
        raise DeviceError(f"the radio {device!r} cannot do {what}: {str(error).rstrip('.')}.") from None

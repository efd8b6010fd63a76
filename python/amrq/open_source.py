# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of samples that the options of `amrq live` select."""

from collections.abc import Callable

from gnuradio.amrq.band_source import band_source
from gnuradio.amrq.modulation_source import modulation_source
from gnuradio.amrq.paced_source import paced_source
from gnuradio.amrq.packet_source import packet_source
from gnuradio.amrq.pipe_source import pipe_source
from gnuradio.amrq.radio_source import radio_source
from gnuradio.amrq.recording_source import recording_source
from gnuradio.amrq.rtl_tcp_source import rtl_tcp_source
from gnuradio.amrq.zmq_source import zmq_source

from amrq.classes import THESIS_9, LinearSet
from amrq.errors import AmrqError
from amrq.options import OptionError
from amrq.recordings import open_recording
from amrq.signals import PulseOptions
from amrq.sources import LiveSource, SourceOptions, read_address
from amrq.text import engineering, printable

__all__ = ["open_source"]

_DWELL_SECONDS = 4.0
"""How long a simulation stays with a class: long enough to be seen."""


def open_source(
    options: SourceOptions,
    report: Callable[[str], None] | None = None,
    classes: LinearSet = THESIS_9,
    band: bool = False,
) -> LiveSource:
    """Make the source that the options select.

    Args:
        options: the source and its settings.
        report: called with each sentence for the user about a network source; None writes it to the block's log.
        classes: what a simulation sends, in turn.
        band: a simulation is a band with several emissions instead.

    Raises:
        AmrqError: the source is missing, or does not support a setting.
    """
    if options.chosen != "simulate":
        source = _MAKERS[options.chosen](options)
    else:
        source = _simulated_band(options) if band else _simulation(options, classes)
    if report is not None and hasattr(source.block, "feed"):
        source.block.feed.report = report
    return source


def _rate(options: SourceOptions) -> float:
    assert options.sample_rate is not None  # the options saw to it
    return options.sample_rate


def _frequency(options: SourceOptions) -> float:
    assert options.frequency is not None  # the options saw to it
    return options.frequency


def _soapy(options: SourceOptions) -> LiveSource:
    assert options.soapy is not None
    settings = (options.gain, options.antenna, options.bandwidth, options.ppm)
    radio = radio_source(options.soapy, _rate(options), _frequency(options), *settings)
    return LiveSource(radio, options.soapy, radio.sample_rate(), options.frequency)


def _rtl_tcp(options: SourceOptions) -> LiveSource:
    assert options.rtl_tcp is not None
    host, port = read_address(options.rtl_tcp)
    block = rtl_tcp_source(host, port, _rate(options), _frequency(options), options.gain, options.ppm)
    return LiveSource(block, block.feed.name, _rate(options), options.frequency)


def _file(options: SourceOptions) -> LiveSource:
    assert options.file is not None
    if str(options.file) == "-":
        raise OptionError(SourceOptions, "{file} - is not a recording: {stdin} reads standard input.")
    recording = open_recording(options.file, options.format, options.sample_rate, options.recording_name)
    block = paced_source(recording_source(recording), recording.sample_rate)
    frequency = recording.tunings[0][1] if recording.tunings else None
    return LiveSource(block, str(recording.path), recording.sample_rate, frequency, recording, False)


def _stdin(options: SourceOptions) -> LiveSource:
    pipe = pipe_source(options.raw_format)
    return LiveSource(pipe, "standard input", _rate(options), options.frequency)


def _zmq(options: SourceOptions) -> LiveSource:
    assert options.zmq is not None
    return LiveSource(
        zmq_source(options.zmq, options.raw_format), options.zmq, _rate(options), options.frequency
    )


def _udp(options: SourceOptions) -> LiveSource:
    assert options.udp is not None
    host, _, port = options.udp.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) < 6):
        raise AmrqError(
            f"'{printable(options.udp)}' is not a UDP port: give PORT or HOST:PORT with a number."
        )
    packets = packet_source(int(port), host or "127.0.0.1", options.raw_format)
    return LiveSource(packets, packets.feed.name, _rate(options), options.frequency)


def _simulation(options: SourceOptions, classes: LinearSet) -> LiveSource:
    sample_rate, symbol_rate = _rate(options), options.symbol_rate
    assert symbol_rate is not None  # the options saw to it
    samples_per_symbol = round(sample_rate / symbol_rate)
    if samples_per_symbol < 2 or abs(samples_per_symbol * symbol_rate - sample_rate) > 1e-6 * sample_rate:
        raise OptionError(
            SourceOptions,
            "a simulation needs a whole number of samples a symbol, at least 2; {rate} at {symbols} has {ratio:g}: "
            "change {sample_rate} or {symbol_rate}.",
            rate=engineering(sample_rate, "S/s"),
            symbols=engineering(symbol_rate, "Bd"),
            ratio=sample_rate / symbol_rate,
        )
    source = modulation_source(
        classes.members,
        dwell=max(1, round(_DWELL_SECONDS * symbol_rate)),
        es_n0_db=options.es_n0_db,
        rotation=0.7,
        pulse=PulseOptions(samples_per_symbol),
    )
    return LiveSource(paced_source(source, sample_rate), "simulation", sample_rate, watched=False)


def _simulated_band(options: SourceOptions) -> LiveSource:
    sample_rate = _rate(options)
    block = paced_source(band_source(sample_rate), sample_rate)
    return LiveSource(block, "simulation", sample_rate, options.frequency, watched=False)


_MAKERS = {
    "soapy": _soapy,
    "rtl_tcp": _rtl_tcp,
    "file": _file,
    "stdin": _stdin,
    "zmq": _zmq,
    "udp": _udp,
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources that `amrq live` knows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amrq.engineering import engineering
from amrq.errors import AmrqError
from amrq.modulations import MODULATIONS
from amrq.recordings import RAW_FORMATS, Recording, open_recording

__all__ = ["LiveSource", "live_source"]

_DWELL_SECONDS = 4.0
"""How long a simulation stays with a class: long enough to be seen."""


@dataclass(frozen=True)
class LiveSource:
    """A running source.

    Attributes:
        block: the GNU Radio block.
        name: for people and records.
        sample_rate: samples a second.
        frequency: what 0 Hz stands for, Hz; None where it is not known.
        recording: the recording that is played, else None.
        watched: whether it may fall silent, which is news then.
    """

    block: Any
    name: str
    sample_rate: float
    frequency: float | None = None
    recording: Recording | None = None
    watched: bool = True


def live_source(
    soapy: str | None,
    file: Path | None,
    stdin: bool,
    zmq: str | None,
    udp: str | None,
    simulate: bool,
    *,
    sample_rate: float | None,
    frequency: float | None,
    format: str,
    gain: float | None,
    antenna: str,
    bandwidth: float,
    ppm: float,
    symbol_rate: float | None,
    es_n0_db: float,
) -> LiveSource:
    """Return the one source that is asked for; the arguments are the options of `amrq live`.

    A simulation needs the symbol rate, nothing else does.

    Raises:
        AmrqError: none is asked for, or several, or it cannot be used.
    """
    asked = {
        "--soapy": soapy is not None,
        "--file": file is not None,
        "--stdin": stdin,
        "--zmq": zmq is not None,
        "--udp": udp is not None,
        "--simulate": simulate,
    }
    chosen = [name for name, wanted in asked.items() if wanted]
    if len(chosen) != 1:
        raise AmrqError(f"give one source, not {' and '.join(chosen) or 'none'}: one of {', '.join(asked)}.")
    if file is not None:
        return _recording(open_recording(file, format, sample_rate))
    if sample_rate is None:
        raise AmrqError(f"{chosen[0]} needs the sample rate (--rate).")
    if not 0 < sample_rate < 1e12:
        raise AmrqError(f"the sample rate must be above 0 Hz, not {sample_rate:g}.")
    if simulate and symbol_rate is not None:
        return _simulation(sample_rate, symbol_rate, es_n0_db)
    if soapy is not None:
        if frequency is None:
            raise AmrqError("--soapy needs the frequency to tune to (--freq).")
        from gnuradio.amrq.radio_source import radio_source

        radio = radio_source(soapy, sample_rate, frequency, gain, antenna, bandwidth, ppm)
        return LiveSource(radio, soapy, radio.sample_rate(), frequency)
    if format not in ("auto", *RAW_FORMATS):
        raise AmrqError(f"samples come in one of {', '.join(RAW_FORMATS)} there, not as {format!r}.")
    if stdin:
        from gnuradio.amrq.pipe_source import pipe_source

        pipe = pipe_source("cu8" if format == "auto" else format)
        return LiveSource(pipe, "standard input", sample_rate, frequency)
    format = "cf32" if format == "auto" else format
    if udp is not None:
        from gnuradio.amrq.packet_source import packet_source

        host, _, port = udp.rpartition(":")
        if not port.isdecimal():
            raise AmrqError(f"{udp!r} is not a UDP port: give PORT or HOST:PORT with a number.")
        packets = packet_source(int(port), host or "127.0.0.1", format)
        return LiveSource(packets, f"udp://{host or '127.0.0.1'}:{port}", sample_rate, frequency)
    from gnuradio.amrq.zmq_source import zmq_source

    assert zmq is not None
    return LiveSource(zmq_source(zmq, format), zmq, sample_rate, frequency)


def _recording(recording: Recording) -> LiveSource:
    from gnuradio.amrq.paced_source import paced_source
    from gnuradio.amrq.recording_source import recording_source

    block = paced_source(recording_source(recording), recording.sample_rate)
    frequency = recording.tunings[0][1] if recording.tunings else None
    return LiveSource(block, str(recording.path), recording.sample_rate, frequency, recording, False)


def _simulation(sample_rate: float, symbol_rate: float, es_n0_db: float) -> LiveSource:
    from gnuradio.amrq.modulation_source import modulation_source
    from gnuradio.amrq.paced_source import paced_source

    samples_per_symbol = round(sample_rate / symbol_rate)
    if samples_per_symbol < 2 or abs(samples_per_symbol * symbol_rate - sample_rate) > 1e-6 * sample_rate:
        raise AmrqError(
            f"a simulation needs a whole number of samples a symbol, at least 2; {engineering(sample_rate, 'S/s')} at "
            f"{engineering(symbol_rate, 'Bd')} has {sample_rate / symbol_rate:g}: change --rate or --symbol-rate."
        )
    source = modulation_source(
        list(MODULATIONS),
        dwell=max(1, round(_DWELL_SECONDS * symbol_rate)),
        es_n0_db=es_n0_db,
        rotation=0.7,
        samples_per_symbol=samples_per_symbol,
    )
    return LiveSource(paced_source(source, sample_rate), "simulation", sample_rate, watched=False)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which source samples are to come from, and with what settings."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError
from amrq.recordings import FORMATS, RAW_FORMATS, Recording
from amrq.sources.gain import Gain, read_gain

__all__ = ["LiveSource", "SourceOptions"]

_SOURCES = {
    "soapy": "--soapy",
    "rtl_tcp": "--rtl-tcp",
    "file": "--file",
    "stdin": "--stdin",
    "zmq": "--zmq",
    "udp": "--udp",
    "simulate": "--simulate",
}
_RADIOS = ("soapy", "rtl_tcp")


@dataclass(frozen=True)
class LiveSource:
    """A source, made.

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


@dataclass(frozen=True)
class SourceOptions:
    """One source of samples and its settings: what the options of `amrq live` say.

    `gnuradio.amrq.open_source.open_source` makes the source. Exactly one of the first seven is given.

    Attributes:
        soapy: SoapySDR's device arguments, `driver=rtlsdr` for instance; the next line's settings apply.
        rtl_tcp: `HOST` or `HOST:PORT` of an rtl_tcp server.
        file: a recording, played as fast as it was made.
        stdin: raw samples on standard input.
        zmq: `tcp://host:port` of a ZMQ PUB sink, `pull+tcp://host:port` of a PUSH sink.
        udp: `PORT` or `HOST:PORT` of this machine that UDP packets are sent to.
        simulate: the nine classes in turn.
        sample_rate: samples a second, above 0; a recording's own where it has one.
        frequency: that a radio is tuned to, Hz, above 0; of other sources, what 0 Hz stands for, where it is known.
        format: of the samples, a name in `amrq.recordings.FORMATS`; `auto`: a file's own, cu8 on standard input, cf32
            from the network.
        gain: of a radio, dB, or elements with theirs (`LNA=20,VGA=16`, SoapySDR alone); None: automatic.
        antenna: of a SoapySDR radio, by name; empty leaves the radio's choice.
        bandwidth: of a SoapySDR radio's analogue filter, Hz; 0 leaves the radio's choice.
        ppm: correction of a radio's oscillator, parts per million.
        symbol_rate: symbols a second of a simulation, which divides `sample_rate`.
        es_n0_db: of a simulation, dB.
        recording_name: which recording of a SigMF archive or collection; None for the first.

    Raises:
        AmrqError: none of the first seven is given, or several, or a setting that the source does not have.

    >>> SourceOptions(rtl_tcp="raspberrypi.local", sample_rate=2.4e6, frequency=433.92e6, gain="30").chosen
    'rtl_tcp'
    """

    soapy: str | None = None
    rtl_tcp: str | None = None
    file: Path | None = None
    stdin: bool = False
    zmq: str | None = None
    udp: str | None = None
    simulate: bool = False
    sample_rate: float | None = None
    frequency: float | None = None
    format: str = "auto"
    gain: Gain | str = None
    antenna: str = ""
    bandwidth: float = 0.0
    ppm: float = 0.0
    symbol_rate: float | None = None
    es_n0_db: float = 20.0
    recording_name: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in _SOURCES if getattr(self, name) not in (None, False)]
        if len(given) != 1:
            said = " and ".join(_SOURCES[name] for name in given) or "none"
            raise AmrqError(f"give one source, not {said}: one of {', '.join(_SOURCES.values())}.")
        (chosen,) = given
        option = _SOURCES[chosen]
        object.__setattr__(self, "gain", read_gain(self.gain))
        radios = {"--gain": self.gain is not None, "--ppm": bool(self.ppm)}
        analogue = {"--antenna": bool(self.antenna), "--bandwidth": bool(self.bandwidth)}
        for setting, wanted in radios.items():
            if wanted and chosen not in _RADIOS:
                raise AmrqError(
                    f"{setting} belongs to a radio (--soapy, --rtl-tcp), not to {option}: leave it out."
                )
        for setting, wanted in analogue.items():
            if wanted and chosen != "soapy":
                raise AmrqError(
                    f"{setting} belongs to a radio of SoapySDR (--soapy), not to {option}: leave it out."
                )
        if chosen == "file":
            return
        if self.recording_name is not None:
            raise AmrqError("--recording belongs to a SigMF archive or collection: give that (--file).")
        if self.sample_rate is None:
            raise AmrqError(f"{option} needs the sample rate (--rate).")
        if not 0 < self.sample_rate < 1e12:
            raise AmrqError(f"the sample rate must be above 0 Hz and below 1 THz, not {self.sample_rate:g}.")
        if chosen in _RADIOS and self.frequency is None:
            raise AmrqError(f"{option} needs the frequency to tune to (--freq).")
        if not math.isfinite(self.ppm):
            raise AmrqError(f"--ppm must be a number, not {self.ppm}.")
        if chosen == "rtl_tcp" and self.format not in ("auto", "cu8"):
            raise AmrqError(f"samples of rtl_tcp are cu8, not {self.format}: leave --format out.")
        formats = ("auto", *RAW_FORMATS)
        if chosen in ("stdin", "zmq", "udp") and self.format not in formats:
            raise AmrqError(f"samples come in one of {', '.join(RAW_FORMATS)} there, not as {self.format!r}.")
        if self.format not in FORMATS:
            raise AmrqError(f"there is no format {self.format!r}: choose from {', '.join(FORMATS)}.")

    @property
    def chosen(self) -> str:
        """Which source it is: the name of its attribute."""
        return next(name for name in _SOURCES if getattr(self, name) not in (None, False))

    @property
    def raw_format(self) -> str:
        """The format of raw samples: `format`, or what `auto` stands for with this source."""
        if self.format != "auto":
            return self.format
        return "cu8" if self.chosen in ("stdin", "rtl_tcp") else "cf32"

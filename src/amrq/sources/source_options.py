# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that select a source, and the search for radios."""

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError, DeviceError
from amrq.options import OptionError, Range, above, at_least, check, described, option
from amrq.recordings import FORMATS, RAW_FORMATS, Recording
from amrq.text import printable

__all__ = ["Gain", "GainElement", "LiveSource", "RadioDevice", "SourceOptions", "find_devices", "read_gain"]

_WORDS = ("label", "product", "manufacturer", "version", "tuner", "name", "remote:version")
"""What drivers say about a device for people, and that does not choose it."""

_Limits = tuple[float, float]
"""From, to; the same twice where there is one value."""


@dataclass(frozen=True)
class GainElement:
    """One of a radio's amplifiers.

    Attributes:
        name: by which `--gain NAME=DB` sets it.
        range_db: the least and the largest gain, in the unit of its driver, dB nearly always.
    """

    name: str
    range_db: _Limits


@dataclass(frozen=True)
class RadioDevice:
    """A receiver, as its driver describes the first channel.

    Attributes:
        device: SoapySDR's arguments that choose it, for `--soapy`.
        label: what its driver calls it; empty where it says nothing.
        error: why it could not be opened and asked, most often since another program has it; None where it could.
        frequency_hz: ranges that it tunes to.
        sample_rate: ranges of samples a second.
        bandwidth_hz: ranges of its analogue filter; empty where it has no choice.
        antennas: names of its inputs.
        gain_db: range of the gain over all.
        gain_elements: what it is made of, in the order from the antenna.
        automatic_gain: whether it has an automatic gain.
        tells_time: whether its samples come with a time.
    """

    device: str
    label: str = ""
    error: str | None = None
    frequency_hz: tuple[_Limits, ...] = ()
    sample_rate: tuple[_Limits, ...] = ()
    bandwidth_hz: tuple[_Limits, ...] = ()
    antennas: tuple[str, ...] = ()
    gain_db: _Limits | None = None
    gain_elements: tuple[GainElement, ...] = ()
    automatic_gain: bool = False
    tells_time: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


def find_devices(wanted: str = "") -> list[RadioDevice]:
    """Return the receivers that SoapySDR finds; each is opened for a moment, and asked.

    Args:
        wanted: SoapySDR's arguments that narrow the search, `driver=rtlsdr` for instance; empty for all.

    Raises:
        DeviceError: SoapySDR's Python cannot be imported, or its search failed.
    """
    try:
        import SoapySDR
    except ImportError as error:
        raise DeviceError(
            f"listing radios needs SoapySDR's Python, which cannot be imported ({error}): install python3-soapysdr "
            "(Debian, Ubuntu) or SoapySDR's own; amrq live --soapy does not need it."
        ) from None
    try:
        found = list(SoapySDR.Device.enumerate(wanted))
    except (RuntimeError, ValueError, TypeError) as error:
        raise DeviceError(f"SoapySDR cannot look for radios ({printable(error)}).") from None
    return [_described(SoapySDR, one) for one in found]


def _described(soapy: Any, one: Any) -> RadioDevice:
    arguments = dict(one)
    device = _chooser(arguments)
    label = printable(arguments.get("label") or arguments.get("product") or "")
    try:
        radio = soapy.Device(one)  # SoapySDR's own object: from a dict, Debian 13's makes no arguments at all
    except Exception as error:  # a driver raises what it likes
        return RadioDevice(device, label, printable(error) or type(error).__name__)
    direction = soapy.SOAPY_SDR_RX
    try:
        if not radio.getNumChannels(direction):
            return RadioDevice(device, label, "it has nothing that receives")
        return RadioDevice(
            device,
            label or printable(radio.getHardwareKey()),
            None,
            _ranges(radio.getFrequencyRange(direction, 0)),
            _ranges(radio.getSampleRateRange(direction, 0)),
            _ranges(radio.getBandwidthRange(direction, 0)),
            tuple(printable(name) for name in radio.listAntennas(direction, 0)),
            _range(radio.getGainRange(direction, 0)),
            tuple(
                GainElement(printable(name), _range(radio.getGainRange(direction, 0, name)))
                for name in radio.listGains(direction, 0)
            ),
            bool(radio.hasGainMode(direction, 0)),
            bool(radio.hasHardwareTime()),
        )
    except Exception as error:
        return RadioDevice(device, label, printable(error) or type(error).__name__)
    finally:
        del radio  # closes it


def _chooser(arguments: Mapping[str, str]) -> str:
    """Return the arguments that choose a device, the driver first; a serial number does it alone."""
    named = {
        key: value for key, value in arguments.items() if value and "," not in value and key not in _WORDS
    }
    keys = (
        ["driver", "serial"] if "serial" in named else ["driver", *(key for key in named if key != "driver")]
    )
    return printable(",".join(f"{key}={named[key]}" for key in keys if key in named))


def _range(span: Any) -> _Limits:
    return float(span.minimum()), float(span.maximum())


def _ranges(spans: Iterable[Any]) -> tuple[_Limits, ...]:
    return tuple(sorted({_range(span) for span in spans}))


Gain = float | Mapping[str, float] | None
"""dB over all; or dB by the name of an element, `LNA` for instance; or None: automatic."""


def read_gain(given: float | str | Mapping[str, float] | None) -> Gain:
    """Return the gain that is meant.

    Args:
        given: a number of dB; elements with theirs, `LNA=20,VGA=16` or a mapping; `auto`, empty or None: automatic.

    Raises:
        AmrqError: it is none of these.

    >>> read_gain("30"), read_gain("LNA=20, VGA=16"), read_gain("auto")
    (30.0, {'LNA': 20.0, 'VGA': 16.0}, None)
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        elements = {str(name): _number(value, given) for name, value in given.items()}
        if not elements:
            raise _unreadable(given)
        return elements
    if not isinstance(given, str):
        return _number(given, given)
    text = given.strip()
    if text.lower() in ("", "auto", "none"):
        return None
    if "=" not in text:
        return _number(text, given)
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not (name and equals) or name in found:
            raise _unreadable(given)
        found[name] = _number(value, given)
    return found


def _number(value: object, given: object) -> float:
    if isinstance(value, str):
        words = value.split()
        value = words[0] if len(words) == 2 and words[1].lower() == "db" else value
    try:
        number = float(value) if isinstance(value, (str, numbers.Real)) else math.nan
    except (ValueError, OverflowError):
        raise _unreadable(given) from None
    if isinstance(value, bool) or not math.isfinite(number):
        raise _unreadable(given)
    return number


def _unreadable(given: object) -> AmrqError:
    return OptionError(
        {"gain": "--gain"},
        "{gain} takes a number of dB, or gains of elements, as in LNA=20,VGA=16; not '{given}'.",
        given=printable(given),
    )


_SOURCES = ("soapy", "rtl_tcp", "file", "stdin", "zmq", "udp", "simulate")
_RADIOS = ("soapy", "rtl_tcp")
_SIMULATED_RATE = 400e3
_SIMULATED_SAMPLES_PER_SYMBOL = 4


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


@described
@dataclass(frozen=True)
class SourceOptions:
    """One source of samples and its settings: what the options of `amrq live` say.

    `gnuradio.amrq.open_source.open_source` makes the source. Exactly one of the first seven is given.

    Raises:
        AmrqError: none of the first seven is given, or several, or a setting that the source does not have.

    >>> SourceOptions(rtl_tcp="raspberrypi.local", sample_rate=2.4e6, frequency=433.92e6, gain="30").chosen
    'rtl_tcp'
    """

    soapy: str | None = option(
        None,
        "A radio that SoapySDR knows, driver=rtlsdr for instance; 'amrq devices' lists them.",
        flag="--soapy DEVICE",
    )
    rtl_tcp: str | None = option(
        None,
        "An RTL-SDR that rtl_tcp shares over the network; port 1234 without PORT.",
        flag="--rtl-tcp HOST[:PORT]",
    )
    file: Path | None = option(None, "A recording, played as fast as it was made.", flag="--file --sigmf")
    stdin: bool = option(False, "Raw samples on standard input.")
    zmq: str | None = option(
        None,
        "A ZMQ PUB sink of GNU Radio at tcp://host:port; a PUSH sink at pull+tcp://host:port.",
        flag="--zmq ADDRESS",
    )
    udp: str | None = option(
        None,
        "Raw samples in UDP packets to this port of this machine, whole samples in each.",
        flag="--udp [HOST:]PORT",
    )
    simulate: bool = option(False, "A simulation: the model's classes in turn, in noise.")
    recording_name: str | None = option(
        None,
        "Which recording of a SigMF archive or collection; without it, the first.",
        flag="--recording NAME",
    )
    frequency: float | None = option(
        None,
        "Frequency that a radio is tuned to; of other sources, the centre frequency where it is known.",
        unit="Hz",
        flag="--freq",
    )
    sample_rate: float | None = option(
        None,
        "Samples a second, 2.4M for instance. A recording's own where it has one.",
        unit="S/s",
        within=Range(0, 1e12, low_open=True, high_open=True),
        flag="--rate",
    )
    symbol_rate: float | None = option(
        None,
        "Symbols a second, 100k for instance. Without it, estimated and followed; in a simulation, a quarter of the "
        "sample rate.",
        unit="Bd",
        within=above(0),
    )
    format: str = option(
        "auto",
        "Format of the samples. auto: a file's own, cu8 on standard input, cf32 from the network.",
        choices=FORMATS,
    )
    gain: Gain | str = option(
        None,
        "Gain of a radio in dB, or of its elements: LNA=20,VGA=16. Without it, automatic.",
        flag="--gain GAIN",
    )
    antenna: str = option("", "Antenna of a SoapySDR radio, by name.", advanced=True)
    bandwidth: float = option(
        0.0,
        "Bandwidth of a SoapySDR radio's analogue filter; 0: the driver's choice.",
        unit="Hz",
        within=at_least(0),
        label="Analogue Filter",
        advanced=True,
    )
    ppm: float = option(
        0.0, "Correction of a radio's oscillator.", unit="ppm", label="Oscillator Correction", advanced=True
    )
    es_n0_db: float = option(20.0, "Es/N0 of the simulation.", unit="dB", label="Es/N0", flag="--es-n0")

    def __post_init__(self) -> None:
        """Check the values; give a simulation the rates that it has by default."""
        check(self)
        object.__setattr__(self, "gain", read_gain(self.gain))
        given = [name for name in _SOURCES if getattr(self, name) not in (None, False)]
        if len(given) != 1:
            known = ", ".join(f"{{{name}}}" for name in _SOURCES)
            said = " and ".join(f"{{{name}}}" for name in given) or "none"
            raise OptionError(SourceOptions, f"give one source, not {said}: one of {known}.")
        self._check_radio()
        if self.simulate and self.sample_rate is None:
            object.__setattr__(self, "sample_rate", _SIMULATED_RATE)
        if self.simulate and self.symbol_rate is None and self.sample_rate is not None:
            object.__setattr__(self, "symbol_rate", self.sample_rate / _SIMULATED_SAMPLES_PER_SYMBOL)
        if self.chosen != "file":
            self._check_stream()

    def _check_radio(self) -> None:
        """Refuse settings of a radio where the source is none, or another kind."""
        chosen = f"{{{self.chosen}}}"
        for name in ("gain", "ppm"):
            if getattr(self, name) not in (None, 0) and self.chosen not in _RADIOS:
                text = (
                    f"{{{name}}} belongs to a radio ({{soapy}}, {{rtl_tcp}}), not to {chosen}: leave it out."
                )
                raise OptionError(SourceOptions, text)
        for name in ("antenna", "bandwidth"):
            if getattr(self, name) and self.chosen != "soapy":
                text = (
                    f"{{{name}}} belongs to a radio of SoapySDR ({{soapy}}), not to {chosen}: leave it out."
                )
                raise OptionError(SourceOptions, text)

    def _check_stream(self) -> None:
        """Refuse what a source that is no recording cannot do without, or does not have."""
        if self.recording_name is not None:
            text = "{recording_name} belongs to a SigMF archive or collection: give that ({file})."
            raise OptionError(SourceOptions, text)
        if self.sample_rate is None:
            raise OptionError(SourceOptions, f"{{{self.chosen}}} needs the sample rate ({{sample_rate}}).")
        if self.chosen in _RADIOS and self.frequency is None:
            text = f"{{{self.chosen}}} needs the frequency to tune to ({{frequency}})."
            raise OptionError(SourceOptions, text)
        if self.chosen == "rtl_tcp" and self.format not in ("auto", "cu8"):
            text = "samples of rtl_tcp are cu8, not {given}: leave {format} out."
            raise OptionError(SourceOptions, text, given=self.format)
        formats = ("auto", *RAW_FORMATS)
        if self.chosen in ("stdin", "zmq", "udp") and self.format not in formats:
            raise AmrqError(f"samples come in one of {', '.join(RAW_FORMATS)} there, not as {self.format!r}.")

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

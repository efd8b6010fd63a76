# SPDX-License-Identifier: GPL-3.0-or-later
"""The radios that SoapySDR finds, and what they can do."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from amrq.errors import DeviceError
from amrq.text import printable

__all__ = ["GainElement", "RadioDevice", "find_devices"]

_WORDS = ("label", "product", "manufacturer", "version", "tuner", "name", "remote:version")
"""What drivers say about a device for people, and that does not choose it."""

Range = tuple[float, float]
"""From, to; the same twice where there is one value."""


@dataclass(frozen=True)
class GainElement:
    """One of a radio's amplifiers.

    Attributes:
        name: by which `--gain NAME=DB` sets it.
        range_db: the least and the largest gain, in the unit of its driver, dB nearly always.
    """

    name: str
    range_db: Range


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
    frequency_hz: tuple[Range, ...] = ()
    sample_rate: tuple[Range, ...] = ()
    bandwidth_hz: tuple[Range, ...] = ()
    antennas: tuple[str, ...] = ()
    gain_db: Range | None = None
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


def _range(span: Any) -> Range:
    return float(span.minimum()), float(span.maximum())


def _ranges(spans: Iterable[Any]) -> tuple[Range, ...]:
    return tuple(sorted({_range(span) for span in spans}))

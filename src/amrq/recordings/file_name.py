# SPDX-License-Identifier: GPL-3.0-or-later
"""What receivers write into the names of their recordings: time, frequency, sample rate, format."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

__all__ = ["NamedFacts", "facts_of_name"]


@dataclass(frozen=True)
class NamedFacts:
    """What a name tells; None where it does not.

    Attributes:
        program: that names its files so.
        begun: when the recording began, with its time zone.
        local: the name has the time of its recorder's place, which is taken for this machine's.
        frequency: what 0 Hz stands for, Hz.
        sample_rate: samples a second.
        format: of the samples, a name in `RAW_FORMATS`.
    """

    program: str
    begun: datetime | None = None
    local: bool = False
    frequency: float | None = None
    sample_rate: float | None = None
    format: str | None = None


_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_PROGRAMS = {"sdrsharp": "SDR#", "hdsdr": "HDSDR", "sdruno": "SDRuno"}


def _time(text: str, layout: str, local: bool = False) -> datetime | None:
    try:
        moment = datetime.strptime(text, layout)
        return moment.astimezone() if local else moment.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def _gqrx(found: re.Match[str]) -> NamedFacts:
    begun = _time(found[1], "%Y%m%d_%H%M%S")
    return NamedFacts("gqrx", begun, False, float(found[2]), float(found[3]), "cf32")


def _stamped(found: re.Match[str]) -> NamedFacts:
    local = not found[3]
    begun = _time(found[2], "%Y%m%d_%H%M%S", local)
    program = _PROGRAMS.get(found[1].lower(), found[1])
    return NamedFacts(program, begun, local, float(found[4]) * _FACTORS[found[5].lower()])


def _sdrpp(found: re.Match[str]) -> NamedFacts:
    return NamedFacts("SDR++", _time(found[2], "%H-%M-%S_%d-%m-%Y", True), True, float(found[1]))


def _rtl_433(found: re.Match[str]) -> NamedFacts:
    return NamedFacts("rtl_433", frequency=float(found[1]) * 1e6, sample_rate=float(found[2]) * 1e3)


def _satdump(found: re.Match[str]) -> NamedFacts:
    begun = _time(found[1], "%Y-%m-%d_%H-%M-%S")
    return NamedFacts("SatDump", begun, False, float(found[3]), float(found[2]))


_BEFORE = r"(?:.{0,200}[\s.])?"
"""What people put in front, 'copy of' for instance."""

# Longer runs of digits than any frequency's are no frequency; no pattern here can take long on any name.
_PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], NamedFacts]], ...] = (
    (rf"(?i:{_BEFORE}gqrx)_(\d{{8}}_\d{{6}})_(\d{{1,12}})_(\d{{1,12}})_fc\b.*", _gqrx),
    # HDSDR, SDR#, SDRuno, hackrf_transfer, airspy_rx and others: program, date, time with Z for UTC, frequency.
    (
        rf"{_BEFORE}([A-Za-z][\w#+-]{{0,30}}?)_(\d{{8}}_\d{{6}})(Z?)_"
        r"(\d{1,12}(?:\.\d{1,9})?)([kKmMgG]?)(?i:Hz)(?![A-Za-z]).*",
        _stamped,
    ),
    (rf"{_BEFORE}(?i:baseband|audio)_(\d{{1,12}})(?i:Hz)_(\d\d-\d\d-\d\d_\d\d-\d\d-\d{{4}})(?!\d).*", _sdrpp),
    (r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)(?:-[\d.]{1,20})?_(\d{1,12})SPS_(\d{1,12})Hz(?![A-Za-z]).*", _satdump),
    # Frequency in M and rate in k: one of them alone may be anything, a symbol rate for instance.
    (
        r"(?:.{0,200}_)?(\d{1,6}(?:\.\d{1,9})?)M(?:Hz)?_(\d{1,9}(?:\.\d{1,9})?)[kK](?:sps)?(?![A-Za-z0-9]).*",
        _rtl_433,
    ),
)


def facts_of_name(name: str) -> NamedFacts | None:
    """Return what a file's name tells where it is one that a known program gives; None where it is not.

    >>> facts = facts_of_name("g001_433.92M_250k.cu8")
    >>> facts.frequency, facts.sample_rate
    (433920000.0, 250000.0)
    """
    for pattern, facts in _PATTERNS:
        found = re.fullmatch(pattern, name, re.DOTALL)
        if found:
            return facts(found)
    return None

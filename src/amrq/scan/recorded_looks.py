# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at an emission in a recording: at several places of it, chosen by its power, which say together what it is."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.channel import Channel, Channeliser, ChannelSamples
from amrq.chunks import finite_samples
from amrq.identify import IdentifyModels, ofdm_details
from amrq.measure import measure_spreading, measure_subcarriers
from amrq.model import UNKNOWN
from amrq.protocols import Measure
from amrq.scan.findings import Findings
from amrq.scan.looks import Looker
from amrq.scan.parts import Part, capped, crowd, fine_spectrum, spread
from amrq.scan.records import EmissionRecord, numbers_of, with_findings
from amrq.scan.scanner import BandScanner

__all__ = ["SURE", "RecordedLooks", "RecordedSamples", "is_doubtful", "prefix_may_be_chance"]

_LOOK, _LOOKS = 1500.0, 6
"""Bandwidths times seconds of a look, and how many of them are spread over the signal."""
_TRIED, _PARTS_OF_LOOK, _STRONG, _FEWEST_LOOKS = 48, 8, 0.5, 3
"""Stretches at most whose power is measured, by so many pieces each; those with more than a half of the most are looked
at, or so many of the strongest."""
_RATE = 4.0
"""Bandwidths of the channel that is looked at."""
_LEAST_BANDWIDTH, _LEAST_WINDOW = 500.0, 100.0
"""Hz: of the narrowest channel, and of the narrowest signal whose looks are longer than those of wider ones."""
_OFDM, _LONG_LOOK, _CLEAR_PREFIX = "ofdm", 32768.0, 0.5
"""Bandwidths times seconds in which OFDM's prefix is looked for where looks show none with so much confidence: of
digital television a symbol takes 1,700 to 7,000, and one of 1/32 shows in ten. Of 40 such signals 39 were right."""
_SURE_OF_PREFIX = 0.9
"""Confidence of OFDM by single looks, below which a prefix that they show may be chance."""
_NO_PREFIX, _WOULD_SHOW, _LEAST_SNR, _MOST_WITHOUT = 0.1, 8192.0, 10.0, 0.7
"""Confidence of a prefix, below which a look shows none; bandwidths times seconds, and dB, from which on one would show
(of 120 simulated OFDM signals at 10 and 15 dB two had less, with prefixes of 1/32 and 1/35); and how sure OFDM is then:
some has none, but neither has a single sideband of noise."""
_CHIPS, _DSSS, _CODE_LOOK = "linear", "dsss", 6144.0
"""Families: symbols that may be chips of a code, and what they are then. Bandwidths times seconds in which codes are
looked for that are longer than looks: six of 1,023 chips."""
_CODE, _PERHAPS_CODE, _MOST_OF_CHIPS = 0.5, 0.1, 0.85
"""Confidence of a code that symbols are chips of, and of one that they may be chips of: a pattern of idle symbols comes
again as a code does; and how sure either is then."""
_SHORT = 64
"""Samples: fewer are not looked at."""
SURE = 0.8
"""Confidence of a family that is claimed of all of a recording in which the detector found nothing of the kind."""
_OF_CROWD, _NO_CROWD = 3, (UNKNOWN, "noise", "carrier")
"""Emissions of a crowd that are looked at, and what its first must not be: tones of a voice are carriers, too."""
_OF_FULL, _TONES, _UNPROVEN_VOICE = 4, ("fskm", "fsk2", "fsk4"), ("SSB", "USB", "LSB")
"""The same where they take much of the band; families that are believed then; labels of what may be such a crowd."""
_FINE = 1000  # values of a spectrum in what may be a crowd, fewer of which are too coarse

_HAS_LINE = ("carrier", "am", "ook")  # families whose line at 0 Hz may be their own
_LONGEST_LINE, _BESIDE_LINE, _LINE_OVER = 1 << 20, 32, 50.0
"""Samples in which a line at 0 Hz is looked for, values of the spectrum on either side of it, and times their median
that it has: of symbols alone, one in 10^15 has."""

_Reals = NDArray[np.float64]


class RecordedSamples(Protocol):
    """Samples that can be read anywhere: a recording."""

    length: int

    def read(self, start: int, count: int, /) -> NDArray[Any]:
        """Return samples `start` to `start + count`."""
        ...


def prefix_may_be_chance(record: EmissionRecord) -> bool:
    """Return whether an emission is called OFDM with so little confidence that a longer look at it decides.

    >>> prefix_may_be_chance(EmissionRecord(1, 0, 9, 0, 9, 0, 1, 0, 0, family="ofdm", confidence=0.85))
    True
    """
    return record.family == _OFDM and record.confidence < _SURE_OF_PREFIX


def is_doubtful(record: EmissionRecord) -> bool:
    """Return whether further looks may say more.

    >>> is_doubtful(EmissionRecord(1, 0, 9, 0, 9, 0, 1, 0, 0, label="AM", family="am", confidence=0.7))
    True
    """
    return record.label == UNKNOWN or (record.confidence < SURE and not record.alike)


def _without_prefix(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is like OFDM and has no prefix: what single looks showed of one was chance."""
    families, sure = dict(fields["families"]), min(fields["confidence"], _MOST_WITHOUT)
    kept = min(families.get(_OFDM, 0.0), _MOST_WITHOUT)
    families[UNKNOWN] = families.get(UNKNOWN, 0.0) + families.get(_OFDM, 0.0) - kept
    families[_OFDM] = kept
    measures = {name: value for name, value in fields["measures"].items() if name not in fields["details"]}
    told = {"families": families, "details": {}, "measures": measures, "symbol_rate": None}
    return {**fields, "confidence": sure, **told}


class _WithoutOffset:
    """A recording less a constant."""

    def __init__(self, samples: RecordedSamples, offset: complex) -> None:
        self._samples, self._offset, self.length = samples, np.complex64(offset), samples.length

    def read(self, start: int, count: int, /) -> NDArray[np.complex64]:
        """Return samples `start` to `start + count`."""
        return np.asarray(self._samples.read(start, count), np.complex64) - self._offset


class RecordedLooks:
    """Looks at the emissions of a recording.

    Args:
        samples: of the recording.
        sample_rate: samples a second.
        scanner: has searched it: its noise floor is the one that emissions are measured against.
        models: that the looks are made with.
    """

    def __init__(
        self, samples: RecordedSamples, sample_rate: float, scanner: BandScanner, models: IdentifyModels
    ) -> None:
        self._samples, self._rate, self._scanner, self._models = samples, sample_rate, scanner, models

    def identified(self, part: Part, noise_dbfs_per_hz: float | None = math.nan) -> EmissionRecord:
        """Return a signal's record with what looks at several places of it say.

        Args:
            part: the signal.
            noise_dbfs_per_hz: density of the noise; NaN: by the detector's floor; None: not known.
        """
        record, found = part.record, Findings()
        looker = self._looker(noise_dbfs_per_hz)
        blank = replace(record, label=UNKNOWN, family=UNKNOWN, symbol_rate=None)
        for start, stop in self._places(part):
            channel = self._channel(record, start, stop)
            identity = looker.identity(channel, blank, True)
            measures = numbers_of(identity.measures)
            if measures.get("centre") is not None:
                measures["centre"] = float(measures["centre"] or 0.0) + channel.centre
            found.add(identity, measures)
        centre, now = self._scanner.centre_hz, self._samples.length
        fields = found.fields(all=True)
        if not fields:
            return record
        if fields["family"] == _OFDM:
            fields = self._with_prefix(fields, part)
        elif fields["family"] == _CHIPS:
            fields = self._with_code(fields, part)
        record = replace(record, on=False, looks=len(found))
        return with_findings(record, fields, self._rate, now, centre, part.stretches)

    def without_line(self, part: Part, record: EmissionRecord) -> EmissionRecord | None:
        """Return what a signal across 0 Hz is without a receiver's line there; None where that says no more.

        Args:
            part: the signal.
            record: what it is with the line.
        """
        across = part.record.lower < 0 < part.record.upper
        if not (is_doubtful(record) and across) or record.family in _HAS_LINE:
            return None
        iq = np.asarray(self._samples.read(0, min(self._samples.length, _LONGEST_LINE)), np.complex64)
        iq = finite_samples(iq)
        power = np.square(np.abs(fft.fft(iq)))[[*range(-_BESIDE_LINE, _BESIDE_LINE + 1)]]
        if len(iq) < _SHORT or not power[_BESIDE_LINE] > _LINE_OVER * np.median(power):
            return None
        cleaned = _WithoutOffset(self._samples, complex(iq.mean(dtype=np.complex128)))
        found = RecordedLooks(cleaned, self._rate, self._scanner, self._models).identified(part)
        return capped(found) if found.label != UNKNOWN and found.confidence > record.confidence else None

    def in_crowd(
        self, main: Part, record: EmissionRecord, at: _Reals, spectrum: _Reals
    ) -> tuple[tuple[Part, EmissionRecord] | None, list[Part]]:
        """Return the strongest emission with a name in what may be a crowd, and all of them; None where it is none.

        Args:
            main: what may be a crowd.
            record: what it is called, all of it.
            at: float64 [n], Hz of each value of the spectrum.
            spectrum: float64 [n], mean power.
        """
        voice = record.label in _UNPROVEN_VOICE
        if not (is_doubtful(record) or voice):
            return None, []
        if at[1] - at[0] > main.width / _FINE:
            at, spectrum = fine_spectrum(self._samples.read, self._samples.length, self._rate, main.width)
        several = crowd(main, at, spectrum) if is_doubtful(record) else []
        looks = ((one, self.identified(one)) for one in several[:_OF_CROWD])
        named = next((one for one in looks if one[1].family not in _NO_CROWD), None)
        if named is not None:
            return named, several
        # Slow tones side by side have the spectrum of a voice. But several that have tones are no voice.
        several = crowd(main, at, spectrum, full=True)
        found = [(one, self.identified(one)) for one in several[:_OF_FULL]]
        tones = [one for one in found if one[1].family in _TONES]
        sure = [one for one in tones if one[1].confidence >= SURE and one[1].symbol_rate is not None]
        return max(
            sure or (tones if len(tones) > 1 else []), key=lambda one: one[1].confidence, default=None
        ), several

    def _with_prefix(self, fields: dict[str, Any], part: Part) -> dict[str, Any]:
        """Return what OFDM is with the numbers of a long look, where looks of a few symbols show no prefix."""
        known = fields["details"].get("spacing")
        snr, sure = part.record.snr_db, fields["confidence"] >= _SURE_OF_PREFIX
        no_floor = math.isnan(snr)
        if known is not None and known.confidence > _CLEAR_PREFIX and sure and not no_floor:
            return fields
        width = max(part.width, _LEAST_BANDWIDTH)
        channel = self._longer(part, _LONG_LOOK)
        if channel is None:
            return fields
        found = measure_subcarriers(channel.iq, channel.sample_rate, width, _LONG_LOOK)
        if found.confidence < _CLEAR_PREFIX:
            # Without a floor nothing but a prefix tells OFDM from a receiver's noise.
            product = len(channel.iq) / channel.sample_rate * width
            seen = product > _WOULD_SHOW and snr > _LEAST_SNR and found.confidence < _NO_PREFIX
            return _without_prefix(fields) if no_floor or seen else fields
        details = {**fields["details"], **ofdm_details(found)}
        measures = {**fields["measures"], **{name: one.value for name, one in details.items()}}
        sure = max(fields["confidence"], found.confidence)
        others = {name: value for name, value in fields["families"].items() if name != _OFDM}
        scale = (1 - sure) / max(sum(others.values()), 1e-30)
        families = {name: value * scale for name, value in others.items()} | {_OFDM: sure}
        rate = details["symbol_rate"].value if "symbol_rate" in details else None
        told = {"details": details, "measures": measures, "families": families}
        return {**fields, **told, "confidence": sure, "symbol_rate": rate}

    def _with_code(self, fields: dict[str, Any], part: Part) -> dict[str, Any]:
        """Return what symbols are that come again in a longer look: a direct sequence's chips, or no sure ones."""
        channel = self._longer(part, _CODE_LOOK)
        if channel is None:
            return fields
        found = measure_spreading(channel.iq, channel.sample_rate, max(part.width, _LEAST_BANDWIDTH))
        if found.confidence < _PERHAPS_CODE or found.code_period is None:
            return fields
        is_code = found.confidence > _CODE
        sure = min(found.confidence if is_code else fields["confidence"], _MOST_OF_CHIPS)
        one, other = (_DSSS, _CHIPS) if is_code else (_CHIPS, _DSSS)
        told: dict[str, Any] = {"families": {one: sure, other: 1 - sure}, "confidence": sure}
        if is_code:
            numbers = {"code_period": found.code_period, "chip_rate": fields["symbol_rate"]}
            details = {name: Measure(value, sure) for name, value in numbers.items() if value is not None}
            measures = {**fields["measures"], **{name: one.value for name, one in details.items()}}
            told |= {
                "family": _DSSS,
                "label": "DSSS",
                "details": details,
                "measures": measures,
                "symbol_rate": None,
            }
        return {**fields, **told}

    def _longer(self, part: Part, product: float) -> ChannelSamples | None:
        """Return so many bandwidths times seconds of a signal's longest stretch; None where looks see nearly all."""
        start, stop = max(part.stretches, key=lambda one: one[1] - one[0])
        start, stop = max(0, start), min(self._samples.length, stop)
        width = max(part.width, _LEAST_BANDWIDTH)
        stop = min(stop, start + round(product * self._rate / width))
        if (stop - start) * width / self._rate < 2 * _LOOK:
            return None
        return self._channel(part.record, start, stop)

    def _looker(self, noise_dbfs_per_hz: float | None) -> Looker:
        by_detector = noise_dbfs_per_hz is not None and math.isnan(noise_dbfs_per_hz)
        floor = (
            np.asarray(self._scanner.picture().floor, np.float64)
            if by_detector
            else np.array([math.nan if noise_dbfs_per_hz is None else noise_dbfs_per_hz])
        )
        return Looker(self._scanner.ring, lambda: floor, self._models)

    def _places(self, part: Part) -> list[tuple[int, int]]:
        """Return the stretches that are looked at: where it is strong, spread over the times that it is on.

        A detector's emission may last through the pauses of a signal, where a receiver's noise stands out of what a
        filter leaves beside it.
        """
        window = max(_SHORT, round(_LOOK * self._rate / max(part.width, _LEAST_WINDOW)))
        length = self._samples.length
        kept: list[tuple[int, int]] = []
        for start, stop in part.stretches:
            start, stop = max(0, start), min(length, stop)
            count = max(1, 2 * (stop - start) // window - 1)
            size = min(window, stop - start)
            if size >= _SHORT:
                kept += [
                    (int(at), int(at) + size)
                    for at in np.linspace(start, stop - size, min(count, _TRIED)).round()
                ]
        kept.sort(key=lambda one: (one[0] - one[1], one[0]))  # the longest first
        if len(kept) < 2:
            return kept
        tried = spread([one for one in kept if one[1] - one[0] >= 0.5 * window] or kept, _TRIED)
        power = np.array([self._power_in(part.record, *one) for one in tried])
        strong: list[tuple[int, int]] = []
        for number in np.argsort(-power, kind="stable").tolist():
            start, stop = tried[number]
            weak = power[number] < _STRONG * power.max() and len(strong) >= _FEWEST_LOOKS
            if not weak and all(stop <= one[0] or start >= one[1] for one in strong):
                strong.append((start, stop))
        return spread(strong, _LOOKS)

    def _power_in(self, record: EmissionRecord, start: int, stop: int) -> float:
        """Return the mean power within an emission's edges, by a few short pieces of a stretch."""
        length = max(16, 1 << math.ceil(math.log2(4 * self._rate / max(record.bandwidth, _LEAST_BANDWIDTH))))
        length = min(length, stop - start)
        places = np.linspace(start, stop - length, _PARTS_OF_LOOK).round().astype(int)
        pieces = [np.asarray(self._samples.read(int(at), length), np.complex64) for at in places]
        at = fft.fftfreq(length, 1 / self._rate)
        power = np.square(np.abs(fft.fft(finite_samples(np.array(pieces)), axis=1))).mean(axis=0)
        return float(power[(at >= record.lower) & (at <= record.upper)].sum()) / length

    def _channel(self, record: EmissionRecord, start: int, stop: int) -> ChannelSamples:
        """Return a signal's samples about 0 Hz, with noise beside it where there is some."""
        iq = finite_samples(np.asarray(self._samples.read(start, stop - start), np.complex64))
        width = max(record.bandwidth, _LEAST_BANDWIDTH)
        if _RATE * width < 0.8 * self._rate:
            channel = Channel(record.centre, _RATE / 1.25 * width)
            return Channeliser(self._rate, [channel], start).take(iq)[0]
        turned = np.exp(-2j * np.pi * record.centre / self._rate * (start + np.arange(len(iq))))
        moved = (iq * turned).astype(np.complex64)
        return ChannelSamples(moved, self._rate, float(start), record.centre, 1.0)

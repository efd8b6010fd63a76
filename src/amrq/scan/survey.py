# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording holds, told nothing: its one signal, or its list of emissions.

The detector finds emissions beside noise. A recording of one signal is often as wide as its signal, or as short as a
burst, and then there is no noise beside it; and a signal with two tones may be found as two. So the mean spectrum of
all of the recording decides what the detector's emissions belong to: one signal that holds nearly all of the power, or
several.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.chunks import finite_samples
from amrq.classifier import AUTO, make_classifier
from amrq.identify import IdentifyModels, family_model
from amrq.measure import measure_buried_code
from amrq.model import UNKNOWN
from amrq.protocols import Measure
from amrq.recordings import UpperHalf
from amrq.scan.lines_together import families_of_lines, without_name
from amrq.scan.parts import (
    ALIKE,
    FAINT,
    LINES,
    MOST_WHOLE,
    OPPOSITE,
    SPLATTER,
    TOGETHER,
    Part,
    bridged,
    capped,
    common_time,
    energy,
    halves,
    keyed_alike,
    largest,
    likeness_of,
    union,
    unsaid,
)
from amrq.scan.recorded_looks import SURE, RecordedLooks, RecordedSamples, is_doubtful, prefix_may_be_chance
from amrq.scan.recorded_sides import RecordedSides
from amrq.scan.records import EmissionRecord, ScanEvent, with_findings
from amrq.scan.scanner import BandScanner
from amrq.scan.schedule import ScanOptions

__all__ = ["Survey", "survey_recording"]

_Samples = NDArray[np.complex64]
_Reals = NDArray[np.float64]

_NOISE = "noise"
_BLOCK_SECONDS = 0.03
"""Of a recording that is searched at a time, about: a power of two of samples."""
_BINS, _FEWEST_BINS, _SPECTRA = 4096, 32, 8
"""Of the mean spectrum at most and at least, and spectra that it is the mean of, about, where the bins are fewer."""
_ALONE, _MISSED = 0.9, 0.5
"""Of the power above the noise: a signal that holds more is the recording's one signal; where the detector's emissions
hold less, most of what is there was not found."""
_BESIDE = 1.0
"""Of a signal's width: what is as near, and much weaker, belongs to it."""
_GAP = 0.6
"""Of the narrower one's width, that two parts of one signal are apart at most."""
_TONES_ALIKE, _BY_TURNS = 5.0, -0.6
"""Times the energy of a tone that the other one has at most; and correlation of their powers, at most: of two of four
tones it is a third."""
_SAME_PLACE = 0.5
"""Of the narrower one's width: what overlaps by so much, at another time, is in the same place."""
_LONGER = 4
"""Times as long is what a short emission in the same place is not told from by the mean spectrum."""
_QUIET, _ABOVE = 0.05, 2.0
"""Quantile of the mean spectrum that is taken for noise where the detector found too little, and how many times that a
signal has at least."""
_FULL = 0.9
"""Of the band: a signal that takes more has no noise beside it."""
_LINE, _FEW_LINES = (
    0.02,
    3,
)  # of the strongest one's energy, that a line of a signal has at least; and how many are few
_HOLES = 0.1  # of the band: shorter holes are part of a signal
_SAME_SYMBOLS = {"pi4dqpsk": "pi/4-DQPSK", "oqpsk": "OQPSK", "dsss": "DSSS"}
"""Families whose symbols, or chips, are those of a phase keying, with their labels."""
_LIKELY_BESIDE = 0.1
"""Share of such a family, from which on it is given."""
_OUTSIDE = 0.005
"""Of the power of what fills a recording, beyond either of its edges."""
_PIECES, _FILLED = 4, 0.9
"""Emissions side by side that may be pieces of one signal, at least, and how much of the band they are in is filled."""
_SHORT = 64  # samples: fewer are not looked at
_LIKE_NOISE = "ofdm"
"""Family that a receiver's noise has where it stands out of a filter's sides."""
_LONG, _NARROW, _WIDER, _HIDDEN = 1 << 19, 0.05, 1.25, 0.1
"""Samples in which a code below the noise is looked for; of the code's width: what is narrower is a line beside it, and
what is wider noise that a filter passes, if it is like noise and less than this share of it repeats."""
_WIDE, _SEEN = 0.05, 6.0
"""Of the band, that a code is as wide as at least; dB by which what is between stands out if it is what repeats."""
_COARSE = 16  # values of samples: with no more, steps of the converter are an eighth of the signal
_COARSE_TEXT = "its samples have few different values: levels of the signal may be steps of the converter."
_CROWD = "the detector saw {} emissions as one; this is the strongest with a name."
_BURIED = "nothing of it stands out of the noise: all of the recording repeats a code."


@dataclass(frozen=True)
class Survey:
    """What a recording holds.

    Attributes:
        sample_rate: samples a second.
        samples: how many were searched.
        centre_hz: what the middle of the band stands for, Hz; None where it is not known.
        main: the strongest signal; None where there is none.
        others: the other emissions, the strongest first; those of less than 1/10,000 of its energy are left out.
        alone: the main signal holds nearly all of the power that is above the noise.
        share: of that power that it holds, 0 to 1.
        fainter: how many weaker emissions were left out.
        noise: there is nothing but noise; False where nothing can be said.
        doubts: sentences about what is not certain.
    """

    sample_rate: float
    samples: int
    centre_hz: float | None = None
    main: EmissionRecord | None = None
    others: tuple[EmissionRecord, ...] = ()
    alone: bool = False
    share: float = 0.0
    fainter: int = 0
    noise: bool = False
    doubts: tuple[str, ...] = ()

    def beside_linear(self) -> tuple[float, tuple[str, ...]]:
        """Return what other families leave a phase keying of the main signal, 0 to 1, and the names of the likely ones.

        They have the same symbols, as far as a receiver sees: pi/4-DQPSK and OQPSK at some other carrier or time, a
        direct sequence in its chips.
        """
        families: Mapping[str, float] = {} if self.main is None else self.main.families
        own, others = families.get("linear", 0.0), {name: families.get(name, 0.0) for name in _SAME_SYMBOLS}
        total = own + sum(others.values())
        if not total > 0:
            return 1.0, ()
        likely = sorted(
            (name for name in others if others[name] > _LIKELY_BESIDE * total), key=others.__getitem__
        )
        return own / total, tuple(_SAME_SYMBOLS[name] for name in reversed(likely))

    def events(self) -> list[ScanEvent]:
        """Return an event for each emission, the main signal first, as a scan gives them when they are over."""
        records = [*([] if self.main is None else [self.main]), *self.others]
        return [ScanEvent("end", record, self.centre_hz) for record in records]


def survey_recording(
    samples: RecordedSamples,
    sample_rate: float,
    centre_hz: float | None = None,
    options: ScanOptions | None = None,
    breaks: Mapping[int, float | None] | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Survey:
    """Say what a recording holds.

    All of it is searched, then its strongest signal is looked at in up to six places.

    Args:
        samples: of the recording; one with `real` set, as `Recording` has it, holds nothing below 0 Hz.
        sample_rate: samples a second, above 0.
        centre_hz: what the middle of the band stands for at its begin, Hz; None where it is not known.
        options: models and settings of the search; None: the defaults.
        breaks: samples before which others were lost, or the radio was tuned: what 0 Hz stands for from there on, Hz.
        progress: called with the samples searched, and all of them; what it raises ends the search.

    Raises:
        AmrqError: a model cannot be used, or the recording cannot be read.

    >>> class Tone:
    ...     length = 40_000
    ...     def read(self, start, count):
    ...         noise = np.random.default_rng(start).normal(size=(count, 2)) @ [1e-3, 1e-3j]
    ...         return (0.1 * np.exp(0.2j * np.pi * np.arange(start, start + count)) + noise).astype(np.complex64)
    >>> found = survey_recording(Tone(), 100e3)
    >>> found.main.label, round(found.main.centre / 1e3), found.alone
    ('carrier', 10, True)
    """
    if getattr(
        samples, "real", False
    ):  # half of its band is empty, which a noise floor must not be taken from
        half, up = UpperHalf(samples), sample_rate / 4
        raised = {at // 2: None if hz is None else hz + up for at, hz in (breaks or {}).items()}
        middle = None if centre_hz is None else centre_hz + up
        found = survey_recording(
            half, sample_rate / 2, middle, options, raised, lambda done, of: progress(2 * done, 2 * of)
        )
        main, others = found.main and found.main.moved(up, 2), tuple(one.moved(up, 2) for one in found.others)
        of_all = replace(found, sample_rate=sample_rate, samples=samples.length, main=main, others=others)
        return replace(of_all, centre_hz=None if found.centre_hz is None else found.centre_hz - up)
    search = _Search(samples, sample_rate, centre_hz, options or ScanOptions())
    search.run(dict(breaks or {}), progress)
    found = search.with_code(search.survey())
    if found.main is None or found.main.confidence <= MOST_WHOLE or not _is_coarse(samples):
        return found
    others = tuple(map(capped, found.others))
    return replace(found, main=capped(found.main), others=others, doubts=(*found.doubts, _COARSE_TEXT))


def _is_coarse(samples: RecordedSamples) -> bool:
    """Return whether a converter's steps are as large as what it converted: levels may be its own."""
    iq = np.asarray(samples.read(0, min(samples.length, _LONG)), np.complex64)
    return all(len(np.unique(part)) <= _COARSE for part in (iq.real, iq.imag))


class _Search:
    """The search of a recording: detector and mean spectrum, then the looks at its strongest signal."""

    def __init__(
        self, samples: RecordedSamples, sample_rate: float, centre_hz: float | None, options: ScanOptions
    ) -> None:
        self._samples, self._rate, self._centre = samples, float(sample_rate), centre_hz
        classifier = make_classifier(options.model, AUTO)
        models = IdentifyModels(classifier, family_model(options.family_model))
        self._scanner = BandScanner(sample_rate, centre_hz, options, classifier=classifier)
        self._looks = RecordedLooks(samples, self._rate, self._scanner, models)
        self._sides = RecordedSides(samples, self._rate, self._looks)
        most = max(_FEWEST_BINS, samples.length // _SPECTRA)
        self._bins = max(_FEWEST_BINS, 1 << min(int(math.log2(most)), int(math.log2(_BINS))))
        self._sums: _Reals = np.zeros(self._bins)
        self._spectra = 0
        self._power = 0.0
        self._varies = False

    def run(self, breaks: Mapping[int, float | None], progress: Callable[[int, int], None]) -> None:
        """Search all of the recording."""
        length = self._samples.length
        size = max(1 << 12, 1 << max(0, round(math.log2(_BLOCK_SECONDS * self._rate))))
        edges = sorted({*(at for at in breaks if 0 < at < length), length})
        place, events = 0, []
        while place < length:
            if place in breaks:
                centre = breaks[place]
                if centre == self._scanner.centre_hz:
                    self._scanner.add_break()
                else:
                    events += self._scanner.retune(centre)
            until = min(place + size, next(edge for edge in edges if edge > place))
            piece = np.asarray(self._samples.read(place, until - place), np.complex64)
            if not place:
                first = piece[0]
            self._varies = self._varies or bool((piece != first).any())
            events += self._scanner.process(piece)
            self._add_spectrum(finite_samples(piece))
            place = until
            progress(place, length)
        ended = (one.record for one in (*events, *self._scanner.finish()) if one.event == "end")
        self._ends = [record for record in ended if not record.part_of]

    def _add_spectrum(self, piece: _Samples) -> None:
        self._power += float(np.vdot(piece, piece).real)
        count = len(piece) // self._bins
        if not count and not self._spectra:  # it is shorter than a spectrum
            count, piece = 1, np.concatenate([piece, np.zeros(self._bins - len(piece), np.complex64)])
        window = np.hanning(self._bins + 1)[:-1].astype(np.float32)
        found = fft.fft(piece[: count * self._bins].reshape(count, self._bins) * window, axis=1)
        self._sums += fft.fftshift((np.abs(found).astype(np.float64) ** 2).sum(axis=0))
        self._spectra += count

    # What it found

    def survey(self) -> Survey:
        """Return what the recording holds."""
        spectrum = self._sums / max(self._sums.sum(), 1e-300)  # shares of the power
        at = (np.arange(self._bins) - self._bins // 2) * self._rate / self._bins
        floor = float(np.quantile(spectrum, _QUIET))
        above = np.maximum(spectrum - floor, 0.0)
        parts = self._parts(at, above)
        total = float(above.sum())
        plain = Survey(self._rate, self._samples.length, self._scanner.centre_hz)
        if not self._power > 0:
            return replace(plain, doubts=("all of its samples are zero or not finite.",))
        if not self._varies and self._samples.length > 1:
            return replace(plain, doubts=("all of its samples are the same: nothing was received.",))
        merged = self._merged(parts, at, spectrum)
        main = max(merged, key=lambda one: one.energy, default=None)
        whole = None
        unclear = main is None or main.record.label in (UNKNOWN, _NOISE)
        missed = sum(one.energy for one in merged) < _MISSED * total
        pieces = self._in_pieces(merged, at, spectrum) or self._at_once(merged)
        if unclear or missed or pieces:
            whole = self._whole(at, spectrum, floor)
        if whole is not None and self._claims(whole):
            others = [one for one in merged if not self._inside(one.record, whole)]
            share = min(1.0, energy(whole, at, above) / max(total, 1e-300))
            named, several = self._looks.in_crowd(
                Part(whole, ((0, plain.samples),), share), whole, at, spectrum
            )
            if named is not None:
                found = replace(plain, main=named[1], share=share * named[0].energy)
                others += [one for one in several if one is not named[0]]
                return self._listed(found, others, main_energy=total, doubts=(_CROWD.format(len(several)),))
            found = replace(plain, main=whole, share=share, alone=share > _ALONE)
            return self._listed(found, others, main_energy=total, doubts=(self._why_doubted(whole),))
        if main is None:
            noise = whole is not None and whole.label == _NOISE
            said = () if noise else ("nothing stands out of the noise: it is too short or too weak.",)
            if whole is not None and not noise and whole.reason:
                said = (f"no emission was found in it, and all of it together is unclear: {unsaid(whole)}.",)
            return replace(plain, noise=noise, doubts=said)
        rest = [one for one in merged if one is not main and not self._splatter(one, main)]
        sums = main.energy + sum(one.energy for one in rest)
        share = main.energy / max(sums, 1e-300)
        again = main.pieces > 1 or is_doubtful(main.record) or prefix_may_be_chance(main.record)
        record = self._looks.identified(main) if again else main.record
        doubts = []
        if main.tones and is_doubtful(record):
            record = self._of_tones(record, *main.tones)
        cleaned = self._looks.without_line(main, record)
        if cleaned is not None:
            record = cleaned
            doubts.append("it was looked at without the line at 0 Hz, which is taken for the receiver's.")
        named, several = self._looks.in_crowd(main, record, at, spectrum)
        if named is not None:
            main, record = named
            rest = [*(one for one in several if one is not main), *rest]
            share = main.energy / max(sums, 1e-300)
            doubts.append(_CROWD.format(len(several)))
        lines = [one for one in (main, *rest) if one.energy >= _LINE * main.energy]
        of_lines = self._lines_as_one(lines, record, at, above)
        together = (
            of_lines
            or self._sides.with_sidebands(main, record)
            or self._sides.with_far_sidebands(main, record, rest, at, above)
            or self._sides.with_raised(main, record, rest, at, spectrum, self._spectra)
        )
        if together is not None:
            main, record = together
            rest = [one for one in rest if not (of_lines is not None and one in lines)]
            rest = [
                one for one in rest if not self._inside(one.record, record) and not self._splatter(one, main)
            ]
            share = main.energy / max(sums, 1e-300)
        elif record.family == "carrier" and (
            self._sides.has_beside(main, rest)
            or self._sides.has_around(main, rest, at, spectrum, self._spectra)
        ):
            record = capped(record)
        if main.pieces > 1 and named is None:
            doubts.append(f"the detector saw it as {main.pieces} emissions; it is taken for one signal.")
        found = replace(plain, main=record, share=share, alone=share > _ALONE)
        return self._listed(found, rest, main.energy, tuple(doubts))

    def with_code(self, found: Survey) -> Survey:
        """Return a survey with what repeats a code below the noise as its main signal, where it has no other name.

        A line that shows beside it, however strong it is, may be the receiver's.
        """
        main, listed = found.main, [one for one in (found.main, *found.others) if one is not None]
        if main is not None and not (main.family in LINES or is_doubtful(main)):
            return found
        if main is not None and main.family == "linear":
            return found  # symbols that are received are not below the noise
        iq = finite_samples(np.asarray(self._samples.read(0, min(self._samples.length, _LONG)), np.complex64))
        code = measure_buried_code(iq, self._rate)
        if code.period is None or code.bandwidth is None:
            return found
        width = code.bandwidth
        like_noise = main is not None and main.family == _LIKE_NOISE and code.share < _HIDDEN
        widest = _WIDER * width if like_noise else self._rate / 2
        seen = main is not None and main.snr_db > _SEEN and _NARROW * width < main.bandwidth < widest
        if seen or width < _WIDE * self._rate:
            return found  # what stands out repeats itself, as what is so narrow does: a pattern of symbols
        length = self._samples.length
        level = 10 * math.log10(max(code.share * self._power / length, 1e-30))
        lower, upper = (
            max(-1.0, min(1.0, 2 * (code.centre + off) / self._rate)) for off in (-width / 2, width / 2)
        )
        record = EmissionRecord(
            1 + max((one.id for one in listed), default=0), 0, length, 0, length,
            lower * self._rate / 2, upper * self._rate / 2, math.nan, level, on=False, looks=1,
        )  # fmt: skip
        record = self._told(record, "dsss", "DSSS", {"code_period": code.period})
        others = tuple(one for one in listed if one.bandwidth < _NARROW * width)
        return replace(
            found, main=record, others=others, share=code.share, alone=False, noise=False, doubts=(_BURIED,)
        )

    def _of_tones(self, record: EmissionRecord, one: EmissionRecord, other: EmissionRecord) -> EmissionRecord:
        """Return the record of two keyed carriers, one of which leaves where the other begins: frequency keying.

        In the band of both there is too much noise for it to be seen.
        """
        found = {"deviation": abs(one.centre - other.centre) / 2}
        rate = one.symbol_rate or other.symbol_rate
        return self._told(record, "fsk2", "2FSK", found if rate is None else {**found, "symbol_rate": rate})

    def _told(
        self, record: EmissionRecord, family: str, label: str, found: Mapping[str, float]
    ) -> EmissionRecord:
        """Return a record with a name, and what was measured, that no looks at its band give."""
        fields = {
            "family": family,
            "label": label,
            "reason": "named",
            "confidence": MOST_WHOLE,
            "symbol_rate": found.get("symbol_rate"),
            "families": {family: MOST_WHOLE, UNKNOWN: 1 - MOST_WHOLE},
            "measures": {**record.measures, **found},
            "details": {name: Measure(value, MOST_WHOLE) for name, value in found.items()},
        }
        return with_findings(record, fields, self._rate, self._samples.length, self._scanner.centre_hz)

    def _lines_as_one(
        self, lines: list[Part], record: EmissionRecord, at: _Reals, above: _Reals
    ) -> tuple[Part, EmissionRecord] | None:
        """Return what lines are as one signal, where they are one: slow tones, or a carrier with sidebands."""
        if record.family not in LINES:
            return None
        step = self._rate / self._bins
        families = families_of_lines(lines, self._samples.read, self._samples.length, self._rate, step)
        if not families:
            return None
        whole = functools.reduce(lambda one, other: union(one, other, at, above), lines)
        found = self._looks.identified(whole)
        if found.family in families and found.confidence >= TOGETHER:
            return whole, found
        return (whole, without_name(whole.record)) if len(families) > 1 and len(lines) > _FEW_LINES else None

    def _why_doubted(self, whole: EmissionRecord) -> str:
        if whole.bandwidth > _MISSED * self._rate:
            return "it fills the recording, so that there is no noise beside it to measure it against."
        return "its edges are those of what stands out of the mean spectrum, not the detector's."

    @staticmethod
    def _in_pieces(merged: list[Part], at: _Reals, spectrum: _Reals) -> bool:
        """Return whether emissions lie side by side in what has no holes: pieces of a wide signal, it may be."""
        strong = spectrum > _ABOVE * float(np.quantile(spectrum, _QUIET))
        lower, upper = largest(at, bridged(strong, round(_HOLES * len(at))), spectrum)
        inside = (at >= lower) & (at <= upper)
        pieces = [one for one in merged if lower <= one.record.centre <= upper]
        widest = max((one.width for one in pieces), default=math.inf)
        filled = bool(inside.any()) and float(strong[inside].mean()) > _FILLED
        return len(pieces) >= _PIECES and upper - lower > 2 * widest and filled

    def _at_once(self, merged: list[Part]) -> bool:
        """Return whether the strongest ones are strong at the same moments: pieces of pulses as wide as the band."""
        if len(merged) < _PIECES:
            return False
        main, *others = merged[: 2 * _PIECES]
        return sum(self._likeness(main, one) > ALIKE for one in others) >= _PIECES - 1

    def _claims(self, whole: EmissionRecord) -> bool:
        sure = whole.confidence >= SURE or bool(whole.alike)
        return whole.label not in (UNKNOWN, _NOISE) and sure

    @staticmethod
    def _inside(record: EmissionRecord, other: EmissionRecord) -> bool:
        return other.lower <= record.centre <= other.upper

    @staticmethod
    def _splatter(one: Part, main: Part) -> bool:
        """Return whether a weak emission beside or within a strong one is a part of it."""
        near = abs(one.record.centre - main.record.centre) < (0.5 + _BESIDE) * main.width
        return near and one.energy < SPLATTER * main.energy

    def _listed(
        self, found: Survey, others: Sequence[Part], main_energy: float, doubts: tuple[str, ...]
    ) -> Survey:
        ordered = sorted(others, key=lambda one: -one.energy)
        kept = [one.record for one in ordered if one.energy >= FAINT * main_energy]
        return replace(
            found, others=tuple(kept), fainter=len(ordered) - len(kept), doubts=(*found.doubts, *doubts)
        )

    def _parts(self, at: _Reals, above: _Reals) -> list[Part]:
        """Return what the detector found, each emission with all of its stretches and its share of the power."""
        stretches: dict[int, list[EmissionRecord]] = {}
        for record in self._ends:
            stretches.setdefault(record.id, []).append(record)
        parts = []
        for records in stretches.values():
            best = max(records, key=lambda one: one.stop - one.start)
            record = replace(
                records[-1],
                start=max(0, min(one.start for one in records)),
                stop=max(one.stop for one in records),
                lower=best.lower,
                upper=best.upper,
                snr_db=best.snr_db,
                level_dbfs=best.level_dbfs,
            )
            times = tuple((max(0, one.start), one.stop) for one in records)
            parts.append(Part(record, times, energy(record, at, above)))
        return [self._own_energy(one, parts) for one in parts]

    def _own_energy(self, part: Part, parts: list[Part]) -> Part:
        """Return a part with no more energy than its level allows, where another one is in its place for longer."""
        record = part.record
        for other in parts:
            overlap = min(record.upper, other.record.upper) - max(record.lower, other.record.lower)
            if other.time > _LONGER * part.time and overlap > _SAME_PLACE * min(part.width, other.width):
                level = 10 ** (record.level_dbfs / 10) * part.time / max(self._power, 1e-300)
                return replace(part, energy=min(part.energy, level))
        return part

    def _merged(self, parts: list[Part], at: _Reals, spectrum: _Reals) -> list[Part]:
        """Return the parts with those of one signal made one, the strongest first."""
        left = sorted(parts, key=lambda one: -one.energy)
        done: list[Part] = []
        above = np.maximum(spectrum - float(np.quantile(spectrum, _QUIET)), 0.0)
        while left:
            one = left.pop(0)
            joined = True
            while joined:
                joined = False
                for other in left:
                    if other.energy > SPLATTER * one.energy and self._belong(one, other):
                        left.remove(other)
                        tones = (one.record, other.record) if self._by_turns(one, other) else ()
                        one, joined = replace(union(one, other, at, above), tones=tones), True
                        break
            done.append(one)
        return sorted(done, key=lambda one: -one.energy)

    def _belong(self, one: Part, other: Part) -> bool:
        """Return whether two parts are of one signal."""
        a, b = one.record, other.record
        overlap = min(a.upper, b.upper) - max(a.lower, b.lower)
        narrower = min(one.width, other.width)
        together = common_time(one.stretches, other.stretches) / max(1, min(one.time, other.time))
        if together < TOGETHER:
            return overlap > _SAME_PLACE * narrower
        if overlap > 0:
            return True
        if halves(one, other):
            return True
        if self._by_turns(one, other):
            return True
        return -overlap < _GAP * narrower and self._likeness(one, other) < OPPOSITE

    def _by_turns(self, one: Part, other: Part) -> bool:
        """Return whether two parts are the tones of a frequency keying: one leaves where the other begins."""
        a, b = one.record, other.record
        apart = max(a.lower, b.lower) > min(a.upper, b.upper)
        alike = max(one.energy, other.energy) < _TONES_ALIKE * min(one.energy, other.energy)
        if one.pieces + other.pieces > 2 or not (apart and alike and keyed_alike(a, b)):
            return False
        same = a.symbol_rate is not None and b.symbol_rate is not None
        return self._likeness(one, other) < (OPPOSITE if same else _BY_TURNS)

    def _likeness(self, one: Part, other: Part) -> float:
        """Return how the powers of two parts go together: one is strong while the other is, or is weak, or neither."""
        start = max(one.stretches[0][0], other.stretches[0][0])
        a, b = one.record, other.record
        return likeness_of(self._samples.read, start, self._samples.length, self._rate, a, b)

    def _whole(self, at: _Reals, spectrum: _Reals, floor: float) -> EmissionRecord | None:
        """Return what stands out of the spectrum's quietest part, identified; None where there is too little."""
        if self._samples.length < _SHORT:
            return None
        strong = bridged(spectrum > _ABOVE * floor, round(_HOLES * self._bins))
        lower, upper = largest(at, strong, spectrum)
        inside = (at >= lower) & (at <= upper)
        sums = np.cumsum(np.maximum(spectrum - floor, 0.0) * inside)
        if sums[-1] > 0:  # the edges of 99 % of its power
            first, last = np.searchsorted(sums, [_OUTSIDE * sums[-1], (1 - _OUTSIDE) * sums[-1]])
            lower, upper = float(at[first]), float(at[min(last, len(at) - 1)])
        full = upper - lower > _FULL * self._rate
        if full or upper <= lower:
            lower, upper, full = -self._rate / 2, self._rate / 2, True
        step = self._rate / self._bins
        scale = self._power / self._samples.length / step  # to power a Hz
        noise = max(floor * scale, 1e-30)
        inside = (at >= lower) & (at <= upper)
        power = float(spectrum[inside].sum()) * scale * step
        beyond = math.inf if full else power / (noise * (upper - lower)) - 1
        record = EmissionRecord(
            1,
            0,
            self._samples.length,
            0,
            self._samples.length,
            lower,
            upper,
            10 * math.log10(beyond) if 0 < beyond < math.inf else math.nan,
            10 * math.log10(max(power, 1e-30)),
            on=False,
        )
        part = Part(record, ((0, self._samples.length),), 1.0)
        found = self._looks.identified(part, None if full else 10 * math.log10(noise))
        # It rests on less than where there is noise beside the signal.
        return capped(found)

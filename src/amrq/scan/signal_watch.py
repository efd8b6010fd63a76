# SPDX-License-Identifier: GPL-3.0-or-later
"""One signal of a stream, identified again and again in a thread of its own: what it is, for a flowgraph."""

import math
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.channel import SampleRing, extract
from amrq.classifier import AUTO, make_classifier
from amrq.errors import AmrqError
from amrq.identify import EmissionIdentity, IdentifyModels, family_model, identify_emission
from amrq.machine import end_at_exit
from amrq.measure import BandSignal, find_signals
from amrq.model import UNKNOWN
from amrq.options import above, between, check, described, option
from amrq.scan.findings import Findings
from amrq.scan.records import EmissionRecord, numbers_of, with_findings
from amrq.text import engineering

__all__ = ["SignalCounts", "SignalOptions", "SignalWatch"]

_BYTES = 128 << 20
"""Of samples that are kept at most."""
_LOOK = 4000.0
"""Bandwidths times seconds of a look, where as much is kept: three of the model's chunks of symbols and some more."""
_LEAST_LOOK, _MOST_LOOK = 0.02, 1 << 21
"""Seconds and samples of a look, at least and at most."""
_SETTLING = 8
"""Samples of a look over those before it that its channel's filter begins with."""
_LEAST = 256
"""Samples of a stretch without a break that are looked at."""
_SEARCHED = 1 << 18
"""Samples in which a signal is looked for."""
_BESIDE = 4.0
"""Bandwidths of what is looked at: the noise beside the signal is seen."""
_NARROWEST = 1 / 4096
"""Of the sample rate: the narrowest signal."""
_BUDGET = 0.5
"""Of a core for looks at a stream that does not wait."""
_NEAR = 0.5
"""Bandwidths by which a signal may lie beside the place at which it is looked for."""
_SKIRT_DB = 20.0
"""What is so far below a signal, and less than its bandwidth from its middle, is its skirt."""
_PATIENCE = 5.0
"""Seconds that the end waits for a look."""
_NOTHING = "nothing stands out of the noise"


@described
@dataclass(frozen=True)
class SignalOptions:
    """How one signal is identified again and again.

    Raises:
        AmrqError: a value is out of its range.

    >>> SignalOptions(period=1.0).model
    'default'
    """

    model: str = option(
        "default",
        "For the order of linear modulations: an ONNX file, a shipped model's name, or 'default'.",
    )
    family_model: str = option(
        "family",
        "For the families of signals: an ONNX file, a shipped model's name, or 'family'.",
        advanced=True,
    )
    period: float = option(
        0.5, "Time between two identifications.", unit="s", within=above(0, at_most=3600), label="Name Every"
    )
    kept: float = option(
        2.0,
        "Time of the stream that is kept, and that an identification uses at most; less at high sample rates.",
        unit="s",
        within=between(0.05, 60),
        label="Samples Kept",
        advanced=True,
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)


@dataclass(frozen=True)
class SignalCounts:
    """What became of a stream's samples.

    Attributes:
        received: samples taken in.
        looked_at: samples that an identification used.
        dropped: samples that were not used because an identification came too late; those between two that were in time
            do not count.
        looks: identifications.
        named: those of them that gave a name.
    """

    received: int = 0
    looked_at: int = 0
    dropped: int = 0
    looks: int = 0
    named: int = 0


class SignalWatch:
    """Says what one signal of a stream is, again and again.

    Samples are put in as they come; a thread looks at the newest of them. Whoever puts samples in never waits, unless
    that is wanted: only the last seconds are kept. What was found is the majority of the last identifications, as in a
    scan.

    Args:
        sample_rate: samples a second, from 1 kS/s to 1 GS/s.
        options: how often, and by which model; None: the defaults.
        offset: middle of the signal, Hz from the middle of the band.
        bandwidth: of the signal, Hz; 0: the signal is looked for, and measured; with an offset the one nearest to it.
        centre_hz: what the middle of the band stands for, Hz; None where it is not known: protocols are guesses then.
        live: samples come in their own time, and looks take half of a core; otherwise each look has the time it needs,
            and the same samples give the same findings.

    Attributes:
        error: what ended the thread early; None if nothing did.

    Raises:
        AmrqError: a value is out of its range, or the model cannot be used.

    >>> watch = SignalWatch(48e3, bandwidth=10e3, live=False)
    >>> watch.start()
    >>> time = np.arange(48_000) / 48e3
    >>> noise = np.random.default_rng(1).normal(0, 0.01, (48_000, 2)) @ [1, 1j]
    >>> watch.put((np.exp(2j * np.pi * 1000 * time) + noise).astype(np.complex64), wait=True)
    >>> watch.close()
    >>> found = watch.take_findings()
    >>> found[-1][0].looks == watch.counts().looks == len(found) > 0
    True
    """

    def __init__(
        self,
        sample_rate: float,
        options: SignalOptions | None = None,
        offset: float = 0.0,
        bandwidth: float = 0.0,
        centre_hz: float | None = None,
        live: bool = True,
    ) -> None:
        if not 1e3 <= sample_rate < 1e9:
            raise AmrqError(
                f"the sample rate must be from 1 kS/s to 1 GS/s, not {engineering(sample_rate, 'S/s')}."
            )
        self.error: Exception | None = None
        self.sample_rate, self.options, self.live = float(sample_rate), options or SignalOptions(), live
        self._models = IdentifyModels(
            make_classifier(self.options.model, AUTO), family_model(self.options.family_model)
        )
        kept = min(
            max(self.options.kept, 4 * _LEAST / sample_rate), _BYTES / (8 * sample_rate)
        )  # complex64 has 8 bytes
        self._ring = SampleRing(sample_rate, kept)
        self._period = max(_LEAST, round(self.options.period * sample_rate))
        self._changed = threading.Condition()
        self._closing = self._busy = self._finishing = False
        self._centre_hz = centre_hz
        self._counts = SignalCounts()
        self._found: list[tuple[EmissionRecord, float | None]] = []
        self._thread = threading.Thread(target=self._run, name="amrq signal", daemon=True)
        self.choose(offset, bandwidth)

    def choose(self, offset: float, bandwidth: float) -> None:
        """Look at another signal from now on.

        Args:
            offset: its middle, Hz from the middle of the band.
            bandwidth: Hz; 0: it is looked for.

        Raises:
            AmrqError: it does not lie in the band.
        """
        rate = self.sample_rate
        if not abs(offset) <= rate / 2:
            raise AmrqError(
                f"a signal at {engineering(offset, 'Hz')} is outside the band, which reaches to "
                f"{engineering(rate / 2, 'Hz')} on either side."
            )
        if bandwidth and not _NARROWEST * rate <= bandwidth <= rate:
            raise AmrqError(
                f"the bandwidth must be from {engineering(_NARROWEST * rate, 'Hz')} to {engineering(rate, 'Hz')} at "
                f"this sample rate, or 0 if it is not known; not {engineering(bandwidth, 'Hz')}."
            )
        with self._changed:
            self._offset, self._bandwidth = float(offset), float(bandwidth)
            self._begin()

    def retune(self, centre_hz: float | None) -> None:
        """Note that the samples that come next are of another band, whose middle stands for this, Hz."""
        with self._changed:
            if not self.live:
                self._changed.wait_for(self._may_go_on)
            self._centre_hz = centre_hz
            self._ring.add_break()
            self._begin()

    def _begin(self) -> None:
        """Forget what was found; the lock is held."""
        self._from = self._done = self._ring.end  # samples before them are not looked at
        self._due = self._ring.end + min(self._period, max(_LEAST, round(0.1 * self.sample_rate)))
        self._findings = Findings()
        self._looks = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()
        end_at_exit(self._thread, self._give_up)

    def _give_up(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def put(self, samples: NDArray[np.complexfloating[Any, Any]], wait: bool = False) -> None:
        """Hand over samples, complex [n]; they are copied.

        Args:
            samples: the next ones of the stream.
            wait: for a look that is due.
        """
        samples = np.asarray(samples, np.complex64)
        for first in range(0, len(samples), self._ring.capacity // 2):
            piece = samples[first : first + self._ring.capacity // 2]
            with self._changed:
                if wait:
                    self._changed.wait_for(self._may_go_on)
                self._ring.append(piece)
                if self._ring.end >= self._due:
                    self._changed.notify_all()

    def _may_go_on(self) -> bool:
        """Return whether no look is due or under way; the lock is held."""
        over = self._closing or self.error is not None or not self._thread.is_alive()
        return over or (self._ring.end < self._due and not self._busy)

    def add_break(self) -> None:
        """Note that samples were lost before those that come next."""
        self._ring.add_break()

    def take_findings(self) -> list[tuple[EmissionRecord, float | None]]:
        """Return what the looks since the last call have found, each with all before it.

        Beside each is what the middle of the band stood for, Hz; None where it is not known.
        """
        with self._changed:
            found, self._found = self._found, []
        return found

    def counts(self) -> SignalCounts:
        """Return what became of the samples so far."""
        with self._changed:
            return replace(self._counts, received=self._ring.end)

    def close(self, finish: bool = True) -> None:
        """End the thread; the last findings can then be taken.

        Args:
            finish: look at what came since the last look; otherwise a look in progress is the last.
        """
        with self._changed:
            self._closing, self._finishing = True, finish
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            while self._wait():
                self._look()
            if self._finishing and self._ring.end - self._done >= _LEAST:
                self._look()
        except Exception as error:  # whoever puts samples in must learn of it
            self.error = error
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _wait(self) -> bool:
        """Wait until a look is due; return whether there is one."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closing or self._ring.end >= self._due)
            due = self._ring.end >= self._due and not self.live and self._finishing
            self._busy = due or not self._closing
            return self._busy

    def _look(self) -> None:
        began = time.thread_time()
        with self._changed:
            findings, centre_hz, end = self._findings, self._centre_hz, self._ring.end
            offset, bandwidth, first, due = self._offset, self._bandwidth, self._from, self._due
        stop = end if self.live or end < due else due
        start = max(first, self._ring.first, stop - self._longest(bandwidth))
        start = max([start, *self._ring.breaks(start, stop)])
        record = None
        try:
            if stop - start >= _LEAST:
                record = self._identified((start, stop), offset, bandwidth, findings)
        except AmrqError:  # they were overwritten meanwhile
            record = None
        cost = (time.thread_time() - began) * self.sample_rate
        with self._changed:
            if findings is not self._findings:
                return  # another signal was chosen meanwhile
            if record is not None:
                self._take(record, findings, centre_hz, (start, stop))
            missed = max(0, start - max(self._done, due - self._period)) if end > due + self._period else 0
            self._counts = replace(self._counts, dropped=self._counts.dropped + missed)
            self._done = stop
            self._due = stop + max(self._period, round(cost / _BUDGET) if self.live else 0)

    def _take(
        self, record: EmissionRecord, findings: Findings, centre_hz: float | None, used: tuple[int, int]
    ) -> None:
        """Take in what a look has found; the lock is held."""
        self._looks += 1
        found = findings.fields()
        record = replace(record, looks=self._looks, first_seen=self._from)
        record = with_findings(record, found, self.sample_rate, self._ring.end, centre_hz)
        self._found.append((record, centre_hz))
        counts = self._counts
        self._counts = replace(
            counts,
            looks=counts.looks + 1,
            looked_at=counts.looked_at + used[1] - max(used[0], min(self._done, used[1])),
            named=counts.named + (record.label != UNKNOWN),
        )

    def _longest(self, bandwidth: float) -> int:
        """Return the samples of a look."""
        wanted = _LOOK * self.sample_rate / bandwidth if bandwidth else _MOST_LOOK
        return round(min(max(wanted, _LEAST_LOOK * self.sample_rate), _MOST_LOOK, self._ring.capacity / 2))

    def _identified(
        self, used: tuple[int, int], offset: float, bandwidth: float, findings: Findings
    ) -> EmissionRecord:
        """Look at a stretch of the stream; add to the findings."""
        start, stop = used
        # A copy: a stream faster than its rate overwrites the samples while they are searched.
        before = max(0, min(start - self._ring.first, (stop - start) // _SETTLING))
        samples = self._ring.read(start - before, stop)
        searched = min(stop - start, _SEARCHED)
        found = self._signal(samples[len(samples) - searched :], offset, bandwidth)
        centre, width = (offset, bandwidth) if bandwidth or found is None else (found.centre, found.bandwidth)
        level, snr = (-math.inf, -math.inf) if found is None else (found.power_db, found.snr_db)
        record = EmissionRecord(
            1, start, stop, start, stop, centre - width / 2, centre + width / 2, snr, level, reason=_NOTHING
        )
        if not width:
            findings.add(EmissionIdentity(reason=_NOTHING), {})
            return record
        width = max(width, _NARROWEST * self.sample_rate)
        length = min(stop - start, self._longest(width))
        seen = extract(
            samples,
            self.sample_rate,
            centre,
            min(_BESIDE / 1.25 * width, self.sample_rate),
            len(samples) - length,
        )
        noise = None
        if found is not None and math.isfinite(snr):
            noise = level - snr - 10 * math.log10(max(found.bandwidth, 1.0))
        known = findings.fields().get("symbol_rate")
        edges = (-width / 2, width / 2)
        identity = identify_emission(
            seen.iq,
            seen.sample_rate,
            noise,
            edges,
            snr if noise is not None else None,
            self._models,
            True,
            known,
        )
        measures = numbers_of(identity.measures)
        if measures.get("centre") is not None:
            measures["centre"] = float(measures["centre"] or 0.0) + centre
        findings.add(identity, measures)
        return record

    def _signal(self, samples: NDArray[np.complex64], offset: float, bandwidth: float) -> BandSignal | None:
        """Return the signal that is looked at, as it stands out of the noise; None where none does."""
        found = find_signals(samples, self.sample_rate)
        found = [one for one in found if not any(_is_skirt(one, other) for other in found)]
        if bandwidth:
            found = [
                one for one in found if abs(one.centre - offset) <= _NEAR * max(bandwidth, one.bandwidth)
            ]
        elif offset:
            found.sort(key=lambda one: abs(one.centre - offset))
        return found[0] if found else None


def _is_skirt(one: BandSignal, other: BandSignal) -> bool:
    """Return whether a signal is what remains of another one beside it."""
    return one.power_db < other.power_db - _SKIRT_DB and abs(one.centre - other.centre) < other.bandwidth

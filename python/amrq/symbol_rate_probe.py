# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe that finds a signal and estimates its symbol rate."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded, guarded_run
from gnuradio.amrq._tags import Breaks, read_number

from amrq.identify import SignalSearch
from amrq.live import LOOKED_AT, RateEstimate, SymbolRateWatch, WatchCounts

__all__ = ["symbol_rate_probe"]

_SYMBOL_RATE = pmt.intern("symbol_rate")
_PATIENCE = 0.1
"""Seconds without a sample after which a stream that was never looked at is taken to be over."""
_LOOK = 0.5e-3  # seconds between two checks for an estimate


class symbol_rate_probe(gr.sync_block):
    """Find a signal and estimate its symbol rate again and again, and publish each estimate.

    `amrq.identify.find_signal` finds the signal, and `amrq.measure.estimate_symbol_rate` its symbol rate, for linear
    modulations. They run in a thread of their own, and the stream never waits for it. Each estimate uses the newest
    samples; samples overwritten between two estimates are counted as dropped.

    A tag `rx_rate` or `rx_freq` with a new value starts the estimation again: earlier samples are not used, and
    estimates from them are not published. A tag `rx_time` or `rx_overflow` with a new value marks a loss of samples:
    an estimate never uses samples from both sides of it.

    Message ports:
        symbol_rate: a dictionary for each estimate: `symbol_rate` (Bd), `samples_per_symbol`, `confidence` (probability
            that noise alone would not have shown a line as strong), `sample_offset` and `sample_count` (the samples
            used, the first counted from the beginning of the stream), `offset` (where the signal was found, Hz),
            `bandwidth` (Hz) and `snr_db`, missing where no signal stands out of the noise, `signals` (number of signals
            in the band), `dropped` (samples dropped so far).

    If the stream ends before the first estimate is due, the estimate is made at its end.

    Args:
        sample_rate: samples a second, above 0, until a tag `rx_rate` says otherwise.
        offset: the signal nearest to this place is looked at, Hz from the middle of the band, -sample_rate/2 to
            sample_rate/2. None: the strongest one, and then the same as long as it is there.
        interval: seconds of the stream from one estimate to the next; 0: as often as possible.
        lowest: lowest symbol rate searched, Bd; 0: the rate with 64 symbols in the samples used.
        highest: highest symbol rate searched, Bd; 0: half the sample rate, as much as can be
            received. At most 0.8 times it.
        min_confidence: estimates below this are not published, 0 to 1.
        length: most samples that an estimate uses, at least 256. The first estimate is made with half of them.
        on_estimate: for scripts: called with each `RateEstimate`, in the estimator's thread.

    Raises:
        AmrqError: a value is out of its range.
    """

    @checked_arguments
    def __init__(
        self,
        sample_rate: float,
        offset: float | None = None,
        interval: float = 1.0,
        lowest: float = 0.0,
        highest: float = 0.0,
        min_confidence: float = 0.999,
        length: int = LOOKED_AT,
        on_estimate: Callable[[RateEstimate], None] | None = None,
    ) -> None:
        search = SignalSearch(lowest=lowest, highest=highest or math.inf)
        self._watch = SymbolRateWatch(
            sample_rate, self._publish, offset, interval, length, search, min_confidence
        )
        gr.sync_block.__init__(self, name="amrq_symbol_rate_probe", in_sig=[np.complex64], out_sig=None)
        self.error: Exception | None = None
        self._on_estimate = on_estimate
        self._begin()
        self.message_port_register_out(_SYMBOL_RATE)

    def _begin(self) -> None:
        self._breaks = Breaks()
        self._held = 0  # samples at the input's beginning that are taken in already
        self._patient_until = 0.0

    @checked_arguments
    def set_sample_rate(self, sample_rate: float) -> None:
        """Start again with samples of another rate, samples a second."""
        self._watch.begin_anew(sample_rate)

    @checked_arguments
    def set_offset(self, offset: float | None) -> None:
        """Look for the signal nearest to this offset, Hz, -sample_rate/2 to sample_rate/2; None: the strongest one."""
        self._watch.set_offset(offset)

    def prefer(self, offset: float) -> None:
        """Prefer the signal at this offset, Hz, to others that may be stronger, as long as it is there."""
        self._watch.prefer(offset)

    def counts(self) -> WatchCounts:
        """Return counts of the samples so far: used, dropped and waiting."""
        return self._watch.counts()

    @guarded_run
    def start(self) -> bool:
        """Begin a run."""
        self.error = None
        self._begin()
        self._watch.start()
        return True

    @guarded_run
    def stop(self) -> bool:
        """End the run."""
        self._watch.stop()
        if self._watch.error is not None and self.error is None:
            raise self._watch.error
        return True

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Take in the samples that have arrived."""
        if self._watch.error is not None:
            raise self._watch.error
        new = input_items[0][self._held :]
        if len(new):
            self._take(new, self.nitems_read(0) + self._held)
            self._patient_until = time.monotonic() + _PATIENCE
        elif time.monotonic() >= self._patient_until:
            self._watch.look_now()
        # While an estimate is due, the last sample is taken in but not consumed: GNU Radio then calls again, even if
        # no sample follows. Messages published after the end of a stream no longer reach subscribers.
        self._held = int(not self._watch.idle())
        if self._held and not len(new):
            time.sleep(_LOOK)
        return len(input_items[0]) - self._held

    def _take(self, new: Any, first: int) -> None:
        """Take in samples and their tags; the first sample is number `first` of the stream."""
        begin, gaps = 0, []
        for offset, values in self._breaks.changes(self.get_tags_in_range(0, first, first + len(new))):
            place = offset - first
            if not {"rx_rate", "rx_freq"} & values.keys():
                gaps.append(place - begin)
                continue
            self._watch.write(new[begin:place], gaps)
            begin, gaps = place, []
            self._watch.begin_anew(_rate(values.get("rx_rate")))
        self._watch.write(new[begin:], gaps)

    def _publish(self, estimate: RateEstimate) -> None:
        if self._on_estimate is not None:
            self._on_estimate(estimate)
        known = {name: value for name, value in estimate.as_dict().items() if value is not None}
        message = known | {"dropped": self._watch.counts().dropped}
        self.message_port_pub(_SYMBOL_RATE, pmt.to_pmt(message))


def _rate(value: Any) -> float | None:
    """Return the sample rate that a tag gives; None where the value cannot be a rate."""
    rate = None if value is None else read_number(value)
    return rate if rate is not None and rate > 0 else None

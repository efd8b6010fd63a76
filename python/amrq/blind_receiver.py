# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver that is told nothing of the signal: it finds and follows place and symbol rate, and decides."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded_run
from gnuradio.amrq._tags import Breaks
from gnuradio.amrq.chunker import chunker
from gnuradio.amrq.classifier_sink import classifier_sink
from gnuradio.amrq.symbol_front_end import BURST_BORDER_KEY, SIGNAL_KEY, _symbols

from amrq.decision import DecisionOptions
from amrq.identify import SURE, SignalSearch
from amrq.live import LOOKED_AT, RateEstimate, SignalFollower, SymbolRateWatch
from amrq.measure import FrontEndOptions, StreamInfo, check_offset, check_rates
from amrq.outputs import OutputOptions
from amrq.receive import BurstReceiver, ReceiverReport

__all__ = ["blind_receiver"]

_ESTIMATES = pmt.intern("estimates")
_RETUNES = {"rx_freq", "rx_rate"}  # tags from which on the band is another
_LOOK_AGAIN = 1.0  # seconds of the stream from one look at the signal to the next
_POLL = 1e-3  # seconds between two checks for an estimate
_LONGEST_WAIT = 10.0  # seconds for one estimate, at the end of a stream
_USUAL_SAMPLES_PER_SYMBOL = 4  # before the signal is found


class blind_receiver(gr.hier_block2):
    """Find a signal in a band, receive it and name its modulation: complex samples in, messages out.

    The strongest signal whose symbol rate is clear is received (or the one nearest to `offset`). It is looked for
    again every second, and the receiver follows when two successive looks agree on another symbol rate or place. At a
    tag `rx_freq` or `rx_rate` with a new value it leaves its signal, and looks for one in the new band. The samples
    from which a signal was found are received too. Inside are the symbol front end's receiver, a chunker and a
    classifier.

    Message ports:
        decisions, statistics, model (in): those of `classifier_sink`. Decisions have `time`, `symbol_rate_hz` and,
            where a carrier was seen, `offset_hz`.
        estimates: those of `symbol_rate_probe`, without `dropped`: where the signal is, its symbol rate, bandwidth and
            strength, and how many signals are in the band.

    Args:
        sample_rate: samples a second, above 0.
        offset: about where the signal is, Hz from the middle of the band; None: the strongest signal is received.
        symbol_rate: its symbol rate, Bd, right to 2 %; 0: estimated.
        model: path of an ONNX model with contract, name of a shipped one, or `default`.
        decision: how evidence becomes decisions; None: the defaults.
        front_end: settings of the receiver; None: the defaults.
        outputs: where records of decisions and counters are written; None: nowhere.
        live: the stream comes from a radio and must not be held up: it does not wait for an estimate or the classifier.

    Raises:
        AmrqError: a value is out of its range, or the model cannot be used.
    """

    @checked_arguments
    def __init__(
        self,
        sample_rate: float,
        offset: float | None = None,
        symbol_rate: float = 0.0,
        model: str = "default",
        decision: DecisionOptions | None = None,
        front_end: FrontEndOptions | None = None,
        outputs: OutputOptions | None = None,
        live: bool = False,
    ) -> None:
        check_rates(sample_rate, symbol_rate or sample_rate / _USUAL_SAMPLES_PER_SYMBOL)
        if offset is not None:
            check_offset(offset, sample_rate)
        gr.hier_block2.__init__(
            self,
            "amrq_blind_receiver",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(0, 0, 0),
        )
        search = SignalSearch(offset, symbol_rate or None, highest=sample_rate / 2)
        self._before = blocks.copy(gr.sizeof_gr_complex)
        # Until the signal is found, these stand for its rate and place; the tag "signal" then gives them.
        usual = symbol_rate or sample_rate / _USUAL_SAMPLES_PER_SYMBOL
        stream = StreamInfo(sample_rate, usual, offset or 0.0)
        self.sink = classifier_sink(model, decision, stream, outputs, live=live)
        """The classifier."""
        self._chunker = chunker(self.sink.contract.chunk_length)
        # All messages come from one block: a subscriber ends with the first block that sends to it and ends.
        self.sink.message_port_register_out(_ESTIMATES)
        self._symbols = _found_symbols(
            self._before, float(sample_rate), search, front_end or FrontEndOptions(), live, self._publish
        )
        self.connect(self, self._before, self._symbols, self._chunker, self.sink)
        for port in ("decisions", "statistics", "estimates"):
            self.message_port_register_hier_out(port)
            self.msg_connect(self.sink, port, self, port)
        self.message_port_register_hier_in("model")
        self.msg_connect(self, "model", self.sink, "model")

    def _publish(self, estimate: RateEstimate) -> None:
        known = {name: value for name, value in estimate.as_dict().items() if value is not None}
        self.sink.message_port_pub(_ESTIMATES, pmt.to_pmt(known))

    @property
    def error(self) -> Exception | None:
        """The error that ended the stream early; None if there was none."""
        return next((part.error for part in (self._symbols, self._chunker, self.sink) if part.error), None)

    @checked_arguments
    def set_offset(self, offset: float | None) -> None:
        """Receive the signal nearest to this offset, Hz from the middle of the band; None: the strongest one."""
        self._symbols.watch.set_offset(offset)

    @checked_arguments
    def set_model(self, model: str) -> None:
        """Use another model: see `classifier_sink.set_model`."""
        self.sink.set_model(model)

    def estimate(self) -> RateEstimate | None:
        """Return the signal that is received, as it was found; None if none is."""
        return self._symbols.current

    def report(self) -> ReceiverReport | None:
        """Return what the receiver knows of the signal: its symbol rate, roll-off, equaliser; None if there is none."""
        return None if self._symbols.current is None else self._symbols.receiver.report()


class _found_symbols(_symbols):
    """The symbols of the signal that is found. What came before it was found is kept and received then."""

    receiver: BurstReceiver
    _fed: int
    _finished: bool
    _tags: list[Any]

    def __init__(
        self,
        before: Any,
        rate: float,
        search: SignalSearch,
        options: FrontEndOptions,
        live: bool,
        publish: Callable[[RateEstimate], None],
    ) -> None:
        usual = rate / _USUAL_SAMPLES_PER_SYMBOL
        # The settings must suit any symbol rate that may be found.
        super().__init__(BurstReceiver(rate, usual, 0.0, options), before, rate, usual)
        self._options, self._live, self._search = options, live, search
        self.current: RateEstimate | None = None
        self.watch = SymbolRateWatch(rate, self._found, search.offset, _LOOK_AGAIN, search=search)
        self._publish = publish

    def _begin(self) -> None:
        super()._begin()
        self.current = None
        self._next: RateEstimate | None = None  # the signal to receive from now on
        self._follower = SignalFollower(math.nan, 0.0)
        self._seen = Breaks()  # those that the watch knows of
        self._retuned = 0  # first sample of the present frequency and sample rate
        self._kept: list[np.ndarray[Any, np.dtype[np.complex64]]] = []

    @guarded_run
    def start(self) -> bool:
        """Begin a run."""
        super().start()
        self.watch.start()
        return True

    @guarded_run
    def stop(self) -> bool:
        """End the run."""
        super().stop()
        self.watch.stop()
        if self.watch.error is not None and self.error is None:
            raise self.watch.error
        return True

    def _found(self, estimate: RateEstimate) -> None:
        """Take in an estimate; called in the watch's thread."""
        if estimate.sample_offset < self._retuned:  # of another band: it was made when the frequency changed
            return
        if self.current is None:
            if self._next is None and estimate.confidence >= SURE:
                self._next = estimate
        else:
            self._follower.take(estimate, self._follow)
        self._publish(estimate)

    def _follow(self) -> None:
        self._next = self._follower.found

    def _put_out(self) -> None:
        """Put out what is held back; where no signal is found yet, it is looked for in what has come."""
        if self.current is None and self._next is None:
            self.watch.look_now()
            self._wait(_LONGEST_WAIT)
        if self._next is not None:
            self._change(self._next)
            self._next = None
        if self.current is not None:
            super()._put_out()

    def _feed(self, samples: Any) -> None:
        """Show the new samples to the watch; keep them until there is a signal, and receive them from then on."""
        if self.watch.error is not None:
            raise self.watch.error
        read = self.nitems_read(0)
        first, stop = read + self._fed, read + len(samples)
        broken: list[int] = []
        tags = self.get_tags_in_range(0, first, stop) if stop > first else ()
        for place, values in self._seen.changes(tags):
            if place and not _RETUNES.isdisjoint(values):
                self._feed_part(samples[: place - read], broken)
                self._leave(place)
                broken = []
            else:
                broken.append(place)
        self._feed_part(samples, broken)

    def _feed_part(self, samples: Any, broken: list[int]) -> None:
        """Feed samples of one frequency; samples are missing before those with the numbers `broken` of the stream."""
        first = self.nitems_read(0) + self._fed
        new = np.array(samples[self._fed :], dtype=np.complex64)
        self.watch.write(new, [place - first for place in broken])
        if not self._live:
            self._wait(_LONGEST_WAIT)
        over = self._is_over() and self._before.nitems_written(0) == first + len(new)
        if over and self.current is None and self._next is None and not self._finished:
            self.watch.look_now()
            self._wait(_LONGEST_WAIT)
        if self._next is None and self.current is None:
            self._keep(new, first)
            self._fed, self._finished = len(samples), self._finished or over
            return
        if self._next is not None:
            self._change(self._next)
            self._next = None
        super()._feed(samples)

    def _leave(self, place: int) -> None:
        """End with the signal of a band: from sample number `place` on the band is another one."""
        if self.current is None and self._next is None and not self._live:
            self.watch.look_now()
            self._wait(_LONGEST_WAIT)
        self._retuned = place
        self.watch.begin_anew()
        if self._next is not None:
            self._change(self._next)
            self._next = None
        if self.current is not None:
            self._take(self.receiver.finish())
            self._mark(self._made, BURST_BORDER_KEY, pmt.PMT_T)
            self.current, self._follower = None, SignalFollower(math.nan, 0.0)
        self._kept.clear()
        self._tags.clear()

    def _wait(self, seconds: float) -> None:
        """Wait for an estimate that is due."""
        until = time.monotonic() + seconds
        while self.watch.is_due() and time.monotonic() < until:
            time.sleep(_POLL)

    def _keep(self, new: Any, first: int) -> None:
        """Keep samples for the time when the signal is found, the last ones only."""
        if not self._kept:
            self._origin = first
        tags = self.get_tags_in_range(0, first, first + len(new))
        self._tags += sorted(tags, key=lambda tag: tag.offset)
        self._kept.append(new)
        while sum(map(len, self._kept)) - len(self._kept[0]) >= LOOKED_AT:
            self._origin += len(self._kept.pop(0))
            self._tags = [tag for tag in self._tags if tag.offset >= self._origin]

    def _change(self, estimate: RateEstimate) -> None:
        """Receive another signal from here on, or the first one from the first kept sample on."""
        if self.current is not None:
            self._take(self.receiver.finish())
            self._origin = self.nitems_read(0) + self._fed
            self._mark(self._made, BURST_BORDER_KEY, pmt.PMT_T)
        known = (estimate.symbol_rate, estimate.offset, estimate.confidence)
        self._mark(self._made, SIGNAL_KEY, pmt.make_tuple(*map(pmt.from_double, known)))
        self._symbol = self._rate / estimate.symbol_rate
        self.receiver = BurstReceiver(self._rate, estimate.symbol_rate, estimate.offset, self._options)
        self.current, self._follower = estimate, SignalFollower(estimate.symbol_rate, estimate.offset)
        self.watch.prefer(estimate.offset)
        kept, self._kept = self._kept, []
        if kept:
            self._receive(np.concatenate(kept), self._origin, self._tags.copy())

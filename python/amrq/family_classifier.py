# SPDX-License-Identifier: GPL-3.0-or-later
"""What one signal is, found again and again: its family, label, parameters and likely protocols."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from gnuradio import blocks, gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._watched_stream import Times, WatchedStream

from amrq.scan import EmissionRecord, ScanEvent, SignalCounts, SignalOptions, SignalWatch, emission_record

__all__ = ["family_classifier"]

_SIGNAL = "signal"
_OF_A_SCAN = ("schema", "event", "id", "bursts", "gaps", "hop_group", "part_of")
"""Fields of an emission's record that say nothing of a single signal."""


class family_classifier(gr.hier_block2):
    """Say what one signal is, again and again: family, label, parameters, likely protocols.

    Input: complex samples in which the signal is, at a known rate; nothing else need be known. They are looked at in a
    thread of its own; the stream never waits, unless it is from a file. What is published is what most of the last five
    looks say.

    Tags read: `rx_freq` with a new value: another band follows, and what was found is forgotten. `rx_rate` with another
    rate, as `emission_source` gives it: all begins anew, and samples count from there. `rx_overflow`, `rx_time`:
    samples are missing; nothing is looked at over a gap.

    Message port `signal`: a dictionary for each look, with the names of an emission's record: `family`, `label`,
    `summary`, `reason`, `confidence` (probability that the family is right), `measures`, `confidences` (of the
    measures of the family), `families` (probability of each), `probabilities` (of the orders of a linear
    modulation), `protocols` (a list of dictionaries: `name`, `probability`, `guess`, `named`, `reason`),
    `symbol_rate_hz`, `offset_hz`, `bandwidth_hz`, `frequency_hz`, `snr_db`, `level_dbfs`, `sample_start` and
    `sample_count` (what was looked at), `time`, `utc`, `looks`, `dropped`. What is not known is missing.
    `classification_display` shows them.

    Message port `statistics`: twice a second and at the end, a dictionary of counters (`amrq.scan.SignalCounts`).

    Args:
        sample_rate: samples a second, from 1 kS/s to 1 GS/s, until a tag `rx_rate` gives another.
        offset: middle of the signal, Hz from the middle of the band, -sample_rate/2 to sample_rate/2.
        bandwidth: of the signal, Hz, up to `sample_rate`. 0: the signal is looked for and measured; with an offset, the
            one nearest to it is looked at, otherwise the strongest.
        frequency: what the middle of the band stands for, Hz; None or 0 if it is not known: protocols are guesses then.
            A tag `rx_freq` replaces it.
        watch: how often, and by which model; None: the defaults.
        source: name of the source, for the messages.
        live: the stream must not be held up; otherwise, as from a file, it waits for each look.
        on_signal: for scripts: called with each `amrq.scan.EmissionRecord`, in a thread of the block.

    Raises:
        AmrqError: a value is out of its range, or the model cannot be used.
    """

    @checked_arguments
    def __init__(
        self,
        sample_rate: float,
        offset: float = 0.0,
        bandwidth: float = 0.0,
        frequency: float | None = None,
        watch: SignalOptions | None = None,
        source: str = "",
        live: bool = True,
        on_signal: Callable[[EmissionRecord], None] | None = None,
    ) -> None:
        gr.hier_block2.__init__(
            self,
            "amrq_family_classifier",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(0, 0, 0),
        )
        self._options, self._source, self._on_signal = watch, source or "flowgraph", on_signal
        self._place = (offset, bandwidth)
        before = blocks.copy(gr.sizeof_gr_complex)
        self._stream = WatchedStream(
            "amrq_family_watch", before, _SIGNAL, live, float(sample_rate), frequency
        )
        self._stream.follows_rate = True
        self._stream.make_worker = self._make_worker
        self._stream.take = self._take
        self._stream.count = self._count
        self._first: SignalWatch | None = self._new_watch()  # what cannot be is said at once
        self._before = before  # GNU Radio frees a Python block without a reference
        self.connect(self, before, self._stream)
        for port in (_SIGNAL, "statistics"):
            self.message_port_register_hier_out(port)
            self.msg_connect(self._stream, port, self, port)

    @property
    def error(self) -> Exception | None:
        """The error that ended the stream early; None if there was none."""
        return self._stream.error

    @checked_arguments
    def set_offset(self, offset: float) -> None:
        """Look at another place, Hz from the middle of the band; what was found is forgotten."""
        self._choose(offset, self._place[1])

    @checked_arguments
    def set_bandwidth(self, bandwidth: float) -> None:
        """Set the bandwidth, Hz; 0: it is found."""
        self._choose(self._place[0], bandwidth)

    @checked_arguments
    def set_frequency(self, frequency: float | None) -> None:
        """Set what the middle of the band stands for, Hz; what was found is forgotten."""
        if (frequency or None) != self._stream.frequency:
            self._stream.retune(frequency)
            if self._first is not None:
                self._first.retune(frequency or None)

    def statistics(self) -> SignalCounts:
        """Return the counters: samples received, looked at and dropped; looks, and those with a name."""
        worker: Any = self._stream.worker
        return SignalCounts() if worker is None else worker.counts()

    def _choose(self, offset: float, bandwidth: float) -> None:
        watch: Any = self._stream.worker or self._first
        if watch is not None:
            watch.choose(offset, bandwidth)
        self._place = (offset, bandwidth)

    def _new_watch(self) -> SignalWatch:
        stream = self._stream
        offset, bandwidth = self._place
        return SignalWatch(
            stream.sample_rate, self._options, offset, bandwidth, stream.frequency, stream.live
        )

    def _make_worker(self) -> SignalWatch:
        first, self._first = self._first, None
        return first or self._new_watch()

    def _take(self, worker: Any, times: Times) -> Iterable[Mapping[str, Any]]:
        dropped, rate = worker.counts().dropped, worker.sample_rate
        for record, centre in worker.take_findings():
            if self._on_signal is not None:
                self._on_signal(record)
            moment = times.moment(record.start)
            event = ScanEvent("change", record, centre)
            values = emission_record(event, self._source, rate, centre, moment, dropped)
            values["confidences"] = {name: one.confidence for name, one in record.details.items()}
            yield {name: value for name, value in values.items() if name not in _OF_A_SCAN}

    @staticmethod
    def _count(worker: Any) -> Mapping[str, int | float]:
        return asdict(worker.counts())

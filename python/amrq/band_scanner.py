# SPDX-License-Identifier: GPL-3.0-or-later
"""A scanner of a band: each emission that begins, gets another name or ends is a message."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gnuradio import blocks, gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._watched_stream import Times, WatchedStream

from amrq.classifier import Classifier, make_classifier
from amrq.errors import AmrqError
from amrq.outputs import emission_fields
from amrq.scan import (
    BandScanner,
    Condition,
    EmissionRecorder,
    ScanEvent,
    ScanOptions,
    ScanSnapshot,
    ScanWorker,
    emission_record,
    measured_fields,
)
from amrq.text import engineering, printable

__all__ = ["band_scanner"]

_QUEUE_SECONDS = 1.0
_EMISSIONS = "emissions"


class band_scanner(gr.hier_block2):
    """Find the emissions in a band, follow them, name them, and publish what happens to them: `amrq scan` as a block.

    Input: complex samples of the band. They go to an `amrq.scan.BandScanner` in threads of its own, behind a queue of
        one second. A live stream never waits: samples for which there is no time are dropped and counted.

    Tags read: `rx_freq`: all emissions end, and the band is another one. `rx_overflow`, `rx_rate`: samples are missing.
    `rx_time`: when the samples were received.

    Message port `emissions`: a dictionary for each event, with the names of the records of `amrq scan --json`
    (`amrq.outputs.emission_schema`): `event` (`begin`, `change` or `end`), `id`, `label`, `family`, `summary`,
    `confidence`, `measures`, `protocols`, places in Hz, times in samples and seconds, and so on. What is null there
    is missing here.

    Message port `statistics`: twice a second and at the end, a dictionary of counters.

    Args:
        sample_rate: samples a second, from 1 kS/s to 1 GS/s.
        frequency: what the middle of the band stands for, Hz; None or 0 if it is not known. A tag `rx_freq` replaces
            it.
        scan: how the band is scanned; None: the defaults.
        record_on: each emission that meets this condition is recorded as SigMF of its own, as `amrq scan --record-on`
            does: `label=QPSK and snr_db>10`; empty for none.
        record_to: folder for these recordings; empty: the current one.
        source: name of the source, for the messages.
        live: the stream must not be held up; otherwise, as from a file, it waits for the scanner, and every emission is
            looked at.

    Raises:
        AmrqError: a value is out of its range, or the model cannot be used.
    """

    @checked_arguments
    def __init__(
        self,
        sample_rate: float,
        frequency: float | None = None,
        scan: ScanOptions | None = None,
        record_on: str = "",
        record_to: str = "",
        source: str = "",
        live: bool = True,
    ) -> None:
        if not 1e3 <= sample_rate < 1e9:
            raise AmrqError(
                f"the sample rate must be from 1 kS/s to 1 GS/s, not {engineering(sample_rate, 'S/s')}."
            )
        gr.hier_block2.__init__(
            self,
            "amrq_band_scanner",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(0, 0, 0),
        )
        self._options, self._source = scan or ScanOptions(), source or "flowgraph"
        self._classifier: Classifier = make_classifier(self._options.model)
        self._condition = (
            Condition(record_on, emission_fields() | measured_fields()) if record_on.strip() else None
        )
        self._folder = Path(record_to or ".")
        if self._condition is not None and not self._folder.is_dir():
            raise AmrqError(f"recordings cannot go into {printable(record_to)}: there is no such folder.")
        self._recorder: EmissionRecorder | None = None
        before = blocks.copy(gr.sizeof_gr_complex)
        self._stream = WatchedStream(
            "amrq_band_scan", before, _EMISSIONS, live, float(sample_rate), frequency
        )
        self._stream.make_worker = self._make_worker
        self._stream.take = self._take
        self._stream.count = self._count
        self._stream.finish = self._finish
        self._before = before  # GNU Radio frees a Python block without a reference
        self.connect(self, before, self._stream)
        for port in (_EMISSIONS, "statistics"):
            self.message_port_register_hier_out(port)
            self.msg_connect(self._stream, port, self, port)

    @property
    def error(self) -> Exception | None:
        """The error that ended the stream early; None if there was none."""
        return self._stream.error

    @checked_arguments
    def set_frequency(self, frequency: float | None) -> None:
        """Set what the middle of the band stands for, Hz; all emissions end."""
        if (frequency or None) != self._stream.frequency:
            self._stream.retune(frequency)

    def snapshot(self) -> ScanSnapshot | None:
        """Return the emissions on the air, those that ended lately, and the counters; None before the first start."""
        worker: Any = self._stream.worker
        return None if worker is None else worker.snapshot()

    def recordings(self) -> list[Path]:
        """Return the recordings of emissions that were written in this run."""
        return [] if self._recorder is None else list(self._recorder.written)

    def statistics(self) -> dict[str, int | float]:
        """Return the counters: samples, dropped, emissions, waiting, missed, suppressed, looks, load and others."""
        worker: Any = self._stream.worker
        return {} if worker is None else dict(self._count(worker))

    def _make_worker(self) -> "ScanWorker | _AtOnce":
        stream = self._stream
        scanner = BandScanner(
            stream.sample_rate,
            stream.frequency,
            self._options,
            limited=stream.live,
            classifier=self._classifier,
        )
        if self._condition is not None:
            self._recorder = EmissionRecorder(self._folder, scanner.ring, say=self._stream.logger.warn)
        return ScanWorker(scanner, _QUEUE_SECONDS) if stream.live else _AtOnce(scanner)

    def _take(self, worker: Any, times: Times) -> Iterable[Mapping[str, Any]]:
        rate = self._stream.sample_rate
        for event in worker.take_events():
            dropped = worker.scanner.dropped
            moment = times.moment(event.record.start)
            values = emission_record(event, self._source, rate, event.centre_hz, moment, dropped)
            if self._recorder is not None and self._condition is not None:
                self._recorder.follow(event, values, self._condition)
            yield values
        if self._recorder is not None:
            self._recorder.advance()

    def _finish(self, worker: Any) -> None:
        """Write what is left of recordings."""
        if self._recorder is not None:
            self._recorder.advance(True)
            self._recorder.close()

    @staticmethod
    def _count(worker: Any) -> Mapping[str, int | float]:
        shot = worker.snapshot()
        counters = asdict(shot.counters) | {"on_air": sum(record.on for record in shot.emissions)}
        del counters["notes"]
        return counters


class _AtOnce:
    """Scans samples where they are put in, as `amrq scan` does with a recording: the same ones give the same events."""

    def __init__(self, scanner: BandScanner) -> None:
        self.scanner = scanner
        self.error: Exception | None = None

    def start(self) -> None:
        """Nothing is to be started."""

    def put(self, samples: Any, wait: bool = True) -> None:
        self.scanner.detect(samples)
        self.scanner.look()

    def add_break(self) -> None:
        self.scanner.add_break()

    def retune(self, centre_hz: float | None) -> None:
        self.scanner.begin_band(centre_hz)

    def take_events(self) -> list[ScanEvent]:
        return self.scanner.take_events()

    def snapshot(self) -> ScanSnapshot:
        return self.scanner.snapshot()

    def close(self, finish: bool = True) -> None:
        self.scanner.end_all(math.inf if finish else 0.0)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifier at the end of a flowgraph."""

import gc
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded, guarded_handler, guarded_run, note_error
from gnuradio.amrq._tags import read_number, read_time, tags_between
from gnuradio.amrq.carrier_recovery import CARRIER_KEY
from gnuradio.amrq.chunker import SAMPLE_INDEX_KEY
from gnuradio.amrq.symbol_front_end import (
    BURST_BORDER_KEY,
    EQUALISER_KEY,
    INPUT_RATE_KEY,
    INPUT_SECONDS_KEY,
    SIGNAL_KEY,
    SNR_KEY,
)

from amrq.classifier import Backend, Classifier, EngineBackend
from amrq.decision import Decision, DecisionMaker, DecisionOptions
from amrq.errors import AmrqError
from amrq.measure import StreamInfo
from amrq.model import find_model
from amrq.outputs import DecisionOutputs, Origin, OutputOptions, StreamState, Timeline, decision_record
from amrq.text import printable
from amrq.worker import Batch, ClassifierWorker, Statistics

__all__ = ["classifier_sink"]

_DECISIONS = pmt.intern("decisions")
_MODEL = pmt.intern("model")
_STATISTICS = pmt.intern("statistics")
_PLACE: tuple[str, ...] = (
    "time",
    "duration",
    "utc",
    "frequency_hz",
    "symbol_rate_hz",
    "offset_hz",
    "snr_db",
    "equaliser",
)
_PLACE += ("burst_begins", "burst_ends")
"""Fields of a record that a message has too, where they are known."""
_PATIENCE = (2e-3, 4e-3)
"""Seconds between two looks whether more has arrived, while the worker has little and while it has much to do."""
_MUCH = 2048  # chunks
_STATISTICS_PERIOD = 0.5  # seconds between two statistics messages

_ROOM_PERIOD = 0.1
"""Seconds between two looks whether the queue has room; between them GNU Radio may end the flowgraph."""


class classifier_sink(gr.sync_block):
    """Classify chunks, fuse their evidence and publish decisions.

    Message ports:
        decisions: a PDU for each decision: a dictionary and an f32 vector of the log-probabilities in the model's
            order (empty for silent chunks). The dictionary has reason, label, confidence, best, log_probabilities by
            class, chunks, sample_index, sample_count, es_n0_db, es_n0_bound, power_db, measured_es_n0_db, misfit,
            refuted, alike and model; `truth` if the stream
            has `modulation` tags; with a symbol rate, `time` (seconds from the first sample received to the first
            symbol) and `duration`; and if they are known, `utc` (ISO 8601, of the first symbol), `frequency_hz` (of
            the carrier), `offset_hz` (of the carrier from the middle of the band), `symbol_rate_hz`, `equaliser` (its
            kind, empty for none), `burst_begins` and `burst_ends`, and `snr_db` (Es/N0 by the noise beside the
            signal).
        statistics: twice a second, a dictionary of counters; every chunk received is classified, silent, not_finite,
            dropped or queued. With a board, also where chunks were classified and what happened to messages (see
            `BoardEngine.counters`).

        model (in): a symbol or string, the path or name of the next model (see `set_model`).

    Nothing is fused, remembered or tracked across a break of the stream (a retune, an overflow; see `chunker`), nor
    fused across a tag `burst_border` of the front end. The tags `snr_db` give Es/N0 by the noise beside the signal,
    which a name must not contradict. The
    chunks left at the end of the stream, too few for a full decision, give a decision as well. GNU Radio no longer
    delivers messages then, and the next run's subscribers may receive this one. `on_decision`, `log` and `publish`
    receive it in time, and `statistics()` returns the final counters.

    Inference runs in a thread of its own, which takes chunks from a queue of `queue_chunks`. When the queue is full, a
    stream from a file (`live` off) waits and loses nothing; a live stream never waits, and the oldest chunks are
    dropped. If inference fails or an output cannot be written, the reason is logged and the flowgraph ends. The loss
    of a board does not end the flowgraph: see `BoardBackend`.

    `gnuradio.amrq` has the record classes as well: `amrq.classifier_sink(decision=amrq.DecisionOptions(memory=64))`.

    Args:
        model: path of an ONNX model with contract, name of a shipped one, or `default`.
        decision: how evidence becomes decisions.
        stream: symbol rate, frequency and offset of the stream. With a symbol rate, decisions have a time, from the
            radio's tags `rx_time` or, live, from the computer's clock. A decision's frequency is that of the tags
            `rx_freq` plus `offset`. `sample_rate` is not used here.
        outputs: where records of decisions (see `decision_record`) and counters are written. Records need the symbol
            rate.
        backend: where chunks are classified: an `EngineBackend` (None: with its defaults), a `BoardBackend`, or a
            function that takes a model's name and returns a `Classifier`.
        live: the stream comes from a radio and must not be held up.
        queue_chunks: chunks that may wait for the classifier, at least 1.
        on_decision: for scripts: called with (Decision, truth or None), in the worker's thread.

    Raises:
        AmrqError: the model is missing or cannot be used, or a value is out of its range.
    """

    @checked_arguments
    def __init__(
        self,
        model: str = "default",
        decision: DecisionOptions | None = None,
        stream: StreamInfo | None = None,
        outputs: OutputOptions | None = None,
        backend: Backend | Callable[[str], Classifier] | None = None,
        live: bool = False,
        queue_chunks: int = 8192,
        on_decision: Callable[[Decision, str | None], None] | None = None,
    ) -> None:
        self._decision = decision or DecisionOptions()
        self.stream = stream or StreamInfo()
        self._wanted = outputs or OutputOptions()
        if (self._wanted.log or self._wanted.publish) and not self.stream.symbol_rate:
            raise AmrqError("a record says when a decision was: give symbol_rate.")
        self._backend = EngineBackend() if backend is None else backend
        self._live, self._queue_chunks = live, queue_chunks
        self._classifier = self._classifier_of(model)
        self.contract = self._classifier.contract
        self._check_chunks(self.stream)
        self._length = self.contract.chunk_length
        gr.sync_block.__init__(
            self, name="amrq_classifier_sink", in_sig=[(np.complex64, self._length)], out_sig=None
        )
        self.error: Exception | None = None
        self._on_decision = on_decision
        self._swapping = threading.Lock()  # set_model is called from other threads than start and stop
        self._running = False
        self._describe(model)
        self._worker = self._new_worker()  # checks the remaining arguments now rather than at the start
        self._outputs = self._open_outputs()
        self.message_port_register_in(_MODEL)
        self.set_msg_handler(_MODEL, self._handle_model)
        self.message_port_register_out(_DECISIONS)
        self.message_port_register_out(_STATISTICS)

    def _classifier_of(self, model: str) -> Classifier:
        backend = self._backend
        if callable(backend):
            return backend(model)
        if not hasattr(backend, "classifier"):
            raise AmrqError(
                f"backend must be an EngineBackend, a BoardBackend or a function of a model's name, not {backend!r}."
            )
        return backend.classifier(model, self._live, self._warn)

    def _check_chunks(self, stream: StreamInfo) -> None:
        contract = self.contract
        if stream.chunk_length not in (0, contract.chunk_length):
            raise AmrqError(
                f"the model {contract.name} takes chunks of {contract.chunk_length} samples, not "
                f"{stream.chunk_length}: set the chunk length of chunker and classifier to {contract.chunk_length}."
            )
        contract.require_symbols()
        if stream.samples_per_symbol != contract.samples_per_symbol:
            raise AmrqError(
                f"the model {contract.name} takes {contract.samples_per_symbol} samples a symbol, not "
                f"{stream.samples_per_symbol}: choose another model, or resample."
            )

    def _new_worker(self) -> ClassifierWorker:
        self._decision_maker = self._new_decision_maker()
        self._origin = (0, 0, self._length)  # chunk number, its sample index, hop
        self.timeline = Timeline(self.stream.symbol_rate or 1.0, self.stream.offset)
        if self.stream.frequency is not None:
            self.timeline.add_frequency(0, self.stream.frequency)
        self._es_n0_db = math.nan  # by the last tag
        self._next_statistics = 0.0
        self._last_arrival = time.monotonic()
        self._held = 0  # chunks at the start of the input that the worker already has
        self._quiet = False  # nothing new had come when GNU Radio called last
        return ClassifierWorker(
            self._classifier,
            self._decision_maker,
            self._publish_decision,
            self._live,
            self._queue_chunks,
            self._decision.track,
        )

    def _describe(self, model: str) -> None:
        """Name this model in all records from now on."""
        name, digest = self.contract.name, ""
        if self._wanted.wanted:
            file = find_model(model)
            name, digest = file.stem, Origin.hash_of(file)
        self._described = Origin(self.stream.source, self.stream.symbol_rate or 1.0, name, digest)

    def _open_outputs(self) -> DecisionOutputs | None:
        if not self._wanted.wanted:
            return None
        return DecisionOutputs(self._wanted, self.contract.classes, self._state)

    def _state(self) -> StreamState:
        return StreamState(
            self._worker.statistics(),
            self.stream.source,
            self._described.model,
            self._described.model_sha256,
            symbol_rate=self.stream.symbol_rate or None,
            silent_seconds=time.monotonic() - self._last_arrival if self._live else None,
        )

    def _new_decision_maker(self) -> DecisionMaker:
        return DecisionMaker(
            self.contract.weighed(),
            self._length,
            self._decision,
            self.contract.fusion_chunks,
        )

    def _warn(self, text: str) -> None:
        self.logger.warn(printable(text, 2000))

    def statistics(self) -> Statistics:
        """Return the counters as they stand now."""
        return self._worker.statistics()

    def board_statistics(self) -> dict[str, int]:
        """Return the counters of the board's client (see `BoardEngine.counters`); empty without a board."""
        return self._classifier.counters()

    @checked_arguments
    def set_chunks_per_decision(self, chunks: int) -> None:
        """Fuse this many chunks from the next decision on."""
        self._decision = self._decision_maker.options = replace(self._decision, chunks_per_decision=chunks)

    @checked_arguments
    def set_min_confidence(self, min_confidence: float) -> None:
        """Name a class only if its confidence is at least this."""
        self._decision = self._decision_maker.options = replace(self._decision, min_confidence=min_confidence)

    @checked_arguments
    def set_memory(self, memory: float) -> None:
        """Remember earlier decisions for this many chunks; 0: none."""
        self._decision = self._decision_maker.options = replace(self._decision, memory=memory)

    @checked_arguments
    def set_model(self, model: str) -> None:
        """Use another model; while the flowgraph runs, from the next call of the classifier on.

        No chunk is lost: the new model classifies the waiting chunks; the chunks classified before give a decision of
        their own.

        Args:
            model: path of an ONNX model with contract, name of a shipped one, or `default`.

        Raises:
            AmrqError: the model is missing or cannot be used, or takes other chunks or another carrier phase than the
                former model, which stays in use.
        """
        classifier = self._classifier_of(model)
        former, new = self.contract, classifier.contract
        for what in ("chunk_length", "samples_per_symbol", "phase"):
            if getattr(new, what) != getattr(former, what):
                raise AmrqError(
                    f"the model {new.name} cannot take over from {former.name}: its {what} is {getattr(new, what)}, "
                    f"not {getattr(former, what)}."
                )
        classifier.open()
        with self._swapping:
            self.contract = new
            self._decision_maker = self._new_decision_maker()
            self._classifier = classifier
            if self._running:
                self._worker.swap(classifier, self._decision_maker, lambda: self._describe(model))
            else:
                self._describe(model)
                classifier.close()  # the next run opens it again

    @guarded_handler("the model stays")
    def _handle_model(self, message: Any) -> None:
        name = pmt.to_python(message)
        if not isinstance(name, str):
            raise AmrqError("a message to the port model must be a string, the path or name of a model.")
        self.set_model(name)

    @guarded_run
    def start(self) -> bool:
        """Begin a run."""
        self.error = None
        if self._live:
            # A collection of all that there is holds every thread of Python for some 30 ms: what is there at the start
            # is left out of it.
            gc.collect()
            gc.freeze()
        with self._swapping:
            self._worker = self._new_worker()
            if self._outputs is None:
                self._outputs = self._open_outputs()
            self._classifier.open()
            self._worker.start()
            self._running = True
        return True

    @guarded_run
    def stop(self) -> bool:
        """End the run; the remaining chunks give a last decision."""
        with self._swapping:
            self._running = False
        self._end(self._worker.stop)
        self._end(self._classifier.close)
        self._publish_statistics()
        # GNU Radio logs to standard output, which holds only records while the outputs are open.
        self._warn_of_losses()
        self._end(self._close_outputs)
        return True

    def _end(self, close: Callable[[], None]) -> None:
        """Close a part and keep its error: the other parts must be closed too."""
        try:
            close()
        except Exception as error:
            # Note the run's error once: `work` may have ended before it could.
            if str(error) != str(self.error):
                note_error(self, error)

    def _warn_of_losses(self) -> None:
        counted = self._worker.statistics()
        lost = self.board_statistics().get("lost", 0)
        if lost:
            self.logger.warn(f"{lost} chunks were not classified because the board gave no scores for them")
        if counted.dropped > lost:
            # Live: the queue was full. From a file: chunks waited when the flowgraph was stopped.
            reason = (
                "the classifier was too slow for the stream" if self._live else "the flowgraph was stopped"
            )
            self.logger.warn(f"{counted.dropped - lost} chunks were not classified because {reason}")
        if counted.not_finite:
            self.logger.warn(
                f"{counted.not_finite} chunk{'s' * (counted.not_finite > 1)} of samples that are not finite: left out"
            )

    def _close_outputs(self) -> None:
        outputs, self._outputs = self._outputs, None
        if outputs is not None:
            outputs.close()

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Hand the chunks that have arrived to the worker."""
        chunks = input_items[0]
        if not self._live and not self._worker.wait_for_room(_ROOM_PERIOD):
            return 0  # GNU Radio calls again at once, unless the flowgraph ends
        read = self.nitems_read(0)
        new = chunks[self._held :]
        if len(new):
            self._last_arrival = time.monotonic()
            # The input is a view of the ring buffer, which moves on while the queue still holds the batch.
            batch = self._read_tags(new.copy(), read + self._held)
            if self._live:
                self.timeline.add_arrival(int(batch.sample_indices[-1]) + self._length, time.time())
            self._worker.submit(batch, wait=False)
            # Unless live, the last chunk is handed over but not consumed yet: when nothing follows it, GNU Radio
            # calls again, and everything is decided on and published before the stream is over. What a
            # block publishes later, in stop(), no longer reaches its subscribers.
            self._held = 0 if self._live else 1
            self._quiet = False
        else:
            patience = _PATIENCE[self._worker.waiting > _MUCH]
            if self._worker.wait_until_idle(patience, press=self._quiet):
                self._held = 0
            self._quiet = True
        now = time.monotonic()
        if now >= self._next_statistics:
            self._next_statistics = now + _STATISTICS_PERIOD
            self._publish_statistics()
        return len(chunks) - self._held

    def _read_tags(self, chunks: np.ndarray[Any, np.dtype[np.complex64]], read: int) -> Batch:
        """Return chunks, of which the first has number `read`, with what their tags say."""
        count = len(chunks)
        tags = tags_between(self, read, read + count)
        numbers = np.arange(read, read + count, dtype=np.int64)
        indices = self._indices(numbers)
        truths: list[tuple[int, str | None]] = []
        breaks: list[int] = []
        borders: list[int] = []
        es_n0_db = np.full(count, self._es_n0_db, np.float32)
        for _, key, tag in tags:  # before any tag gives a symbol's time
            if key == INPUT_SECONDS_KEY:
                symbol, seconds = (pmt.tuple_ref(tag.value, n) for n in range(2))
                self.timeline.add_position(pmt.to_uint64(symbol), pmt.to_double(seconds))
        for offset, key, tag in tags:
            chunk = offset - read
            if key == SAMPLE_INDEX_KEY:
                index, hop = (pmt.to_uint64(pmt.tuple_ref(tag.value, n)) for n in range(2))
                self._origin = (offset, index, hop)
                later = numbers >= offset
                if offset:  # after the first chunk this tag marks a break
                    breaks.append(chunk)
                    self.timeline.add_break(index)
                indices[later] = self._indices(numbers[later])
            elif key == "modulation":
                known = pmt.is_symbol(tag.value)
                truths.append((offset, pmt.symbol_to_string(tag.value) if known else None))
            elif key == BURST_BORDER_KEY:
                borders.append(chunk)
                self.timeline.add_border(int(indices[chunk]))
            elif key == SNR_KEY:
                self._es_n0_db = pmt.to_double(tag.value)
                es_n0_db[chunk:] = self._es_n0_db
                self.timeline.add_snr(int(indices[chunk]), self._es_n0_db)
            else:
                self._read_place(key, tag.value, int(indices[chunk]))
        named = tuple((int(indices[n - read]), name) for n, name in truths)
        return Batch(chunks, indices, named, tuple(breaks), borders=tuple(borders), es_n0_db=es_n0_db)

    def _read_place(self, key: str, value: Any, symbol: int) -> None:
        """Take in a tag on a symbol that says where or when it was received."""
        if key == CARRIER_KEY:
            self.timeline.add_carrier(symbol, pmt.to_double(value))
        elif key == INPUT_RATE_KEY:
            self.timeline.set_sample_rate(pmt.to_double(value))
            self.timeline.add_equaliser(symbol, "")  # a front end tags changes
        elif key == EQUALISER_KEY:
            self.timeline.add_equaliser(symbol, pmt.symbol_to_string(value))
        elif key == SIGNAL_KEY:
            symbol_rate, offset, confidence = (pmt.to_double(pmt.tuple_ref(value, n)) for n in range(3))
            self.timeline.add_signal(symbol, symbol_rate, offset, confidence)
            self.stream = replace(self.stream, symbol_rate=symbol_rate, offset=offset)
        elif key == "rx_freq" and (frequency := read_number(value)) is not None:
            self.timeline.add_frequency(symbol, frequency)
        elif key == "rx_time" and (seconds := read_time(value)) is not None:
            self.timeline.add_time(symbol, seconds, time.time())

    def _indices(self, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
        number, index, hop = self._origin
        return np.asarray(index + (numbers - number) * hop, dtype=np.int64)

    def _publish_decision(self, decision: Decision, truth: str | None) -> None:
        if self._on_decision is not None:
            self._on_decision(decision, truth)
        subscribed = not pmt.is_null(self.message_subscribers(_DECISIONS))
        record: dict[str, Any] = {}
        if self._outputs is not None or (subscribed and self.stream.symbol_rate):
            origin = self.timeline.place(self._described, decision.sample_index, decision.sample_count)
            record = decision_record(decision, truth, origin, self._worker.statistics().dropped)
        if self._outputs is not None:
            self._outputs.write(record)
        if not subscribed:
            return  # building the PDU costs as much as classifying four chunks
        values = decision.as_dict() | {"model": self._described.model}
        if self.stream.symbol_rate:
            values |= {key: record[key] for key in _PLACE if record[key] is not None}
        if truth is not None:
            values["truth"] = truth
        vector = pmt.init_f32vector(
            len(decision.log_probabilities), list(decision.log_probabilities.values())
        )
        self.message_port_pub(_DECISIONS, pmt.cons(pmt.to_pmt(values), vector))

    def _publish_statistics(self) -> None:
        counters = self._worker.statistics().as_dict() | self.board_statistics()
        self.message_port_pub(_STATISTICS, pmt.to_pmt(counters))

# SPDX-License-Identifier: GPL-3.0-or-later
"""A linear signal in stored samples: found, received, classified and decided on in one pass, without GNU Radio."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.classifier import AUTO, Classifier, make_classifier
from amrq.decision import Decision, DecisionMaker, DecisionOptions
from amrq.errors import AmrqError
from amrq.identify.search import FoundSignal, SignalSearch, find_in_windows, unclear_text
from amrq.measure import FrontEndOptions, SymbolRate
from amrq.receive import BurstReceiver, ReceivedSymbols, Receiver
from amrq.worker import Batch, ClassifierWorker

__all__ = [
    "Identification",
    "IdentifyOptions",
    "decide_turned_back",
    "has_data",
    "identify_linear",
    "with_data",
]

_WINDOW = 1 << 17
"""Samples of a window in which the signal is looked for."""
_WINDOWS = 8
"""Windows at most, spread over all of the samples, where the signal is not clear in the first."""
_SURE_NAME = 0.9
"""Confidence of a name, or of none of the classes, from which on the first symbols are enough."""
_FOREIGN = "foreign"
"""Reason of decisions on what is outside the class set."""
_BLOCK, _ONE_LINE = 64, 0.5
"""Symbols, and share of their power in one line, with which they are one point, or points by turns, and no data."""
_AT_ONCE = 1 << 20
"""Samples received in one go: bounds memory."""


@dataclass(frozen=True)
class IdentifyOptions:
    """Settings of `identify_linear`.

    Attributes:
        model: an ONNX file, a shipped model's name, or `default`; or a classifier, which is used as it is.
        front_end: settings of the receiver; None: the defaults.
        decision: how decisions are made; None: the defaults.
        search: look for the signal; otherwise symbol rate and offset are given, and are taken as they are.
        first: symbols that are received at first; the rest only where these neither get a sure name nor are surely
            outside the class set. 0: all at once.
        alone: see `SignalSearch`.
    """

    model: str | Classifier = "default"
    front_end: FrontEndOptions | None = None
    decision: DecisionOptions | None = None
    search: bool = True
    first: int = 0
    alone: bool = False


@dataclass(frozen=True)
class Identification:
    """What stored samples hold.

    Attributes:
        found: the signal that was received, and the others in the band.
        decisions: on it, in order; none if the symbol rate is not clear. They count in symbols.
        places: first sample and number of samples of each decision.
        reason: why there is no decision, a sentence's beginning; empty if there are decisions.
        symbols: all symbols received, complex64 [n], of unit mean power; empty if the symbol rate is not clear.
        batches: the same in chunks, with what is known of each.
    """

    found: FoundSignal
    decisions: tuple[Decision, ...] = ()
    places: tuple[tuple[int, int], ...] = field(default=())
    reason: str = ""
    symbols: NDArray[np.complex64] = field(default_factory=lambda: np.zeros(0, np.complex64), compare=False)
    batches: tuple[Batch, ...] = field(default=(), compare=False, repr=False)

    @property
    def symbol_rate(self) -> float:
        """The symbol rate at which the signal was received, Bd; 0 if it was not."""
        return self.found.symbol_rate.rate if self.found.sure and self.found.symbol_rate is not None else 0.0

    def at(self, sample: float) -> Decision | None:
        """Return the decision that a sample of the input belongs to; None if there is none."""
        for decision, (first, count) in zip(self.decisions, self.places, strict=True):
            if first <= sample < first + count:
                return decision
        return None


def identify_linear(
    samples: NDArray[np.complex64],
    sample_rate: float,
    symbol_rate: float | None = None,
    offset: float | None = None,
    options: IdentifyOptions | None = None,
) -> Identification:
    """Find a linear signal in stored samples, receive it, and decide what it is.

    The same parts do the same as in the flowgraph of `amrq classify`, so that the decisions are the same.

    Args:
        samples: complex [N].
        sample_rate: samples a second.
        symbol_rate: of the signal, Bd, right to 2 %; None: estimated.
        offset: about where the signal is, Hz from the middle of the band; None: the strongest one is taken.
        options: model and settings; None: the defaults.

    Raises:
        AmrqError: the rates do not fit each other, or the model cannot be used.

    >>> import numpy as np
    >>> from amrq.classes import linear_class
    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(linear_class("QPSK").points, 2500)
    >>> samples = received_signal(symbols, samples_per_symbol=5.0, rolloff=0.35, es_n0_db=20.0, rng=rng)
    >>> found = identify_linear(samples, sample_rate=100e3)
    >>> round(found.symbol_rate), {decision.label for decision in found.decisions}
    (20000, {'QPSK'})
    """
    options = options or IdentifyOptions()
    samples = np.ascontiguousarray(samples, dtype=np.complex64)
    if options.search or symbol_rate is None:
        search = SignalSearch(
            offset,
            symbol_rate,
            highest=sample_rate / 2,  # two samples a symbol at least
            alone=options.alone,
        )
        found = find_in_windows(_windows(samples), sample_rate, search)
    else:
        found = FoundSignal(offset or 0.0, SymbolRate(symbol_rate, 1.0), symbol_rate)
    if not found.sure or found.symbol_rate is None:
        return Identification(found, reason=unclear_text(found))
    classifier = _classifier(options.model) if isinstance(options.model, str) else options.model
    first = math.ceil(options.first * sample_rate / found.symbol_rate.rate)
    if 0 < first < len(samples):
        decided = _decided(samples[:first], sample_rate, found, classifier, options)
        alike = any(all(map(sure, decided.decisions)) for sure in (_is_sure, _is_foreign))
        if decided.decisions and alike and has_data(decided.symbols):
            return decided
    return _decided(samples, sample_rate, found, classifier, options)


def _decided(
    samples: NDArray[np.complex64],
    sample_rate: float,
    found: FoundSignal,
    classifier: Classifier,
    options: IdentifyOptions,
) -> Identification:
    """Receive a signal that was found, and decide on it."""
    assert found.symbol_rate is not None
    receiver = BurstReceiver(sample_rate, found.symbol_rate.rate, found.offset, options.front_end)
    positions: list[NDArray[np.float64]] = []
    symbols: list[NDArray[np.complex64]] = []
    batches: list[Batch] = []
    number = 0
    for received in _received(receiver, samples):
        if not len(received.positions):
            continue
        batches.append(_batch(received, number))
        positions.append(received.positions)
        symbols.append(received.symbols)
        number += len(received.positions)
    decisions = _decisions(batches, classifier, options.decision)
    if not decisions:
        return Identification(found, reason="the signal is too short for a decision")
    spacing = sample_rate / found.symbol_rate.rate
    length = classifier.contract.chunk_length
    places = tuple(_places(decisions, np.concatenate(positions), length, spacing))
    return Identification(found, decisions, places, symbols=np.concatenate(symbols), batches=tuple(batches))


def _decisions(
    batches: Sequence[Batch], classifier: Classifier, options: DecisionOptions | None
) -> tuple[Decision, ...]:
    """Return the decisions on chunks, in order."""
    decisions: list[Decision] = []
    worker = _worker(classifier, options, decisions)
    for batch in batches:
        worker.submit(batch, wait=False)
    if not worker.decide_here():
        worker.start()
        try:
            worker.wait_until_idle()
        finally:
            worker.stop()
    return tuple(decisions)


def decide_turned_back(
    found: Identification, turn: float, options: IdentifyOptions | None = None
) -> tuple[Decision, ...]:
    """Return the decisions on symbols that were received, each turned back by so much more than the one before.

    Of constellations that turn from symbol to symbol, as pi/2-BPSK, a model of those that do not knows them so.

    Args:
        found: what was received.
        turn: from each symbol to the next, radians; chunks hold a whole number of full turns.
        options: model and settings; None: the defaults.
    """
    options = options or IdentifyOptions()
    classifier = _classifier(options.model) if isinstance(options.model, str) else options.model
    back = np.exp(-1j * turn * np.arange(classifier.contract.chunk_length)).astype(np.complex64)
    turned = [replace(batch, chunks=batch.chunks * back) for batch in found.batches]
    return _decisions(turned, classifier, options.decision)


def with_data(symbols: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return symbols without those of leaders, in which one point is held or two are sent by turns, complex64 [k, 64].

    >>> rng = np.random.default_rng(1)
    >>> sent = np.append((-1.0) ** np.arange(320), rng.choice([-1, 1], 640)).astype(np.complex64)
    >>> len(with_data(sent)) * 64
    640
    """
    blocks = symbols[: len(symbols) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    powers = np.square(np.abs(fft.fft(blocks, 2 * _BLOCK)))
    whole = powers.sum(axis=1) / 2  # of Parseval's: length times the sum of squares
    return np.asarray(blocks[powers.max(axis=1, initial=0.0) < _ONE_LINE * whole])


def has_data(symbols: NDArray[np.complex64]) -> bool:
    """Return whether half of symbols, or more, are those of no leader."""
    return 2 * with_data(symbols).size > len(symbols) - _BLOCK


def _is_foreign(decision: Decision) -> bool:
    """Return whether a decision says surely that a modulation is none of the classes."""
    return decision.reason == _FOREIGN and decision.confidence > _SURE_NAME


def _is_sure(decision: Decision) -> bool:
    """Return whether a decision names a modulation so surely that more symbols would hardly change it.

    What looks alike at this noise looks so in some more symbols as well.
    """
    if decision.reason != "named":
        return False
    own = decision.log_probabilities.get(decision.best, -math.inf)
    return max(decision.confidence, math.exp(own) if decision.alike else 0.0) > _SURE_NAME


@cache
def _classifier(model: str) -> Classifier:
    """Return a model's classifier, loaded once."""
    classifier = make_classifier(model, AUTO)
    if classifier.contract.phase != "any":
        raise AmrqError(
            f"the model {classifier.contract.name} needs the carrier's phase, which the receiver does not recover: "
            "choose a model for any phase."
        )
    return classifier


def _windows(samples: NDArray[np.complex64]) -> Iterator[NDArray[np.complex64]]:
    """Yield pieces to look for the signal in: the first one first."""
    yield samples[:_WINDOW]
    spare = len(samples) - 2 * _WINDOW
    further = min(_WINDOWS - 1, -(-(spare + _WINDOW) // _WINDOW)) if spare > -_WINDOW else 0
    for number in range(1, further + 1):
        start = round((spare + _WINDOW) * number / further)
        yield samples[start : start + _WINDOW]


def _received(receiver: Receiver, samples: NDArray[np.complex64]) -> Iterator[ReceivedSymbols]:
    for start in range(0, len(samples), _AT_ONCE):
        yield receiver.process(samples[start : start + _AT_ONCE])
    yield receiver.finish()


def _worker(
    classifier: Classifier, options: DecisionOptions | None, decisions: list[Decision]
) -> ClassifierWorker:
    contract = classifier.contract
    maker = DecisionMaker(contract.weighed(), contract.chunk_length, options, contract.fusion_chunks)
    return ClassifierWorker(
        classifier,
        maker,
        lambda decision, truth: decisions.append(decision),
        track=maker.options.track,
    )


def _batch(received: ReceivedSymbols, number: int) -> Batch:
    """Return chunks for the worker; `number` is that of the first one."""
    count = len(received.positions)
    chunks = received.symbols.reshape(count, -1).copy()
    chunks[~received.finite] = np.nan
    indices = chunks.shape[1] * np.arange(number, number + count, dtype=np.int64)
    return Batch(
        chunks,
        indices,
        borders=tuple(np.flatnonzero(received.borders).tolist()),
        es_n0_db=received.snr_db.astype(np.float32),
    )


def _places(
    decisions: Sequence[Decision], positions: NDArray[np.float64], length: int, spacing: float
) -> Iterator[tuple[int, int]]:
    """Yield first sample and number of samples of each decision."""
    for decision in decisions:
        first = decision.sample_index // length
        last = (decision.sample_index + decision.sample_count) // length - 1
        begin = max(0, round(float(positions[first])))
        end = round(float(positions[min(last, len(positions) - 1)]) + length * spacing)
        yield begin, end - begin

# SPDX-License-Identifier: GPL-3.0-or-later
"""Witnesses to a name: the points that were decided for, and the noise beside the signal.

A model knows the signals that it was trained on. A constellation that it has not seen gets the name of the one that it
resembles, often with certainty: 64QAM at 25 dB looks like 16QAM at 12 dB. Two witnesses do not depend on any model:
the symbols must lie around the named class's points as noise scatters them, and the noise around the points must be
that beside the signal.

What neither of them contradicts may still be another constellation, where there is much noise: `Rivals` finds those
that the symbols do not tell from the class, and the name is then less sure.

The points also help where a model hesitates: it sees one chunk at a time, whose carrier phase it has to guess, while
the phase of a decision's chunks together is well known.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from amrq.classes import LinearClass, SignalClass
from amrq.decision.decision import Decision
from amrq.decision.point_fit import Asked, PointFit, PointTest, fit_together
from amrq.decision.rivals import Rivals
from amrq.model import UNKNOWN

__all__ = ["DecisionChecker"]

_LEAST_SYMBOLS = 64
"""Symbols that a test of the points needs."""
_WITH_EDGES = 8
"""Chunks from which on the first and the last are left out: a signal may begin or end inside them."""
_SHORT_SYMBOLS, _SHORT_MISFIT, _SHORT_LOSS = 512, 10.0, 0.5
"""In decisions on fewer symbols errors of the receiver's level do not average out: the limit of the score test is up to
so much higher, and that of the noise wider by up to this share."""
_MISFIT = 36.0
"""Largest value of the score test, with up to 13 degrees of freedom: chi-squared has 0.03 % above it."""
_MISFIT_OF_RECEIVER = {False: 0.01, True: 0.06}
"""What a receiver leaves (level, neighbouring symbols) adds to it, for each symbol, at 18 dB and more; by whether all
points lie on a line, which does not show phase noise but any change of the level."""
_CLEAN_DB = 15.0
"""Es/N0 up to which noise hides that."""
_STRANGE_LINE = 17.5
"""Highest line of a strange symmetry, over the spectrum's mean: 1 in 10^7 bins of noise is higher."""
_CLEAR_LINE_DB, _CLEAR_LINE = 16.5, 3.0
"""Es/N0 above which clipping shows in lines of rings, and how much higher the line must be there if the noise beside
the signal is known: that of another ring is ten times as high."""
_LINE_OF_DATA = 0.25
"""The same for few points, over the number of symbols: less may be the data's own."""
_WIDE = 0.9
"""Distance between points beyond which the score test sees what a receiver leaves long before it matters."""
_LINE_DUE, _LINE_LEAST = 11.0, 5.2
"""Where the class's own line should stand out so far, it must stand out by this at least; noise reaches 5."""
_UNCLEAR_DUE, _UNCLEAR_LEAST = 5.8, 4.6
"""The same where the class can just be told from one with twice the points: below, the name is unsure."""
_EASILY_TOLD = 8
"""Symmetry up to which the noise tells more points on the ring as well."""
_DENSER, _TOLERANCE = 1 / 32, 2.5
"""Noise power over the squared smallest distance that points between the points make at least; where the noise beside
the signal shows that there is less, the score test's limit is so much higher."""
_CLEAR_DB = 13.0
"""It is not at lower Es/N0."""
_LOSS = 1 / 50
"""Noise power that the receiver may add, over the squared smallest distance between points. A constellation that is
twice as dense in one direction adds 1/16 of it."""
_DISTORTION = 0.3
"""Power of the noise that compression makes, over its square."""
_DEVIATIONS, _UNCERTAIN_DEVIATIONS = 2.4, 3.1
"""How many standard deviations the fitted noise may be above what the receiver adds at most; the second where the
phase is not certain, whose errors are more noise: where the class's line stands out by less than `_CERTAIN_LINE`."""
_CERTAIN_LINE = 5.5
_MEASURED_ERROR_DB, _MOST_ERROR_DB, _MEASURED_SYMBOLS = 0.2, 0.5, 1024
"""Standard deviation of Es/N0 by the noise beside the signal, in so many symbols; in fewer it is larger."""
_BETTER, _BETTER_BELOW_DB = 2.2, 7.0
"""By how many standard deviations the fit may be better than the noise beside the signal, where Es/N0 is low. Where it
is high, a neighbour's leakage may be taken for noise."""


_BLIND_DB = 4.0
"""Es/N0 below which a name is only given if the noise beside the signal is known, or no other class is likelier: models
are trained for more."""
_ROUGH_DB = 1.0
_CANDIDATE = 0.03
"""Probability from which on a class is a candidate where the model hesitates."""
_MOST_CANDIDATES = 3
_WEIGHT = 0.075
"""Of a difference of log-likelihoods against the model's odds. Below 1, since they look at the same symbols and a real
receiver's errors are no white noise."""
_FREE_LINE, _MOST_FREE = 5.0, 12.0
"""What fitting the phase adds to the log-likelihood by chance: so much for each unit that the class's line should stand
out, and at most so much."""


_ODDS = 4.0
"""Prior odds of a class that a model knows against all that look like it and are none of its classes. Models are
trained for what is on the air; and with even likelihoods the name stays, by the usual cost of a wrong one."""
_EVEN = 5.0
"""Nats by which a rival may be likelier by chance, 1 in 150 at most (Markov's inequality): no more is said of it."""
_UNLIKELY = 0.05
"""Probability of a class below which it is refuted by its rivals."""
_ALIKE = 0.1
"""Of the odds of a rival against a class, from which on it is given."""


class DecisionChecker:
    """Refuse names that the symbols or the noise beside the signal contradict.

    All decisions are on one stream, in order: a fit begins at the Es/N0 at which the class fitted last.

    If the model finds several classes possible, their likelihoods given all symbols of the decision change its
    probabilities first.

    A refuted decision has the label `unknown` and the reason `foreign`; `Decision.refuted` names the class. What is
    not linear is not tested.

    Args:
        classes: those that a model can name.

    Example:
        >>> import numpy as np
        >>> from amrq.classes import THESIS_9, linear_class
        >>> from amrq.decision import Decision
        >>> checker = DecisionChecker(THESIS_9.members)
        >>> rng = np.random.default_rng(1)
        >>> symbols = rng.choice(linear_class("64QAM").points, (32, 32)).astype(np.complex64)
        >>> named = Decision("16QAM", 0.99, "16QAM", {}, 32, 0, 1024, 13.0, 0.0, "named")
        >>> found = checker.check(named, symbols)
        >>> found.reason, found.label, found.refuted
        ('foreign', 'unknown', '16QAM')
    """

    def __init__(self, classes: Iterable[SignalClass]) -> None:
        plain = [one for one in classes if isinstance(one, LinearClass) and one.plain]
        self._tests = {one.name: PointTest(one) for one in plain}
        self._rivals = Rivals(plain)

    def check(
        self,
        decision: Decision,
        chunks: NDArray[np.complex64],
        es_n0_db: float = math.nan,
        threshold: float = 0.75,
    ) -> Decision:
        """Return the decision, with what was found in its last fields, or a refusal of its name.

        Args:
            decision: on these chunks.
            chunks: complex64 [n, L], the chunks it rests on, finite, consecutive, none of them silent.
            es_n0_db: Es/N0 by the noise beside the signal, dB; NaN where it is not known.
            threshold: lowest probability of a class that is named.
        """
        return self.check_all([(decision, chunks, es_n0_db)], threshold)[0]

    def check_all(
        self, decisions: Sequence[tuple[Decision, NDArray[np.complex64], float]], threshold: float = 0.75
    ) -> list[Decision]:
        """Return what `check` returns of each of several decisions: (decision, chunks, es_n0_db), in order.

        Their classes are fitted in one compiled call.
        """
        asked: list[Asked] = []
        seen = []
        for decision, chunks, es_n0_db in decisions:
            if len(chunks) >= _WITH_EDGES:
                chunks = chunks[1:-1]
            known, candidates = math.isfinite(es_n0_db), []
            if known:
                decision = decision.changed(measured_es_n0_db=es_n0_db)
            if decision.reason in ("named", "unsure") and chunks.size >= _LEAST_SYMBOLS:
                candidates = self._candidates(decision, threshold)
            seen.append((decision, chunks, es_n0_db, candidates))
            # A model's own estimate is rough, and the phase is found by it.
            start = es_n0_db if known else 10.0 if decision.es_n0_db is None else decision.es_n0_db
            rough = math.inf if known else _ROUGH_DB
            asked += [Asked(self._tests[name], chunks, start, rough, not known) for name in candidates]
        fits = iter(fit_together(asked))
        return [
            self._judged(decision, chunks, es_n0_db, {name: next(fits) for name in candidates}, threshold)
            for decision, chunks, es_n0_db, candidates in seen
        ]

    def _judged(
        self,
        decision: Decision,
        chunks: NDArray[np.complex64],
        es_n0_db: float,
        fits: Mapping[str, PointFit],
        threshold: float,
    ) -> Decision:
        """Return a decision with what the fits of its candidates say of it, or a refusal of its name."""
        known = math.isfinite(es_n0_db)
        if len(fits) > 1:
            decision = self._weighed(decision, fits, es_n0_db, threshold)
        if decision.reason != "named" or decision.best not in fits:
            return decision
        test, fit = self._tests[decision.best], fits[decision.best]
        misfit = _misfit(fit, test, chunks.size, es_n0_db)
        if misfit > 1:
            # The rest may be no sign of other points.
            fit = test.fit_cleaned(fit, es_n0_db if known else fit.es_n0_db)
            misfit = _misfit(fit, test, chunks.size, es_n0_db)
        if misfit <= 1:
            decision = decision.changed(misfit=misfit)
            lost = (
                not known
                and fit.es_n0_db < _BLIND_DB
                and self._is_another_likelier(chunks, decision.best, fit)
            )
            lost = lost or (
                test.known.symmetry > _EASILY_TOLD
                and fit.own_line_due > _UNCLEAR_DUE
                and fit.own_line < _UNCLEAR_LEAST
            )
            if lost:
                return decision.changed(label=UNKNOWN, reason="unsure")
            return self._beside_rivals(decision, test, fit, threshold)
        return decision.changed(
            label=UNKNOWN,
            reason="foreign",
            best=UNKNOWN,
            confidence=1 - 0.5 * math.exp(1 - misfit),
            misfit=misfit,
            refuted=decision.best,
        )

    def _beside_rivals(
        self, decision: Decision, test: PointTest, fit: PointFit, threshold: float
    ) -> Decision:
        """Return a decision that names a class, no surer than other constellations at this noise allow."""
        found = self._rivals.compared(test.known, fit.turned, fit.es_n0_db)
        if not found:
            return decision
        if not (test.on_a_line or fit.own_line > _CERTAIN_LINE):
            found = {name: min(value, 0.0) for name, value in found.items()}
        highest = max(found.values())
        own = 1 / (1 + math.exp(min(highest, 0.0) + max(highest - _EVEN, 0.0)) / _ODDS)
        if own < _UNLIKELY:
            return decision.changed(
                label=UNKNOWN,
                reason="foreign",
                best=UNKNOWN,
                confidence=1 - own,
                refuted=decision.best,
            )
        likely = sorted(found, key=lambda name: -max(round(found[name]), 0))
        alike = [name for name in likely if math.exp(found[name]) / _ODDS > _ALIKE]
        return decision.limited(own, alike, threshold)

    def _candidates(self, decision: Decision, threshold: float) -> list[str]:
        """Return the classes to be fitted, the most probable first."""
        if decision.reason == "named" and decision.confidence > 1 - _CANDIDATE:
            return [decision.best] if decision.best in self._tests else []
        probable = {
            name: math.exp(value) for name, value in decision.log_probabilities.items() if name in self._tests
        }
        if decision.reason == "unsure" and sum(probable.values()) < threshold:
            return []
        if not probable:
            return [decision.best] if decision.best in self._tests else []
        found = sorted(probable, key=lambda name: -probable[name])[:_MOST_CANDIDATES]
        return [name for name in found if probable[name] > _CANDIDATE or name == decision.best]

    def _is_another_likelier(self, chunks: NDArray[np.complex64], name: str, fit: PointFit) -> bool:
        """Return whether the symbols are likelier with another class than with the one named, which was fitted."""
        least = _likelihood(fit, self._tests[name], math.nan)
        return any(
            _likelihood(test.fit(chunks, fit.es_n0_db), test, math.nan) > least
            for other, test in self._tests.items()
            if other != name
        )

    def _weighed(
        self, decision: Decision, fits: Mapping[str, PointFit], es_n0_db: float, threshold: float
    ) -> Decision:
        """Return the decision with the likelihoods of its candidates taken into account."""
        if any(math.isnan(fit.log_likelihood) for fit in fits.values()):
            return decision
        likelihoods = {name: _likelihood(fit, self._tests[name], es_n0_db) for name, fit in fits.items()}
        highest = max(likelihoods.values())
        joint = dict(decision.log_probabilities)
        for name, value in likelihoods.items():
            joint[name] += _WEIGHT * (value - highest)
        # What the model says of the candidates together stays.
        lost = np.logaddexp.reduce([decision.log_probabilities[name] for name in fits])
        lost -= np.logaddexp.reduce([joint[name] for name in fits])
        for name in fits:
            joint[name] = min(joint[name] + float(lost), 0.0)
        best = max(fits, key=lambda name: joint[name])
        confidence = math.exp(joint[best])
        named = confidence >= threshold
        return decision.changed(
            label=best if named else UNKNOWN,
            reason="named" if named else "unsure",
            best=best,
            confidence=confidence,
            log_probabilities=joint,
            es_n0_db=decision.es_n0_db if best == decision.best else fits[best].es_n0_db,
            es_n0_bound=decision.es_n0_bound if best == decision.best else None,
        )


def _misfit(fit: PointFit, test: PointTest, symbols: int, es_n0_db: float) -> float:
    """Return how badly symbols and noise fit, over what is accepted; `es_n0_db` may be NaN."""
    known = math.isfinite(es_n0_db)
    if not known:
        return _by_points(fit, test, symbols)
    tolerance = 1.0 if _may_be_denser(fit, test, es_n0_db) else _TOLERANCE
    clear_ring = fit.es_n0_db > _CLEAR_LINE_DB and test.known.symmetry >= _EASILY_TOLD
    points = _by_points(fit, test, symbols, tolerance, _CLEAR_LINE if clear_ring else 1.0)
    return max(points, _by_noise(fit, test, es_n0_db))


def _may_be_denser(fit: PointFit, test: PointTest, es_n0_db: float) -> bool:
    """Return whether there is as much noise as points between the points would make, at least."""
    if fit.es_n0_db < _CLEAR_DB:
        return True
    noise = 10 ** (-fit.es_n0_db / 10)
    error = math.hypot(fit.es_n0_error_db, _measured_error(fit.symbols)) * noise * math.log(10) / 10
    made = _DISTORTION * fit.nuisances.compression**2 + fit.nuisances.phase_noise
    return noise - 10 ** (-es_n0_db / 10) - made + 2 * error > _DENSER * test.nearest**2


def _by_points(
    fit: PointFit, test: PointTest, symbols: int, tolerance: float = 1.0, for_lines: float = 1.0
) -> float:
    """Return how badly symbols fit, over what is accepted.

    Args:
        fit: of the class.
        test: of the class.
        symbols: how many there are.
        tolerance: factor on the score test's limit.
        for_lines: factor on the limit of strange lines.
    """
    symbols = min(symbols, fit.symbols)
    clear = min(max((fit.es_n0_db - _CLEAN_DB) / (18 - _CLEAN_DB), 0.0), 1.0)
    most = _MISFIT + clear * _MISFIT_OF_RECEIVER[test.on_a_line] * symbols
    most += _SHORT_MISFIT * _shortness(symbols)
    most *= max((test.nearest / _WIDE) ** 2, 1.0)
    line = _STRANGE_LINE if test.dense else max(_STRANGE_LINE, _LINE_OF_DATA * symbols)
    found = max(fit.misfit / most / tolerance, fit.strange_line / line / for_lines)
    if fit.own_line_due > _LINE_DUE:
        found = max(found, min(_LINE_LEAST / max(fit.own_line, 1e-3), 10.0))
    return found


def _shortness(symbols: int) -> float:
    return max(1 - symbols / _SHORT_SYMBOLS, 0.0)


def _measured_error(symbols: int) -> float:
    return min(_MEASURED_ERROR_DB * math.sqrt(max(_MEASURED_SYMBOLS / symbols, 1.0)), _MOST_ERROR_DB)


def _least(test: PointTest, fit: PointFit, es_n0_db: float) -> float:
    """Return the lowest Es/N0 in dB that symbols may have, given that by the noise beside the signal."""
    found = fit.nuisances
    left = _LOSS * test.nearest**2 + found.phase_noise + _DISTORTION * found.compression**2
    return -10 * math.log10(10 ** (-es_n0_db / 10) + left)


def _likelihood(fit: PointFit, test: PointTest, es_n0_db: float) -> float:
    """Return the log-likelihood of a class, given the symbols and the noise beside the signal."""
    by_chance = min(_FREE_LINE * fit.own_line_due, _MOST_FREE)
    away = 0.0
    if math.isfinite(es_n0_db):
        outside = max(_least(test, fit, es_n0_db) - fit.es_n0_db, fit.es_n0_db - es_n0_db, 0.0)
        away = outside**2 / (fit.es_n0_error_db**2 + _measured_error(fit.symbols) ** 2) / 2
    return fit.log_likelihood - by_chance - away


def _by_noise(fit: PointFit, test: PointTest, es_n0_db: float) -> float:
    """Return how far the fitted noise is from that beside the signal, over what is accepted."""
    deviation = math.hypot(fit.es_n0_error_db, _measured_error(fit.symbols))
    certain = test.on_a_line or fit.own_line > _CERTAIN_LINE
    most = _DEVIATIONS if certain else _UNCERTAIN_DEVIATIONS
    worse = (_least(test, fit, es_n0_db) - fit.es_n0_db) / (most * deviation)
    worse /= 1 + _SHORT_LOSS * _shortness(fit.symbols)
    if fit.es_n0_db > _BETTER_BELOW_DB:
        return max(worse, 0.0)
    better = (fit.es_n0_db - es_n0_db) / (_BETTER * deviation)
    return max(worse, better, 0.0)

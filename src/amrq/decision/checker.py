# SPDX-License-Identifier: GPL-3.0-or-later
"""Witnesses against a name: the points that were decided for, and the noise beside the signal.

A model knows the signals that it was trained on. A constellation that it has not seen gets the name of the one that it
resembles, often with certainty: 64QAM at 25 dB looks like 16QAM at 12 dB. Two witnesses do not depend on any model:
the symbols must lie around the named class's points as noise scatters them, and the noise around the points must be
that beside the signal.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from amrq.classes import LinearClass, SignalClass
from amrq.decision.decision import Decision
from amrq.decision.point_fit import PointFit, PointTest
from amrq.model import UNKNOWN

__all__ = ["DecisionChecker"]

_LEAST_SYMBOLS = 192
"""Symbols that a test of the points needs."""
_MISFIT = 52.0
"""Largest value of the score test where the receiver is ideal, with up to 13 degrees of freedom: 2 in 1,000 signals of
the class are above, more than by chi-squared, since some derivatives have long tails."""
_MISFIT_OF_RECEIVER = {False: 0.03, True: 0.15}
"""What a receiver leaves (level, neighbouring symbols) adds to it, for each symbol, at 18 dB and more; by whether all
points lie on a line, which does not show phase noise but any change of the level."""
_CLEAN_DB = 15.0
"""Es/N0 up to which noise hides that."""
_STRANGE_LINE = 17.5
"""Highest line of a strange symmetry, over the spectrum's mean: 1 in 10^7 bins of noise is higher."""
_LINE_DUE, _LINE_LEAST = 11.0, 5.2
"""Where the class's own line should stand out so far, it must stand out by this at least; noise reaches 5."""
_LOSS = 1 / 50
"""Noise power that the receiver may add, over the squared smallest distance between points. A constellation that is
twice as dense in one direction adds 1/16 of it."""
_DEVIATIONS = 3.0
_MEASURED_ERROR_DB = 0.3
"""Standard deviation of Es/N0 by the noise beside the signal."""
_BETTER_DB, _BETTER_BELOW_DB = 1.2, 7.0
"""By how much the fit may be better than the noise beside the signal, where Es/N0 is low. Where it is high, a
neighbour's leakage may be taken for noise."""


class DecisionChecker:
    """Refuse names that the symbols or the noise beside the signal contradict.

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
        self._tests = {
            one.name: PointTest(one) for one in classes if isinstance(one, LinearClass) and one.plain
        }

    def check(
        self, decision: Decision, chunks: NDArray[np.complex64], es_n0_db: float = math.nan
    ) -> Decision:
        """Return the decision, with what was found in its last fields, or a refusal of its name.

        Args:
            decision: on these chunks.
            chunks: complex64 [n, L], the chunks it rests on, finite, consecutive, none of them silent.
            es_n0_db: Es/N0 by the noise beside the signal, dB; NaN where it is not known.
        """
        known = math.isfinite(es_n0_db)
        if known:
            decision = replace(decision, measured_es_n0_db=es_n0_db)
        test = self._tests.get(decision.best)
        if decision.reason != "named" or test is None or chunks.size < _LEAST_SYMBOLS:
            return decision
        expected = es_n0_db if known else decision.es_n0_db
        fit = test.fit(chunks, 10.0 if expected is None else expected)
        misfit = max(_by_points(fit, test, chunks.size), _by_noise(fit, test, es_n0_db) if known else 0.0)
        if misfit <= 1:
            return replace(decision, misfit=misfit)
        return replace(
            decision,
            label=UNKNOWN,
            reason="foreign",
            best=UNKNOWN,
            confidence=1 - 0.5 * math.exp(1 - misfit),
            misfit=misfit,
            refuted=decision.best,
        )


def _by_points(fit: PointFit, test: PointTest, symbols: int) -> float:
    """Return how badly symbols fit, over what is accepted."""
    symbols = min(symbols, fit.symbols)
    clear = min(max((fit.es_n0_db - _CLEAN_DB) / (18 - _CLEAN_DB), 0.0), 1.0)
    most = _MISFIT + _MISFIT_OF_RECEIVER[test.on_a_line] * clear * symbols
    shortness = 1 - (fit.freedom + 3) / symbols  # the sample's own covariance is used
    found = max(fit.misfit * shortness / most, fit.strange_line / _STRANGE_LINE)
    if fit.own_line_due > _LINE_DUE:
        found = max(found, min(_LINE_LEAST / max(fit.own_line, 1e-3), 10.0))
    return found


def _by_noise(fit: PointFit, test: PointTest, es_n0_db: float) -> float:
    """Return how far the fitted noise is from that beside the signal, over what is accepted."""
    noise = 10 ** (-es_n0_db / 10) + _LOSS * test.nearest**2
    deviation = math.hypot(fit.es_n0_error_db, _MEASURED_ERROR_DB)
    worst = -10 * math.log10(noise)
    worse = (worst - fit.es_n0_db) / (_DEVIATIONS * deviation)
    if fit.es_n0_db > _BETTER_BELOW_DB:
        return max(worse, 0.0)
    better = (fit.es_n0_db - es_n0_db) / (_BETTER_DB + _DEVIATIONS * fit.es_n0_error_db)
    return max(worse, better, 0.0)

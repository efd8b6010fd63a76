# SPDX-License-Identifier: GPL-3.0-or-later
"""Which symbol clock the levels of a keyed frequency fit best: that of its clearest line, slow tones', or a word's."""

import math

from amrq.measure.keyed_samples import KeyedSamples
from amrq.measure.repeated_word import repeats, word_clock
from amrq.measure.tone_clock import tone_clock_rates
from amrq.measure.tone_levels import LevelFit, fit_levels

__all__ = ["MANY", "MOST_CLOCK", "STEADY_ENVELOPE", "UNSTEADY", "best_fit"]

MANY = 4
"""Levels, of which more are many tones."""
_GOOD = 0.15
"""Of half the distance of the levels: where no more is left, no other rate is looked at."""
_SWEPT = 0.5
"""Share of steps that are as the one before: slow tones have less, pieces of a sweep more."""
_CLEAR, _CERTAIN = 20.0, 0.5
"""Evidence of a clock's line, and of levels, a symbol: where there is more, no other rate is looked at."""
_FAINT_CLOCK = 5.5
"""Evidence of a further clock's line that is looked at, at least: that of noise has as much in one of two looks."""
_FAINTEST, STEADY_ENVELOPE = 3.0, 1.25
"""The same where the envelope is so steady that a frequency may well be keyed: a fit shows which line is a clock's."""
_OWN_TIME = 0.6
"""Of the response to a symbol, that is in its own time: what a faint line speaks for has less where it is too fast."""
_WORD, _AS_CLEAR = 0.2, 0.35
"""Evidence of a symbol of a repeated word, at least; and over that of other clocks, which fit such a word by chance."""
MOST_CLOCK = 60.0
"""Evidence of a clock's line, at most."""
_NO_DEVIATION = 1e-3
"""Of the bandwidth: half the distance of levels is more."""
_SQUARE = 0.5, 1.25
"""Mean frequency over symbols, over that at their middle: held tones have 1, half waves of a sine 0.64; far
from these is a pattern of several symbols at a wrong clock."""
UNSTEADY = 1.7
"""Mean squared power over squared mean power while the signal is there: where it is more, no frequency is keyed, but
perhaps slow tones fade, or others are beside them."""

_Fitted = tuple[LevelFit | None, float]


def best_fit(
    keyed: KeyedSamples, rates: list[tuple[float, float]], known: bool, tones: bool
) -> tuple[LevelFit | None, float, bool]:
    """Return the best fit, how clear the line of its clock is, and whether it is that of slow tones.

    Args:
        keyed: the samples.
        rates: symbols a second, and evidence of each.
        known: the rate is known.
        tones: slow tones are looked for.
    """
    unsteady = keyed.envelope > UNSTEADY
    found: _Fitted = (None, 0.0) if unsteady else _fitted(keyed, rates[:1])
    if known or (_is_plain(found) and not _repeats(found)):
        return *found, False
    plain = _is_plain(found)
    slow: _Fitted = (None, 0.0)
    if tones and not plain:
        slow = _fitted(keyed, tone_clock_rates(keyed.samples, keyed.rate), slow=True)
    word = None if unsteady else _fitted_to_word(keyed, (found, slow))
    if word is not None:
        return *word, False
    if plain:
        return *found, False
    if not (_is_clear(*found) or _is_of_tones(slow[0])):
        found = _fitted_to_others(keyed, rates[1:], found)
        if _is_plain(found):
            return *found, False
    best, line = _better(found, slow)
    if unsteady and not (best is not None and best.error < _GOOD):
        return None, 0.0, False
    return best, line, best is not None and best is slow[0]


def _fitted(keyed: KeyedSamples, rates: list[tuple[float, float]], slow: bool = False) -> _Fitted:
    """Return the best fit at symbol rates, and how clear the line of its clock is; None where none fits.

    Args:
        keyed: the samples.
        rates: symbol rates, and evidence of each, the clearest first.
        slow: they are those of slow tones.
    """
    best: _Fitted = (None, 0.0)
    for number, (one, clock) in enumerate(rates):
        if number and clock < _FAINT_CLOCK:
            break
        fit = _fit(keyed, one, slow)
        best = max(best, (fit, clock), key=_worth)
        if _is_clear(fit, clock):
            break
    return best


def _fitted_to_others(keyed: KeyedSamples, rates: list[tuple[float, float]], best: _Fitted) -> _Fitted:
    """Return the best fit at the rates of further lines, or at that of the clearest one, which was fitted before.

    Where neither that nor the next one shows levels, faint ones do not either.
    """
    least = _FAINT_CLOCK if keyed.envelope > STEADY_ENVELOPE else _FAINTEST
    for number, (one, clock) in enumerate(rates):
        if clock < least or (number and clock < _CLEAR and not _worth(best) > 0):
            break
        fit = _fit(keyed, one)
        if fit is not None and (clock >= _FAINT_CLOCK or fit.main >= _OWN_TIME):
            best = max(best, (fit, clock), key=_worth)
        if _is_clear(fit, clock):
            break
    return best


def _told(fitted: _Fitted) -> float:
    """Return the evidence of a symbol, of those that are not as the one before."""
    fit = fitted[0]
    return 0.0 if fit is None else fit.worth / fit.symbols


def _repeats(fitted: _Fitted) -> bool:
    return fitted[0] is not None and repeats(fitted[0])


def _fitted_to_word(keyed: KeyedSamples, others: tuple[_Fitted, ...]) -> _Fitted | None:
    """Return the fit at the symbol rate of a word that is sent again and again; None where another clock is clearer.

    Args:
        keyed: the samples.
        others: fits to other clocks, of which those with a few symbols a word fit whatever is sent.
    """
    word = word_clock(keyed)
    if word is None:
        return None
    fit = _fit(keyed, word.symbol_rate)
    told = [_told(one) for one in others if one[0] is not None and one[0].rate > word.slowest]
    found: _Fitted = (fit, MOST_CLOCK)
    return found if _told(found) > max(_WORD, _AS_CLEAR * max(told, default=0.0)) else None


def _fit(keyed: KeyedSamples, rate: float, slow: bool = False) -> LevelFit | None:
    """Return the levels at a symbol rate; None where there are none."""
    fit = fit_levels(keyed, rate, slow)
    if fit is None or fit.half < _NO_DEVIATION * keyed.width:
        return None
    return fit if fit.levels > MANY or _SQUARE[0] < fit.square < _SQUARE[1] else None


def _is_plain(fitted: _Fitted) -> bool:
    """Return whether it is clear that there are two to four levels."""
    fit = fitted[0]
    return fit is not None and fit.levels <= MANY and _is_clear(*fitted)


def _is_of_tones(fit: LevelFit | None) -> bool:
    """Return whether a fit of slow tones is so close to a lattice that no other clock need be looked for."""
    return fit is not None and fit.error < _GOOD and fit.levels > MANY and fit.swept <= _SWEPT


def _worth(fitted: _Fitted) -> float:
    fit, clock = fitted
    return -math.inf if fit is None else fit.worth + min(clock, MOST_CLOCK)


def _is_clear(fit: LevelFit | None, clock: float) -> bool:
    """Return whether no other rate need be looked at."""
    if fit is None:
        return False
    return fit.error < _GOOD or (clock > _CLEAR and fit.worth > _CERTAIN * fit.symbols)


def _better(found: _Fitted, slow: _Fitted) -> _Fitted:
    """Return the better one of a fit by the discriminator's clock and one of slow tones.

    Of so few symbols the evidence is small. But tones so close to a lattice are no accident.
    """
    fit, other = slow[0], found[0]
    if fit is None or fit.levels <= MANY or fit.swept > _SWEPT:
        return found
    if other is None or (fit.error < _GOOD and fit.error < other.error):
        return slow
    return max(found, slow, key=_worth)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells frequency keying where levels do not show by themselves: its clock, an eye that was opened, MSK's turns.

A Gaussian filter with a small product of bandwidth and symbol time makes a keyed frequency look like audio: it rests
near its middle, has peaks, and no levels. What audio has not is a symbol clock as fast as the signal is wide; nor is
audio wider than some 20 kHz, and a broadcast's multiplex 60 kHz. So a clear clock, or a frequency that follows what is
wider, speaks against FM, whatever the levels are; and where the clock is clear and the levels are not, it speaks
against any number of them that a model thinks of.

Binary keying with an index of a half (MSK, GMSK) has the turns of OQPSK, and its lines. OQPSK with filtered points has
an envelope that varies: the mean squared power over the squared mean is 1.05 and more, noise taken off. With half-sine
pulses OQPSK is MSK, and no filter rounds its turns; a constant envelope with an eye that one had closed is GMSK's.
"""

from amrq.identify.look import EmissionLook

__all__ = ["clocked", "msk_like", "opened", "wide_message"]

_CLOCKED, _ABOVE_AUDIO, _OPENED = (15.0, 25.0), (60e3, 85e3), (0.5, 0.8)
"""Evidence of a clock's line, and Bd that lines of a broadcast's pilot and subcarriers are below, mostly; confidence of
levels in an opened eye."""
_MSK, _MSK_ENVELOPE, _GAUSSIAN = (0.42, 0.58), (1.02, 1.05), (0.5, 0.7)
"""Index of MSK; mean squared power over squared mean, noise taken off; BT of a filter that rounds the turns."""
_WIDE_MESSAGE = 75e3, 110e3
"""Hz: half of what a broadcast's frequency follows is below the former, even where nothing is heard."""


def clocked(look: EmissionLook) -> float:
    """Return how clearly the frequency has a symbol clock that no audio has, whatever its levels are, 0 to 1.

    Tones of audio and a broadcast's multiplex have such lines as well, but slower ones.
    """
    found = look.frequency_keying
    if found.clock_rate is None:
        return 0.0
    pilot = look.fm.pilot_confidence if "fm" in look.__dict__ and look.fm.pilot_deviation else 0.0
    clear = _ramp(found.clearest_clock, *_CLOCKED) * _ramp(found.clock_rate, *_ABOVE_AUDIO) * (1 - pilot)
    return max(clear, opened(look))


def opened(look: EmissionLook) -> float:
    """Return how clearly there are levels in an eye that a filter had closed, 0 to 1."""
    found = look.frequency_keying
    return 0.0 if found.clock_rate is None else _ramp(found.levels_confidence, *_OPENED)


def msk_like(look: EmissionLook) -> float:
    """Return how clearly it is binary frequency keying with the turns of OQPSK and a Gaussian filter, 0 to 1.

    Its envelope is constant; that of OQPSK is not, but with half-sine pulses, which no filter rounds.
    """
    found = look.frequency_keying
    if found.levels != 2 or found.bt is None or found.index is None:
        return 0.0
    turns = 1.0 if _MSK[0] < found.index < _MSK[1] else 0.0
    steady = 1 - _ramp(found.envelope, *_MSK_ENVELOPE)
    return (
        float(found.clock_rate is not None)
        * turns
        * steady
        * (1 - _ramp(found.bt, *_GAUSSIAN))
        * _ramp(found.levels_confidence, *_OPENED)
    )


def wide_message(look: EmissionLook) -> float:
    """Return how clearly the frequency follows something that is wider than any audio, 0 to 1."""
    return _ramp(look.frequency_spread.middle, *_WIDE_MESSAGE)


def _ramp(value: float, low: float, high: float) -> float:
    """Return 0 at `low` and below, 1 at `high` and above."""
    return min(max((value - low) / (high - low), 0.0), 1.0)

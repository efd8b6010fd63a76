# SPDX-License-Identifier: GPL-3.0-or-later
"""How much the measures of a family weigh: logarithms of likelihood ratios, from simulated signals.

Each family has a constant and a factor for each of its numbers (`amrq.identify.evidence`). They are those of a
multinomial logistic regression on the measures alone, 570 signals of `amrq.signals.family_example` with 6 to 30 dB and
1,600 to 6,000 samples, and mixtures of two signals that are of no family, with a penalty on large weights; then taken
times 0.7, since measures err together, and with the model. What proves a family (parity of Mode S, a cyclic prefix)
is rare in so few signals and has a weight by reason. No recording was used.
"""

__all__ = ["MODEL_ERROR", "WEIGHTS", "ramp"]

MODEL_ERROR = 0.15
"""Share of the looks in which the model may say anything whatever: signals are not always as in training."""
WEIGHTS: dict[str, tuple[float, ...]] = {
    # constant; how far the envelope is from noise's, share of the line, how far it stands out
    "noise": (1.1, -1.2, -2.0, -1.5),
    # constant; share of the line, keying of it, envelope beyond a constant one, mirrored sidebands
    "carrier": (-0.92, 2.7, 2.5, 0.09, -2.5),
    # constant; depth measured, mirrored sidebands, share of the line, how far that is off the middle
    "am": (-0.74, 0.39, 2.5, 1.8, -3.0),
    # constant; skew, envelope below filtered symbols', share of the line
    "ssb": (-0.055, 2.1, -1.2, 1.0),
    # constant; eye of frequency keying, envelope beyond a constant one, pilot or modem, flat frequency, sweeps
    "fm": (0.6, -3.0, -3.5, 2.3, -1.0, -5.0),
    # constant; keying, two levels, duty
    "ook": (-0.34, 3.2, 0.94, -0.78),
    # constant; confidence of pulses, frames whose parity is right
    "pulse": (-0.76, 3.9, 6.0),
    # constant; eye with two levels, with others, envelope beyond a constant one, audio in the frequency
    "fsk2": (-0.42, 2.5, -1.5, -2.5, -6.0),
    # constant; of three or four
    "fsk4": (0.0, 2.2, -1.5, -2.5, -6.0),
    # constant; of more
    "fskm": (0.2, 3.0, -0.7, -2.0, -6.0),
    # constant; named, clear without a name, refuted, envelope below filtered symbols', clear turns, odds of eighths
    "linear": (-1.2, 5.6, 0.8, 2.8, -1.3, 0.8, -0.5),
    # constant; its lines, turns of an eighth, named as another, envelope below filtered symbols', named as it may look,
    # odds of eighths
    "pi4dqpsk": (-1.5, 4.5, 2.0, -3.5, -1.0, 4.0, 0.5),
    # constant; lines of OQPSK, named as something else, envelope below filtered symbols'
    "oqpsk": (-1.2, 4.5, -2.5, -0.3),
    # constant; prefix, how far the envelope is from noise's, wide and standing out
    "ofdm": (-2.0, 5.5, -1.8, 2.0),
    # constant; confidence, power gathered, envelope beyond a constant one
    "chirp": (-0.54, 4.8, 0.13, -2.5),
    # constant; repetition, named, clear without a name, refuted, envelope below filtered symbols'
    "dsss": (-1.0, 5.0, 2.0, -1.3, 1.5, -0.94),
}
"""By family: constant, then factors."""


def ramp(value: float, low: float, high: float) -> float:
    """Return 0 at `low` and below, 1 at `high` and above."""
    return min(max((value - low) / (high - low), 0.0), 1.0)

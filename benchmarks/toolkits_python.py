# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals of the Python toolkits CommPy and komm."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import numpy as np
from numpy.typing import NDArray
from toolkits_channel import Sent

__all__ = ["signals", "version"]

_PACKAGES = {"CommPy": "scikit-commpy", "komm": "komm"}
_SIZE = 8
_COUNT = 16_000


def version(toolkit: str) -> str | None:
    """Return a toolkit's version; None where it is not installed."""
    try:
        return installed(_PACKAGES[toolkit])
    except PackageNotFoundError:
        return None


def signals(toolkit: str, rng: np.random.Generator) -> Iterator[Sent]:
    """Yield a signal of each kind."""
    yield from _commpy(rng) if toolkit == "CommPy" else _komm(rng)


def _rate(rng: np.random.Generator) -> float:
    return float(np.round(np.exp(rng.uniform(np.log(5e3), np.log(1e6)))))


def _filtered(symbols: NDArray[np.complex128], taps: NDArray[np.float64]) -> NDArray[np.complex128]:
    spread = np.zeros(len(symbols) * _SIZE, np.complex128)
    spread[::_SIZE] = symbols
    return np.convolve(spread, taps, "same")


def _commpy(rng: np.random.Generator) -> Iterator[Sent]:
    from commpy.filters import gaussianfilter, rcosfilter, rectfilter, rrcosfilter
    from commpy.modulation import PSKModem, QAMModem  # its ofdm_tx ends with an error in Python 3

    for name, modem, pulse in (
        ("BPSK", PSKModem(2), "root"),
        ("QPSK", PSKModem(4), "root"),
        ("QPSK, raised cosine", PSKModem(4), "raised"),
        ("8PSK", PSKModem(8), "root"),
        ("16QAM", QAMModem(16), "root"),
        ("64QAM", QAMModem(64), "raised"),
        ("QPSK, rectangular", PSKModem(4), "rect"),
    ):
        rate, roll_off = _rate(rng), float(rng.choice([0.22, 0.35, 0.5]))
        bits = rng.integers(2, size=_COUNT * modem.num_bits_symbol)
        filters = {"root": rrcosfilter, "raised": rcosfilter}
        taps = (
            rectfilter(_SIZE, 1.0, _SIZE)[1]
            if pulse == "rect"
            else filters[pulse](16 * _SIZE, roll_off, 1.0, _SIZE)[1]
        )
        yield Sent(name, _filtered(modem.modulate(bits), taps), _SIZE * rate, ("linear",), rate)
    rate = _rate(rng)
    taps = gaussianfilter(4 * _SIZE, np.sqrt(np.log(2) / 2) / 0.5, 1.0, _SIZE)[1]
    frequency = _filtered(2.0 * rng.integers(2, size=_COUNT) - 1 + 0j, taps).real
    frequency /= np.abs(frequency).max()
    phase = np.cumsum(np.convolve(frequency, np.ones(_SIZE) / _SIZE, "same")) * np.pi / 2 / _SIZE
    yield Sent("GFSK by its Gaussian filter", np.exp(1j * phase), _SIZE * rate, ("fsk2",), rate)


def _komm(rng: np.random.Generator) -> Iterator[Sent]:
    import komm

    at = np.arange(-8 * _SIZE, 8 * _SIZE + 1) / _SIZE
    for name, constellation, families in (
        ("4PAM", komm.PAMConstellation(4), ("linear",)),
        ("8PSK", komm.PSKConstellation(8), ("linear",)),
        ("4ASK from 0", komm.ASKConstellation(4), ("ook", "linear", "am")),
        ("16QAM", komm.QAMConstellation(16), ("linear",)),
        ("32QAM, 8 x 4", komm.QAMConstellation((8, 4)), ("linear",)),
        ("32QAM, cross", komm.CrossQAMConstellation(32), ("linear",)),
        ("64QAM", komm.QAMConstellation(64), ("linear",)),
        ("16APSK", komm.APSKConstellation((4, 12), (1.0, 2.7)), ("linear",)),
        ("8APSK", komm.APSKConstellation((4, 4), (1.0, 2.0), (0.0, np.pi / 4)), ("linear",)),
    ):
        rate = _rate(rng)
        symbols = constellation.indices_to_symbols(rng.integers(constellation.order, size=_COUNT)).ravel()
        pulse = komm.RaisedCosinePulse(float(rng.choice([0.25, 0.4])))
        yield Sent(name, _filtered(symbols, pulse.waveform(at)), _SIZE * rate, families, rate)
    rate = _rate(rng)
    levels = 2.0 * rng.integers(2, size=_COUNT) - 1
    smooth = np.asarray(komm.GaussianPulse(0.5).waveform(at))
    frequency = _filtered(levels + 0j, smooth / smooth.sum() * _SIZE).real
    wave = np.exp(1j * np.pi * 0.35 * np.cumsum(frequency) / _SIZE)
    yield Sent("GFSK by its Gaussian pulse", wave, _SIZE * rate, ("fsk2",), rate)
    two_halves = np.asarray(komm.ManchesterPulse().waveform(np.arange(_SIZE) / _SIZE))
    keyed = np.kron(2.0 * rng.integers(2, size=_COUNT) - 1, two_halves)
    yield Sent("BPSK, Manchester pulse", keyed + 0j, _SIZE * rate, ("linear",))

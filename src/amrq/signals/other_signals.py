# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals outside the class set: their names, and how they are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classes import THESIS_9, LinearSet, SignalClass
from amrq.errors import AmrqError

__all__ = ["HELD_OUT_SIGNALS", "OTHER_SIGNALS", "OtherSignalClass", "other_signal"]

_OVERSAMPLING = 8
"""Samples made per sample delivered: enough for the widest signal below to pass the receiver's filter."""

_Array = NDArray[np.complex64]


def _gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> _Array:
    """Circular complex Gaussian samples of unit power."""
    pairs = rng.standard_normal((*shape, 2), dtype=np.float32)
    return np.asarray(pairs.view(np.complex64)[..., 0] * np.float32(np.sqrt(0.5)))


def _unit_power(samples: _Array) -> _Array:
    power = np.mean(np.abs(samples) ** 2, axis=-1, keepdims=True)
    return np.asarray(samples / np.sqrt(power + 1e-12), dtype=np.complex64)


def _uniform(rng: np.random.Generator, low: float, high: float, count: int) -> NDArray[np.float32]:
    return rng.uniform(low, high, (count, 1)).astype(np.float32)


def _log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> NDArray[np.float32]:
    return np.exp(_uniform(rng, np.log(low), np.log(high), count))


def _moving_average(samples: NDArray[Any], length: int) -> NDArray[Any]:
    """Mean of `length` neighbours, cut to where it is whole."""
    total = np.cumsum(samples, axis=1, dtype=np.complex128 if np.iscomplexobj(samples) else np.float64)
    total = np.concatenate([np.zeros_like(total[:, :1]), total], axis=1)
    return (total[:, length:] - total[:, :-length]) / length


def _received(fine: _Array, length: int, rng: np.random.Generator) -> _Array:
    """Pass oversampled rows through a receive filter one output sample long or shorter, and sample blindly.

    A moving average is the matched filter of a rectangular pulse; its length is drawn for the batch, since a
    receiver's bandwidth is its user's choice.
    """
    window = int(rng.integers(2, _OVERSAMPLING + 1))
    smooth = _moving_average(fine, window)
    start = int(rng.integers(_OVERSAMPLING))
    return np.asarray(smooth[:, start::_OVERSAMPLING][:, :length], dtype=np.complex64)


def _fine_length(length: int) -> int:
    return (length + 2) * _OVERSAMPLING


def _held(
    values: NDArray[Any], samples_per_value: NDArray[np.float32], length: int, rng: np.random.Generator
) -> NDArray[Any]:
    """Hold each of a row's values [N, V] for that row's number of samples, from a random start: [N, length]."""
    start = rng.uniform(0, 1, (len(values), 1)).astype(np.float32)
    index = (start + np.arange(length, dtype=np.float32) / samples_per_value).astype(np.int64)
    return np.take_along_axis(values, np.minimum(index, values.shape[1] - 1), axis=1)


def _carrier(count: int, length: int, rng: np.random.Generator, most: float = 0.5) -> _Array:
    """Unit phasors turning at up to `most` cycles a delivered sample; a third of them stand still."""
    frequency = _uniform(rng, -most, most, count) * (rng.random((count, 1)) > 1 / 3)
    phase = 2 * np.pi * (frequency / _OVERSAMPLING * np.arange(length) + rng.random((count, 1)))
    return np.exp(1j * phase).astype(np.complex64)


def _smooth_noise(count: int, length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Make real low-pass noise [N, length] of unit power, as speech or music modulates."""
    window = int(np.exp(rng.uniform(np.log(4), np.log(128))))  # bandwidth, drawn for the batch
    noise = rng.standard_normal((count, length + 2 * window), dtype=np.float32)
    smooth = _moving_average(_moving_average(noise, window), window)[:, :length]
    return np.asarray(smooth / (smooth.std(axis=1, keepdims=True) + 1e-9), dtype=np.float32)


def _noise(count: int, length: int, rng: np.random.Generator) -> _Array:
    return _gaussian(rng, (count, length))


def _coloured_noise(count: int, length: int, rng: np.random.Generator) -> _Array:
    white = _gaussian(rng, (count, length + 3))
    taps = _gaussian(rng, (count, 4)) * np.array([1, 0.7, 0.5, 0.3], dtype=np.float32)
    return np.asarray(sum(taps[:, k : k + 1] * white[:, k : k + length] for k in range(4)))


def _impulsive_noise(count: int, length: int, rng: np.random.Generator) -> _Array:
    hits = rng.random((count, length)) < _uniform(rng, 0.03, 0.3, count)
    return np.asarray(_gaussian(rng, (count, length)) * (1 + hits * _uniform(rng, 2, 10, count)))


def _tone(count: int, length: int, rng: np.random.Generator) -> _Array:
    return _received(_carrier(count, _fine_length(length), rng), length, rng)


def _ook(count: int, length: int, rng: np.random.Generator) -> _Array:
    fine = _fine_length(length)
    keyed = rng.integers(0, 2, (count, 4 * length)).astype(np.float32)
    keyed = np.maximum(keyed, _uniform(rng, -0.2, 0.2, count))  # not every transmitter keys down to nothing
    held = _held(keyed, _OVERSAMPLING * _log_uniform(rng, 0.4, 4, count), fine, rng)
    edge = int(rng.integers(1, _OVERSAMPLING + 1))
    held = _moving_average(np.concatenate([held, held[:, : edge - 1]], axis=1), edge)
    drift = _carrier(count, fine, rng, 0.02)
    return _received((held * drift).astype(np.complex64), length, rng)


def _ook_in_step(count: int, length: int, rng: np.random.Generator) -> _Array:
    keyed = rng.integers(0, 2, (count, length)).astype(np.float32) * (
        1 - (rest := _uniform(rng, -0.1, 0.3, count))
    )
    keyed = keyed + np.maximum(rest, 0)
    turn = 2 * np.pi * (rng.random((count, 1)) + _uniform(rng, -0.005, 0.005, count) * np.arange(length))
    return np.asarray(keyed * np.exp(1j * turn), dtype=np.complex64)


def _fsk(count: int, length: int, rng: np.random.Generator) -> _Array:
    fine = _fine_length(length)
    levels = rng.choice(np.array([2, 2, 4]), (count, 1))
    symbols = 2 * np.floor(rng.random((count, 4 * length)) * levels) - (levels - 1)
    samples_per_symbol = _OVERSAMPLING * _log_uniform(rng, 0.4, 5, count)
    # The symbol rate is the user's choice too, so often the right one, and the index often that of MSK.
    samples_per_symbol = np.where(rng.random((count, 1)) < 0.4, _OVERSAMPLING, samples_per_symbol)
    index = np.where(rng.random((count, 1)) < 0.3, 0.5, _log_uniform(rng, 0.2, 3, count))
    pulse = int(rng.integers(1, 2 * _OVERSAMPLING))
    held = _held(symbols.astype(np.float32), samples_per_symbol.astype(np.float32), fine + pulse - 1, rng)
    frequency = index / (2 * samples_per_symbol) * _moving_average(held, pulse)
    phase = 2 * np.pi * np.cumsum(frequency, axis=1)
    return _received(
        (np.exp(1j * phase) * _carrier(count, fine, rng, 0.25)).astype(np.complex64), length, rng
    )


def _fm(count: int, length: int, rng: np.random.Generator) -> _Array:
    fine = _fine_length(length)
    deviation = _log_uniform(rng, 0.02, 0.6, count) / _OVERSAMPLING
    phase = 2 * np.pi * np.cumsum(deviation * _smooth_noise(count, fine, rng), axis=1)
    return _received((np.exp(1j * phase) * _carrier(count, fine, rng, 0.1)).astype(np.complex64), length, rng)


def _am(count: int, length: int, rng: np.random.Generator) -> _Array:
    fine = _fine_length(length)
    message = _smooth_noise(count, fine, rng)
    carrier = np.where(rng.random((count, 1)) < 0.3, 0.0, _uniform(rng, 0.8, 4, count))
    return _received(
        ((carrier + message) * _carrier(count, fine, rng, 0.02)).astype(np.complex64), length, rng
    )


def _wrong_rate(count: int, length: int, rng: np.random.Generator, classes: LinearSet) -> _Array:
    """A linear modulation received at a symbol rate that is not its own."""
    fine = _fine_length(length)
    symbols = np.empty((count, 5 * length), dtype=np.complex64)
    for row, which in enumerate(rng.integers(len(classes), size=count)):
        points = classes.members[which].points
        symbols[row] = points[rng.integers(len(points), size=5 * length)]
    ratio = np.where(
        rng.random((count, 1)) < 0.5, _uniform(rng, 0.25, 0.8, count), _log_uniform(rng, 1.3, 5, count)
    ).astype(np.float32)
    pulse = int(rng.integers(_OVERSAMPLING // 2, 2 * _OVERSAMPLING))
    held = _held(symbols, _OVERSAMPLING * ratio, fine + pulse - 1, rng)
    return _received(np.asarray(_moving_average(held, pulse), dtype=np.complex64), length, rng)


def _burst_edge(count: int, length: int, rng: np.random.Generator, classes: LinearSet) -> _Array:
    """A tenth to nine tenths of a signal, then (or before) next to nothing."""
    samples = np.empty((count, length), dtype=np.complex64)
    for row, which in enumerate(rng.integers(len(classes), size=count)):
        points = classes.members[which].points
        samples[row] = points[rng.integers(len(points), size=length)]
    on = np.arange(length) < np.round(length * _uniform(rng, 0.15, 0.85, count))
    on ^= rng.random((count, 1)) < 0.5
    turn = np.exp(2j * np.pi * rng.random((count, 1)))
    envelope = np.where(on, 1.0, 10 ** (-_uniform(rng, 12, 40, count) / 20))
    return np.asarray(samples * turn * envelope, dtype=np.complex64)


def _ofdm(count: int, length: int, rng: np.random.Generator) -> _Array:
    """52 of 64 carriers, QPSK or 16QAM, cyclic prefix of a quarter, as in IEEE 802.11a, received at some rate."""
    symbols = -(-(_fine_length(length)) // (80 * 2)) + 1
    carriers = np.zeros((count, symbols, 128), dtype=np.complex64)  # twice oversampled
    used = np.r_[1:27, 102:128]
    points = THESIS_9["QPSK" if rng.random() < 0.5 else "16QAM"].points
    carriers[:, :, used] = points[rng.integers(len(points), size=(count, symbols, 52))]
    bodies = np.fft.ifft(carriers, axis=2)
    stream = np.concatenate([bodies[:, :, -32:], bodies], axis=2).reshape(count, -1)
    step = int(rng.integers(1, 5))
    wide = np.tile(stream, (1, 1 + step * length // stream.shape[1]))
    return np.asarray(wide[:, : step * length : step], dtype=np.complex64)


def _speech(count: int, length: int, rng: np.random.Generator) -> _Array:
    """A voice on single sideband, AM or narrow FM: harmonics of a pitch under three formants, or hiss between.

    A delivered sample lasts as long as a symbol of a receiver set to 3 to 50 kBd. Pitch, formants and the length of a
    syllable are those of adults' speech (Peterson and Barney 1952).
    """
    fine = _fine_length(length)
    seconds = np.arange(fine) / (_OVERSAMPLING * _log_uniform(rng, 3e3, 50e3, count))
    pitch = _uniform(rng, 90, 250, count)
    voice = np.zeros((count, fine), dtype=np.complex64)
    formants = [_uniform(rng, low, high, count) for low, high in ((270, 730), (840, 2290), (1690, 3010))]
    # The pitch glides by some percent in a syllable.
    turns = pitch * (seconds + _uniform(rng, -0.3, 0.3, count) * seconds**2)
    for harmonic in range(1, 38):
        frequency = harmonic * pitch
        level = sum(1 / (1 + ((frequency - formant) / 80) ** 2) for formant in formants) / harmonic**0.5
        level = level * ((frequency > 300) & (frequency < 3400))
        phase = 2 * np.pi * (harmonic * turns + rng.random((count, 1)))
        voice += (level * np.exp(1j * phase)).astype(np.complex64)
    hiss = _moving_average(_gaussian(rng, (count, fine + _OVERSAMPLING - 1)), _OVERSAMPLING)
    voice = np.where(rng.random((count, 1)) < 0.7, _unit_power(voice), _unit_power(hiss.astype(np.complex64)))
    syllable = 0.6 + 0.4 * np.cos(2 * np.pi * (_uniform(rng, 3, 7, count) * seconds + rng.random((count, 1))))
    voice = voice * syllable
    spoken = voice.real * np.sqrt(2)
    step = np.diff(seconds, axis=1, prepend=0)
    fm = np.exp(2j * np.pi * np.cumsum(_uniform(rng, 1e3, 2.5e3, count) * spoken * step, axis=1))
    way = rng.integers(3, size=(count, 1))
    sent = np.where(way == 0, voice, np.where(way == 1, 1 + 0.4 * spoken, fm))
    return _received((sent * _carrier(count, fine, rng, 0.02)).astype(np.complex64), length, rng)


_Maker = Callable[[int, int, np.random.Generator], _Array]
_MakerOf = Callable[[int, int, np.random.Generator, LinearSet], _Array]


@dataclass(frozen=True)
class OtherSignalClass(SignalClass):
    """A kind of signal outside a class set, as a symbol front end delivers it.

    Attributes:
        name: of the kind.
        family: what family of signals it is of; `none` where it is of several, or a fault of a signal.
        make: makes it: chunks, samples a chunk, randomness.
        make_of: makes a kind that consists of linear classes, which come fourth; None for the others.
        classes: what `make_of` is given.
    """

    name: str
    family: str = "none"
    make: _Maker | None = None
    make_of: _MakerOf | None = None
    classes: LinearSet = THESIS_9

    def render(
        self, rng: np.random.Generator, count: int, samples: int, rate: float = 1.0
    ) -> NDArray[np.complex64]:
        """Return complex64 [count, samples], each of unit mean power, without receiver noise.

        Raises:
            AmrqError: `rate` is not 1: these kinds are made as a front end leaves them, at one sample a symbol.
        """
        if rate != 1:
            raise AmrqError(f"{self.name} can be made at one sample a symbol only, not at {rate:g}.")
        if self.make_of is not None:
            return _unit_power(self.make_of(count, samples, rng, self.classes))
        assert self.make is not None
        return _unit_power(self.make(count, samples, rng))


def _kinds(*kinds: OtherSignalClass) -> Mapping[str, OtherSignalClass]:
    return MappingProxyType({kind.name: kind for kind in kinds})


OTHER_SIGNALS: Mapping[str, OtherSignalClass] = _kinds(
    OtherSignalClass("noise", "noise", _noise),
    OtherSignalClass("coloured noise", "noise", _coloured_noise),
    OtherSignalClass("impulsive noise", "noise", _impulsive_noise),
    OtherSignalClass("tone", "carrier", _tone),
    OtherSignalClass("OOK", "ook", _ook),
    OtherSignalClass("OOK in step", "ook", _ook_in_step),
    OtherSignalClass("FSK", "fsk", _fsk),
    OtherSignalClass("FM", "fm", _fm),
    OtherSignalClass("AM", "am", _am),
    OtherSignalClass("wrong symbol rate", "none", make_of=_wrong_rate),
    OtherSignalClass("burst edge", "none", make_of=_burst_edge),
)
"""Kinds of signal that models are trained to call `unknown`."""

HELD_OUT_SIGNALS: Mapping[str, OtherSignalClass] = _kinds(
    OtherSignalClass("OFDM", "ofdm", _ofdm), OtherSignalClass("speech", "none", _speech)
)
"""Kinds that no model is trained on, so that there is a figure for what it has never met."""


def other_signal(
    kind: str, count: int, length: int, rng: np.random.Generator, classes: LinearSet = THESIS_9
) -> _Array:
    """Return chunks of a signal outside a class set.

    Args:
        kind: a key of `OTHER_SIGNALS` or `HELD_OUT_SIGNALS`.
        count: number of chunks (N).
        length: samples a chunk (L).
        rng: source of randomness.
        classes: the class set; kinds that are something wrong with a signal of it are made of these classes.

    Returns:
        complex64 [N, L], each chunk of unit mean power, without receiver noise.

    Raises:
        AmrqError: there is no such kind.

    >>> import numpy as np
    >>> chunks = other_signal("FSK", count=3, length=32, rng=np.random.default_rng(1))
    >>> chunks.shape
    (3, 32)
    """
    found = OTHER_SIGNALS.get(kind) or HELD_OUT_SIGNALS.get(kind)
    if found is None:
        known = ", ".join([*OTHER_SIGNALS, *HELD_OUT_SIGNALS])
        raise AmrqError(f"there is no kind of signal called {kind!r}: choose from {known}.")
    return replace(found, classes=classes).render(rng, count, length)

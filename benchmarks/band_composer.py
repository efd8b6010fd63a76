# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands of other toolkits' signals side by side, with the truth of what is where: for `toolkits_bands.py`.

Each emission is drawn from GNU Radio's modulators (where it is installed), systems that are written from their
published parameters, wide waves, and the second generator (`strangers.py`). A transmitter's filter takes away what is
beyond its own width to either side. Then come the neighbours, at .2 to 1.5 widths of the wider one, bursts, and a
receiver: noise whose floor slopes, a line at 0 Hz, a mirror image, 8 bits. Nothing here is the module's.
"""

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from strangers import STRANGERS, stranger
from toolkits_channel import Sent, resampled
from toolkits_waves import KINDS

__all__ = ["SECONDS", "Band", "Truth", "compose", "versions"]

Complex = NDArray[np.complex128]
Rng = np.random.Generator

SECONDS: Mapping[float, float] = {1e6: 3.0, 2.4e6: 2.0, 5e6: 1.0, 10e6: 0.6}
"""Length of a band, by its sample rate."""
TOOLKITS = {"GNU Radio": "toolkits_gnuradio", "published": "toolkits_published"}
FEWEST, MOST = 8, 14
"""Emissions of a band."""
WEAKEST, STRONGEST = 6.0, 30.0
"""SNR in the 99 % bandwidth while it is on, dB."""
CLOSEST, FARTHEST = 0.2, 1.5
"""Free space between neighbours, in widths of the wider one."""
WIDEST, NARROWEST = 0.18, 300.0
"""Width of an emission: share of the sample rate, at most; Hz, at least, but for a carrier."""
USED = 0.86
"""Share of the band in which emissions are."""
POOL = 12
"""Bands after which the toolkits draw their signals anew."""
LEVEL = 1e-3
"""Noise power of a sample."""
CLEAR_DB = 3.0
"""Over noise and its neighbours' skirts: what is less is hidden, and neither found nor missed."""
_BEYOND = 1.0
"""Own widths to either side of an emission that a transmitter's filter leaves."""
_EDGE = 0.25
"""Own widths in which that filter falls."""
_ROOM = 8.0
"""Sample rate of an emission before it is in the band, over its width, or over twice its distance."""
_NO_NAME = ("noise", "unknown")
_NOT_ONE = ("two", "noise radar pulses", "CDMA downlink")
"""Waves that are several emissions, or noise."""


@dataclass(frozen=True)
class Truth:
    """An emission as it was sent.

    Attributes:
        name: what it is, in the toolkit's words.
        families: that it may be called.
        boxes: edges that are right, pairs of Hz from the middle of the band: of 99 % of its power; of its audio, too.
        stretches: when it is on, pairs of samples.
        snr_db: over the noise, in the first box.
        clear_db: over noise and its neighbours.
    """

    name: str
    families: tuple[str, ...]
    boxes: tuple[tuple[float, float], ...]
    stretches: tuple[tuple[int, int], ...]
    snr_db: float
    clear_db: float

    @property
    def samples(self) -> int:
        """Samples that it is on, over all stretches."""
        return sum(stop - start for start, stop in self.stretches)


@dataclass(frozen=True)
class Band:
    """A band: complex64 samples, their rate in Hz, what is in it, what a receiver did to it."""

    samples: NDArray[np.complex64]
    rate: float
    truths: tuple[Truth, ...]
    faults: tuple[str, ...]


@cache
def _pool(toolkit: str, seed: int, number: int) -> tuple[Sent, ...]:
    maker = importlib.import_module(TOOLKITS[toolkit])
    if maker.version(toolkit) is None:
        return ()
    return tuple(maker.signals(toolkit, np.random.default_rng([seed, number, len(toolkit)])))


def versions() -> dict[str, str | None]:
    """Return the toolkits' versions; None where one is not installed."""
    return {name: importlib.import_module(module).version(name) for name, module in TOOLKITS.items()}


def _edges(samples: Complex, rate: float, share_of: float = 0.99) -> tuple[float, float]:
    """Return the edges of 99 % of the power, or of another share, Hz."""
    size = 1 << min(14, len(samples).bit_length() - 1)
    pieces = samples[: len(samples) // size * size].reshape(-1, size) * np.hanning(size)
    power = np.square(np.abs(scipy.fft.fft(pieces, axis=1))).sum(axis=0)
    share = np.cumsum(np.fft.fftshift(power)) / power.sum()
    low, high = np.searchsorted(share, (0.5 - share_of / 2, 0.5 + share_of / 2))
    return (low - size / 2 - 0.5) * rate / size, (high - size / 2 + 0.5) * rate / size


@dataclass(frozen=True)
class _Drawn:
    sent: Sent
    lower: float
    upper: float
    box: tuple[float, float] | None  # of its audio, pulses or the like

    @property
    def reach(self) -> float:
        """From its lowest to its highest edge, Hz."""
        low, high = self.box or (self.lower, self.upper)
        return max(self.upper, high) - min(self.lower, low)


def _draw(rng: Rng, seed: int, number: int) -> _Drawn | None:
    """Draw a signal; None where it is none for a band."""
    source = ("strangers", "strangers", "waves", "published", "GNU Radio")[int(rng.integers(5))]
    box = None
    if source == "strangers":
        one = stranger(str(rng.choice([name for name in STRANGERS if name != "noise"])), rng)
        sent = Sent(one.made.label, one.made.iq, one.made.rate, (one.family,))
        box = (one.lower, one.upper) if one.made.bandwidth else None
    elif source == "waves":
        sent = KINDS[str(rng.choice(list(KINDS)))](rng)
    else:
        some = _pool(source, seed, number // POOL) or _pool("published", seed, number // POOL)
        sent = some[int(rng.integers(len(some)))]
    if sent.families[0] in _NO_NAME or sent.name.startswith(_NOT_ONE):
        return None
    samples = np.asarray(sent.samples, np.complex128)
    lower, upper = _edges(samples, sent.rate)
    if sent.families[0] == "am":  # its carrier has nearly all of the power
        box = _edges(samples, sent.rate, 0.999)
    if sent.width:
        box = (lower + upper - sent.width) / 2, (lower + upper + sent.width) / 2
    if upper - lower < NARROWEST and sent.families != ("carrier",):
        return None
    return _Drawn(sent, lower, upper, box)


def _stretches(rng: Rng, width: float, seconds: float, made: float) -> list[tuple[float, float]]:
    """Return when an emission is on, pairs of seconds; `made` is how long its signal is."""
    how = int(rng.integers(10))
    if how < 4:  # all the time, the signal again and again where it is short
        return [(0.0, seconds)]
    least = max(0.008, 200 / max(width, 1e3))
    if how < 7:  # once
        on = rng.uniform(min(0.3, 0.9 * seconds), 0.8 * seconds)
        start = rng.uniform(0.02, seconds - on - 0.02)
        return [(start, start + on)]
    on = float(np.exp(rng.uniform(np.log(least), np.log(max(0.2 * seconds, 1.5 * least)))))
    on = min(on, max(made, least))
    every = on * rng.uniform(1.8, 6)
    start = rng.uniform(0.02, max(0.03, min(every, seconds - on - 0.02)))
    count = min(int(rng.integers(1, 7)), int((seconds - 0.02 - on - start) / every) + 1)
    return [(start + turn * every, start + turn * every + on) for turn in range(max(1, count))]


def _timed(
    rng: Rng, one: _Drawn, stretches: list[tuple[float, float]], seconds: float
) -> tuple[Complex, float]:
    """Return a signal in its stretches, a whole number of samples in the band, and its power while it is on."""
    wide = max(one.reach, 2 * abs(one.lower), 2 * abs(one.upper)) / 2
    total = scipy.fft.next_fast_len(math.ceil(_ROOM * wide * seconds))
    rate = total / seconds
    samples, _ = resampled(np.asarray(one.sent.samples, np.complex128), rate / one.sent.rate)
    whole = np.zeros(total, np.complex128)
    ramp = max(2, int(rate / one.reach))
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)
    samples[:ramp] *= rise  # where it ends and begins again, nothing clicks
    samples[-ramp:] *= rise[::-1]
    place = 0
    for start, stop in stretches:
        count = int((stop - start) * rate)
        piece = np.resize(np.roll(samples, -place), count)
        place = (place + count) % len(samples)
        if start > 0 and ramp < count // 4:
            piece[:ramp] *= rise
            piece[-ramp:] *= rise[::-1]
        at = int(start * rate)
        whole[at : at + count] = piece[: total - at]
    power = np.square(np.abs(whole))
    loud = power[power > 0.1 * np.quantile(power[power > 0], 0.99)]
    return whole, float(loud.mean())


def _places(rng: Rng, widths: list[float], rate: float) -> list[float] | None:
    """Return the middles of emissions from left to right, Hz; None where they do not fit."""
    gaps = [
        max(widths[i], widths[i + 1]) * float(np.exp(rng.uniform(np.log(CLOSEST), np.log(FARTHEST))))
        for i in range(len(widths) - 1)
    ]
    rest = USED * rate - sum(widths) - sum(gaps)
    if rest < 0:
        return None
    # The rest of the band goes between a few of them: neighbours come in groups.
    cuts = rng.choice(len(widths) + 1, size=3)
    extra = np.zeros(len(widths) + 1)
    np.add.at(extra, cuts, rng.dirichlet(np.ones(3)) * rest)
    out, at = [], -USED * rate / 2
    for number, width in enumerate(widths):
        at += extra[number]
        out.append(at + width / 2)
        at += width + (gaps[number] if number < len(gaps) else 0)
    return out


def _drawn_for(rng: Rng, rate: float, seed: int, number: int) -> tuple[list[_Drawn], list[float]]:
    """Return emissions from left to right, and their middles."""
    count = int(rng.integers(FEWEST, MOST + 1))
    found: list[_Drawn] = []
    while True:
        one = _draw(rng, seed, number)
        if one is None or one.reach > WIDEST * rate or one.reach < rate / 20_000:
            continue
        found.append(one)
        if len(found) < count:
            continue
        places = _places(rng, [one.reach for one in found], rate)
        if places is not None:
            return found, places
        found.sort(key=lambda one: one.reach)
        found.pop()
        rng.shuffle(found)  # type: ignore[arg-type]


def compose(rate: float, number: int, seed: int) -> Band:
    """Return a band.

    Args:
        rate: samples a second, one of `SECONDS`.
        number: of the band.
        seed: of all bands.
    """
    rng = np.random.default_rng([seed, round(rate), number])
    seconds = SECONDS[rate]
    count = round(seconds * rate)
    drawn, places = _drawn_for(rng, rate, seed, number)
    density = LEVEL / rate
    band = np.zeros(count, np.complex64)  # its spectrum
    sent: list[tuple[_Drawn, float, tuple[tuple[int, int], ...], float]] = []
    spilt: list[tuple[float, NDArray[np.int64], NDArray[np.float64]]] = []
    for one, middle in zip(drawn, places, strict=True):
        width = one.upper - one.lower
        stretches = _stretches(rng, width, seconds, len(one.sent.samples) / one.sent.rate)
        whole, power = _timed(rng, one, stretches, seconds)
        snr_db = rng.uniform(WEAKEST, STRONGEST)
        wide = max(width, one.sent.width, rate / 20_000)
        gain = np.sqrt(density * wide * 10 ** (snr_db / 10) / power)
        spectrum = scipy.fft.fft(whole) * gain * (count / len(whole))
        at = np.round(scipy.fft.fftfreq(len(whole), 1 / len(whole))).astype(np.int64)
        about = (one.lower + one.upper) / 2
        beyond = np.maximum(0.0, np.abs(at / seconds - about) - (0.5 + _BEYOND) * one.reach)
        spectrum *= 0.5 + 0.5 * np.cos(np.pi * np.clip(beyond / (_EDGE * one.reach), 0, 1))
        moved = at + round((middle - about) * seconds)
        inside = (np.abs(moved) < count // 2) & (beyond < _EDGE * one.reach)
        band[moved[inside] % count] += spectrum[inside]
        shift = round((middle - about) * seconds) / seconds
        on = tuple((int(start * rate), min(count, int(stop * rate))) for start, stop in stretches)
        sent.append((one, shift, on, snr_db))
        duty = sum(stop - start for start, stop in on) / count
        bins = np.square(np.abs(spectrum[inside])) / count**2 / duty  # power while it is on
        spilt.append((duty, moved[inside], bins))
    truths = []
    for own, (one, shift, on, snr_db) in enumerate(sent):
        lower, upper = one.lower + shift, one.upper + shift
        own_power = others = 0.0
        for other, (_, moved, bins) in enumerate(spilt):
            power = float(bins[(moved >= lower * seconds) & (moved <= upper * seconds)].sum())
            if other == own:
                own_power = power
            else:
                others += power
        noise = density * max(upper - lower, rate / 20_000)
        clear_db = 10 * np.log10(max(own_power, 1e-30) / (noise + others))
        boxes = [(lower, upper)]
        if one.box is not None:
            boxes.append((one.box[0] + shift, one.box[1] + shift))
        truths.append(Truth(one.sent.name, one.sent.families, tuple(boxes), on, snr_db, float(clear_db)))
    samples, faults = _received(rng, band, rate)
    return Band(samples, rate, tuple(truths), faults)


def _received(
    rng: Rng, band: NDArray[np.complex64], rate: float
) -> tuple[NDArray[np.complex64], tuple[str, ...]]:
    """Return what a receiver makes of a band's spectrum, and its faults."""
    count = len(band)
    faults = []
    at = scipy.fft.fftfreq(count).astype(np.float32)
    noise = rng.standard_normal(2 * count, np.float32).view(np.complex64) * np.float32(
        np.sqrt(LEVEL / 2 * count)
    )
    # Its filter falls by some dB towards the edges, and the floor slopes.
    slope = rng.uniform(-4, 4) * at + rng.uniform(0, 1.5) * np.cos(2 * np.pi * rng.uniform(0.5, 2) * at)
    edge = rng.uniform(3, 12) * np.clip((np.abs(at) - 0.43) / 0.07, 0, 1) ** 2
    x = scipy.fft.ifft((band + noise) * 10 ** ((slope - edge) / 20).astype(np.float32))
    if rng.integers(2):
        x += 10 ** (-rng.uniform(28, 45) / 20) * np.exp(2j * np.pi * rng.random()) * x.conj()
        faults.append("image")
    if rng.integers(2):
        x += np.sqrt(LEVEL / 1024) * 10 ** (rng.uniform(5, 35) / 20) * np.exp(2j * np.pi * rng.random())
        faults.append("line at 0 Hz")
    if rng.integers(4) == 0:
        # The strongest sample fills the converter, as far as the noise keeps .7 of a step.
        step = min(float(np.abs(x.view(np.float32)).max()) / 120, np.sqrt(LEVEL / 2) / 0.7)
        x = (np.clip(np.round(x.view(np.float32) / step), -128, 127) * step).view(np.complex64)
        faults.append("8 bits")
    return np.asarray(x, np.complex64), tuple(faults)

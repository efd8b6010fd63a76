# SPDX-License-Identifier: GPL-3.0-or-later
"""Skirts of an emission that the detector took for emissions of their own: lobes of a keying, lines beside its band.

An emission's edges hold 99 % of its power. What is beyond them is weaker by far, and is an emission of its own to a
detector where it is over the noise and a valley lies between: the lobes of pulses without a filter, the lines of what
repeats itself, the flanks of a frequency keying. What is alike in all of them:

* each has little power beside the emission's, and is on only while that is;
* the spectrum of data is the same on both sides of the middle, so as much, of the same shape, lies as far on the other
  side. A neighbour has no such twin, or one of another level or width.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from amrq.chunks import finite_samples
from amrq.scan.looks import Looker
from amrq.scan.records import EmissionRecord, KnownEmission
from amrq.scan.table import EmissionTable

__all__ = ["SkirtJoiner", "is_mirrored", "may_be_skirt"]

_REACH = 2.0
"""Widths of an emission beyond its edges in which its skirts are looked for."""
_WEAKER = 13.0
"""dB over which an emission is over its skirts, at least: the first lobes of rectangular pulses have 13 dB less."""
_WITHIN = 0.8
"""Of its time that a skirt is on while its emission is."""
_MOST = 1 << 18
"""Samples of the band that are looked at, at most."""
_BINS = 24
"""Of a transform over the skirt's width, about, so that its shape is seen."""
_FEWEST = 8
"""Transforms that are averaged, at least."""
_OFF = 0.03
"""Of an emission's width, that its middle may be off."""
_AS_STRONG = 2.5
"""Ratio of the powers of a skirt and of its twin, at most."""
_LIKE_WIDE = 3.0
"""Times as wide as a skirt, another emission that lies where its twin would be is none."""
_ALIKE = 0.6
"""Of the smoothed spectra of a skirt and of its twin, that both share at least."""
_CLEAR = 4.0
"""Standard deviations by which a twin stands out of the noise."""
_SHAPE = 8
"""Parts of a skirt's width over which its spectrum is smoothed."""
_AVERAGED = 32
"""Transforms that are wanted."""
_AROUND = 1.2
"""Of the distance of a skirt's far edge, that is taken out of the band to either side."""
_MORE = 2
"""Times as long on the air makes another look worth it."""
_PEAK = 14.0
"""Logarithm of the odds against a peak of noise that is taken for one: a skirt is as strong for a moment."""
_STEADY = 1.5
"""Times as strong as on the mean a skirt may be for long: data and speech come and go."""


def may_be_skirt(one: EmissionRecord, whole: EmissionRecord) -> bool:
    """Return whether an emission lies beside another one as its skirts do: near, weak, and on only while that is.

    >>> main = EmissionRecord(1, 0, 9000, 0, 9000, -10e3, 10e3, 30.0, -20.0)
    >>> lobe = EmissionRecord(2, 500, 8000, 500, 8000, 15e3, 20e3, 6.0, -45.0)
    >>> may_be_skirt(lobe, main), may_be_skirt(main, lobe)
    (True, False)
    """
    gap = max(one.lower - whole.upper, whole.lower - one.upper)
    shared = min(one.stop, whole.stop) - max(one.start, whole.start)
    return (
        -0.5 * one.bandwidth < gap < _REACH * whole.bandwidth
        and one.bandwidth < whole.bandwidth
        and one.level_dbfs < whole.level_dbfs - _WEAKER
        and shared > _WITHIN * max(1, one.stop - one.start)
    )


def is_mirrored(
    iq: NDArray[Any],
    sample_rate: float,
    skirt: tuple[float, float],
    whole: tuple[float, float],
    density: tuple[float, float],
    least: float = 0.0,
) -> bool:
    """Return whether what is between two edges lies on the other side of an emission, too, as strong and of that shape.

    Args:
        iq: samples of both, complex [n].
        sample_rate: samples a second.
        skirt: lower and upper edge, Hz from the middle of the samples.
        whole: of the emission, likewise.
        density: of the noise in the skirt and in its twin, power a Hz.
        least: power over the noise that there must be in the skirt.

    >>> rng = np.random.default_rng(3)
    >>> keyed = np.repeat(rng.integers(2, size=4000) * 2.0 - 1, 16)  # lobes of rectangular pulses: at 1/16, at 2/16 ...
    >>> noise = rng.normal(size=(64000, 2)) @ [0.1, 0.1j]
    >>> edges = (0.065, 0.12), (-0.06, 0.06), (0.02, 0.02)
    >>> is_mirrored(keyed + noise, 1.0, *edges), is_mirrored(keyed + 1j * keyed[::-1] + noise, 1.0, *edges)
    (True, True)
    >>> alone = np.exp(2j * np.pi * 0.09 * np.arange(64000)) * np.repeat(rng.integers(2, size=2000), 32) + noise
    >>> is_mirrored(alone, 1.0, *edges)
    False
    """
    step = (skirt[1] - skirt[0]) / _BINS
    if not step > 0:
        return False
    size = 1 << max(5, math.ceil(math.log2(sample_rate / step)))
    while size > 32 and len(iq) < (_FEWEST + 1) * size // 2:
        size //= 2
    count = 2 * len(iq) // size - 1
    if count < _FEWEST:
        return False
    step = sample_rate / size
    window = np.hanning(size).astype(np.float32)
    starts = np.arange(count) * (size // 2)
    iq = finite_samples(np.asarray(iq, np.complex64))
    power = np.zeros(size)
    for start in starts.tolist():
        power += np.square(np.abs(fft.fft(iq[start : start + size] * window)))
    power = fft.fftshift(power) / (count * sample_rate * float(np.square(window).sum()))
    inside = np.arange(size)[
        max(0, round(whole[0] / step) + size // 2) : round(whole[1] / step) + size // 2 + 1
    ]
    over = np.maximum(power[inside] / density[0] - 1, 0)
    if not over.sum() > 0:
        return False
    # The edges are where little power is: they are known worse than the middle of all of it.
    middle = (float((over * inside).sum() / over.sum()) - size // 2) * step
    first, last = round(skirt[0] / step) + size // 2, round(skirt[1] / step) + size // 2 + 1
    twin = round((2 * middle - skirt[1]) / step) + size // 2
    more = max(1, math.ceil(_OFF * (whole[1] - whole[0]) / step))
    bins = last - first
    if min(first, twin - more) < 0 or max(last, twin + bins + more) > size:
        return False
    own = power[first:last] / density[0] - 1
    total = float(own.sum())
    if total * density[0] * step < least:
        return False
    noise = math.sqrt(1.5 * bins / count)
    smooth = max(1, bins // _SHAPE)
    shape = np.maximum(ndimage.uniform_filter1d(own, smooth, mode="nearest"), 0)
    for off in range(-more, more + 1):
        other = power[twin + off : twin + off + bins][::-1] / density[1] - 1
        sums = sorted((total * density[0], float(other.sum()) * density[1]))
        if float(other.sum()) < _CLEAR * noise or sums[1] > _AS_STRONG * sums[0]:
            continue
        mirrored = np.maximum(ndimage.uniform_filter1d(other, smooth, mode="nearest"), 0)
        if np.minimum(shape / shape.sum(), mirrored / mirrored.sum()).sum() > _ALIKE:
            return True
    return False


class SkirtJoiner:
    """Finds out which emissions are skirts of others.

    Args:
        table: of the emissions.
        looker: takes samples out of the band, and knows the noise.
    """

    def __init__(self, table: EmissionTable, looker: Looker) -> None:
        self._table, self._looker = table, looker

    def joins(self, known: KnownEmission) -> bool:
        """Return whether an emission is a skirt of another one; it has ended as its part then.

        It is looked at again when it has been on for twice as long.
        """
        with self._table.lock:
            record = known.record
            length = record.stop - record.start
            if length < _MORE * known.compared or known.part_of:
                return False
            known.compared = length
            others = [(one, one.record) for one in self._table.entries() if one is not known]
        wider = [place for _, place in others if place.bandwidth > _LIKE_WIDE * record.bandwidth]
        others = [(one, place) for one, place in others if may_be_skirt(record, place)]
        for other, place in sorted(others, key=lambda one: -one[1].level_dbfs):
            twin = replace(
                record, lower=2 * place.centre - record.upper, upper=2 * place.centre - record.lower
            )
            if any(one is not place and one.lower < twin.centre < one.upper for one in wider):
                continue  # another emission is there: it is no twin
            if self._is_skirt(record, place, twin):
                with self._table.lock:
                    if known.part_of or other.part_of or self._table.get(known.key) is not known:
                        return False
                    self._table.end_as_part(known, other, "a skirt")
                return True
        return False

    def _is_skirt(self, one: EmissionRecord, whole: EmissionRecord, twin: EmissionRecord) -> bool:
        rate = self._table.sample_rate
        reach = max(whole.centre - one.lower, one.upper - whole.centre)
        if not 0 < 2 * _AROUND * reach < rate:
            return False
        start, stop = max(one.start, whole.start), min(one.stop, whole.stop)
        # A moment's spectrum has no shape: what is brief is compared with what is there before and after.
        more = max(0, int(min(_AVERAGED * _BINS * rate / max(one.bandwidth, 1.0), _MOST)) - (stop - start))
        start, stop = max(whole.start, start - more), min(whole.stop, stop + more // 2)
        start, stop = self._looker.latest(replace(one, start=start, stop=stop), _MOST)
        found = self._looker.about(whole.centre, 2 * _AROUND * reach, start, stop)
        densities = [self._looker.noise_at(place) for place in (one, twin)]
        if found is None or None in densities:
            return False
        noise = [10 ** (value / 10) for value in densities if value is not None]
        edges = [(place.lower - found.centre, place.upper - found.centre) for place in (one, whole)]
        cells = max(1.0, one.bandwidth * (one.stop - one.start) / rate)
        peak = _STEADY + math.sqrt(2 * _PEAK / cells) + _PEAK / cells
        least = 10 ** (one.level_dbfs / 10) / peak
        return is_mirrored(found.iq, found.sample_rate, edges[0], edges[1], (noise[0], noise[1]), least)

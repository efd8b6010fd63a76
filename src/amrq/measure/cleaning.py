# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that a receiver leaves in its samples: a line at 0 Hz, an image by I/Q imbalance, clipping.

The first two are removed where they are seen; clipping is reported. Samples are cleaned in blocks of a fixed length, so
that the result does not depend on how a stream is cut into calls.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.band import find_signals
from amrq.measure.looks import hann_single, median, quantile
from amrq.native import kernels

__all__ = ["BLOCK", "LARGEST", "Cleaner", "InputReport", "all_usable", "usable"]

BLOCK = 16_384
"""Samples that are cleaned together."""
LARGEST = 1e12
"""Amplitude from which on a sample is taken for zero: its fourth power would exceed float32."""
_LARGEST_PART = 0.7 * LARGEST  # of a sample whose parts are all below
_ALL_BLOCKS, _EVERY = 32, 16  # blocks that are all looked at; every so many of the others
_SETTLED, _SELDOM = 256, 64  # blocks from which on fewer are looked at
_STRETCH = 1024  # samples of a spectrum
_MEMORY = 8  # blocks that estimates are averaged over
_LEAST = 2048  # samples of the last block that are worth an estimate of their own
_SIGNIFICANT = 14.0
"""Times the power that would be expected, from which a line at 0 Hz or an image is believed."""
_NEAR = (*range(4, 36), *range(-35, -3))
"""Bins of a block's spectrum beside 0 Hz: what a signal without a line has there, it has at 0 Hz."""
_STEADY = 0.7
"""Of the power at 0 Hz that must be the same in all stretches of a block."""
_PART = 0.4
"""Of the power around 0 Hz: a line that is more is the signal's own carrier (OOK has half of its power in it)."""
_GROUP = 8
"""Neighbouring bins that are judged together."""
_LARGEST_IMAGE = 0.18
"""Amplitude of an image over its signal, -15 dB: what is more is a signal of one dimension, as BPSK at 0 Hz."""
_ALIKE, _ALIKE_NOISE = (
    0.3,
    2.5,
)  # of the image, and times its noise, that spectra of two lengths may differ by
_SCATTERED = 3.0  # times the variance between stretches that there is without a carrier
_STRONG, _FLOOR = 4.0, 0.1  # power of a group that stands out, over this quantile of all groups'
_FEWEST_STRONG = 6  # groups
_SMALLEST_IMAGE = 0.006  # -44 dB: no modulation is harmed by less
_PILED = 3.0
"""Times the samples at the level beside that a rail must have to be called clipped."""
_CLIPPED = (1e-3, 0.6)  # shares of samples at the rails: more is a constant level

_Samples = NDArray[np.complex64]


@dataclass(frozen=True)
class InputReport:
    """What was found about the samples.

    Attributes:
        dc_db: power of a line at 0 Hz over all other power, dB; None: not seen.
        image_db: power of the image over that of its signal, dB; None: not seen.
        clipped_share: share of samples at a rail, 0 to 1; None: no clipping seen.
        dc_removed: whether the line was removed; one that is the carrier of a signal is not.
    """

    dc_db: float | None = None
    image_db: float | None = None
    clipped_share: float | None = None
    dc_removed: bool = False


def all_usable(samples: _Samples) -> bool:
    """Return whether all samples, complex64 [N], are finite and clearly small enough to compute with.

    >>> all_usable(np.array([1, 1j], np.complex64)), all_usable(np.array([1, np.nan], np.complex64))
    (True, False)
    """
    native = kernels()
    if native is not None:
        return native.largest_part(samples) < _LARGEST_PART
    parts = np.ascontiguousarray(samples, np.complex64).view(np.float32)
    # Not a number compares as False, and is the extreme value where it occurs.
    return not len(parts) or bool(parts.max() < _LARGEST_PART and parts.min() > -_LARGEST_PART)


def usable(samples: _Samples) -> NDArray[np.bool_]:
    """Return which samples, complex64 [N], are finite and small enough to compute with: bool [N].

    >>> usable(np.array([1, 1e12, np.nan], np.complex64)).tolist()
    [True, False, False]
    """
    if all_usable(samples):
        return np.ones(len(samples), np.bool_)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(samples.real * samples.real + samples.imag * samples.imag < LARGEST**2)


class Cleaner:
    """Removes a line at 0 Hz and the image by I/Q imbalance from a stream, and notices clipping.

    A line is removed only if a signal lies around it that is stronger, and only if it is steady, which no modulation
    without a carrier is. An image is removed if samples at frequencies f and -f are correlated alike in all of the
    time, by less than -15 dB.

    Args:
        sample_rate: samples a second.

    >>> rng = np.random.default_rng(1)
    >>> noise = (rng.normal(size=40_000) + 1j * rng.normal(size=40_000)).astype(np.complex64)
    >>> cleaner = Cleaner(1e6)
    >>> cleaned = np.concatenate([cleaner.process(noise + 0.5), cleaner.finish()])
    >>> len(cleaned), round(cleaner.report().dc_db)
    (40000, -9)
    """

    def __init__(self, sample_rate: float) -> None:
        self._sample_rate = sample_rate
        self.reset()

    def reset(self) -> None:
        """Forget the samples so far, those that were not returned yet included."""
        self._waiting: list[_Samples] = []
        self._count = 0
        self._blocks = 0  # that are over
        self._line = _Line()
        self._image = _Image()
        self._rails = _Rails()

    def process(self, samples: _Samples, view: bool = False) -> _Samples:
        """Take in samples and return those that are finished, in order.

        The first 16,384 are returned together, cleaned by what they show themselves; later ones at once, by what the
        blocks before them show. Of blocks of so many samples the first 32 are looked at, then every
        16th, and every 64th once 256 are over.

        Args:
            samples: complex64 [N]; those that are not finite are returned as they are.
            view: what is returned may be the same memory, where nothing is removed.
        """
        fresh = np.asarray(samples, dtype=np.complex64)
        done: list[_Samples] = []
        left, changed = fresh, not (view and self._blocks)
        while len(left):
            some = left[: BLOCK - self._count]
            left = left[len(some) :]
            every = 1 if self._blocks < _ALL_BLOCKS else _EVERY if self._blocks < _SETTLED else _SELDOM
            if self._blocks % every == 0:
                self._waiting.append(some.copy())  # the caller may use the memory again
            self._count += len(some)
            if self._blocks:
                done.append(self._cleaned(some))
                changed = changed or done[-1] is not some
            if self._count == BLOCK:
                block = self._end_block()
                done += [block] if len(block) else []
        return fresh if not changed else np.concatenate([fresh[:0], *done])

    def finish(self) -> _Samples:
        """Return the samples that are left."""
        return self._end_block() if self._count else np.zeros(0, dtype=np.complex64)

    def _end_block(self) -> _Samples:
        """Look at a block, unless it is one of many; return it, cleaned, if it is the first."""
        block = np.concatenate([np.zeros(0, np.complex64), *self._waiting])
        self._waiting, self._count = [], 0
        if len(block):
            self._look(block)
        self._blocks += 1
        return self._cleaned(block) if self._blocks == 1 else block[:0]

    def report(self) -> InputReport:
        """Return what has been found so far."""
        return InputReport(
            self._line.db(),
            self._image.db(),
            self._rails.share(),
            self._line.db() is not None and self._line.removed,
        )

    def _look(self, block: _Samples) -> None:
        known = block if all_usable(block) else np.where(usable(block), block, np.complex64(0))
        power = _power(known)
        if not power and not known.any():
            return
        self._rails.look(known)
        if len(known) >= min(_LEAST, BLOCK):
            self._line.look(known, self._sample_rate, power)
            self._image.look(known - self._line.value if self._line.removed else known)

    def _cleaned(self, samples: _Samples) -> _Samples:
        if self._line.removed:
            samples = samples - self._line.value
        if self._image.value:
            image = np.complex64(self._image.value)
            samples = (samples - image * np.conj(samples)) * np.complex64(1 / (1 - abs(image) ** 2))
        return np.asarray(samples, dtype=np.complex64)


class _Line:
    """The line at 0 Hz of the last blocks."""

    def __init__(self) -> None:
        self.value = np.complex64(0)
        self.removed = False
        self._means: list[complex] = []
        self._power = 0.0
        self._line_power = 0.0
        self._seen = False

    def db(self) -> float | None:
        if not self._seen:
            return None
        return 10 * math.log10(max(self._line_power, 1e-99) / max(self._power - self._line_power, 1e-30))

    def look(self, block: _Samples, sample_rate: float, power: float) -> None:
        """Estimate the line from a block of this mean power and those before."""
        length = min(_STRETCH, len(block) // 2)
        pieces = block[: len(block) // length * length].reshape(-1, length)
        means = pieces.mean(axis=1, dtype=np.complex128)
        mean = complex(means.mean())
        near = np.abs(_beside(block)) ** 2
        expected = float(near.mean()) / 1.5
        steady = abs(mean) ** 2 > _STEADY * float(np.mean(np.abs(means) ** 2)) - expected * len(means)
        if not (abs(mean) ** 2 > _SIGNIFICANT * expected and steady):
            self._means, self._seen, self.removed = [], False, False
            return
        if self._means and abs(mean - self._means[-1]) ** 2 > _SIGNIFICANT * expected:
            self._means = []  # it has changed
        begins = not self._means
        self._means = [*self._means, mean][-_MEMORY:]
        self.value = np.complex64(np.mean(self._means))
        self._power, self._line_power, self._seen = power, abs(complex(self.value)) ** 2, True
        if begins:
            self.removed = self._is_foreign(block, sample_rate)

    def _is_foreign(self, block: _Samples, sample_rate: float) -> bool:
        """Return whether the line lies in a stronger signal whose carrier it is not."""
        rest = block - self.value
        for signal in find_signals(rest, sample_rate):
            if abs(signal.centre) < 0.6 * signal.bandwidth:
                own = 10 ** (signal.power_db / 10)
                return self._line_power < _PART * (own + self._line_power)
        return False


def _beside(block: _Samples) -> _Samples:
    """Return the bins of a block's spectrum beside 0 Hz, complex64 [64], of unit gain for a line."""
    # At most some hundredths less, whose transform takes a fraction of the time.
    block = block[: fft.quick_length(len(block))]
    window, native = hann_single(len(block)), kernels()
    if native is not None and len(block) == BLOCK:
        near = native.few_bins(block, window, _NEAR)
    else:
        near = fft.fft(block * window)[list(_NEAR)]
    return np.asarray(near / np.float32(0.5 * len(block)), np.complex64)


class _Image:
    """The image that I/Q imbalance makes: amplitude and phase of b/a* in y = a x + b x*."""

    def __init__(self) -> None:
        self.value = 0j
        self._sums: list[tuple[complex, float]] = []
        self._others: list[
            tuple[complex, float]
        ] = []  # by spectra of another length, of the last of these blocks

    def db(self) -> float | None:
        return 20 * math.log10(abs(self.value)) if self.value else None

    def look(self, block: _Samples) -> None:
        """Estimate the image from a block and those before."""
        length = min(_STRETCH, len(block))
        self._sums = [*self._sums, _image_sums(block, length)][-_MEMORY:]
        product, total = _added(self._sums)
        image = product / total if total else 0j
        # Without an image the product has this variance: bins are independent but for the window.
        seen = abs(product) > math.sqrt(_SIGNIFICANT * 2 * total) and abs(image) > _SMALLEST_IMAGE
        if not seen:
            self.value, self._others = 0j, []
            return
        # The carrier of a signal of one dimension may look like an image in spectra of one length.
        self._others = [*self._others, _image_sums(block, length * 5 // 8)][-_MEMORY:]
        (product, total), (other, known) = _added(self._sums[-len(self._others) :]), _added(self._others)
        if total and known:
            away = abs(product / total - other / known)
            seen = away < _ALIKE * abs(image) + _ALIKE_NOISE / math.sqrt(known)
        self.value = image if seen and total and known else 0j


def _added(sums: list[tuple[complex, float]]) -> tuple[complex, float]:
    """Return the sums of blocks together."""
    return sum(one[0] for one in sums), sum(one[1] for one in sums)


def _image_sums(block: _Samples, length: int) -> tuple[complex, float]:
    """Return the sum of what each pair of frequencies f and -f says of the image, and the sum of their weights.

    A pair counts by what it says: much if one of them is strong and the other weak. Where signals stand out of the
    noise, the noise does not count: that of the receiver's last stages has no image.

    Args:
        block: complex64 [N].
        length: samples of a spectrum.
    """
    pieces = block[: len(block) // length * length].reshape(-1, length)
    spectra = fft.fft(pieces * hann_single(length), axis=1)
    products, above, below = _pairs(spectra)
    sums = np.asarray(above + below)
    least = 1e-6 * float(sums.mean()) + 1e-150
    weight = sums / (above * below + least**2)
    groups = len(sums) // _GROUP
    whole = slice(0, groups * _GROUP)
    power = sums[whole].reshape(groups, _GROUP).sum(axis=1) + 1e-150
    ratio = products[whole].reshape(groups, _GROUP).sum(axis=1) / power
    strong = power > _STRONG * quantile(power, _FLOOR)
    usual = 1.0 + 0j
    # What lies beside a signal of one dimension at 0 Hz may have an image too.
    for chosen in (strong, ~strong):
        if np.count_nonzero(chosen) >= _FEWEST_STRONG:
            usual = complex(median(ratio[chosen].real), median(ratio[chosen].imag))
            if abs(usual) < 1.25 * _LARGEST_IMAGE:
                break
    else:
        return 0j, 0.0
    used = np.repeat(chosen & (np.abs(ratio - usual) < _LARGEST_IMAGE), _GROUP)
    weight = weight[whole] * used
    native = kernels()
    each = (
        native.image_each(spectra, weight)
        if native is not None
        else _products(spectra)[:, whole].astype(np.complex128) @ weight
    )
    # The product of a pair has the variance above * below / pieces: so have those of pieces, for weights like these.
    total, count = float(np.sum(sums[whole] * weight)), len(pieces)
    scattered = float(np.sum(np.abs(each - each.mean()) ** 2)) * count
    if scattered > _SCATTERED * 2 * total:
        return 0j, 0.0  # it turns, as the carrier of a signal of one dimension does
    return complex(each.sum()) * count, total * count


def _products(spectra: _Samples) -> _Samples:
    """Return products of the values of spectra at frequencies k and -k, from k = 2 on, complex64 [pieces, pairs]."""
    length = spectra.shape[1]
    return spectra[:, 2 : length // 2 - 1] * spectra[:, -2 : -(length // 2 - 1) : -1]


def _pairs(
    spectra: _Samples,
) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums of `_products` over spectra, complex64 [pieces, length], and of powers at k and -k, [pairs]."""
    native = kernels()
    if native is not None:
        return native.image_pairs(spectra)
    length = spectra.shape[1]
    sides = spectra[:, 2 : length // 2 - 1], spectra[:, -2 : -(length // 2 - 1) : -1]
    products: NDArray[np.complex128] = np.asarray(np.sum(_products(spectra), axis=0, dtype=np.complex128))
    above, below = (np.sum(np.abs(side) ** 2, axis=0, dtype=np.float64) for side in sides)
    return products, np.asarray(above), np.asarray(below)


def _power(samples: _Samples) -> float:
    """Return the mean power of samples, complex64 [n], which are finite."""
    parts = np.ascontiguousarray(samples, np.complex64).view(np.float32)
    return float(np.einsum("i,i->", parts, parts, dtype=np.float64)) / max(len(samples), 1)


class _Rails:
    """How many samples lie at the ends of the range."""

    def __init__(self) -> None:
        self._tops = np.zeros(4)
        self._at = np.zeros(4)
        self._beside = np.zeros(4)
        self._samples = 0

    def look(self, block: _Samples) -> None:
        """Count the samples of a block that are at the highest and the lowest value of either rail."""
        self._samples += len(block)
        native = kernels()
        if native is not None:
            native.rails(block, self._tops, self._at, self._beside)
            return
        for n, values in enumerate((block.real, -block.real, block.imag, -block.imag)):
            top = float(values.max())
            if top > self._tops[n] * (1 + 1e-6):
                self._tops[n], self._at[n], self._beside[n] = top, 0, 0
            edge = self._tops[n] * (1 - 1e-6)
            at = values >= edge
            self._at[n] += np.count_nonzero(at)
            lower = values[
                (values < edge) & (values > 0)
            ]  # of a weak signal, the next level may be far below
            if len(lower):
                self._beside[n] += np.count_nonzero(lower >= lower.max() * (1 - 1e-6))

    def share(self) -> float | None:
        """Return the share of samples at a rail; None if these are no more than a signal has there."""
        if not self._samples:
            return None
        piled = self._at > _PILED * np.maximum(self._beside, 1)
        share = float(self._at[piled].sum()) / self._samples
        return share if _CLIPPED[0] < share < 4 * _CLIPPED[1] else None

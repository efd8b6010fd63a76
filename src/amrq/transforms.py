# SPDX-License-Identifier: GPL-3.0-or-later
"""Discrete Fourier transforms as `scipy.fft` has them, along the last axis; in single precision by compiled kernels.

Measures of an emission are transforms for the most part, of whatever length its samples have, one at a time. SciPy
computes so few a value at a time. The kernels compute several at once, of lengths whose factors are at most 11. Other
lengths and types, and all where nothing is compiled, SciPy transforms. Both are right to single precision.
"""

from bisect import bisect_right
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft as _scipy
from scipy.fft import fftfreq, fftshift, ifftshift, next_fast_len, rfftfreq

from amrq.native import TransformPlan, kernels

__all__ = [
    "fft",
    "fftfreq",
    "fftshift",
    "ifft",
    "ifftshift",
    "irfft",
    "next_fast_len",
    "quick_length",
    "rfft",
    "rfftfreq",
]

_LEAST, _MOST = 128, 1 << 20
"""Length of a transform that is compiled: shorter ones SciPy computes as fast, and longer ones leave a core's cache."""
_FEW, _FEW_REAL = 1000, 2048
"""Values, complex and real, of all rows together, from which on the call costs less than it saves."""
_PLANS = 512
"""Lengths whose plans are kept, some 60 kB each: emissions of a band have hundreds, and a plan takes 20 us."""
_RADICES = (11, 7, 5, 3)
_QUICK = 1 << 18
"""Length up to which quick ones are listed."""


def fft(
    values: NDArray[Any], n: int | None = None, axis: int = -1, overwrite_x: bool = False
) -> NDArray[Any]:
    """Return transforms along the last axis; see `scipy.fft.fft`.

    Args:
        values: real or complex [..., k].
        n: length of the transform; zeros follow the k values, or the first n of them count. None: k.
        axis: the last one, by whatever number.
        overwrite_x: the values are not needed any more.

    >>> fft(np.array([1, 1j, -1, -1j], np.complex64)).round().tolist()
    [0j, (4+0j), 0j, 0j]
    """
    found = _compiled(values, n, axis, inverse=False)
    if found is None:
        return np.asarray(_scipy.fft(values, n, axis=axis, overwrite_x=overwrite_x))
    return found


def ifft(
    values: NDArray[Any], n: int | None = None, axis: int = -1, overwrite_x: bool = False
) -> NDArray[Any]:
    """Return inverse transforms along the last axis, divided by their length; see `fft`.

    >>> ifft(np.array([4, 0, 0, 0], np.complex64)).tolist()
    [(1+0j), (1+0j), (1+0j), (1+0j)]
    """
    found = _compiled(values, n, axis, inverse=True)
    if found is None:
        return np.asarray(_scipy.ifft(values, n, axis=axis, overwrite_x=overwrite_x))
    return found


def rfft(values: NDArray[Any], n: int | None = None, axis: int = -1) -> NDArray[Any]:
    """Return transforms of real values along the last axis, [..., n // 2 + 1]; see `fft`.

    >>> rfft(np.array([1.0, -1.0, 1.0, -1.0])).tolist()
    [0j, 0j, (4+0j)]
    """
    length = values.shape[-1] if n is None else int(n)
    plan = None
    if values.dtype == np.float32 and not length % 2 and values.size and axis in (-1, values.ndim - 1):
        plan = _plan(length // 2) if _many(values, length) >= _FEW_REAL else None
    native = kernels()
    if plan is None or native is None:
        return np.asarray(_scipy.rfft(values, n, axis=axis))
    given, shape = min(values.shape[-1], length), values.shape[:-1]
    if given % 2:
        even = np.zeros((*shape, given + 1), np.float32)
        even[..., :given] = values[..., :given]
    else:
        even = np.ascontiguousarray(values[..., :given])
    pairs = even.view(np.complex64).reshape(-1, (given + 1) // 2)
    found = native.real_transforms(pairs, plan, _half_turns(length // 2))
    return found.reshape(*shape, length // 2 + 1)


def irfft(values: NDArray[Any], n: int | None = None, axis: int = -1) -> NDArray[Any]:
    """Return the real values whose transforms are given along the last axis, [..., n]; see `scipy.fft.irfft`.

    >>> irfft(np.array([0, 0, 4], np.complex64)).tolist()
    [1.0, -1.0, 1.0, -1.0]
    """
    length = 2 * (values.shape[-1] - 1) if n is None else int(n)
    plan, native = None, kernels()
    if native is not None and native.has_inverses and _is_whole(values, length, axis):
        plan = _plan(length // 2)
    if plan is None or native is None:
        return np.asarray(_scipy.irfft(values, n, axis=axis))
    rows = values.reshape(-1, values.shape[-1])
    return native.real_inverses(rows, plan, _half_turns(length // 2)).reshape(*values.shape[:-1], length)


def quick_length(count: int) -> int:
    """Return the largest number up to a count, at least 1, whose transform is quick: it has no factor above 11.

    A transform of another length takes up to five times as long. Up to 100,000 a length loses at most some 2 %.

    >>> quick_length(5647), quick_length(4096)
    (5632, 4096)
    """
    if count <= _QUICK:
        known = _quick_lengths()
        return known[max(0, bisect_right(known, count) - 1)]
    return next(length for length in range(count, 0, -1) if length == 1 or _radices(length))


@cache
def _quick_lengths() -> list[int]:
    """Return all quick lengths up to `_QUICK`, rising."""
    found = [1]
    for factor in (2, *_RADICES):
        for one in found:  # grows meanwhile
            if one * factor <= _QUICK:
                found.append(one * factor)
    return sorted(found)


def _is_whole(values: NDArray[Any], length: int, axis: int) -> bool:
    """Return whether values are all of the transforms of real ones in single precision, and many enough."""
    single = values.dtype == np.complex64 and axis in (-1, values.ndim - 1)
    return single and length == 2 * (values.shape[-1] - 1) and values.size > _FEW_REAL // 2


def _compiled(values: NDArray[Any], n: int | None, axis: int, inverse: bool) -> NDArray[np.complex64] | None:
    """Return transforms by the compiled kernels; None where these are not for them."""
    if values.dtype != np.complex64 or axis not in (-1, values.ndim - 1):
        return None
    length = values.shape[-1] if n is None else int(n)
    plan = _plan(length) if values.size and _many(values, length) >= _FEW else None
    native = kernels()
    if plan is None or native is None:
        return None
    if values.ndim == 1:
        return native.transforms(values[None], plan, inverse)[0]
    found = native.transforms(values.reshape(-1, values.shape[-1]), plan, inverse)
    return found.reshape(*values.shape[:-1], length)


def _many(values: NDArray[Any], length: int) -> int:
    """Return how many values are transformed."""
    return values.size // values.shape[-1] * length


@lru_cache(maxsize=_PLANS)
def _half_turns(half: int) -> NDArray[np.complex64]:
    turns = np.exp(-1j * np.pi * np.arange(half) / half).astype(np.complex64)
    turns.setflags(write=False)
    return turns


@lru_cache(maxsize=_PLANS)
def _plan(length: int) -> TransformPlan | None:
    """Return how a length is transformed; None where it is not for the compiled kernels."""
    native = kernels()
    if native is None or not native.has_transforms or not _LEAST <= length <= _MOST:
        return None
    radices = _radices(length)
    return native.transform_plan(radices) if len(radices) > 1 else None


def _radices(length: int) -> list[int]:
    """Return the radices of a length, none above 11; none where it has a greater factor."""
    twos, rest = 0, length
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    found: list[int] = []
    for radix in _RADICES:
        while rest % radix == 0:
            rest //= radix
            found.append(radix)
    if rest > 1:
        return []
    # Eights, and a two only where it is the only one.
    fours = (-twos) % 3 if twos > 1 else 0
    eights = (twos - 2 * fours) // 3
    return [8] * eights + found + [4] * fours + [2] * (twos == 1)

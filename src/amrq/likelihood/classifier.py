# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifier of greatest likelihood, and the receivers it can stand for."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from amrq.classes import THESIS_9, ClassSet, LinearClass, LinearSet, linear_class
from amrq.errors import AmrqError
from amrq.likelihood.kernels import AxisKernel, Nodes, PolarKernel, Resolution, chunk_power

__all__ = ["Level", "LikelihoodClassifier", "Phase", "Receiver"]

Phase = Literal["known", "uniform"]
Level = Literal["known", "hidden"]

LOWEST_ES_N0_DB = -20.0
HIGHEST_ES_N0_DB = 35.0
"""Where the tables stay small: above, the likelihood's detail shrinks with the noise, and decisions are certain."""


@dataclass(frozen=True)
class Receiver:
    """What a receiver knows, and the law of what it does not.

    A chunk is r_k = s_k e^(j(theta + phi_k)) + n_k, k = 1..L: equiprobable independent symbols s_k of one class with
    unit mean power, circular Gaussian noise n_k of power sigma^2 = 10^(-Es/N0 / 10).

    Attributes:
        phase: `known` is theta = 0; with `uniform` one theta a chunk is drawn from the whole circle.
        es_n0_db: one number is Es/N0 known, dB; (low, high) is an Es/N0 a chunk, drawn uniformly in dB between them.
        level: `known` gives the chunk as above; `hidden` only r / rms(r), the chunk of unit RMS.
        phase_noise: standard deviation N_p of the phi_k, independent Gaussian, radians; always known.

    Raises:
        AmrqError: a value is out of its range.

    >>> Receiver(phase="uniform", es_n0_db=(0.0, 20.0), level="hidden").es_n0_range
    (0.0, 20.0)
    """

    phase: Phase = "known"
    es_n0_db: float | tuple[float, float] = (0.0, 20.0)
    level: Level = "known"
    phase_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.phase not in get_args(Phase):
            raise AmrqError(f"the phase must be one of {', '.join(get_args(Phase))}, not {self.phase!r}.")
        if self.level not in get_args(Level):
            raise AmrqError(f"the level must be one of {', '.join(get_args(Level))}, not {self.level!r}.")
        if not 0 <= self.phase_noise <= 1:
            raise AmrqError(f"phase noise must lie between 0 and 1 radian, not {self.phase_noise}.")
        low, high = self.es_n0_range
        if not (LOWEST_ES_N0_DB <= low <= high <= HIGHEST_ES_N0_DB):  # also refuses NaN
            raise AmrqError(
                f"Es/N0 must be a number or a rising range between {LOWEST_ES_N0_DB:g} and {HIGHEST_ES_N0_DB:g} dB, "
                f"not {self.es_n0_db}."
            )

    @property
    def es_n0_range(self) -> tuple[float, float]:
        """Lowest and highest Es/N0, dB; the same number twice where it is known."""
        if isinstance(self.es_n0_db, tuple):
            return self.es_n0_db
        return (self.es_n0_db, self.es_n0_db)

    @property
    def description(self) -> str:
        """One line for tables and legends."""
        low, high = self.es_n0_range
        known = "Es/N0 known" if math.isclose(low, high) else f"Es/N0 {low:g} to {high:g} dB"
        return ", ".join(
            [
                "coherent" if self.phase == "known" else "any phase",
                known,
                "level known" if self.level == "known" else "unit-RMS chunk",
                *([f"phase noise {self.phase_noise:g} rad"] if self.phase_noise else []),
            ]
        )


# NumPy declares no types for it.
_LEGENDRE: Callable[[int], tuple[NDArray[np.float64], NDArray[np.float64]]] = np.polynomial.legendre.leggauss

_PANEL_DB = 3.0
"""Es/N0 is cut into panels of this width, each with tables as fine as its least noise needs: detail costs."""
_REACH = 5.5
"""The tables reach this many sigma beyond the outermost point; a sample further out is held to be there."""
_NEGLIGIBLE = 25.0
"""Once a panel's share is e^-25 of what came before it, panels with less noise are left out: with Es/N0 the likelihood
of a chunk rises to one peak and falls (the tests hold this against all panels)."""
_SLICE_BYTES = 48_000_000


@dataclass(frozen=True)
class _Panel:
    """Tables for a stretch of Es/N0."""

    step: float
    bins: int
    axis_step: float
    axis_bins: int
    symmetry: int  # of the polar features, that of the least symmetric class among them
    terms: int  # of the polar features; 0 where no class needs them
    axis: dict[int, AxisKernel]
    polar: dict[int, PolarKernel]
    bytes_per_chunk: int


class LikelihoodClassifier:
    """Log-likelihoods of chunks under each class, all that the receiver does not know averaged out.

    Deciding for the largest is the most accurate classifier there is for equiprobable classes: the
    average-likelihood-ratio test (Wei and Mendel 2000, "Maximum-likelihood classification for digital amplitude-phase
    modulations", IEEE Trans. Commun. 48(2); Dobre, Abdi, Bar-Ness and Su 2007, "Survey of automatic modulation
    classification techniques: classical approaches and new trends", IET Commun. 1(2)).

    For a chunk r of L symbols and a class of M points s_m,

        p(r | theta, sigma) = prod over k of 1/M sum over m of exp(-|r_k - s_m e^(j theta)|^2 / sigma^2) / (pi sigma^2),

    averaged over theta (a sector of the constellation's symmetry), over Es/N0 (uniform in dB) and over the gain that
    normalising the chunk hides (see `Nodes.make`), and inside the product over the phase noise. Averages are sums over
    grids whose steps follow from the width of the likelihood (`Resolution`); per-symbol logarithms come from
    interpolated tables in single precision (`AxisKernel`, `PolarKernel`).

    Tables are made at the first chunks of a length, and kept.

    Args:
        receiver: what is known.
        classes: a class set, or names of classes and constellations of any level, in the order of the output's columns.
        resolution: steps of grids and tables.

    Raises:
        AmrqError: no class, or one whose symbols are turned or staggered as they are sent.

    >>> import numpy as np
    >>> from amrq.evaluation import fresh_chunks
    >>> best = LikelihoodClassifier(Receiver(phase="known", es_n0_db=20.0), ["BPSK", "QPSK", "8PSK"])
    >>> chunks = fresh_chunks("QPSK", 3, 32, 20.0, np.random.default_rng(1), any_phase=False)
    >>> best.log_posteriors(chunks).argmax(axis=1).tolist()
    [1, 1, 1]
    """

    def __init__(
        self,
        receiver: Receiver,
        classes: LinearSet | Sequence[str | LinearClass] = THESIS_9,
        resolution: Resolution | None = None,
    ) -> None:
        if not classes:
            raise AmrqError("a likelihood classifier needs at least one class.")
        self.receiver = receiver
        self.resolution = resolution if resolution is not None else Resolution()
        self._modulations: tuple[LinearClass, ...] = (
            classes.members
            if isinstance(classes, ClassSet)
            else tuple(linear_class(one) if isinstance(one, str) else one for one in classes)
        )
        special = next((m.name for m in self._modulations if not m.plain), None)
        if special is not None:
            raise AmrqError(
                f"the likelihood of {special} is not known here: its symbols are turned or staggered as they are sent."
            )
        self.classes = tuple(m.name for m in self._modulations)
        self._panels: dict[int, list[_Panel]] = {}

    def log_likelihoods(self, chunks: NDArray[np.complex64] | NDArray[np.complex128]) -> NDArray[np.float64]:
        """Return the log-likelihood of each chunk under each class.

        Args:
            chunks: complex [N, L], at one sample a symbol. With the level known, symbols have the level of the
                classes' points; with the level hidden, a chunk's level does not matter.

        Returns:
            float64 [N, classes], natural logarithm, up to a constant of the chunk that is common to all classes. A
            silent chunk of hidden level has no direction and gives zeros.

        Raises:
            AmrqError: the array has not two axes, no symbols, or samples that are not finite.
        """
        received = np.asarray(chunks, dtype=np.complex128)
        if received.ndim != 2 or received.shape[1] < 1:
            raise AmrqError(f"chunks must have the shape (chunks, symbols), not {received.shape}.")
        if not np.isfinite(received).all():
            raise AmrqError("chunks hold samples that are not finite: leave such chunks out.")
        length = received.shape[1]
        silent = np.zeros(len(received), dtype=np.bool_)
        if self.receiver.level == "hidden":
            rms = np.sqrt(np.mean(np.abs(received) ** 2, axis=1, keepdims=True))
            silent = rms[:, 0] == 0
            received = received / np.where(rms == 0, 1, rms)
        if length not in self._panels:
            self._panels[length] = self._make_panels(length)
        panels = self._panels[length]
        result = np.zeros((len(received), len(self.classes)))
        size = max(1, _SLICE_BYTES // max(panel.bytes_per_chunk for panel in panels))
        for start in range(0, len(received), size):
            result[start : start + size] = self._evaluate(received[start : start + size], panels)
        result[silent] = 0
        return result

    def log_posteriors(self, chunks: NDArray[np.complex64] | NDArray[np.complex128]) -> NDArray[np.float64]:
        """Return ln of each class's probability given the chunk, classes equiprobable: float64 [N, classes].

        Args and errors as of `log_likelihoods`.
        """
        likelihoods = self.log_likelihoods(chunks)
        return likelihoods - np.logaddexp.reduce(likelihoods, axis=1, keepdims=True)

    def _make_panels(self, length: int) -> list[_Panel]:
        low, high = self.receiver.es_n0_range
        count = max(1, math.ceil((high - low) / _PANEL_DB - 1e-9))
        edges = np.linspace(low, high, count + 1)
        return [
            self._make_panel(a, b, (b - a) / (high - low or 1), length) for a, b in itertools.pairwise(edges)
        ]

    def _make_panel(self, low: float, high: float, share: float, length: int) -> _Panel:
        resolution, receiver = self.resolution, self.receiver
        if high > low:
            deviation = 10 / (math.log(10) * math.sqrt(length))
            x, weight = _LEGENDRE(math.ceil((high - low) / (deviation * resolution.es_n0)) + 1)
            es_n0_db, weight = low + (high - low) * (x + 1) / 2, weight / 2 * share
        else:
            es_n0_db, weight = np.array([low]), np.ones(1)
        hidden = receiver.level == "hidden"
        nodes = [Nodes.make(m, es_n0_db, weight, length, hidden, resolution) for m in self._modulations]
        least, most = (10 ** (-x / 20) for x in (high, low))
        peaks = [np.abs(m.points).max() + _REACH * most for m in self._modulations]
        reach = max(peak / n.gain.min() for peak, n in zip(peaks, nodes, strict=True))
        reach = min(reach, math.sqrt(length) + least) if hidden else reach
        step = resolution.radius * least
        bins = math.ceil(reach / step) + 4
        any_phase = receiver.phase == "uniform"
        axis_step, axis_bins = step / 2, 2 * bins
        axis: dict[int, AxisKernel] = {}
        polar: dict[int, PolarKernel] = {}
        largest = 0
        for i, m in enumerate(self._modulations):
            if not any_phase and not receiver.phase_noise and AxisKernel.separable(m):
                axis[i] = AxisKernel(m, nodes[i], axis_step, axis_bins)
                continue
            phases = 0
            if any_phase:
                # Strong chunks tell their phase more sharply, which counts where chunks are short.
                mean, deviation = chunk_power(m, least**2, length)
                strong = mean + resolution.strong * deviation
                width = resolution.phase * least / math.sqrt(2 * length * strong)
                phases = max(4, math.ceil(2 * math.pi / m.symmetry / width))
            polar[i] = kernel = PolarKernel(
                m, nodes[i], receiver.phase_noise, step, bins, resolution.harmonics / least, phases
            )
            largest = max(largest, len(nodes[i].gain) * 2 * kernel.terms)
        symmetry = math.gcd(*(kernel.symmetry for kernel in polar.values())) if polar else 1
        terms = max((k.terms * k.symmetry // symmetry for k in polar.values()), default=0)
        in_bytes = 4 * (2 * terms * (bins + length) + length * (bins + 9) + 4 * axis_bins + largest)
        return _Panel(step, bins, axis_step, axis_bins, symmetry, terms, axis, polar, in_bytes)

    def _evaluate(self, chunks: NDArray[np.complex128], panels: list[_Panel]) -> NDArray[np.float64]:
        total = np.full((len(chunks), len(self.classes)), -np.inf)
        wanted = np.ones(total.shape, dtype=np.bool_)
        for panel in panels:  # from the most noise to the least
            share = np.full(total.shape, -np.inf)
            self._panel(chunks, panel, wanted, share)
            total = np.logaddexp(total, share)
            wanted &= share > total - _NEGLIGIBLE
        return total

    def _panel(
        self,
        chunks: NDArray[np.complex128],
        panel: _Panel,
        wanted: NDArray[np.bool_],
        share: NDArray[np.float64],
    ) -> None:
        """Fill in the share of a panel's nodes in the likelihoods, where wanted."""
        with_sines = self.receiver.phase == "uniform" or any(k.needs_sines for k in panel.polar.values())
        for kernels in (panel.axis, panel.polar):
            if not kernels:
                continue
            rows = np.flatnonzero(wanted[:, list(kernels)].any(axis=1))
            if not len(rows):
                continue
            if kernels is panel.axis:
                features = AxisKernel.features(chunks[rows], panel.axis_step, panel.axis_bins)
            else:
                features = PolarKernel.features(
                    chunks[rows], panel.step, panel.bins, panel.symmetry, panel.terms, with_sines
                )
            for i, kernel in kernels.items():
                mine = wanted[rows, i]
                if not mine.any():
                    continue
                some = features if mine.all() else features[mine]
                if isinstance(kernel, AxisKernel):
                    share[rows[mine], i] = kernel.log_likelihoods(some)
                else:
                    stride = kernel.symmetry // panel.symmetry
                    share[rows[mine], i] = kernel.log_likelihoods(some, stride, panel.terms)

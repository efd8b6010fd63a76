# SPDX-License-Identifier: GPL-3.0-or-later
"""The network after the phase alignment."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from amrq.classes import THESIS_9
from amrq.training import QuantisedLayer
from amrq.training.architectures.integer_aligner import IntegerPhaseAligner
from amrq.training.architectures.layers import PooledHead, SymbolLayers

__all__ = ["PhaseAlignedNet", "PhaseAligner"]

_DEGREE = 8
_LARGEST = 2.5
"""|z|^2 beyond which the weights stay what they are there: past the outermost ring of a 32QAM (1.7)."""
_EPSILON = 1e-8
_LEAST_SUM = 1e-6

_COPIES: tuple[tuple[int, tuple[str, ...], tuple[float, float]], ...] = (
    (2, ("4ASK", "8ASK", "BPSK", "8QAM"), (0, 20)),
    (4, ("QPSK",), (5, 15)),
    (4, ("16QAM",), (8, 18)),
    (4, ("32QAM",), (12, 22)),
    (8, ("8PSK",), (8, 20)),
    (16, ("16PSK",), (14, 26)),
)
"""For each copy: the power M, the modulations it is meant for, and the Es/N0 in dB that its weights are fitted at."""

_GRIDS = slice(2, 4)
"""Which copies lie on a square grid, with points at odd multiples of a step."""
_GRID_STEPS = (1 / 10**0.5, 1 / 20**0.5)
_GRID_REACH = (3.0, 5.0)
"""Step at unit mean power, and the outermost odd multiple, of 16QAM and cross 32QAM."""
_REFINEMENTS = 2


def _weights(power: int, names: tuple[str, ...], es_n0_db: tuple[float, float]) -> NDArray[np.float32]:
    """Fit how much a symbol of magnitude |z| should count for the phase: a polynomial in |z|^2, highest power first.

    The feed-forward estimator of Viterbi and Viterbi (1983, eq. 5) sums F(|z|) exp(j M arg z). There F is a power of
    |z|; here it is the polynomial that minimises the variance of the sum's phase, sum F^2 sin^2 / (sum F cos)^2 with
    the angle M arg z: in the rings of a 16QAM and a 32QAM it even changes sign, which is why a plain fourth power
    serves them badly (32QAM at 20 dB, 32 symbols: 6 degrees RMS in place of 31).
    """
    rng = np.random.default_rng(power)
    count, length = 2_000, 32
    overlap = np.zeros((_DEGREE + 1, _DEGREE + 1))
    target = np.zeros(_DEGREE + 1)
    power_sum = np.zeros_like(overlap)
    for name in names:
        points = THESIS_9[name].points
        z = points[rng.integers(len(points), size=(count, length))].astype(np.complex128)
        deviation = np.sqrt(0.5 * 10 ** (-rng.uniform(*es_n0_db, (count, 1)) / 10))
        z += deviation * (rng.standard_normal(z.shape) + 1j * rng.standard_normal(z.shape))
        z /= np.sqrt((np.abs(z) ** 2).mean(axis=1, keepdims=True))
        basis = np.vander((np.minimum(np.abs(z) ** 2, _LARGEST) * 2 / _LARGEST - 1).ravel(), _DEGREE + 1)
        angle = power * np.angle(z).ravel()
        overlap += basis.T @ (basis * np.sin(angle[:, None]) ** 2)
        target += basis.T @ np.cos(angle)
        power_sum += basis.T @ basis
    samples = count * length * len(names)
    fitted = np.linalg.solve(overlap + 1e-4 * samples * np.eye(_DEGREE + 1), target)
    # One scale for all copies: unit mean square of the weights.
    return np.asarray(fitted / np.sqrt(fitted @ power_sum @ fitted / samples), dtype=np.float32)


class PhaseAligner(nn.Module):
    """Copies of a chunk, each turned by a blind estimate of its phase, and what does not depend on the phase.

    The phase of sum_n F(|z_n|) exp(j M arg z_n) is M times the carrier phase up to a constant and a multiple of
    2 pi. For constellations of M-fold symmetry the copy therefore always looks the same. Nothing here is trained.
    Turning the chunk by any angle turns either no copy or all of them by half a turn.
    The M-th root is taken by half-angle formulas, M being a power of two, since ONNX has neither complex numbers
    nor atan2.

    The copies for the grids of 16QAM and 32QAM are then refined in phase and level by the nearest grid points
    (decision-directed least squares), which also tells how well the grid fits.
    """

    polynomial: torch.Tensor
    grid_step: torch.Tensor
    grid_reach: torch.Tensor
    back_c: torch.Tensor
    back_s: torch.Tensor

    copies = len(_COPIES)
    """Copies, each turned by its own estimate."""

    channels = 2 * len(_COPIES) + 3
    """Channels out: real and imaginary parts of the copies, the product of each symbol with the conjugate of the one
    before (real, imaginary), the magnitude."""

    summaries = len(_COPIES) + len(_GRID_STEPS)
    """Summaries out: how strongly each copy's symbols agree on the phase, and for each grid the mean squared distance
    to it in squared steps."""

    def __init__(self) -> None:
        super().__init__()
        coefficients = np.stack([_weights(*copy) for copy in _COPIES], axis=1)
        self.register_buffer("polynomial", torch.from_numpy(coefficients).reshape(_DEGREE + 1, 1, -1, 1))
        back = torch.tensor([0.5 * torch.pi / power for power, *_ in _COPIES[1:]]).reshape(1, -1, 1)
        self.register_buffer("back_c", back.cos())
        self.register_buffer("back_s", back.sin())
        self.register_buffer("grid_step", torch.tensor(_GRID_STEPS).reshape(1, -1, 1))
        self.register_buffer("grid_reach", torch.tensor(_GRID_REACH).reshape(1, -1, 1))

    def _refine(self, re: torch.Tensor, im: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Fit copies [N, grids, L] to their grids: turned and scaled copies, and the misfit [N, grids, 1]."""
        step, reach = self.grid_step, self.grid_reach
        power = (re * re + im * im).mean(dim=2, keepdim=True)
        misfit = power
        for _ in range(_REFINEMENTS):
            near_re = torch.maximum(torch.minimum(2 * torch.round(re / (2 * step) - 0.5) + 1, reach), -reach)
            near_im = torch.maximum(torch.minimum(2 * torch.round(im / (2 * step) - 0.5) + 1, reach), -reach)
            # The complex factor a that minimises |a z - q|^2 is sum q conj(z) / sum |z|^2. Dividing by the
            # projection the other way round keeps noise from shrinking the copy.
            c = (near_re * re + near_im * im).mean(dim=2, keepdim=True)
            s = (near_im * re - near_re * im).mean(dim=2, keepdim=True)
            near_power = (near_re * near_re + near_im * near_im).mean(dim=2, keepdim=True)
            squared = c * c + s * s
            misfit = (power - squared / near_power) / (step * step)
            factor = step * near_power / (squared + _EPSILON)
            c, s = c * factor, s * factor
            re, im = re * c - im * s, re * s + im * c
            power = power * (c * c + s * s)
        return re, im, misfit

    def forward(self, iq: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Align chunks.

        Args:
            iq: float32 [N, 2, L], unit RMS.

        Returns:
            float32 [N, channels, L], and float32 [N, summaries] from 0 up.
        """
        re, im = iq[:, 0:1], iq[:, 1:2]
        squared = re * re + im * im
        # exp(2j arg z), shrunk towards 0 for symbols so weak that their phase says nothing.
        shrink = 1 / (squared + 0.05)
        c, s = (re * re - im * im) * shrink, 2 * re * im * shrink
        cos, sin = {2: c}, {2: s}
        for power in (4, 8, 16):
            c, s = c * c - s * s, 2 * c * s
            cos[power], sin[power] = c, s
        x = squared.clamp_max(_LARGEST) * (2 / _LARGEST) - 1
        weight = self.polynomial[0]
        for k in range(1, _DEGREE + 1):
            weight = weight * x + self.polynomial[k]
        powers = [copy[0] for copy in _COPIES]
        mean_cos = (weight * torch.cat([cos[p] for p in powers], dim=1)).mean(dim=2, keepdim=True)
        # Symbols without noise may sum to exactly zero, which has no phase: then any will do, but one it must be.
        mean_cos = mean_cos + _LEAST_SUM
        mean_sin = (weight * torch.cat([sin[p] for p in powers], dim=1)).mean(dim=2, keepdim=True)
        strength = torch.sqrt(mean_cos * mean_cos + mean_sin * mean_sin + _EPSILON**2)
        c, s = mean_cos / strength, mean_sin / strength

        # Where the M-th root jumps must not depend on the rotation, or copies of one chunk would disagree in ways that
        # depend on it. So the other sums are taken relative to the phase that the second power gives, and the jump is
        # put at a right angle: constellations of twofold symmetry have real sums, of either sign.
        relative_c, relative_s, c2, s2 = [], [], c[:, :1], s[:, :1]
        for before, power in pairwise(powers):
            if power != before:
                c2, s2 = c2 * c2 - s2 * s2, 2 * c2 * s2
            relative_c.append(c2)
            relative_s.append(s2)
        unturn_c, unturn_s = torch.cat(relative_c, dim=1), torch.cat(relative_s, dim=1)
        other_c, other_s = c[:, 1:], s[:, 1:]
        # (c + js) conj(unturn) (-j)
        c, s = (
            torch.cat([c[:, :1], other_s * unturn_c - other_c * unturn_s], dim=1),
            torch.cat([s[:, :1], -other_c * unturn_c - other_s * unturn_s], dim=1),
        )
        turns_c, turns_s = [], []
        while powers:
            # cos(a/2) = sqrt((1 + cos a) / 2), and the sine takes the sign that keeps a/2 within a quarter turn.
            half_s = torch.sqrt((0.5 - 0.5 * c).clamp_min(0))
            c, s = torch.sqrt((0.5 + 0.5 * c).clamp_min(0)), torch.where(s < 0, -half_s, half_s)
            powers = [p // 2 for p in powers]
            done = sum(p == 1 for p in powers)  # the powers rise, so the first ones are done first
            if done:
                turns_c.append(c[:, :done])
                turns_s.append(s[:, :done])
                c, s, powers = c[:, done:], s[:, done:], powers[done:]
        # Back by the second power's phase, and by the M-th part of the right angle.
        c2, s2 = turns_c[0], turns_s[0]
        base_c, base_s = c2 * self.back_c - s2 * self.back_s, s2 * self.back_c + c2 * self.back_s
        other_c, other_s = torch.cat(turns_c[1:], dim=1), torch.cat(turns_s[1:], dim=1)
        c = torch.cat([c2, other_c * base_c - other_s * base_s], dim=1)
        s = torch.cat([s2, other_c * base_s + other_s * base_c], dim=1)
        re_turned, im_turned = re * c + im * s, im * c - re * s
        re_fitted, im_fitted, misfit = self._refine(re_turned[:, _GRIDS], im_turned[:, _GRIDS])
        first, last = _GRIDS.start, _GRIDS.stop
        re_turned = torch.cat([re_turned[:, :first], re_fitted, re_turned[:, last:]], dim=1)
        im_turned = torch.cat([im_turned[:, :first], im_fitted, im_turned[:, last:]], dim=1)

        # The chunk is closed to a ring: for independent symbols any pair is as good as a neighbouring one.
        re_before = torch.cat([re[:, :, -1:], re[:, :, :-1]], dim=2)
        im_before = torch.cat([im[:, :, -1:], im[:, :, :-1]], dim=2)
        step_re, step_im = re * re_before + im * im_before, im * re_before - re * im_before
        features = torch.cat([re_turned, im_turned, step_re, step_im, torch.sqrt(squared + _EPSILON)], dim=1)
        return features, torch.cat([strength, misfit], dim=1)[:, :, 0]


class PhaseAlignedNet(nn.Module):
    """Look at each symbol and its neighbours, take the mean over the symbols, decide.

    The likelihood of independent symbols is a product over the symbols, so that its logarithm is a sum of one
    function of each symbol: convolutions of kernel 1, then a mean, have just that shape. That symbols are not
    independent (frequency keying, a wrong symbol rate) shows in neighbours only, which is why the first kernel may be
    wider. What follows the mean weighs the phase regimes against each other.

    Args:
        outputs: number of hypotheses.
        symbol_channels: widths of the layers at each symbol.
        head_widths: widths of the hidden layers after the mean.
        first_kernel: symbols that the first layer sees at a time.
        folded: take magnitudes of I and Q of the turned copies, whose constellations are their own mirror images in
            both axes; without, I and Q themselves.
        integer: align in integers (`amrq.hardware.IntegerAligner`), which needs `folded` and chunks of 32.
    """

    def __init__(
        self,
        outputs: int,
        symbol_channels: Sequence[int],
        head_widths: Sequence[int],
        first_kernel: int = 1,
        folded: bool = True,
        integer: bool = False,
    ) -> None:
        super().__init__()
        self.folded = folded and not integer  # the integer aligner gives magnitudes
        self.align = IntegerPhaseAligner() if integer else PhaseAligner()
        self.symbol = SymbolLayers(self.align.channels, symbol_channels, True, first_kernel)
        self.head = PooledHead(symbol_channels[-1], self.align.summaries, head_widths, outputs)
        if integer:
            for layer in (self.symbol.layers[0], self.head.layers[0]):
                assert isinstance(layer, QuantisedLayer)
                layer.input.step = IntegerPhaseAligner.step

    def forward(self, iq: torch.Tensor) -> torch.Tensor:
        """float32 [N, 2, L] chunks of unit RMS -> logits float32 [N, outputs]."""
        # Nothing trained lies before the alignment, so its gradient is not needed.
        with torch.no_grad():
            x, summaries = self.align(iq)
            if self.folded:
                copies = 2 * self.align.copies
                x = torch.cat([x[:, :copies].abs(), x[:, copies:]], dim=1)
        x, symbols = self.symbol(x)
        return self.head(x, [summaries], symbols)

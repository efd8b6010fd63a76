# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of the family model: what a signal is like in time, in frequency and in what it repeats.

Its layers are plain ones with batch norms; `amrq.training.integer_ready` makes layers of them that round. Another
network for families is another class here: it takes float32 [N, 2, L] and has a `front`, in which nothing is trained.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

__all__ = ["FamilyNet", "Spectrum"]

_LARGEST = 3.0
"""Magnitude beyond which a sample counts as one of this magnitude: a click must not rule a spectrum."""
_LAGS = (1, 4)
"""Samples between those whose phases are compared: a quarter of the reciprocal bandwidth, and all of it."""
_SMALL = 1e-8


class Spectrum(nn.Module):
    """The discrete Fourier transform of float32 [..., L], real and imaginary part apart.

    In training it is torch's. In an exported graph it is two products with matrices, of which L's prime factors are
    made (Cooley and Tukey 1965): ONNX Runtime computes these in half the time of its operator DFT, and a graph of
    products and sums runs everywhere.

    Args:
        length: of the transform (L).
    """

    twiddle: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        rows = next(n for n in range(math.isqrt(length), 0, -1) if length % n == 0)
        self.rows, self.columns = rows, length // rows
        turns = -2 * math.pi * torch.arange(rows, dtype=torch.float64)[:, None]
        angle = turns * torch.arange(self.columns, dtype=torch.float64) / length
        # They follow from the length, so that weights are kept without them.
        self.register_buffer("twiddle", torch.stack([angle.cos(), angle.sin()]).float(), persistent=False)
        self.register_buffer("first", _matrix(self.columns), persistent=False)
        self.register_buffer("second", _matrix(rows), persistent=False)

    def forward(self, re: torch.Tensor, im: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Transform along the last axis."""
        if not torch.onnx.is_in_onnx_export():
            found = torch.fft.fft(torch.complex(re, im))
            return found.real, found.imag
        shape, rows, columns = re.shape, self.rows, self.columns
        # x[c rows + r] -> [.., r, (part, c)]; along c; turned; [.., k, (part, r)]; along r; to [.., rows, columns].
        parts = torch.stack([re, im], dim=-2).reshape(*shape[:-1], 2, columns, rows)
        ahead = range(re.ndim - 1)
        parts = parts.permute(*ahead, re.ndim + 1, re.ndim - 1, re.ndim)
        parts = parts.reshape(*shape[:-1], rows, 2 * columns) @ self.first
        a, b = parts[..., :columns], parts[..., columns:]
        c, s = self.twiddle[0], self.twiddle[1]
        parts = torch.cat([a * c - b * s, a * s + b * c], dim=-2).transpose(-1, -2) @ self.second
        a, b = parts[..., :rows], parts[..., rows:]
        return a.transpose(-1, -2).reshape(shape), b.transpose(-1, -2).reshape(shape)


def _matrix(size: int) -> torch.Tensor:
    """Return the transform of so many numbers as a real matrix [2 size, 2 size]: (re, im) @ it = (re, im)."""
    place = torch.arange(size, dtype=torch.float64)
    angle = -2 * math.pi * place[:, None] * place / size
    c, s = angle.cos(), angle.sin()
    return torch.cat([torch.cat([c, s], dim=1), torch.cat([-s, c], dim=1)]).float()


class FamilyFront(nn.Module):
    """What the layers see of a signal: rows over time, rows over frequency, rows over lag. Nothing here is trained.

    Args:
        length: samples (L).
        samples_per_bandwidth: of them.
    """

    window: torch.Tensor
    frequency: torch.Tensor
    lag: torch.Tensor

    time_rows, frequency_rows, lag_rows = 1 + 2 * len(_LAGS), 11, 7
    _BINS, _STEPS = 8, 4

    def __init__(self, length: int, samples_per_bandwidth: float = 4.0) -> None:
        super().__init__()
        self.length = length
        self.transform = Spectrum(length)
        self.register_buffer("window", torch.hann_window(length, periodic=True), persistent=False)
        away = (torch.fft.fftfreq(length) * samples_per_bandwidth).abs()[None, None]
        self.register_buffer(
            "frequency", functional.avg_pool1d(away, self._BINS).clamp(max=2) * 0.5, persistent=False
        )
        lags = (torch.arange(length // 2) + 1).log2()[None, None] / 12
        self.register_buffer("lag", functional.avg_pool1d(lags, self._STEPS), persistent=False)

    def forward(self, iq: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return float32 [N, rows, places] three times, of float32 [N, 2, L] with unit RMS.

        Over time: the magnitude, and how the phase turns from sample to sample and over `_LAGS`. Over frequency: the
        logarithm of the power spectra of the signal, of its second and fourth power, of its envelope, and of its
        frequency; of each 8 bins the largest and the mean. Over lag: the correlation of signal, envelope and frequency
        with themselves.
        """
        i, q = iq[:, 0], iq[:, 1]
        squared = i * i + q * q
        size = torch.sqrt(squared + _SMALL)
        u, v = i / size, q / size
        rows, turning = [size.clamp(max=4) - 1], size
        for lag in _LAGS:
            re, im = self._turn(u, v, size, lag)
            rows += [re, im]
            turning = im if lag == 1 else turning
        soft = size.clamp(max=_LARGEST)
        c2, s2 = u * u - v * v, 2 * u * v
        c4, s4 = c2 * c2 - s2 * s2, 2 * c2 * s2
        envelope = squared.clamp(max=_LARGEST**2)
        envelope = envelope - envelope.mean(-1, keepdim=True)
        turning = turning - turning.mean(-1, keepdim=True)
        nothing = torch.zeros_like(size)
        re = torch.stack([i, c2 * soft, c4 * soft, envelope, turning], dim=1) * self.window
        im = torch.stack([q, s2 * soft, s4 * soft, nothing, nothing], dim=1) * self.window
        re, im = self.transform(re, im)
        power = re * re + im * im
        mean = power.mean(-1, keepdim=True) + 1e-9
        spectra = torch.log(power / mean + 1e-3) * 0.3
        power, mean = power[:, [0, 3, 4]], mean[:, [0, 3, 4]]
        re, im = self.transform(power, torch.zeros_like(power))
        half = self.length // 2
        # The correlation is the power's transform backwards; for real numbers its magnitude is the same.
        re, im = re[..., :half] / self.length, im[..., :half] / self.length
        alike = (torch.sqrt(re * re + im * im + 1e-12) / mean * 16).clamp(max=6)
        count = iq.shape[0]
        return (
            torch.stack(rows, dim=1),
            _largest_and_mean(spectra, self._BINS, self.frequency.expand(count, 1, -1)),
            _largest_and_mean(alike, self._STEPS, self.lag.expand(count, 1, -1)),
        )

    @staticmethod
    def _turn(
        u: torch.Tensor, v: torch.Tensor, size: torch.Tensor, lag: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each sample times the conjugate of the one `lag` before, with the root of its magnitude."""
        weight = torch.sqrt(size[:, lag:] * size[:, :-lag]).clamp(max=_LARGEST)
        re = u[:, lag:] * u[:, :-lag] + v[:, lag:] * v[:, :-lag]
        im = v[:, lag:] * u[:, :-lag] - u[:, lag:] * v[:, :-lag]
        return functional.pad(re * weight, (lag, 0)), functional.pad(im * weight, (lag, 0))


def _largest_and_mean(rows: torch.Tensor, places: int, where: torch.Tensor) -> torch.Tensor:
    return torch.cat([functional.max_pool1d(rows, places), functional.avg_pool1d(rows, places), where], dim=1)


def _layer(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm1d(channels_out),
        nn.ReLU(),
    )


def _halving(channels_in: int, widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [_layer(channels_in, width, 5), nn.MaxPool1d(2)]
        channels_in = width
    return nn.Sequential(*layers)


class FamilyNet(nn.Module):
    """Convolutions over time, frequency and lag; of each the mean and the largest over all places; two layers more.

    Args:
        outputs: number of outputs.
        length: samples (L).
        samples_per_bandwidth: of them.
        time_widths, frequency_widths, lag_widths: channels of the convolutions.
        hidden: width of the layer before the last.
    """

    def __init__(
        self,
        outputs: int,
        length: int = 4096,
        samples_per_bandwidth: float = 4.0,
        time_widths: Sequence[int] = (20, 28, 40, 48),
        frequency_widths: Sequence[int] = (16, 24, 32, 40),
        lag_widths: Sequence[int] = (16, 20, 24),
        hidden: int = 56,
    ) -> None:
        super().__init__()
        self.front = FamilyFront(length, samples_per_bandwidth)
        layers: list[nn.Module] = []
        channels = self.front.time_rows
        for number, width in enumerate(time_widths):
            layers.append(_layer(channels, width, 5 if number else 11, 2 if number else 4))
            channels = width
        self.time = nn.Sequential(*layers)
        self.frequency = _halving(self.front.frequency_rows, frequency_widths)
        self.lag = _halving(self.front.lag_rows, lag_widths)
        self.drop = nn.Dropout(0.1)
        seen = 2 * (time_widths[-1] + frequency_widths[-1] + lag_widths[-1])
        self.hidden = nn.Linear(seen, hidden)
        self.output = nn.Linear(hidden, outputs)

    def body(self, time: torch.Tensor, frequency: torch.Tensor, lag: torch.Tensor) -> torch.Tensor:
        """Return logits float32 [N, outputs] of what `front` gives."""
        seen = [self.time(time), self.frequency(frequency), self.lag(lag)]
        pooled = torch.cat([part for x in seen for part in (x.mean(-1), x.amax(-1))], dim=1)
        return self.output(self.drop(torch.relu(self.hidden(pooled))))

    def forward(self, iq: torch.Tensor) -> torch.Tensor:
        """float32 [N, 2, L] of unit RMS -> logits float32 [N, outputs]."""
        with torch.no_grad():
            seen = self.front(iq)
        return self.body(*seen)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of the family model: what a signal is like over time, frequency and lag, and how its phases lie.

A fixed front end makes rows of numbers of a chunk, and a trained body judges them. The front end's numbers can be kept
on disk, so that the training does not compute them again. The body's layers are plain ones with batch norms;
`amrq.training.integer_ready` makes layers of them that round. Another network for families is another class here, with
a `front` in which nothing is trained, and a `body`.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

__all__ = ["FamilyNet", "Spectrum"]

_SMALL = 1e-8
_FRAMES = 8
"""Samples over which rows over time are averaged, and bins over which those over frequency are."""
_LAG_STEPS = 4
_BLOCKS = 8
"""Parts of a chunk that are correlated each by itself, so that data which turn a code's sign do not matter."""
_BINS, _HARMONICS = 32, 14
"""Of a histogram of phases: places, and trigonometric moments that it is made of."""
_PASS, _FALL = 0.15, 0.05
"""Cycles a sample, at four samples a bandwidth: from here on, and over so much, the filter of the box falls."""
_AMPLITUDES = 2.8
"""Amplitudes, in units of the RMS, that are spread over a whole turn where their histogram is taken."""


class Spectrum(nn.Module):
    """The discrete Fourier transform of float32 [..., L], real and imaginary part apart.

    In training it is torch's. In an exported graph it is two products with matrices (Cooley and Tukey 1965): ONNX
    Runtime computes these in half the time of its operator DFT, and a graph of products and sums runs everywhere.

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


Pair = tuple[torch.Tensor, torch.Tensor]
"""Real and imaginary part."""


def _product(a: Pair, b: Pair, conjugate: bool = False) -> Pair:
    """Return a times b, or a times the conjugate of b."""
    sign = -1 if conjugate else 1
    return a[0] * b[0] - sign * a[1] * b[1], a[1] * b[0] + sign * a[0] * b[1]


class FamilyFront(nn.Module):
    """What the layers see of a chunk. Nothing here is trained.

    Args:
        length: samples (L), at four a bandwidth.

    Attributes:
        scales: for each of the outputs, by what it is multiplied where it is kept as bytes; 0: as half floats.
    """

    window: torch.Tensor
    passing: torch.Tensor
    frequency: torch.Tensor
    lag: torch.Tensor
    smooth: torch.Tensor

    scales = (30.0, 50.0, 20.0, 0.0)
    time_rows, frequency_rows, lag_rows, phase_rows = 8, 13, 8, 6

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        self.transform, self.of_block = Spectrum(length), Spectrum(2 * length // _BLOCKS)
        away = torch.fft.fftfreq(length).abs()
        places = (away * 4)[None, None]
        steps = (torch.arange(length // 2) + 1).float().log2()[None, None] / 12
        theta = torch.arange(_BINS) * (2 * math.pi / _BINS)
        order = torch.arange(1, _HARMONICS + 1)[:, None]
        taper = 1 - 0.8 * order / (_HARMONICS + 1)
        for name, values in (
            ("window", torch.hann_window(length, periodic=True)),
            ("passing", 0.5 + 0.5 * torch.cos(math.pi * ((away - _PASS) / _FALL).clamp(0, 1))),
            ("frequency", functional.avg_pool1d(places, _FRAMES).clamp(max=2) * 0.5),
            ("lag", functional.avg_pool1d(steps, _LAG_STEPS)),
            ("smooth", torch.cat([taper * torch.cos(order * theta), taper * torch.sin(order * theta)]) * 0.5),
        ):
            self.register_buffer(name, values, persistent=False)

    def forward(self, iq: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return four float32 [N, rows, places] of float32 [N, 2, L] with unit RMS outside its padding.

        Over time: the amplitude, and how the phase turns over two and four samples. Over frequency: the logarithm of
        the power spectra of the signal, of its second and fourth power, of its envelope, of its frequency, and of the
        square of what its phase turns by; of each 8 bins the largest and the mean. Over lag: how far signal, envelope
        and frequency repeat themselves, and the signal within an eighth of the chunk. Over a turn: histograms of how
        the phase turns over two, four and eight samples, and of the amplitude.

        All but the power spectrum of the signal, its lags and one row of amplitudes is of the signal within its box.
        """
        raw, count = (iq[:, 0], iq[:, 1]), iq.shape[0]
        loud = torch.sqrt(raw[0] * raw[0] + raw[1] * raw[1])
        z = self._boxed(raw, loud)
        squared = z[0] * z[0] + z[1] * z[1]
        size = torch.sqrt(squared + _SMALL)
        unit = z[0] / size, z[1] / size
        turns = {
            lag: _product((z[0][:, lag:], z[1][:, lag:]), (z[0][:, :-lag], z[1][:, :-lag]), True)
            for lag in (2, 4, 8)
        }
        two, four = _softened(turns[2], 2), _softened(turns[4], 4)
        bounded = size.clamp(max=4)
        means = torch.stack([bounded, *two, *four, four[1] * four[1]], dim=1)
        tops = torch.stack([bounded, loud.clamp(max=4)], dim=1)
        time = torch.cat([functional.avg_pool1d(means, _FRAMES), functional.max_pool1d(tops, _FRAMES)], dim=1)

        soft = size.clamp(max=3)
        second = _product(unit, unit)
        fourth = _product(second, second)
        envelope = squared.clamp(max=9)
        envelope = envelope - envelope.mean(-1, keepdim=True)
        pitch = four[1] - four[1].mean(-1, keepdim=True)
        eighth = _product(four, four)
        nothing = torch.zeros_like(size)
        re = torch.stack([raw[0], second[0] * soft, fourth[0] * soft, envelope, pitch, eighth[0]], dim=1)
        im = torch.stack([raw[1], second[1] * soft, fourth[1] * soft, nothing, nothing, eighth[1]], dim=1)
        re, im = self.transform(re * self.window, im * self.window)
        power = re * re + im * im
        mean = power.mean(-1, keepdim=True) + 1e-9
        spectra = torch.log(power / mean + 1e-3) * 0.3
        frequency = _largest_and_mean(spectra, _FRAMES, self.frequency.expand(count, 1, -1))

        alike = torch.cat([power[:, :1], power[:, 3:5]], dim=1)
        mean = torch.cat([mean[:, :1], mean[:, 3:5]], dim=1)
        alike = (self._correlation(alike, self.transform) / mean * 16).clamp(max=6)
        lag = _largest_and_mean(alike, _LAG_STEPS, self.lag.expand(count, 1, -1))
        lag = torch.cat([lag, self._within_blocks(iq)], dim=1)
        return time.clamp(max=4.2), frequency, lag, self._histograms(turns, size, loud)

    def _boxed(self, raw: Pair, loud: torch.Tensor) -> Pair:
        """Return the signal within its box, of about unit power where it is not padding."""
        re, im = self.transform(*raw)
        # The transform backwards is the conjugate of that of the conjugate.
        re, im = self.transform(re * self.passing, -im * self.passing)
        re, im = re / self.length, -im / self.length
        there = (loud > 1e-6).float().sum(-1, keepdim=True) + 1
        level = torch.sqrt((re * re + im * im).sum(-1, keepdim=True) / there + 1e-9)
        return re / level, im / level

    @staticmethod
    def _correlation(power: torch.Tensor, transform: Spectrum) -> torch.Tensor:
        """Return the magnitude of the correlation with itself of what has such a power spectrum, up to half a chunk."""
        re, im = transform(power, torch.zeros_like(power))
        half = power.shape[-1] // 2
        re, im = re[..., :half] / (2 * half), im[..., :half] / (2 * half)
        return torch.sqrt(re * re + im * im + 1e-12)

    def _within_blocks(self, iq: torch.Tensor) -> torch.Tensor:
        size = self.length // _BLOCKS
        blocks = functional.pad(iq.reshape(-1, 2, _BLOCKS, size), (0, size))
        re, im = self.of_block(blocks[:, 0], blocks[:, 1])
        power = re * re + im * im
        found = self._correlation(power, self.of_block).mean(1, keepdim=True)
        return (found / (power.mean((1, 2)).reshape(-1, 1, 1) + 1e-9) * 12).clamp(max=6)

    def _histograms(self, turns: dict[int, Pair], size: torch.Tensor, loud: torch.Tensor) -> torch.Tensor:
        half = self.length // 2
        long = [_directions(turns[4], 2, half), _directions(turns[8], 2, half)]
        for amplitude in (size, loud):
            theta = amplitude[:, ::2].clamp(max=2.4) * (2 * math.pi / _AMPLITUDES)
            long.append((torch.cos(theta), torch.sin(theta), torch.ones_like(theta)))
        short = [_directions(turns[2], 8, half // 4), _directions(turns[4], 16, half // 4)]
        a, b = self._moments(short), self._moments(long)
        found = torch.stack([a[:, 0], b[:, 0], a[:, 1], b[:, 1], b[:, 2], b[:, 3]], dim=1)
        return found @ self.smooth

    @staticmethod
    def _moments(kinds: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """Return weighted means of cos(k x) and sin(k x), k from 1: [N, kinds, 2 harmonics]."""
        c, s, weight = (torch.stack(part, dim=1) for part in zip(*kinds, strict=True))
        twice = 2 * c.unsqueeze(2)
        size = (c * c + s * s).unsqueeze(2)  # 1, but for zeros
        # z^(k + 1) = 2 Re(z) z^k - |z|^2 z^(k - 1).
        before = torch.stack([torch.ones_like(c), torch.zeros_like(c)], dim=2)
        now = torch.stack([c, s], dim=2)
        every = [now]
        for _ in range(_HARMONICS - 1):
            before, now = now, twice * now - size * before
            every.append(now)
        series = torch.stack(every, dim=3).flatten(2, 3)
        means = (series @ weight.unsqueeze(-1)).squeeze(-1)
        return means / (weight.sum(-1, keepdim=True) + 1e-6)


def _softened(turn: Pair, lag: int) -> Pair:
    """Return products of samples with the root of their magnitude, as many as there are samples."""
    size = torch.sqrt(turn[0] * turn[0] + turn[1] * turn[1] + _SMALL)
    weight = torch.sqrt(size).clamp(max=3) / size
    return functional.pad(turn[0] * weight, (lag, 0)), functional.pad(turn[1] * weight, (lag, 0))


def _directions(turn: Pair, places: int, length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return cosine and sine of what the phase turns by, averaged over places, and weights: float32 [N, length]."""
    re, im = (functional.avg_pool1d(part.unsqueeze(1), places).squeeze(1) for part in turn)
    size = torch.sqrt(re * re + im * im + _SMALL)
    weight = torch.sqrt(size).clamp(max=2)
    missing = (0, length - re.shape[-1])
    return tuple(functional.pad(part, missing) for part in (re / size, im / size, weight))  # type: ignore[return-value]


def _largest_and_mean(rows: torch.Tensor, places: int, where: torch.Tensor) -> torch.Tensor:
    return torch.cat([functional.max_pool1d(rows, places), functional.avg_pool1d(rows, places), where], dim=1)


class _Circle(nn.Module):
    """Closes what lies around a circle, for a convolution of five places."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[..., -2:], x, x[..., :2]], dim=-1)


def _tower(channels: int, widths: Sequence[int], around: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number, width in enumerate(widths):
        stride = 1 if around or number == 3 else 2
        # Of two axes, the first of one place: on a CPU, torch trains these faster.
        if around:
            layers.append(_Circle())
        padding = (0, 0 if around else 2)
        layers += [
            nn.Conv2d(channels, width, (1, 5), (1, stride), padding, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        channels = width
    return nn.Sequential(*layers)


class FamilyNet(nn.Module):
    """Convolutions over time, frequency, lag and phase; of each the mean and the largest over all places; two layers.

    Args:
        outputs: number of outputs.
        length: samples (L).
        time_widths, frequency_widths, lag_widths: channels of the convolutions, of which all but a fourth halve the
            places.
        phase_widths: channels of those around the circle.
        hidden: width of the layer before the last.
    """

    def __init__(
        self,
        outputs: int,
        length: int = 4096,
        time_widths: Sequence[int] = (16, 24, 32, 36),
        frequency_widths: Sequence[int] = (20, 28, 36, 40),
        lag_widths: Sequence[int] = (16, 24, 28, 32),
        phase_widths: Sequence[int] = (16, 24),
        hidden: int = 64,
    ) -> None:
        super().__init__()
        self.front = FamilyFront(length)
        widths = (time_widths, frequency_widths, lag_widths, phase_widths)
        self.time = _tower(self.front.time_rows, time_widths)
        self.frequency = _tower(self.front.frequency_rows, frequency_widths)
        self.lag = _tower(self.front.lag_rows, lag_widths)
        self.phase = _tower(self.front.phase_rows, phase_widths, around=True)
        self.drop = nn.Dropout(0.1)
        self.hidden = nn.Linear(2 * sum(each[-1] for each in widths), hidden)
        self.output = nn.Linear(hidden, outputs)

    def body(self, *seen: torch.Tensor) -> torch.Tensor:
        """Return logits float32 [N, outputs] of what `front` gives."""
        pooled = []
        for tower, rows in zip((self.time, self.frequency, self.lag, self.phase), seen, strict=True):
            x = rows.unsqueeze(2)
            if self.training:
                x = x.to(memory_format=torch.channels_last)
            x = tower(x)
            pooled += [x.mean((2, 3)), x.amax((2, 3))]
        return self.output(self.drop(torch.relu(self.hidden(torch.cat(pooled, dim=1)))))

    def forward(self, iq: torch.Tensor) -> torch.Tensor:
        """float32 [N, 2, L] of unit RMS outside its padding -> logits float32 [N, outputs]."""
        with torch.no_grad():
            seen = self.front(iq)
        return self.body(*seen)

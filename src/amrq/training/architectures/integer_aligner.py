# SPDX-License-Identifier: GPL-3.0-or-later
"""The integer phase aligner as a network: whole numbers in floating point, exact in PyTorch and ONNX Runtime."""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from amrq.hardware import GRIDS, POWERS, aligner_tables

__all__ = ["IntegerPhaseAligner"]

_FROM_GRID = slice(GRIDS[0].copy, GRIDS[-1].copy + 1)


def _down(x: torch.Tensor, shift: int) -> torch.Tensor:
    """Return x / 2^shift, rounded down."""
    return torch.floor(x * 2.0**-shift)


def _rounded(x: torch.Tensor, shift: int) -> torch.Tensor:
    """Return x / 2^shift, rounded half up."""
    return torch.floor(x * 2.0**-shift + 0.5)


def _wrapped(x: torch.Tensor, size: int) -> torch.Tensor:
    """Return x modulo `size`."""
    return x - size * torch.floor(x * (1.0 / size))


class IntegerPhaseAligner(nn.Module):
    """What `amrq.hardware.IntegerAligner` defines, with the outputs of `PhaseAligner`.

    Every number is a whole one below 2^24 in float32, or below 2^53 in the few float64, times a power of two: no
    operation rounds but those that are meant to, so that the order of sums does not matter. Nothing here is trained.
    """

    level: torch.Tensor
    rows: torch.Tensor
    unit: torch.Tensor
    near: torch.Tensor
    gain: torch.Tensor

    integer_aligner = True
    """What `export` notes in the file's metadata."""

    step = 2.0**-5
    """Of which all outputs are multiples."""

    copies = len(POWERS)
    channels = 2 * len(POWERS) + 3
    summaries = len(POWERS) + len(GRIDS)

    def __init__(self) -> None:
        super().__init__()
        tables = aligner_tables()
        # The shifts that follow are in the tables, where they cost nothing.
        columns = [tables.shrink[:, None] * 2.0**-9, tables.weights, tables.magnitude[:, None] * 2.0**-5]
        unit = np.stack([tables.cosine, tables.sine], axis=1)
        bits, halvings, powers = np.arange(17), np.arange(5), np.array(POWERS)
        for name, values in (
            ("level", tables.level),
            ("rows", np.concatenate(columns, axis=1)),
            ("unit", unit),
            ("bits", 2.0 ** np.arange(16)),
            ("block_scale", 2.0 ** (11 - bits)),
            ("levels", 2.0 ** np.arange(18, 26, 2)),
            ("level_scale", np.stack([2.0 ** -(10 + 2 * halvings), 2.0 ** -(10.0 + halvings)], axis=1)),
            ("before_root", (powers // 2)[None]),
            ("root", (1 / powers)[None]),
            ("after_root", (2**14 / powers)[None]),
            ("reach", [[2 * len(grid.thresholds) + 1] for grid in GRIDS]),
            ("points_power", [[grid.points_power for grid in GRIDS]]),
        ):
            self._table(name, np.asarray(values, np.float64))
        # Half as many steps as a coordinate has; no whole number comes so near to a threshold that this rounds over it.
        near = torch.tensor([[grid.points_power**0.5 * 2.0**-10] for grid in GRIDS])
        self.register_buffer("near", near, persistent=False)
        self.register_buffer(
            "gain", torch.tensor([[grid.gain for grid in GRIDS]], dtype=torch.float64), persistent=False
        )

    def _table(self, name: str, values: NDArray[np.float64]) -> None:
        table = torch.from_numpy(values).float()
        assert np.array_equal(table.double().numpy(), values)
        self.register_buffer(name, table, persistent=False)

    def _get(self, name: str) -> torch.Tensor:
        return cast(torch.Tensor, getattr(self, name))

    def _levelled(self, iq: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.round(iq * 4096).clamp(-32768, 32767)
        largest = x.abs().amax(dim=2).amax(dim=1, keepdim=True)
        used = (largest >= self._get("bits")[None]).float().sum(dim=1)
        block = _rounded(x * self._get("block_scale")[used.long()][:, None, None], 0)
        re, im = block[:, 0], block[:, 1]
        power = _down(re * re + im * im, 4).sum(dim=1)
        halvings = (power[:, None] >= self._get("levels")[None]).float().sum(dim=1)
        scales = self._get("level_scale")[halvings.long()]
        gain = self.level[torch.floor(power * scales[:, 0]).long()] * scales[:, 1]
        z = _rounded(block * gain[:, None, None], 0)
        return z[:, 0], z[:, 1]

    def _sums(self, re: torch.Tensor, im: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the weighted sums of the powers' phases [N, copies], both parts, and the magnitude [N, 1, L]."""
        re2, im2 = re * re, im * im
        squared = re2 + im2
        row = torch.where(
            squared < 2**14,
            _down(squared, 7),
            torch.where(squared < 2**20, _down(squared, 12) + 128, _down(squared, 17) + 384),
        )
        found = self.rows[row.long()].transpose(1, 2)
        shrink, weights, magnitude = found[:, :1], found[:, 1:-1], found[:, -1:]
        c = torch.floor(_down(re2 - im2, 8)[:, None] * shrink)
        s = torch.floor(_down(re * im, 7)[:, None] * shrink)
        of_power = {2: (c, s)}
        for power in (4, 8, 16):
            c, s = _down(c * c - s * s, 11), _down(c * s, 10)
            of_power[power] = c, s
        cosines, sines = (torch.cat([of_power[p][part] for p in POWERS], dim=1) for part in (0, 1))
        return (weights * cosines).sum(dim=2), (weights * sines).sum(dim=2), magnitude

    def _unit(self, angle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        place = _wrapped(_down(angle + 32, 6), 1024)
        found = self.unit[place.long()]
        return found[..., 0], found[..., 1]

    def _nearest(self, x: torch.Tensor) -> torch.Tensor:
        """Return the nearest odd multiples of the grids' steps: [N, 2, grids, L]."""
        reach = self._get("reach")
        multiple = 2 * torch.floor(x * self.near) + 1
        return torch.minimum(torch.maximum(multiple, -reach), reach)

    def _fitted(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Fit copies [N, 2, grids, L] to their grids, twice; return them and the misfit [N, grids]."""
        misfit = z[:, 0, :, 0]
        for number in range(2):
            near = self._nearest(z)
            products = near * z
            c = (products[:, 0] + products[:, 1]).sum(dim=2)
            s = (near[:, 1] * z[:, 0] - near[:, 0] * z[:, 1]).sum(dim=2)
            near_power = (near * near).sum(dim=3).sum(dim=1).double()
            size, angle = _cordic(c, s)
            magnitude = size.double()
            ratio = torch.floor(magnitude * 64 / near_power)
            gain = torch.floor(self.gain / ratio.clamp(min=1)).clamp(1024, 4095).float()
            if number == 1:
                power = (z * z).double().sum(dim=3).sum(dim=1)
                explained = torch.floor(torch.floor(magnitude * ratio / 256) * 3021 / 2048)
                left = (power - explained).clamp(min=0) * self._get("points_power").double()
                misfit = torch.floor(left * 2.0**-18 + 0.5).clamp(max=255).float()
            cosine, sine = self._unit(angle)
            c, s = _down(cosine * gain, 11)[:, :, None], _down(sine * gain, 11)[:, :, None]
            re, im = z[:, 0], z[:, 1]
            z = _rounded(torch.stack([re * c - im * s, re * s + im * c], dim=1), 11)
        return z, misfit

    def forward(self, iq: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Align chunks.

        Args:
            iq: float32 [N, 2, 32], unit RMS.

        Returns:
            float32 [N, channels, 32], of the copies magnitudes of I and Q, and float32 [N, summaries], all of them
            multiples of 2^-5.
        """
        re, im = self._levelled(iq)
        sum_c, sum_s, magnitude = self._sums(re, im)
        size, angle = _cordic(_rounded(sum_c, 7), _rounded(sum_s, 7))
        agreement = _rounded(size * 39, 14).clamp(max=255)
        second = angle[:, :1]
        relative = _wrapped(angle - second * self._get("before_root") + 2**14, 2**16) - 2**15
        phase = _down(second, 1) + torch.floor(relative * self._get("root")) + self._get("after_root")
        cosine, sine = self._unit(phase)
        x, y, c, s = re[:, None], im[:, None], cosine[:, :, None], sine[:, :, None]
        turned = _rounded(torch.stack([x * c + y * s, y * c - x * s], dim=1), 11)
        fitted, misfit = self._fitted(turned[:, :, _FROM_GRID])
        turned = torch.cat([turned[:, :, : _FROM_GRID.start], fitted, turned[:, :, _FROM_GRID.stop :]], dim=2)
        folded = _rounded(turned.abs(), 4).clamp(max=127).flatten(1, 2)

        re_before = torch.cat([re[:, -1:], re[:, :-1]], dim=1)
        im_before = torch.cat([im[:, -1:], im[:, :-1]], dim=1)
        step = torch.stack([re * re_before + im * im_before, im * re_before - re * im_before], dim=1)
        step = _rounded(step, 13).clamp(-128, 127)
        features = torch.cat([torch.cat([folded, step], dim=1) * 2.0**-5, magnitude], dim=1)
        return features, torch.cat([agreement, misfit], dim=1) * 2.0**-5


def _cordic(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return magnitude and angle: see `amrq.hardware.rotate_to_axis`."""
    sign = torch.where(x < 0, -1.0, 1.0)
    x, y, angle = x * sign, y * sign, (1 - sign) * 2.0**14
    for i, step in enumerate(aligner_tables().arctangents.tolist()):
        sign = torch.where(y < 0, -1.0, 1.0)
        x, y = x + _down(y, i) * sign, y - _down(x, i) * sign
        angle = angle + sign * float(step)
    return x, _wrapped(angle + 2**15, 2**16) - 2**15

# SPDX-License-Identifier: GPL-3.0-or-later
"""A signal's pulse and place in its channel, and its Es/N0, from the spectrum.

The spectra of the last blocks are averaged (Welch 1967) and compared with those of pulses of many roll-offs, places and
noise levels, by Whittle's likelihood (P. Whittle, "Estimation and information in stationary time series", Ark. Mat. 2,
1953): each bin is exponentially distributed about what the model says. The likeliest gives the matched filter. The
noise density is read beside the signal, where the floor is flat there.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from amrq.measure import USUAL_ROLLOFF
from amrq.native import (
    FollowNow,
    PlaceModel,
    PulseChoice,
    PulseKinds,
    SpectrumLimits,
    SpectrumNow,
    SpectrumRun,
    kernels,
)
from amrq.receive.channel import BINS
from amrq.receive.following import Middle, Path
from amrq.receive.pulse_shapes import (
    BIN_STEP,
    CELL,
    RECTANGULAR,
    Pulse,
    around,
    edges,
    finer,
    finer_noises,
    matched,
    models,
)

__all__ = ["FIRST_PULSE", "Pulse", "PulseFinder"]

_RARE = 10.0  # log likelihood by which such a pulse must be likelier than another
_RARE_BLOCKS = (5, 32)  # in the average, at least, and since a signal began, at most, where that is asked
_RARE_TRIED = 3  # likeliest pulses of either kind that are compared, at finer levels
_FIT_TO = 1.4  # symbol rates from the middle: as far as models are compared
_MEMORY = 12  # blocks in the average
FIRST_PULSE = 4
"""Blocks before a first answer."""
_OFTEN, _NOISE_OFTEN = 8, 2  # blocks from one comparison, or measurement, to the next after that
_LOOKED_AT = 32  # blocks whose places are found at a time
_CHANGE = 2.0  # of the power from which on it is another signal
_SURE = 12.0  # log likelihood by which a pulse must be likelier than noise
_BETTER = 3.0  # by which another must be likelier than the present one
_RISE = 2.0  # power over the least nearer the middle from which on it is another signal's
_INNER = 0.55  # symbol rates within which that is not asked

_EDGE = 0.45  # of the sample rate: beyond, a radio's filter falls off
_GUARD = 0.1  # symbol rates between a signal's edge and what is taken for noise
_LARGE, _SEEN_TO = 0.6, 1.7  # roll-off that is told from a rectangular pulse if so many symbol rates are seen
_LEAST_CELLS = 3  # on a side: on one side alone nobody sees whether the floor is flat
_FLAT_DB = 1.5  # between the floors on either side, near and further off
_FLAT_NOISE_DB = 20.0  # more, for one independent bin: what 4 medians differ by
_MOST_POWER = np.float32(1e36)  # of a bin; more would leave the range of float32
_HANN = 1.5  # power of white noise after [-1/2, 1, -1/2]
_INDEPENDENT = 0.53  # of the bins: the Hann window correlates neighbours


def _median(values: NDArray[np.float64]) -> float:
    return float(np.partition(values, len(values) // 2)[len(values) // 2])


class _Places(NamedTuple):
    """What a block's spectrum is compared with, to find its place."""

    bins: slice  # of the channel's spectrum, its middle in the middle
    first: float  # place, bins from the channel's middle
    inverse: NDArray[np.float32]  # [places, bins], of the spectrum there, times the weight
    log: NDArray[np.float32]  # [places], sum of the spectrum's logarithm
    weight: NDArray[np.float32]  # [bins], of unit sum, 0 where another signal is
    bins_compared: float  # bins that are compared


class _Middles:
    """The places of blocks' spectra, by a pulse that is known.

    Args:
        powers: float32 [b, BINS], of the blocks.
    """

    def __init__(self, powers: NDArray[np.float32]) -> None:
        self._powers = powers
        self._found: list[list[float]] = []  # of the blocks from `first` on
        self._first, self._model = 0, cast(_Places | None, None)

    def of(self, number: int, model: _Places | None) -> Middle | None:
        """Return the place of a block's spectrum; None for no signal."""
        if model is None:
            return None
        if model is not self._model or not 0 <= number - self._first < len(self._found):
            self._first, self._model = number, model
            self._found = self._compared(self._powers[number : number + _LOOKED_AT], model)
        place, low, mid, high, noise = self._found[number - self._first]
        inside = 0 < place < len(model.log) - 1
        if not (inside and (mid - noise) * _INDEPENDENT > _SURE):
            return None
        bend = 2 * mid - low - high
        return Middle(
            model.first + BIN_STEP * (place + 0.5 * (high - low) / bend),
            BIN_STEP / math.sqrt(bend * _INDEPENDENT),
        )

    @staticmethod
    def _compared(powers: NDArray[np.float32], model: _Places) -> list[list[float]]:
        """Return of each block the likeliest place, the log likelihood before it, there and after it, and of noise."""
        native = kernels()
        if native is not None:
            first = model.bins.start
            found = native.pulse_places(
                powers, first, model.inverse, model.log, model.weight, model.bins_compared
            )
            return found.tolist()
        lines = []
        for power in powers:
            near = power[model.bins]
            with np.errstate(divide="ignore"):
                likelihood = -model.bins_compared * np.log(model.inverse @ near) - model.log
            peak = int(likelihood.argmax())
            noise = -model.bins_compared * math.log(max(float(near @ model.weight), 1e-37))
            around = np.clip([peak - 1, peak, peak + 1], 0, len(likelihood) - 1)
            lines.append([float(peak), *likelihood[around].tolist(), noise])
        return lines


class PulseFinder:
    """Find the pulse of a channel's signal, block by block.

    Args:
        samples_per_symbol: of the input: half of it is what the channel can hold.
        bins_per_symbol_rate: of the channel's spectra.
        rolloff: that is given; None: to be found.
    """

    def __init__(
        self, samples_per_symbol: float, bins_per_symbol_rate: float, rolloff: float | None = None
    ) -> None:
        self._bins = bins_per_symbol_rate
        widest = min(samples_per_symbol / 2, BINS / 2 / bins_per_symbol_rate) - 2 / bins_per_symbol_rate
        self._widest, self._flat_to = widest, min(_EDGE * samples_per_symbol, widest)
        side = int(widest / CELL - 0.5)
        borders = (np.arange(-side, side + 2) - 0.5) * CELL * bins_per_symbol_rate + BINS // 2
        self._edges = np.ceil(borders).astype(np.int64)
        self._frequency = np.arange(-side, side + 1) * CELL
        self._given = rolloff
        self._default = Pulse(USUAL_ROLLOFF if rolloff is None else rolloff)
        self._part = np.abs(self._frequency) < _FIT_TO
        self._side = int(np.sum(self._part)) // 2
        self._models = models(rolloff, self._side)
        self._usual = np.array(
            [n for n, one in enumerate(self._models.pulses) if one[::2] == self._default[::2]]
        )
        self._limits = SpectrumLimits(
            *(1 - 1 / _MEMORY, _CHANGE, _FLAT_DB, _FLAT_NOISE_DB, CELL * self._bins * _INDEPENDENT, _HANN),
            *(FIRST_PULSE, _MEMORY, _OFTEN, _NOISE_OFTEN),
        )
        self.set_zero(math.inf)
        self.reset()

    def reset(self) -> None:
        """Begin a stream."""
        self._average = np.zeros(len(self._frequency))
        self._blocks = 0.0
        self._seen = 0
        self._fresh = 0  # blocks since a signal began
        self._early: list[NDArray[np.float32]] = []  # spectra of the first blocks
        self._whole = False
        self.likelihood = 0.0
        """Log likelihood ratio of the pulse over noise, when it was last looked at."""
        self._weak = 0  # blocks in which there was much less power than before
        self._places: _Places | None = None
        self._places_of: tuple[Pulse, int, bytes] | None = None
        self._levels: dict[int, _Places] = {}  # the same pulse and weights, by level
        # For the compiled kernel, with what they were made of:
        self._chosen: tuple[tuple[bytes, int, bool], PulseChoice] | None = None
        self._model: tuple[_Places, int, PlaceModel] | None = None
        # Weights of cells, and of models' spectra the sum of the logarithms and the geometric mean.
        self._logs: tuple[bytes, NDArray[np.float32], NDArray[np.float32]] | None = None
        self.pulse = self._default
        """The pulse of the last block."""
        self.found = False
        """Whether it was found; otherwise it is a default."""
        self.noise = math.nan
        """Mean power of the noise in a bin, by what is beside the signal; NaN where it is not known."""

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied: addresses for the compiled kernel are not."""
        return {**self.__dict__, "_chosen": None, "_model": None}

    def set_zero(self, place: float) -> None:
        """Say where in the channel the band's 0 Hz is, in symbol rates: a radio leaves a line of its own there."""
        self._line = np.abs(self._frequency - place) < CELL
        self._views: dict[Pulse, list[NDArray[np.intp]]] = {}

    def response(self, pulse: Pulse) -> NDArray[np.float32]:
        """Return the response of the filter matched to a pulse, float32 [BINS], of unit gain in its middle."""
        return matched(pulse, self._bins)

    def edges(self, pulse: Pulse) -> NDArray[np.float32]:
        """Return the response of a filter whose output's squared envelope has the clearest line at the symbol rate.

        The line comes from pairs of frequencies a symbol rate apart, that is from the edges of the band: what lies
        between them adds noise only. In white noise the best weight of a pair is the product of the pulse's spectrum
        at both; for a root raised cosine that is the cosine over the roll-off (float32 [BINS]).
        """
        return self.response(pulse) if pulse.rolloff == RECTANGULAR else edges(pulse, self._bins)

    @property
    def ready(self) -> bool:
        """Whether enough blocks have been seen."""
        return self._seen >= FIRST_PULSE

    def process(
        self,
        spectra: NDArray[np.complex64],
        take: Callable[[Middle | None], bool],
        path: Path | None = None,
    ) -> list[tuple[Pulse, float]]:
        """Take blocks' spectra, complex64 [b, BINS]; return pulse and `noise` of each, by the blocks so far.

        Args:
            spectra: of blocks.
            take: called with the place of each block's spectrum; where it returns True, no further block is taken.
            path: that `take` goes on with; where the signal stands still in it, compiled code takes blocks together.
        """
        fine, cells = self._powers(spectra)
        found: list[tuple[Pulse, float]] = []
        middles, totals = _Middles(fine), cells.sum(axis=1).tolist()
        number, looked = 0, False
        while number < len(cells):
            if path is not None and path.is_still:
                number, looked = self._run(number, (fine, cells), path, found)
            if number == len(cells) and not looked:
                break
            if not looked:
                self._average_in(cells[number], totals[number])
                found.append((self.pulse, self.noise))
                if self._seen < FIRST_PULSE:
                    self._early.append(fine[number])
                number += 1
            looked = False
            if take(middles.of(number - 1, self._places)):
                break
        return found

    def _run(
        self,
        first: int,
        spectra: tuple[NDArray[np.float32], NDArray[np.float64]],
        path: Path,
        found: list[tuple[Pulse, float]],
    ) -> tuple[int, bool]:
        """Take blocks from `first` on, while they show what is known; none without compiled kernels.

        Args:
            first: number of the first block.
            spectra: powers of bins and of cells, [b, BINS] and [b, cells].
            path: that is gone on with.
            found: pulses and noise, added to.

        Returns:
            the number of the next block, and whether the signal may move after the last one: it is left to `take`.
        """
        native = kernels()
        if native is None:
            return first, False
        fine, cells = spectra
        noise = -1.0 if math.isnan(self.noise) else self.noise
        level = 0 if self._places is None or self._places_of is None else self._places_of[1]
        now = SpectrumNow(
            *(self._blocks, noise, self.likelihood, self._seen, self._fresh, self._weak, level),
        )
        follow = FollowNow(*path.history)
        run = SpectrumRun(now, self._limits, self._choice(), self._place_model(), follow)
        noises = native.spectrum_run(fine[first:], cells[first:], self._average, run, self._sides())
        count, early = len(noises), max(0, FIRST_PULSE - 1 - self._seen)
        self._blocks, self._seen, self._fresh, self._weak = now.blocks, now.seen, now.fresh, now.weak
        self.noise, self.likelihood = (math.nan if now.noise < 0 else now.noise), now.likelihood
        if self._places is not None and now.level != level:
            assert self._places_of is not None
            self._places = self._levels[now.level]
            self._places_of = (self._places_of[0], now.level, self._places_of[2])
        self._early += list(fine[first : first + min(count, early)])
        found += [(self.pulse, math.nan if one < 0 else one) for one in noises.tolist()]
        places, deviations = follow.taken
        looked = bool(follow.look)
        path.go_on(places[: count - looked].tolist(), deviations[: count - looked].tolist())
        return first + count, looked

    def _choice(self) -> PulseChoice:
        """Return what a pulse is chosen from, and what was chosen last, for the compiled kernel."""
        if self._logs is None:
            return PulseChoice()
        known = self.found and self._places is not None
        present = self._models.numbers.get(self.pulse, -1) if known else -1
        if self._chosen is None or self._chosen[0] != (self._logs[0], present, self._whole):
            rare = (float(_RARE_BLOCKS[0]), _RARE_BLOCKS[1] if len(self._models.kinds[1]) else -1)
            choice = PulseChoice.of(
                (np.frombuffer(self._logs[0], np.float32), self._models.inverse, self._logs[2]),
                (np.flatnonzero(self._part)[0], np.abs(self._frequency[self._part])),
                PulseKinds(self._models.wholes, self._whole, _RARE, self._models.spectra, finer_noises()),
                (present, *rare),
                (_SURE, _BETTER, _RISE, _INNER),
            )
            self._chosen = ((self._logs[0], present, self._whole), choice)
        return self._chosen[1]

    def _place_model(self) -> PlaceModel:
        """Return what tells the place of a block's spectrum, for the compiled kernel."""
        one = self._places
        if one is None:
            return PlaceModel()
        tables = {level: (known.inverse, known.log) for level, known in self._levels.items()}
        if self._model is None or self._model[0] is not one or self._model[1] != len(tables):
            limits = (one.bins_compared, one.first, _INDEPENDENT, _SURE)
            made = PlaceModel.of(tables, one.weight, (BINS, one.bins.start, BIN_STEP), limits)
            self._model = (one, len(tables), made)
        return self._model[2]

    def _average_in(self, block: NDArray[np.float64], total: float) -> None:
        """Take one block into the average, choose a pulse and measure the noise where it is time."""
        keep = 1 - 1 / _MEMORY
        mean = float(self._average.sum()) / max(self._blocks, 1.0)
        if total > _CHANGE * mean:
            self._fresh = 0  # a signal begins
        self._weak = self._weak + 1 if total * _CHANGE < mean else 0
        if self._weak == FIRST_PULSE:  # a signal has ended: another may be weaker
            self._average, self._blocks, self._fresh = np.zeros(len(block)), 0.0, 0
        self._average = keep * self._average + block
        self._blocks = keep * self._blocks + 1
        self._seen += 1
        self._fresh += 1
        # Often at first, then now and then.
        soon = self._fresh <= _MEMORY and self._seen >= FIRST_PULSE
        if soon or self._seen % _OFTEN == 0:
            self._choose()
        if soon or self._seen % _NOISE_OFTEN == 0:
            self.noise = self._measure()

    def _powers(self, spectra: NDArray[np.complex64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the power of spectra, lowest frequency first, float32 [b, BINS], and its means over cells, float64."""
        native = kernels()
        if native is not None:
            return native.hann_powers(spectra, self._edges, float(_MOST_POWER))
        # A Hann window, as a product with [-1/4, 1/2, -1/4] in frequency.
        shifted = np.concatenate((spectra[:, BINS // 2 :], spectra[:, : BINS // 2]), axis=1)
        smooth = np.zeros(shifted.shape, np.complex64)
        smooth[:, 1:-1] = shifted[:, 1:-1] - np.float32(0.5) * (shifted[:, :-2] + shifted[:, 2:])
        with np.errstate(over="ignore"):
            power = np.fmin(smooth.real**2 + smooth.imag**2, _MOST_POWER)
        cells = np.add.reduceat(power.astype(np.float64), self._edges, axis=1)[:, :-1]
        return power, cells / np.diff(self._edges)

    def early_middles(self) -> list[Middle | None]:
        """Return the places of the spectra of the first 3 blocks, now that a pulse is known."""
        middles = _Middles(np.array(self._early, np.float32).reshape(-1, BINS))
        return [middles.of(number, self._places) for number in range(len(self._early))]

    def _model_places(self, pulse: Pulse, level: int, weight: NDArray[np.float32]) -> None:
        """Prepare `_Middles`: the pulse at places around its own, in noise of one of the levels.

        Args:
            pulse: that was found.
            level: number of the level.
            weight: float32 [cells], see `_alone`.
        """
        known = (pulse, level, weight.tobytes())
        if known == self._places_of:
            return
        if self._places_of is None or known[::2] != self._places_of[::2]:
            self._levels = {}
        self._places_of = known
        bins, first, inverse, log = around(pulse, self._bins, level)
        frequency = (np.arange(BINS)[bins] - BINS // 2) / self._bins
        cell = np.rint(frequency / CELL).astype(np.intp) - round(self._frequency[self._part][0] / CELL)
        there = (cell >= 0) & (cell < len(weight))
        used = np.where(there, weight[np.clip(cell, 0, len(weight) - 1)], np.float32(0))
        count = float(used.sum())
        self._places = _Places(bins, first, inverse * (used / count), log @ used, used / count, count)
        self._levels[level] = self._places

    def _measure(self) -> float:
        """Return the noise's mean power in a bin by what is beside the signal; NaN where it does not show."""
        sides = self._sides()
        if not sides:
            return math.nan
        # Flat on both sides, and no other towards the signal than further off.
        floors = [_median(self._average[cells]) for cells in sides]
        independent = min(map(len, sides)) * self._blocks * CELL * self._bins * _INDEPENDENT
        uneven = _FLAT_DB + _FLAT_NOISE_DB / math.sqrt(independent)
        if min(floors) <= 0 or 10 * math.log10(max(floors) / min(floors)) > uneven:
            return math.nan
        return (floors[0] + floors[1]) / 2 / self._blocks / _HANN

    def _sides(self) -> list[NDArray[np.intp]]:
        """Return the cells of noise beside the present pulse, see `_view`."""
        if self.pulse not in self._views:
            self._views[self.pulse] = self._view(self.pulse)
        return self._views[self.pulse]

    def _view(self, pulse: Pulse) -> list[NDArray[np.intp]]:
        """Return the cells of noise on either side of a pulse, and the nearer ones of them; none: too few.

        What a rectangular pulse leaves beside its main lobe is no noise. At few samples a symbol it may be taken for a
        pulse of large roll-off.
        """
        if pulse.rolloff == RECTANGULAR or (pulse.rolloff > _LARGE and self._widest < _SEEN_TO):
            return []
        away, half = self._frequency - pulse.place, (1 + pulse.rolloff) / 2
        beside = (np.abs(away) > half + _GUARD) & (np.abs(self._frequency) <= self._flat_to) & ~self._line
        sides = [np.flatnonzero(beside & side) for side in (away < 0, away > 0)]
        for side in sides[:2]:
            sides.append(side[np.argsort(np.abs(away[side]))[: max(_LEAST_CELLS, len(side) // 4)]])
        seen = abs(pulse.place) + half <= self._widest and min(map(len, sides)) >= _LEAST_CELLS
        return sides if seen else []

    def _choose(self) -> None:
        power = self._average[self._part]
        frequency = self._frequency[self._part]
        total = float(power.sum())
        if not total > 0:
            return
        weight = self._alone(power, frequency)
        count = float(weight.sum())
        power = (power / total).astype(np.float32)
        whole = weight.tobytes()
        if self._logs is None or self._logs[0] != whole:
            logs = self._models.log @ weight
            self._logs = (whole, logs, np.exp(logs / np.float32(count)))
        likelihood, levels = self._compared(power * weight, count)
        noise = -count * math.log(float(power @ weight) / count)
        freedom = self._blocks * CELL * self._bins * _INDEPENDENT
        best = likelihood * freedom
        whole_pulse = self._is_whole(best, levels, (power, weight), freedom)
        best[self._models.kinds[0 if whole_pulse else 1]] = -math.inf
        first = int(best.argmax())
        self.likelihood = float(best[first]) - noise * freedom
        if self.likelihood < _SURE:
            self._places = self._places_of = None
            return
        present = self._models.numbers.get(self.pulse) if self.found else None
        if present is not None:
            if best[first] - best[present] < _BETTER:
                first = present
        else:
            likeliest = int(self._usual[best[self._usual].argmax()])
            if best[first] - best[likeliest] < _BETTER:
                first = likeliest
        self.pulse, self.found = self._models.pulses[first], True
        self._model_places(self.pulse, int(levels[first]), weight)

    def _compared(
        self, power: NDArray[np.float32], counted: float
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the log likelihood of each pulse, a bin, at its likeliest level, [pulses], and that level's number.

        Args:
            power: of cells, weighed, float32 [cells].
            counted: cells that count.
        """
        assert self._logs is not None
        _, logs, means = self._logs
        native = kernels()
        if native is not None:
            found, levels = native.pulse_likelihoods(power, self._models.inverse, means, counted)
            return found.astype(np.float64), levels
        likelihood = -counted * np.log(power @ self._models.inverse / counted) - logs
        return likelihood.max(axis=0).astype(np.float64), likelihood.argmax(axis=0)

    def _is_whole(
        self,
        best: NDArray[np.float64],
        levels: NDArray[np.int64],
        spectrum: tuple[NDArray[np.float32], NDArray[np.float32]],
        freedom: float,
    ) -> bool:
        """Return whether the pulse is a raised cosine, not the root of one.

        Args:
            best: float64 [pulses], log likelihood.
            levels: int64 [pulses], number of the level at which each is likeliest.
            spectrum: power and weight of cells, float32 [cells] each.
            freedom: independent bins of a cell.
        """
        if not (
            len(self._models.kinds[1]) and self._blocks >= _RARE_BLOCKS[0] and self._fresh <= _RARE_BLOCKS[1]
        ):
            return self._whole
        power, weight = spectrum
        weighed, count = power * weight, float(weight.sum())
        reached = []
        for tried in self._models.kinds:
            tries = []
            for one in tried[np.argsort(best[tried])[-_RARE_TRIED:]].tolist():
                inverse, log = finer(self._models.pulses[one], int(levels[one]), self._side)
                scale = inverse @ weighed / count
                tries.append(float((-count * np.log(scale) - log @ weight).max()) * freedom)
            reached.append(max(tries))
        more = reached[1] - reached[0]
        self._whole = more > 0 if self._whole else more > _RARE
        return self._whole

    def _alone(self, power: NDArray[np.float64], frequency: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return 1 for the cells that hold the signal or noise, 0 where another signal begins, float32 [cells]."""
        weight = np.ones(len(power), np.float32)
        smooth = np.convolve(power, [0.25, 0.5, 0.25], "same")
        middle = len(power) // 2
        for side in (slice(middle, None), slice(middle, None, -1)):
            outward, away = smooth[side], np.abs(frequency[side])
            least = np.minimum.accumulate(outward)
            other = np.flatnonzero((outward > _RISE * least) & (away > _INNER))
            if len(other):
                weight[side][other[0] :] = 0
        return weight

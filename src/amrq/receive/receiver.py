# SPDX-License-Identifier: GPL-3.0-or-later
"""From samples to symbols, for a linear signal of unknown modulation: block by block, without feedback loops.

Channel filter, matched filter, timing, equaliser, level and carrier of a stream. A block of the channel is some 96
symbols. What a block says is used for that block and, by averages, for those around it; nothing is tracked by a loop
that has to settle.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from amrq.measure import STEP, CarrierRecovery, Cleaner, FrontEndOptions, all_usable, check_offset, usable
from amrq.native import UNKNOWN, ChannelFilters, ClockNow, LevelLimits, LevelNow, kernels
from amrq.receive.channel import BINS, HOP, Blocks, Channel, filter_response
from amrq.receive.equaliser import Equaliser
from amrq.receive.following import Middle, Path, turned_along
from amrq.receive.pulse import FIRST_PULSE, Pulse, PulseFinder
from amrq.receive.received import ReceivedSymbols, ReceiverReport, joined
from amrq.receive.timing import MOST, Clock, Instants, Line, interpolate

__all__ = ["Receiver"]

_SPAN = 32  # channel samples of one value of the power: 8 symbols
_LEVEL = 8  # values of the power in a level: 64 symbols
_LEVEL_MEMORY = 16  # chunks
_LEVEL_CHANGE = 1.6  # of the power from which on it is another level
_BURST = 3.0  # of the power from which on a burst begins or ends
_MOST_POWER = 1e30  # of the channel, in units of what it began with
_LEAST_ES_N0, _SIGNIFICANT = 0.5, 4.0  # Es/N0 that is reported: as a ratio, and over its deviation in noise
_SMALLEST = 1e-30  # power that is still one
_SAME_PLACE = 0.02  # symbol rates
_CLIMBED = 200.0  # log likelihood of a signal that the channel goes to at first
_BESIDE, _CLIMBS = (
    0.11,
    10,
)  # symbol rates from which on the channel goes to the signal at first, and steps at most
_REMEMBERED = 160  # blocks whose motion is remembered
_EDGE = 16  # channel samples before a block's first that interpolation may need


class Receiver:
    """Make symbols of a stream of samples.

    The result does not depend on how the stream is cut into calls. The first symbols leave when 4 blocks of about 96
    symbols have come in, or when the timing shows, after 10 at most; later ones are about 340 symbols late, and those
    held back until the carrier shows later. Where samples are cleaned, the first 16,384 are waited for.

    Args:
        sample_rate: samples a second, at least twice symbol_rate.
        symbol_rate: symbols a second, right to 2 %.
        offset: of the signal from the middle of the band, Hz.
        options: bandwidth, gate, roll-off, carrier recovery; None: the defaults.

    Raises:
        AmrqError: a value is outside its range.

    >>> from amrq.classes import THESIS_9
    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> sent = rng.choice(THESIS_9["QPSK"].points, 2000)
    >>> samples = received_signal(sent, 4.0, 0.35, 20.0, rng)
    >>> receiver = Receiver(40e3, 10e3)
    >>> first, rest = receiver.process(samples), receiver.finish()
    >>> first.chunks.shape[1], len(first) + len(rest)
    (32, 62)
    """

    def __init__(
        self,
        sample_rate: float,
        symbol_rate: float,
        offset: float = 0.0,
        options: FrontEndOptions | None = None,
    ) -> None:
        options = options or FrontEndOptions()
        width = options.channel_width(sample_rate, symbol_rate)
        check_offset(offset, sample_rate)
        self._sample_rate, self._symbol_rate = float(sample_rate), float(symbol_rate)
        self._options, self._offset = options, float(offset)
        self._channel = Channel(sample_rate / symbol_rate, offset / sample_rate)
        bins = self._channel.bins_per_symbol_rate
        frequency = np.abs(np.fft.fftfreq(BINS, 1 / BINS)) / bins * symbol_rate
        fall = np.clip((frequency - width / 2) / (0.5 * symbol_rate), 0, 1)
        self._whole = filter_response(0.5 + 0.5 * np.cos(np.pi * fall))
        self._passed = float(np.sum(self._whole.astype(np.float64) ** 2))  # bins of noise
        self._level_limits = LevelLimits(
            *(_SPAN, _LEVEL_CHANGE, _BURST, _LEVEL, STEP // 8, _LEVEL_MEMORY, HOP, BINS, self._passed, bins),
            *(_LEAST_ES_N0, _SIGNIFICANT * math.sqrt(self._passed / bins)),
        )
        self._pulses = PulseFinder(sample_rate / symbol_rate, bins, options.rolloff or None)
        self._path, self._zero = Path(bins), math.inf
        self._line = Line(self._channel.samples_per_symbol)
        self._clock = Clock(self._channel.samples_per_symbol, options.timing_bandwidth)
        self._carrier = CarrierRecovery(options.max_carrier_offset, 16) if options.carrier_recovery else None
        self._filters: tuple[tuple[Pulse, ...], NDArray[np.float32]] | None = None
        self._equaliser = Equaliser() if options.equaliser else None
        self._cleaner = Cleaner(float(sample_rate)) if options.cleaning else None
        self.reset()

    def reset(self) -> None:
        """Begin another stream."""
        if self._cleaner is not None:
            self._cleaner.reset()
        if self._equaliser is not None:
            self._equaliser.reset()
        self._channel.reset()
        self._pulses.reset()
        self._line.reset()
        self._clock.reset()
        if self._carrier is not None:
            self._carrier.reset()
        self._read = 0  # samples taken in
        self._held = Blocks()  # blocks before the pulse is known
        self._path.begin()
        self._set_zero()
        # Of the matched filter, from the next block's first less _EDGE:
        self._samples = np.zeros(_EDGE, np.complex64)
        self._power = np.zeros(0)  # in the channel, a value each _SPAN channel samples
        self._power_first = 0  # number of its first value
        self._filtered = 0  # blocks that went through the matched filter
        self._clocks: list[Instants] = []  # of the next blocks to be made symbols of
        # Power of the noise in a bin, from the block on whose symbols come next:
        self._noises: list[float] = []
        self._noises_first = 0  # number of that block
        self._block = 0  # number of the first of them
        # The clock where that block begins; the next symbol comes where the clock is `number`.
        self._phase, self._number = 0.0, 1
        self._symbols = np.zeros(0, np.complex64)  # less than a chunk
        self._places = np.zeros(0)
        self._level, self._levels = 0.0, 0
        self._begins, self._ended = (
            False,
            False,
        )  # a burst begins with the next chunk, or has ended with the last
        # Chunks in the carrier recovery: places, borders, finite, Es/N0, the channel's middle (cycles/symbol), [5, m].
        self._pending = np.zeros((5, 0))
        self._bad: NDArray[np.int64] = np.zeros(0, np.int64)
        self._border = True
        self._present = 0.0
        self._noise_gains: list[float | None] = []  # of chunks, see `Equaliser.noise_gains`

    def set_offset(self, offset: float) -> None:
        """Set the signal's offset from the middle of the band, Hz, for what comes from here on."""
        check_offset(offset, self._sample_rate)
        self._offset = float(offset)
        self._channel.set_offset(offset / self._sample_rate)
        self._path.forget()
        self._set_zero()

    def set_options(self, options: FrontEndOptions) -> None:
        """Set the gate and the timing bandwidth of other options, for what comes from here on."""
        self._options = replace(
            self._options, gate_db=options.gate_db, timing_bandwidth=options.timing_bandwidth
        )
        self._clock.set_bandwidth(options.timing_bandwidth)

    @property
    def wanted(self) -> int:
        """Samples that are missing for the next block."""
        return self._channel.wanted

    def carrier_offset(self) -> float:
        """Return the offset that carrier recovery removes at present, cycles/symbol; 0 without it."""
        moved = self._path.motion.begin / self._channel.bins_per_symbol_rate
        return moved + (0.0 if self._carrier is None else float(self._carrier.offset))

    def level_db(self) -> float:
        """Return the power in the channel at present, dB relative to 1, at least -200."""
        return float(10 * np.log10(max(self._present, 1e-20)))

    def report(self) -> ReceiverReport:
        """Return what is known of the signal at present."""
        pulse = self._pulses.pulse if self._pulses.found else None
        moved = self._path.motion.shift / self._channel.bins_per_symbol_rate
        error = self._clock.error if self._clock.clear else None
        return ReceiverReport(
            offset=None if pulse is None else self._offset + (pulse.place + moved) * self._symbol_rate,
            symbol_rate=None if error is None else self._symbol_rate * (1 + error),
            symbol_rate_error=error,
            rolloff=None if pulse is None else pulse.rolloff,
            equaliser="" if self._equaliser is None else self._equaliser.kind,
            input=None if self._cleaner is None else self._cleaner.report(),
        )

    def process(self, samples: NDArray[np.complexfloating[Any, Any]]) -> ReceivedSymbols:
        """Take samples, complex [n] of any n; return the chunks that are complete.

        Samples that are not finite, or of 1e12 and more, are taken for zero, and their chunks marked.
        """
        fresh = self._finite(np.asarray(samples, np.complex64).ravel())
        if self._cleaner is not None:
            fresh = self._cleaner.process(fresh, view=True)
        parts = [self._advance(band, False) for band in self._channel.process(fresh)]
        return joined([part for part in parts if len(part)])

    def finish(self) -> ReceivedSymbols:
        """Return the chunks that are left at the end of the stream; less than a chunk of symbols is left out."""
        parts = []
        if self._cleaner is not None:
            cleaned = self._channel.process(self._cleaner.finish())
            parts += [self._advance(band, False) for band in cleaned]
        parts.append(self._advance(next(self._channel.finish(), Blocks()), True))
        return joined([part for part in parts if len(part)])

    def _finite(self, samples: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return samples with zeros for those that are not finite, or too large to compute with; note these."""
        if not all_usable(samples):
            good = usable(samples)
            bad = np.flatnonzero(~good).astype(np.int64) + self._read
            self._bad = np.concatenate((self._bad, bad))
            samples = np.where(good, samples, np.complex64(0))
        self._read += len(samples)
        return samples

    def _advance(self, band: Blocks, ended: bool) -> ReceivedSymbols:
        self._filter(band, ended)
        symbols, places = self._timed(ended)
        return self._chunked(symbols, places, ended)

    def _cut(self, band: Blocks, ended: bool) -> tuple[NDArray[np.complex64], list[tuple[Pulse, float]]]:
        """Return the channel's spectra, cut out where the signal is by then, and what each says of pulse and noise.

        The first blocks wait until their pulse is known.
        """
        parts: list[NDArray[np.complex64]] = []
        found: list[tuple[Pulse, float]] = []
        taken, number = 0, self._filtered
        if not number:
            taken = FIRST_PULSE - len(self._held)
            self._held = self._channel.joined(self._held, band.part(0, taken))
            if len(self._held) < FIRST_PULSE and not ended:
                return np.zeros((0, BINS), np.complex64), found
            number = len(self._held)
            parts.append(self._begin())
            found += [(self._pulses.pulse, self._pulses.noise)] * number
            self._held = Blocks()
        while taken < len(band):
            stop = taken + 1 if self._path.is_moving else len(band)
            spectra = self._channel.cut(band.part(taken, stop), number, self._path.motion.shift)
            some = self._pulses.process(spectra, self._follow, self._path)
            parts.append(spectra[: len(some)])
            found += some
            taken, number = taken + len(some), number + len(some)
        return parts[0] if len(parts) == 1 else np.concatenate(
            [*parts, np.zeros((0, BINS), np.complex64)]
        ), found

    def _begin(self) -> NDArray[np.complex64]:
        """Cut out the first blocks, where the signal is by their own spectra if it is beside the channel's middle."""
        shift = 0
        spectra = self._first_cut(shift)
        least = max(_CLIMBED, self._pulses.likelihood)
        for _ in range(_CLIMBS):
            place = self._pulses.pulse.place
            if not self._pulses.found or abs(place) < _BESIDE:
                break
            shift += round(place * self._channel.bins_per_symbol_rate)
            spectra = self._first_cut(shift)
        # The slope of a filter may look like a signal in noise, but not like one with a floor beside it.
        settled = math.isfinite(self._pulses.noise) and abs(self._pulses.pulse.place) < _BESIDE
        if shift and not (settled and self._pulses.likelihood > least):
            spectra = self._first_cut(0)
        self._path.amend(self._pulses.early_middles())
        return spectra

    def _first_cut(self, shift: int) -> NDArray[np.complex64]:
        """Begin with the first blocks cut out so many bins away; return their spectra, complex64 [b, BINS]."""
        self._pulses.reset()
        self._path.begin(shift)
        self._set_zero()
        spectra = self._channel.cut(self._held, 0, shift)
        self._pulses.process(spectra, self._follow, self._path)
        return spectra

    def _follow(self, middle: Middle | None) -> bool:
        """Take in where a block shows the signal; return whether the channel moves."""
        moves = self._path.take(middle, self._pulses.pulse.place * self._channel.bins_per_symbol_rate)
        if moves:
            self._set_zero()
        return moves

    def _set_zero(self) -> None:
        """Say where the band's 0 Hz is in the channel, unless that is known."""
        moved = self._path.motion.shift / self._channel.bins_per_symbol_rate
        place = -self._offset / self._symbol_rate - moved
        if abs(place - self._zero) > _SAME_PLACE:
            self._pulses.set_zero(place)
            self._zero = place

    def _filter(self, band: Blocks, ended: bool) -> None:
        """Filter the channel, as soon as the pulse is known; queue what comes out."""
        spectra, found = self._cut(band, ended)
        if not (self._filtered or len(spectra) or ended):
            return
        self._filtered += len(spectra)
        self._noises += [noise for _, noise in found]
        pulses = [pulse for pulse, _ in found]
        if not len(spectra):
            self._clocks += self._clock.process(np.zeros(0, np.complex64), ended)
            return
        power, samples, halves = self._matched(spectra, pulses)
        self._power = np.concatenate((self._power, power))
        number = self._filtered - len(spectra)
        samples = turned_along(samples, self._path.motions(number), number)
        self._samples = np.concatenate((self._samples, samples.ravel()))
        self._clocks += self._clock.process(self._line.process(halves), ended)
        self._path.keep(_REMEMBERED + len(spectra))  # what comes next asks for those of all these blocks
        self._present = float(power[-_LEVEL:].mean()) / (self._channel.scale or 1.0) ** 2

    def _matched(
        self, spectra: NDArray[np.complex64], pulses: list[Pulse]
    ) -> tuple[NDArray[np.float64], NDArray[np.complex64], NDArray[np.complex64]]:
        """Return powers in the channel, matched samples, complex64 [b, HOP], and what the line is made of."""
        responses, which = self._responses(pulses)
        first, native = BINS // 8, kernels()
        if native is not None:
            limits = (first, HOP, _MOST_POWER, MOST)
            return native.channel_filtered(
                spectra, ChannelFilters(responses, which, *limits, self._line.parts)
            )
        # Real and imaginary parts by the same numbers: as a product of complex ones it takes twice as long.
        filtered = np.swapaxes(responses, 0, 1)[:, which] * spectra.view(np.float32)
        whole, samples, edge = scipy.fft.ifft(filtered.view(np.complex64), axis=2, overwrite_x=True)
        keep = slice(first, first + HOP)
        return _span_powers(whole[:, keep]), samples[:, keep], self._line.halves(edge[:, keep])

    def _responses(self, pulses: list[Pulse]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the channel's, the matched and the timing's filter of blocks' pulses, and which are each block's.

        Float32 [any, 3, 2 BINS], each value twice, for real and imaginary parts, and int64 [blocks].
        """
        numbers: dict[int, int] = {}
        which = np.array([numbers.setdefault(id(pulse), len(numbers)) for pulse in pulses], np.int64)
        several = tuple({id(pulse): pulse for pulse in pulses}.values()) if len(numbers) > 1 else (pulses[0],)
        if self._filters is None or self._filters[0] != several:
            columns = [(self._whole, self._pulses.response(one), self._pulses.edges(one)) for one in several]
            self._filters = (several, np.repeat(np.array(columns, np.float32), 2, axis=2))
        return self._filters[1], which

    def _timed(self, ended: bool) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
        """Return the symbols whose time is known, complex64 [n], and their channel samples, float64 [n]."""
        clocks, self._clocks = self._clocks, []
        if not clocks:
            return np.zeros(0, np.complex64), np.zeros(0)
        if ended:
            self._samples = np.concatenate((self._samples, np.zeros(_EDGE, np.complex64)))
        begin, places = self._block * HOP, []
        native = kernels()
        if native is not None:
            now = ClockNow(self._phase, self._number, self._block)
            phases, rates, _ = map(list, zip(*clocks, strict=True))
            places.append(native.symbol_places(phases, rates, HOP, now))
            self._phase, self._number, self._block = now.phase, now.number, now.block
        for clock in clocks if native is None else ():
            # Of the whole turns that a phase does not tell, those that go on from the clock before.
            phase = clock.phase + (round(self._phase - clock.phase) if self._block else 0)
            stop = phase + clock.rate * HOP
            numbers = np.arange(self._number, math.ceil(stop))
            places.append(np.asarray((numbers - phase) / clock.rate + self._block * HOP, np.float64))
            self._number = max(self._number, math.ceil(stop))
            self._phase = stop
            self._block += 1
        found = np.concatenate(places)
        if ended:
            found = found[found * self._channel.ratio < self._channel.read]
        symbols = interpolate(self._samples, found - begin + _EDGE)
        self._samples = self._samples[len(clocks) * HOP :].copy()
        return symbols, found

    def _chunked(
        self, symbols: NDArray[np.complex64], places: NDArray[np.float64], ended: bool
    ) -> ReceivedSymbols:
        """Make whole chunks of symbols, of unit level, and turn them."""
        symbols = np.concatenate((self._symbols, symbols))
        places = np.concatenate((self._places, places))
        count = len(symbols) // STEP
        self._symbols, self._places = symbols[count * STEP :].copy(), places[count * STEP :].copy()
        chunks, at = symbols[: count * STEP].reshape(count, STEP), places[: count * STEP].reshape(count, STEP)
        samples = at * self._channel.ratio
        if count:
            levels, snrs, borders = self._measured(at)
            chunks = self._levelled(chunks, at, levels)
            if self._channel.rest:
                chunks = chunks * np.exp(-2j * np.pi * ((self._channel.rest * samples) % 1.0))
            self._note(samples, snrs, borders, self._path.at(at[:, STEP // 2]))
            spent = max(0, int(at[-1, -1] // HOP) - self._noises_first)
            del self._noises[:spent]
            self._noises_first += spent
            spent = max(0, int(at[-1, -1]) // _SPAN - 2 * _LEVEL - self._power_first)
            self._power, self._power_first = self._power[spent:].copy(), self._power_first + spent
        return self._turned(np.asarray(chunks, np.complex64).ravel(), ended)

    def _measured(
        self, at: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return the power of chunks, [m], Es/N0, and borders of bursts: see `_find_levels` and `_es_n0`."""
        native = kernels()
        if native is None:
            levels, averaged, borders = self._find_levels(at)
            return levels, self._es_n0(at, levels, averaged), borders
        now = LevelNow(self._level, self._levels, self._begins, self._ended)
        power, noises = (self._power, self._power_first), (self._noises, self._noises_first)
        found, borders = native.chunk_levels(at[:, :: STEP - 1], power, noises, self._level_limits, now)
        self._level, self._levels, self._begins = now.level, now.levels, bool(now.begins)
        self._ended = bool(now.ended)
        return found[0], np.where(found[2] == UNKNOWN, np.nan, found[2]), borders

    def _es_n0(
        self, at: NDArray[np.float64], levels: NDArray[np.float64], averaged: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return Es/N0 of chunks, dB: what their level exceeds that of the noise in the channel by; NaN: not known."""
        blocks = np.clip(at[:, -1] // HOP, 0, None).astype(np.intp) - self._noises_first
        density = np.array([self._noises[block] for block in blocks.tolist()]) / BINS**2
        bins, passed = self._channel.bins_per_symbol_rate, self._passed
        found = (levels - density * passed) / (density * bins)
        # What noise alone does not exceed, for the number of its values that are averaged.
        uncertain = _SIGNIFICANT * math.sqrt(passed / bins) / np.sqrt(STEP * averaged)
        with np.errstate(invalid="ignore"):
            good = found > np.maximum(_LEAST_ES_N0, uncertain)
        return np.where(good, 10 * np.log10(np.where(good, found, 1.0)), np.nan)

    def _note(
        self,
        samples: NDArray[np.float64],
        snrs: NDArray[np.float64],
        borders: NDArray[np.bool_],
        middles: NDArray[np.float64],
    ) -> None:
        """Note where chunks are, float64 [m, 32], Es/N0, borders, the channel's middle, and which are not finite."""
        symbol = self._sample_rate / self._symbol_rate
        first, last = samples[:, 0] - symbol, samples[:, -1] + symbol
        bad = np.searchsorted(self._bad, last, "right") > np.searchsorted(self._bad, first)
        borders[0] |= self._border
        self._border = False
        chunks = np.array((samples[:, 0], borders, ~bad, snrs, middles))
        self._pending = np.concatenate((self._pending, chunks), axis=1)
        self._bad = self._bad[np.searchsorted(self._bad, last[-1] - 4 * symbol) :]

    def _find_levels(
        self, at: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return the power of chunks, float64 [m], how many chunks each is the mean of, and borders of bursts.

        The level is the mean power in the channel of the last chunks, unless that of the 64 symbols from the chunk's
        first on, or up to its last, is another: a burst that begins or ends.
        """
        first = np.floor(at[:, 0] / _SPAN).astype(np.intp) - self._power_first
        last = np.floor(at[:, -1] / _SPAN).astype(np.intp) - self._power_first + 1
        powers = np.stack(
            [
                self._mean_power(first, _LEVEL),
                self._mean_power(last - _LEVEL, _LEVEL),
                self._mean_power(last - STEP // 8, STEP // 8),
            ]
        )
        levels, averaged = np.empty(len(at)), np.empty(len(at))
        borders = np.zeros(len(at), np.bool_)
        for number, (coming, gone, own) in enumerate(powers.T.tolist()):
            present, over = max(coming, gone), max(coming, own)
            border, self._begins = self._begins, False
            ended, self._ended = self._ended, False
            if over * _BURST < self._level:  # a burst has ended: what is gone is its
                border, self._ended = border or not ended, True
                self._level, self._levels = over, 1
            elif present > _LEVEL_CHANGE * self._level or present < self._level / _LEVEL_CHANGE:
                if present > _BURST * self._level > 0:  # it may begin in the next chunk only
                    self._begins = own < _BURST * self._level
                    border = border or not self._begins
                self._level, self._levels = present, 2
            else:
                self._levels = min(self._levels + 1, _LEVEL_MEMORY)
                self._level += (gone - self._level) / self._levels
            levels[number], averaged[number], borders[number] = self._level, self._levels, border
        return levels, averaged, borders

    def _levelled(
        self, chunks: NDArray[np.complex64], at: NDArray[np.float64], levels: NDArray[np.float64]
    ) -> NDArray[np.complex64]:
        """Divide chunks by their levels, and make zeros of what the gate holds back."""
        gain = np.where(levels > _SMALLEST, 1 / np.sqrt(np.maximum(levels, _SMALLEST)), 0.0)
        gain = np.repeat(gain[:, None], STEP, axis=1)
        if self._options.gate_db > -200:
            place = np.floor(at / _SPAN).astype(np.intp) - self._power_first
            place = np.clip(place, 1, len(self._power) - 1)
            power = 0.5 * (self._power[place] + self._power[place - 1])
            gain[power < 10 ** (self._options.gate_db / 10) * (self._channel.scale or 1.0) ** 2] = 0
        return np.asarray(chunks * gain, np.complex64)

    def _mean_power(self, first: NDArray[np.intp], count: int) -> NDArray[np.float64]:
        """Return the mean of so many values of the power, or of those of them that there are, float64 as first."""
        place = first[:, None] + np.arange(count)
        there = (place >= 0) & (place < len(self._power))
        power = np.where(there, self._power[np.where(there, place, 0)], 0)
        return np.asarray(power.sum(axis=1) / np.maximum(there.sum(axis=1), 1))

    def _turned(self, symbols: NDArray[np.complex64], ended: bool) -> ReceivedSymbols:
        """Remove the carrier, and return the chunks that leave."""
        if self._equaliser is not None:
            symbols = self._equaliser.process(symbols)
            self._noise_gains += self._equaliser.noise_gains
            if ended:
                symbols = np.concatenate((symbols, self._equaliser.finish()))
                self._noise_gains += self._equaliser.noise_gains
        if self._carrier is None:
            out, rates = symbols, [0.0] * (len(symbols) // STEP)
        else:
            out, rates = self._carrier.process(symbols), list(self._carrier.rates)
            if ended:
                rest = self._carrier.finish(symbols[:0])
                out, rates = np.concatenate((out, rest)), rates + list(self._carrier.rates)
        count = len(out) // STEP
        (places, borders, finite, snrs, middles), self._pending = np.split(self._pending, [count], axis=1)
        gains, self._noise_gains = self._noise_gains[:count] or [None] * count, self._noise_gains[count:]
        return ReceivedSymbols(
            symbols=out[: count * STEP],
            positions=places,
            carrier_offset=np.array(rates[:count], np.float64) + middles,
            snr_db=snrs - np.array([10 * math.log10(gain or 1.0) for gain in gains], np.float64),
            borders=borders > 0,
            finite=finite > 0,
            equalised=np.array([gain is not None for gain in gains], np.bool_),
        )


def _span_powers(samples: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Return the mean power of spans of a channel's samples, complex64 [b, HOP], float64 [b * HOP / span]."""
    with np.errstate(over="ignore", invalid="ignore"):
        power = (samples.real**2 + samples.imag**2).reshape(-1, _SPAN).mean(axis=1)
    return np.asarray(np.fmin(power, _MOST_POWER), np.float64)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The middle of a signal's spectrum, followed where it drifts: the channel goes with it.

A carrier that drifts by 1e-4 cycles/symbol^2 has left its matched filter after 1,500 symbols. The place of its
spectrum in each block of the channel (see `PulseFinder`) is right to some hundredths of the symbol rate, whatever the
modulation; a straight line through those of the last blocks says how fast the signal moves. Where it moves beyond
doubt, the channel moves too: by whole bins, where the spectrum is cut out, and by a phase that is smooth across blocks,
which the channel's samples are turned by, so that the carrier recovery sees a carrier that hardly drifts. What stands
still is left as it is.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.receive.channel import BINS, HOP

__all__ = ["Follower", "Middle", "Motion", "Path", "turned_along"]

_SHORT, _LONG = 16, 48  # blocks in two lines
_FEWEST = 6  # of which so many must show the signal
_SURE = 5.5  # standard deviations of a slope that is believed
_LEAST_DRIFT = (
    2.5e-5,
    5e-6,
)  # cycles/symbol^2, by the short line and the long one, from which on the channel moves
_STILL = 0.5  # of the long line's slope, that the newer half of it has to have before the channel moves
_LOST_DRIFT = 4e-6  # below which it stops
_SUSPECT = 2.5  # standard deviations between the first and the last places of a line, before it is fitted
_SAME = 3.0  # standard deviations by which the short line may differ from the long one
_NEAR = 0.01  # symbol rates that the channel may be off where it stops
_PULL = 8  # blocks in which the channel makes up for what it is behind
_MOST_PULL = (2e-5, 1e-4)  # the same at most, cycles/symbol^2: to the carrier recovery it is a drift
_FAR = (0.08, 0.16)  # symbol rates that it is behind, from which on it hurries, and then by the most
_OFTEN = 2  # blocks from one look at whether the signal moves to the next
_COAST = 8  # blocks without a signal that it goes on for
_GONE = 64  # blocks without a signal after which it goes back


class Middle(NamedTuple):
    """Where the middle of a signal's spectrum is in a block."""

    place: float  # bins from the channel's middle
    deviation: float  # its standard deviation, bins


class Motion(NamedTuple):
    """Where the channel is in a block, in bins from where it is said to be.

    The block's spectrum is cut out at `shift`, so that the matched filter fits. Its samples are turned so that what
    comes to 0 Hz at sample t is begin + (end - begin) * t / HOP: that is smooth from block to block.
    """

    shift: int = 0
    begin: float = 0.0
    end: float = 0.0
    phase: float = 0.0  # cycles that the block's first sample is turned by


class _Line(NamedTuple):
    """A straight line through the places of the last blocks, bins and blocks."""

    slope: float
    deviation: float  # of the slope
    expected: float  # place in the middle of the next block
    uncertain: float  # deviation of that

    def agrees(self, other: "_Line") -> bool:
        """Return whether this line, which is the less certain one, may be the other."""
        slope, place = self.slope - other.slope, self.expected - other.expected
        return abs(slope) < _SAME * self.deviation and abs(place) < _SAME * self.uncertain


class Follower:
    """Follow the middle of a signal, block by block.

    Args:
        bins_per_symbol_rate: of the channel.

    >>> follower = Follower(128.0)
    >>> for block in range(120):
    ...     where = 1.5 * block - follower.motion.shift
    ...     moved = follower.take(Middle(where, 0.5))
    >>> bool(abs(follower.motion.begin - 1.5 * 120) < 2)
    True
    """

    def __init__(self, bins_per_symbol_rate: float) -> None:
        self._bins = bins_per_symbol_rate
        # Bins that a drift of 1 cycle/symbol^2 takes in a block of HOP / BINS * bins_per_symbol_rate symbols.
        self._per_drift = bins_per_symbol_rate**2 * HOP / BINS
        self.reset()

    def reset(self, shift: int = 0) -> None:
        """Begin a stream: the channel stands still, so many bins from where it is said to be."""
        self._places: list[float] = []  # of the last blocks; NaN where there was no signal
        self._deviations: list[float] = []
        self._count = 0  # blocks
        self._slope = 0.0  # bins a block
        self._blind = 0  # blocks without a signal
        self._seen = 0  # blocks with one since the last without
        self._usual = 0.0  # where the signal's middle was in the channel before that moved, bins
        self._expected = 0.0  # where it is to be in the middle of the next block
        self.motion = Motion(shift, shift, shift)
        """Of the next block."""

    @property
    def moving(self) -> bool:
        """Whether the next block's motion is another than the last one's."""
        return bool(self._slope)

    def take(self, middle: Middle | None, usual: float = 0.0) -> bool:
        """Take in what a block shows, None for no signal; go on to the next block.

        Args:
            middle: the signal's, in the channel as it was cut out.
            usual: where the filter that is matched to the signal takes it to be, bins.

        Returns:
            Whether the next block is cut out, or turned, otherwise than this one.
        """
        now = self.motion
        self._count += 1
        self._places.append(math.nan if middle is None else now.shift + middle.place)
        self._deviations.append(math.nan if middle is None else middle.deviation)
        if len(self._places) >= 2 * _LONG:
            del self._places[:-_LONG], self._deviations[:-_LONG]
        self._blind = self._blind + 1 if middle is None else 0
        self._seen = 0 if middle is None else self._seen + 1
        begin, shift, slope = now.end, now.shift, self._slope
        if self._blind == _GONE:
            self._slope, begin, shift = 0.0, 0.0, 0
        elif self._blind == _COAST:
            self._slope = 0.0
        elif middle is None:
            shift += round(slope)
        elif slope or (self._count % _OFTEN == 0 and self._may_move(middle.deviation)):
            self._slope = self._steered(begin)
            if self._slope and not slope:
                self._usual = usual
            if self._slope:
                shift = round(self._expected - self._usual)
        if not (now.begin or begin or self._slope):
            return False
        phase = (now.phase + 0.5 * (now.begin + now.end) * HOP / BINS) % 1.0
        self.motion = Motion(shift, begin, begin + self._slope, phase)
        return shift != now.shift or bool(self._slope)

    @property
    def is_still(self) -> bool:
        """Whether the channel stays where it is until the signal moves."""
        return not self._slope and self.motion.begin == self.motion.end

    @property
    def history(self) -> tuple[list[float], list[float], int, int, tuple[int, int, int, int, float]]:
        """What `_may_move` looks at, for a compiled kernel.

        Returns:
            the places of the last blocks in the channel as it is now, and their deviations, 0 where there was no
            signal; blocks so far, and those without a signal since the last with one; lengths of the lines, blocks from
            look to look, blocks without a signal after which the channel goes back, and deviations that are suspect.
        """
        deviations = [0.0 if math.isnan(one) else one for one in self._deviations[-_LONG:]]
        places = [0.0 if math.isnan(one) else one - self.motion.shift for one in self._places[-_LONG:]]
        return places, deviations, self._count, self._blind, (_SHORT, _LONG, _OFTEN, _GONE, _SUSPECT)

    def go_on(self, places: list[float], deviations: list[float]) -> list[Motion]:
        """Take in what blocks show in which the signal does not move; return their motions.

        Args:
            places: of the signal's middle in the channel, bins.
            deviations: of these; 0 where there was no signal.
        """
        now = self.motion
        there = [deviation > 0 for deviation in deviations]
        pairs = zip(places, there, strict=True)
        self._places += [now.shift + place if seen else math.nan for place, seen in pairs]
        self._deviations += [deviation if deviation > 0 else math.nan for deviation in deviations]
        del self._places[:-_LONG], self._deviations[:-_LONG]
        count = len(there)
        self._count += count
        blind = there[::-1].index(True) if any(there) else self._blind + count
        self._seen = 0 if blind else self._seen + count if all(there) else there[::-1].index(False)
        self._blind = blind
        motions = [now] * count
        if now.begin:
            turn = now.begin * HOP / BINS
            motions = [now._replace(phase=(now.phase + number * turn) % 1.0) for number in range(count + 1)]
            self.motion = motions.pop()
        return motions

    def _may_move(self, deviation: float) -> bool:
        """Return whether the last places are others than those before: a quick look, before lines are fitted."""
        for length in (_SHORT, _LONG):
            known = self._places[-length:]
            if self._seen < len(known):
                known = [place for place in known if not math.isnan(place)]
            third = len(known) // 3
            if third and abs(sum(known[-third:]) - sum(known[:third])) > _SUSPECT * deviation * math.sqrt(
                2 * third
            ):
                return True
        return False

    def amend(self, middles: list[Middle | None]) -> None:
        """Take in what the last blocks showed, seen in the light of what is known since."""
        for number, middle in enumerate(middles, len(self._places) - len(middles)):
            if middle is not None:
                self._places[number] = self.motion.shift + middle.place
                self._deviations[number] = middle.deviation

    def _steered(self, begin: float) -> float:
        """Return by how many bins the channel moves in the next block, which it begins at `begin`."""
        short, long = self._line(_SHORT), self._line(_LONG)
        if short is None or long is None:
            return self._slope
        if not self._slope and not self._moves(short, long):
            return 0.0
        line = long if short.agrees(long) else short
        self._expected = line.expected
        behind = line.expected - begin - 0.5 * line.slope
        if abs(line.slope) < _LOST_DRIFT * self._per_drift and abs(behind) < _NEAR * self._bins:
            return 0.0
        pull = float(np.interp(abs(behind) / self._bins, _FAR, _MOST_PULL)) * self._per_drift
        return line.slope + min(max(behind / _PULL, -pull), pull)

    def _moves(self, short: _Line, long: _Line) -> bool:
        """Return whether the signal moves beyond doubt: for as long as the lines last, not only at their beginning."""
        least_short, least_long = (least * self._per_drift for least in _LEAST_DRIFT)
        if abs(short.slope) > max(_SURE * short.deviation, least_short):
            return True
        if abs(long.slope) <= max(_SURE * long.deviation, least_long):
            return False
        half = self._line(_LONG // 2)
        return half is not None and half.slope / long.slope > _STILL

    def _line(self, length: int) -> _Line | None:
        """Return the line through the places of so many blocks; None where too few show the signal."""
        places = np.array(self._places[-length:])
        there = np.isfinite(places)
        count = int(there.sum())
        if count < _FEWEST:
            return None
        time, places = np.arange(1.0 - len(places), 1.0)[there], places[there]
        middle, mean = float(time.mean()), float(places.mean())
        away = time - middle
        spread = float(away @ away)
        slope = float(away @ places) / spread
        left = places - mean - slope * away
        known = float(np.mean(np.array(self._deviations[-length:])[there] ** 2))
        noise = math.sqrt(max(float(left @ left) / (count - 2), known))
        ahead = 1 - middle
        return _Line(
            slope,
            noise / math.sqrt(spread),
            mean + slope * ahead,
            noise * math.sqrt(1 / count + ahead**2 / spread),
        )


class Path:
    """The way of a channel in a stream, block by block: what it does for a signal that a `Follower` follows.

    Args:
        bins_per_symbol_rate: of the channel.

    >>> path = Path(128.0)
    >>> for block in range(120):
    ...     moved = path.take(Middle(1.5 * block - path.motion.shift, 0.5))
    >>> bool(abs(path.at(np.array([119.5 * HOP]))[0] - 1.5 * 119.5 / 128) < 0.02)
    True
    """

    def __init__(self, bins_per_symbol_rate: float) -> None:
        self._bins = bins_per_symbol_rate
        self._follower = Follower(bins_per_symbol_rate)
        self.begin()

    def begin(self, shift: int = 0) -> None:
        """Begin a stream: the channel stands still, so many bins from where it is said to be."""
        self._motions: list[Motion] = []  # in the last blocks
        self._first = 0  # number of the first of them
        self._still = 0  # so many of the last ones stand still, at least
        self.forget(shift)

    def forget(self, shift: int = 0) -> None:
        """Forget the signal: another comes, beside the place where it is said to be by so many bins."""
        self._follower.reset(shift)

    @property
    def motion(self) -> Motion:
        """Of the next block."""
        return self._follower.motion

    @property
    def is_moving(self) -> bool:
        """Whether the next block's motion is another than the last one's."""
        return self._follower.moving

    @property
    def is_still(self) -> bool:
        """Whether the channel stays where it is until the signal moves."""
        return self._follower.is_still

    @property
    def history(self) -> tuple[list[float], list[float], int, int, tuple[int, int, int, int, float]]:
        """What is looked at to see whether the signal moves: see `Follower.history`."""
        return self._follower.history

    def take(self, middle: Middle | None, usual: float = 0.0) -> bool:
        """Take in where a block shows the signal; return whether the channel moves, as `Follower.take` does."""
        motion = self._follower.motion
        self._motions.append(motion)
        self._still = 0 if motion.begin or motion.end else self._still + 1
        return self._follower.take(middle, usual)

    def go_on(self, places: list[float], deviations: list[float]) -> None:
        """Take in what blocks show in which the signal does not move, as `Follower.go_on` does."""
        motions = self._follower.go_on(places, deviations)
        moved = bool(motions) and bool(motions[0].begin)
        self._motions += motions
        self._still = 0 if moved else self._still + len(motions)

    def amend(self, middles: list[Middle | None]) -> None:
        """Take in what the last blocks showed, seen in the light of what is known since."""
        self._follower.amend(middles)

    def motions(self, number: int) -> list[Motion]:
        """Return those of the blocks from this number on."""
        return self._motions[number - self._first :]

    def keep(self, count: int) -> None:
        """Forget the motions of all blocks but the last ones."""
        spent = max(0, len(self._motions) - count)
        del self._motions[:spent]
        self._first += spent

    def turned(self, count: int) -> NDArray[np.float64]:
        """Return by what the last blocks' samples were turned besides being cut out, cycles a channel sample."""
        if self._still >= count:
            return np.zeros(count)
        motions = self._motions[len(self._motions) - count :]
        return np.array([(0.5 * (one.begin + one.end) - one.shift) / BINS for one in motions])

    def at(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where the channel's middle is at channel samples, cycles/symbol from where it is said to be."""
        if self._still >= len(self._motions):
            return np.zeros(len(places))
        blocks = np.clip(places // HOP, 0, None).astype(np.intp) - self._first
        motions = [self._motions[min(max(block, 0), len(self._motions) - 1)] for block in blocks.tolist()]
        begin, end = (np.array([getattr(one, name) for one in motions]) for name in ("begin", "end"))
        return np.asarray((begin + (end - begin) * (places % HOP / HOP)) / self._bins)


def turned_along(samples: NDArray[np.complex64], motions: list[Motion], first: int) -> NDArray[np.complex64]:
    """Turn a moving channel's samples so that its middle is at 0 Hz all the time.

    Args:
        samples: complex64 [b, HOP], of blocks cut out at their shifts.
        motions: of the blocks.
        first: number of the first of them.
    """
    if not any(motion.begin or motion.end or motion.phase for motion in motions):
        return samples
    shift, begin, end, phase = (np.array(column)[:, None] for column in zip(*motions, strict=True))
    time = np.arange(HOP)
    cycles = begin * time + (end - begin) * (time * time / (2.0 * HOP))
    number = first + np.arange(len(motions))[:, None]
    # Cut out at a shift, a block is turned already, by shift * t / BINS, t from the stream's first sample on.
    cycles = phase - (shift * (number * HOP % BINS)) / BINS % 1.0 + (cycles - shift * time) / BINS
    return np.asarray(samples * np.exp((-2j * np.pi) * cycles), dtype=np.complex64)

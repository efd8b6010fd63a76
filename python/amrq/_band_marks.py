# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of the band display share: colours of families, words, ticks of axes, and places of labels."""

import bisect
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PyQt5 import QtGui

from amrq.text import engineering, printable

__all__ = [
    "FAINT",
    "GROUND",
    "MUTED",
    "TEXT",
    "LabelWish",
    "ago_text",
    "emission_colour",
    "emission_words",
    "frequency_text",
    "label_texts",
    "place_labels",
    "place_text",
    "protocol_words",
    "span_text",
    "ticks",
]

GROUND, TEXT, MUTED, FAINT = (QtGui.QColor(c) for c in ("#12161c", "#f2f4f7", "#a4adba", "#2b333e"))
"""The display is dark: colours of families are chosen for this ground, and a waterfall is dark in itself."""

# Okabe and Ito's colours, which stay distinct in the common kinds of colour blindness; blue and green lighter, since
# the ground is dark. No colour says anything that a text does not say as well.
_COLOURS = {
    "linear": "#56B4E9",
    "pi4dqpsk": "#56B4E9",
    "oqpsk": "#56B4E9",
    "fm": "#12AC80",
    "fsk": "#E69F00",
    "am": "#F0E442",
    "ssb": "#F0E442",
    "ook": "#E79AC3",
    "pulse": "#E79AC3",
    "ofdm": "#F07E4A",
    "dsss": "#F07E4A",
    "chirp": "#F07E4A",
    "carrier": "#FFFFFF",
}
"""By the beginning of a family's name: families that are alike share a colour."""
_OTHER = "#B4BCC8"
_LONGEST_NAME, _LONGEST_PROTOCOL = 60, 40
"""Letters of a protocol's name, and of protocols that may stand on a label."""
_FARTHEST = 4.0
"""Widths that a label may be away from its emission."""


def emission_colour(record: Any) -> QtGui.QColor:
    """Return the colour of an emission's family; grey where the family is not known."""
    return QtGui.QColor(_family_colour(str(record.family)))


@functools.lru_cache(maxsize=256)
def _family_colour(family: str) -> QtGui.QColor:
    family = family.lower()
    return QtGui.QColor(
        next((colour for name, colour in _COLOURS.items() if family.startswith(name)), _OTHER)
    )


def emission_words(record: Any) -> str:
    """Return what an emission is called, in a word or two; `new` before the first look."""
    return printable(record.label, 24) if record.looks else "new"


def protocol_words(record: Any) -> str:
    """Return the protocols that an emission is likely to be, in a few words; empty where none is.

    A guess has a question mark. Where two are about as likely, both are there; where more are, as many are counted.

    >>> from types import SimpleNamespace as Named
    >>> guesses = [Named(name=name, guess=True, named=True) for name in ("MPT 1327", "EDACS", "LTR")]
    >>> [protocol_words(Named(protocols=guesses[:count])) for count in range(4)]
    ['', 'MPT 1327?', 'MPT 1327 or EDACS?', 'MPT 1327 or 2 others?']
    """
    named = [one for one in record.protocols if one.named]
    if not named:
        return ""
    words = printable(named[0].name, _LONGEST_NAME)
    if len(named) == 2:
        words += f" or {printable(named[1].name, _LONGEST_NAME)}"
    elif named[1:]:
        words += f" or {len(named) - 1} others"
    return words + "?" * any(one.guess for one in named)


def label_texts(record: Any) -> tuple[str, ...]:
    """Return what may stand on an emission's label: with its protocol where it has one, and in a word or two."""
    words, protocol = emission_words(record), protocol_words(record)
    return (f"{words} · {protocol}", words) if protocol and len(protocol) <= _LONGEST_PROTOCOL else (words,)


def frequency_text(offset: float, centre: float | None, step: float = 100.0) -> str:
    """Return a place in the band as text of about the same length everywhere in it.

    Args:
        offset: from the middle of the band, Hz.
        centre: what the middle stands for, Hz; None where it is not known.
        step: what the last digit shall be, Hz.
    """
    if centre is None:
        digits = max(0, math.ceil(3 - math.log10(step)))
        rounded = round(offset / 1e3, digits)
        sign = "−" if rounded < 0 else "+" if rounded else ""
        return f"{sign}{abs(offset) / 1e3:.{digits}f} kHz"
    value = centre + offset
    scale, unit = (1e6, "MHz") if abs(centre) >= 1e6 else (1e3, "kHz")
    digits = max(0, math.ceil(math.log10(scale) - math.log10(step)))
    return f"{value / scale:.{digits}f} {unit}"


def place_text(record: Any, centre: float | None) -> str:
    """Return the middle of an emission: to 10 Hz if it is narrower than 1 kHz, otherwise to 100 Hz."""
    width = record.upper - record.lower
    return frequency_text((record.lower + record.upper) / 2, centre, 10.0 if width < 1e3 else 100.0)


def span_text(width: float) -> str:
    """Return a bandwidth or a symbol rate's number with three figures: `25.1 kHz`."""
    return engineering(width, "Hz", 3)


def ago_text(seconds: float) -> str:
    """Return a duration in a few letters.

    >>> [ago_text(seconds) for seconds in (0.2, 12.3, 75, 7300)]
    ['0.2 s', '12 s', '1:15', '2:01:40']
    """
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    return f"{hours}:{minutes % 60:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def ticks(low: float, high: float, most: int) -> tuple[list[float], float]:
    """Return round values between two limits, at most `most`, and their distance.

    >>> ticks(-1.2e6, 1.2e6, 6)
    ([-1000000.0, -500000.0, 0.0, 500000.0, 1000000.0], 500000.0)
    """
    if not high > low or most < 1:
        return [], 1.0
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)], step


@dataclass(frozen=True)
class LabelWish:
    """A label and where it would like to be.

    Attributes:
        middle: of the label, pixels.
        width: pixels.
    """

    middle: float
    width: float


def place_labels(
    wishes: Sequence[LabelWish], left: float, right: float, rows: int, gap: float = 3.0
) -> list[tuple[int, float] | None]:
    """Place labels on a few rows so that none covers another: earlier ones first, in the row where they move least.

    Args:
        wishes: the labels, the most important first.
        left: limit, pixels.
        right: limit, pixels.
        rows: how many rows there are.
        gap: between two labels, pixels.

    Returns:
        For each label its row and left edge; None for one that has no room.

    >>> place_labels([LabelWish(50, 40), LabelWish(60, 40), LabelWish(55, 40)], 0, 100, 2, gap=0)
    [(0, 30.0), (1, 40.0), (0, 70.0)]
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in range(rows)]
    places: list[tuple[int, float] | None] = []
    for wish in wishes:
        best: tuple[float, int, float] | None = None
        for row, others in enumerate(taken):
            start = _free_place(others, wish, left, right, gap)
            if start is None:
                continue
            # A row further away costs a little, so that labels stay together; a label far from its place costs more.
            cost = abs(start + wish.width / 2 - wish.middle) + 0.15 * row * wish.width
            if best is None or cost < best[0]:
                best = (cost, row, start)
        if best is None or best[0] > (_FARTHEST + 0.15 * rows) * wish.width:
            places.append(None)
            continue
        bisect.insort(taken[best[1]], (best[2], best[2] + wish.width))
        places.append((best[1], best[2]))
    return places


def _free_place(
    others: Sequence[tuple[float, float]], wish: LabelWish, left: float, right: float, gap: float
) -> float | None:
    """Return the left edge nearest to the wish at which a label touches no other; None if there is no room.

    `others` are the labels of the row, from left to right.
    """
    wanted = wish.middle - wish.width / 2
    best: float | None = None
    begin = left
    for start, stop in (*others, (right + gap, math.inf)):
        end = start - gap - wish.width
        if end >= begin - 1e-6:
            place = min(max(wanted, begin), end)
            if best is None or abs(place - wanted) < abs(best - wanted):
                best = place
        if begin > wanted and best is not None:
            break
        begin = stop + gap
    return best

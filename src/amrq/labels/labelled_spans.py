# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a recording that carry a label, and the chunks cut from them."""

import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.labels.labels_folder import label_name
from amrq.model import UNKNOWN
from amrq.recordings import Annotation, Recording
from amrq.text import printable

__all__ = [
    "LabelledSpans",
    "Reason",
    "SelectedChunks",
    "Span",
    "labelled_spans",
    "select_chunks",
    "symbol_places",
]

_OWN = "gr-amrq "
"""How the generator of an annotation begins that this program wrote (see `amrq.outputs.AnnotationFile`)."""
_UNDECIDED = "unknown (undecided)"


@dataclass(frozen=True)
class Span:
    """Samples `start` up to `stop` are `label`; `known` says whether that can be a label.

    >>> Span(start=0, stop=1000, label="QPSK").known
    True
    """

    start: int
    stop: int
    label: str
    known: bool = True


@dataclass(frozen=True)
class LabelledSpans:
    """The annotated stretches of a recording.

    Attributes:
        spans: in order of their starts; touching or overlapping stretches of one label are joined. Annotations by
            other authors overrule those by this program.
        own: number of annotations by this program that name a label: decisions of a model, perhaps not checked by a
            person.
        undecided: number of annotations by this program with `unknown` because it was unsure. They are in `spans`,
            with `known` False.
        elsewhere: number of annotations of other parts of the band, which are left out.
    """

    spans: tuple[Span, ...]
    own: int = 0
    undecided: int = 0
    elsewhere: int = 0

    @property
    def unknown_names(self) -> tuple[str, ...]:
        """Texts that cannot be labels, in order of appearance."""
        return tuple(dict.fromkeys(span.label for span in self.spans if not span.known))


def labelled_spans(
    recording: Recording,
    offset: float = 0.0,
    whole: str | None = None,
    aliases: Mapping[str, str] | None = None,
    slack: float = 0.0,
    own_margin: float = 0.0,
) -> LabelledSpans:
    """Read annotations as labels.

    Args:
        recording: the annotated recording.
        offset: of the signal from the middle of the band, Hz; annotations of other parts of the band are left out.
        whole: label of a whole recording without annotations; annotations by this program are ignored here.
        aliases: replacement for a label as written in the file (case does not matter); an empty text leaves the
            annotation out.
        slack: stretches of one label are joined if at most this many samples are between them.
        own_margin: samples left out at either end of this program's annotations, since it finds a change of class only
            to within some chunks.

    Raises:
        AmrqError: a given label is not valid, or `whole` is given for a recording with annotations by others.
    """
    meant = {text.casefold(): text_of for text, text_of in (aliases or {}).items()}
    for text in (*meant.values(), *([whole] if whole is not None else [])):
        if text and label_name(text) is None:
            raise AmrqError(f"{printable(text, 80)!r} is not a label: give up to 64 printable characters.")
    if whole is not None:
        theirs = [a.label for a in recording.annotations if a.label and not a.generator.startswith(_OWN)]
        if theirs:
            raise AmrqError(
                f"{recording.path} already has annotations ({theirs[0]!r}, {len(theirs)} in all), which one label for "
                "the whole recording would contradict: leave --label out."
            )
        return LabelledSpans((Span(0, recording.length, label_name(whole) or whole),))
    theirs_there: list[Span] = []
    mine: list[Span] = []
    own = undecided = elsewhere = 0
    for annotation in recording.annotations:
        span = _span(annotation, recording.length, meant)
        if span is None:
            continue
        if annotation.band is not None and not annotation.band[0] <= offset <= annotation.band[1]:
            elsewhere += 1
            continue
        if not annotation.generator.startswith(_OWN):
            theirs_there.append(span)
        elif span.label == UNKNOWN:
            undecided += 1
            mine.append(Span(span.start, span.stop, _UNDECIDED, known=False))
        else:
            own += 1
            mine.append(span)
    # Annotations by others overrule those by this program.
    trimmed = [
        Span(round(span.start + own_margin), round(span.stop - own_margin), span.label, span.known)
        for span in _merged(mine, slack)
        if span.stop - span.start > 2 * own_margin
    ]
    left = _outside(trimmed, theirs_there)
    return LabelledSpans(_merged([*theirs_there, *left], slack), own, undecided, elsewhere)


def _span(annotation: Annotation, length: int, aliases: Mapping[str, str]) -> Span | None:
    """Return an annotation as a span; None if it has no label."""
    start, stop = max(0, annotation.start), min(length, annotation.start + annotation.count)
    text = aliases.get(annotation.label.casefold(), annotation.label)
    if not text.strip() or stop <= start:
        return None
    name = label_name(text)
    return Span(start, stop, text if name is None else name, known=name is not None)


def _outside(spans: list[Span], others: list[Span]) -> list[Span]:
    """Return the parts of stretches that lie outside the others."""
    starts: list[int] = []  # the others, with overlapping and touching ones joined
    stops: list[int] = []
    for other in sorted(others, key=lambda other: other.start):
        if stops and other.start <= stops[-1]:
            stops[-1] = max(stops[-1], other.stop)
        else:
            starts.append(other.start)
            stops.append(other.stop)
    pieces = []
    for span in spans:
        position = span.start
        place = bisect.bisect_right(stops, position)
        while place < len(starts) and starts[place] < span.stop:
            if position < starts[place]:
                pieces.append(Span(position, starts[place], span.label, span.known))
            position, place = stops[place], place + 1
        if position < span.stop:
            pieces.append(Span(position, span.stop, span.label, span.known))
    return pieces


def _merged(spans: list[Span], slack: float) -> tuple[Span, ...]:
    last: dict[str, Span] = {}
    done: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, s.stop)):
        before = last.get(span.label)
        if before is not None and span.start <= before.stop + slack:
            span = Span(before.start, max(before.stop, span.stop), span.label, span.known)
        elif before is not None:
            done.append(before)
        last[span.label] = span
    return tuple(sorted([*done, *last.values()], key=lambda s: (s.start, s.stop)))


def symbol_places(
    symbols: NDArray[np.int64],
    marked: NDArray[np.int64],
    samples: NDArray[np.int64],
    samples_per_symbol: float,
) -> NDArray[np.float64]:
    """Return the sample at which each symbol was received, from marks that passed through the receiver with the signal.

    A receiver delays its output and follows the sender's clock. Both affect the marks in the same way and so cancel.

    Args:
        symbols: int64 [N], indices of symbols.
        marked: int64 [M], rising: indices of the symbols with a mark.
        samples: int64 [M], rising: the samples on which those marks were put.
        samples_per_symbol: nominal value, used before the first mark and after the last.

    Returns:
        float64 [N], samples of the recording.
    """
    if not len(marked):
        return np.asarray(symbols * samples_per_symbol, dtype=np.float64)
    places = np.interp(symbols, marked, samples)
    before, behind = symbols < marked[0], symbols > marked[-1]
    places[before] = samples[0] + (symbols[before] - marked[0]) * samples_per_symbol
    places[behind] = samples[-1] + (symbols[behind] - marked[-1]) * samples_per_symbol
    return np.asarray(places, dtype=np.float64)


class Reason:
    """The reason why a chunk is not used."""

    OUTSIDE = "outside annotations"
    DISAGREE = "labels disagree"
    GATED = "below the gate"
    SETTLING = "front end settling"
    THINNED = "more than wanted"


class SelectedChunks(NamedTuple):
    """Chunks with labels.

    Attributes:
        rows: int64 [N], rising: indices of the chunks.
        labels: their labels, N of them.
        dropped: number of other chunks, by reason: one of `Reason`, or `label not known: NAME`.
    """

    rows: NDArray[np.int64]
    labels: list[str]
    dropped: Counter[str]


def select_chunks(
    starts: NDArray[np.float64],
    stops: NDArray[np.float64],
    audible: NDArray[np.bool_],
    spans: Sequence[Span],
    settling: float = 0.0,
    margin: float = 0.0,
    most: int = 0,
) -> SelectedChunks:
    """Label the chunks that lie wholly within a stretch of one label, after the front end has settled.

    A chunk that overlaps a stretch of another label, known or not, is not used.

    Args:
        starts: float64 [M], rising: where each chunk begins, samples of the recording.
        stops: float64 [M], rising: where it ends.
        audible: bool [M], False for chunks in which the gate was closed.
        spans: in order of their starts.
        settling: samples after the start of a stretch that the front end needs to settle.
        margin: least distance of a chunk from either end of a stretch, in samples, since places are not exact.
        most: most chunks of each label, spread evenly over the recording; 0: no limit.
    """
    count = len(starts)
    names = list(dict.fromkeys(span.label for span in spans))
    known = {span.label for span in spans if span.known}
    label = np.full(count, -1)
    disagree = np.zeros(count, dtype=np.bool_)
    within = np.zeros(count, dtype=np.bool_)
    settled = np.zeros(count, dtype=np.bool_)
    for span in spans:
        number = names.index(span.label)
        # Chunks that overlap the stretch, and of these the ones wholly inside it.
        near = slice(
            int(np.searchsorted(stops, span.start, side="right")), int(np.searchsorted(starts, span.stop))
        )
        disagree[near] |= (label[near] >= 0) & (label[near] != number)
        label[near] = number
        inside = (starts[near] >= span.start + margin) & (stops[near] <= span.stop - margin)
        within[near] |= inside
        settled[near] |= inside & (starts[near] >= span.start + settling)
    # If several reasons apply, the first one counts.
    unknown = [(label == n, f"label not known: {name}") for n, name in enumerate(names) if name not in known]
    rules = [
        (~within, Reason.OUTSIDE),
        (disagree, Reason.DISAGREE),
        *unknown,
        (~audible, Reason.GATED),
        (~settled, Reason.SETTLING),
    ]
    usable = np.ones(count, dtype=np.bool_)
    dropped: Counter[str] = Counter()
    for holds, why in rules:
        dropped[why] += int((usable & holds).sum())
        usable &= ~holds
    for number in range(len(names)) if most else ():
        mine = np.flatnonzero(usable & (label == number))
        if len(mine) > most:
            usable[mine] = False
            usable[mine[np.arange(most) * len(mine) // most]] = True
            dropped[Reason.THINNED] += len(mine) - most
    rows = np.flatnonzero(usable).astype(np.int64)
    return SelectedChunks(rows, [names[number] for number in label[rows]], +dropped)

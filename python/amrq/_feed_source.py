# SPDX-License-Identifier: GPL-3.0-or-later
"""A GNU Radio source block for any feed of `amrq.sources`."""

from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._errors import guarded
from gnuradio.amrq._tags import OVERFLOW_KEY, read_number, read_time
from gnuradio.amrq.chunker import SAMPLE_INDEX_KEY
from gnuradio.amrq.symbol_front_end import INPUT_SECONDS_KEY
from numpy.typing import NDArray

from amrq.sources import Feed, Piece, SourceCounts, StreamTag
from amrq.text import is_printable

__all__ = ["feed_source"]

_PATIENCE = 0.1  # seconds to wait for a sample before the flowgraph may check whether to stop
_END_OF_STREAM = -1
_OURS = (SAMPLE_INDEX_KEY, INPUT_SECONDS_KEY)
"""Tags that the blocks behind make themselves: from elsewhere they would speak of another stream."""
_NUMBERS = ("rx_freq", "rx_rate")
_LATEST = 2.0**40  # seconds since 1970
_LONGEST_NAME = 100  # of a modulation


class feed_source(gr.sync_block):
    """Send the samples of a feed.

    Tags made: those of the feed, and `rx_overflow` where samples were lost, with their number so far.

    Args:
        feed: the feed of samples. Its reports go to the block's log.
    """

    def __init__(self, feed: Feed) -> None:
        gr.sync_block.__init__(self, name=f"amrq_{type(self).__name__}", in_sig=None, out_sig=[np.complex64])
        self.error: Exception | None = None
        self.feed = feed
        feed.report = self._warn
        self._pending = Piece()
        self._breaks = 0
        self._first: NDArray[np.complex64] = np.empty(0, dtype=np.complex64)

    def _warn(self, text: str) -> None:
        self.logger.warn(text)

    def counts(self) -> SourceCounts:
        """Return counts of the losses and faults so far."""
        return self.feed.counts()

    def put_back(self, samples: NDArray[np.complex64]) -> None:
        """Send these samples first: they were read from the feed but not sent. Not while the flowgraph runs.

        They are sent without tags: there is no break among them.
        """
        self._first = np.concatenate([samples, self._first])

    def _read(self, patience: float) -> Piece | None:
        return self.feed.read(patience)

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Send the samples that have arrived."""
        out = output_items[0]
        if len(self._first):
            count = min(len(out), len(self._first))
            out[:count], self._first = self._first[:count], self._first[count:]
            return count
        filled, patience = 0, _PATIENCE  # wait for the first piece only
        while filled < len(out):
            piece = self._pending if len(self._pending.samples) else self._read(patience)
            if piece is None:
                return filled or _END_OF_STREAM
            count = min(len(out) - filled, len(piece.samples))
            if not count:
                break
            out[filled : filled + count] = piece.samples[:count]
            self._tag(piece, self.nitems_written(0) + filled, count)
            later = [
                StreamTag(tag.index - count, tag.key, tag.value) for tag in piece.tags if tag.index >= count
            ]
            self._pending = Piece(piece.samples[count:], False, tuple(later))
            filled, patience = filled + count, 0.0
        return filled

    def _tag(self, piece: Piece, place: int, count: int) -> None:
        """Tag the first `count` samples of a piece, which go to output position `place`."""
        if piece.broken:
            self._tag_break(place)
        for tag in piece.tags:
            if tag.index >= count:
                break
            if tag.key == OVERFLOW_KEY:
                self._tag_break(place + tag.index)
            elif (value := _value(tag)) is not None:
                self.add_item_tag(0, place + tag.index, pmt.intern(tag.key), value)

    def _tag_break(self, offset: int) -> None:
        self._breaks += 1
        self.add_item_tag(0, offset, pmt.intern(OVERFLOW_KEY), pmt.from_uint64(self._breaks))


def _value(tag: StreamTag) -> Any:
    """Return a tag's value as a PMT; None if the value from the network does not fit the tag's key.

    The following blocks rely on it: a frequency is a number, a time counts from 1970 or from the radio's start.
    """
    if not isinstance(tag.value, bytes):
        return pmt.from_double(tag.value)
    try:
        value = pmt.deserialize_str(tag.value)
        if tag.key in _OURS:
            return None
        if tag.key in _NUMBERS:
            return value if read_number(value) is not None else None
        if tag.key == "rx_time":
            seconds = read_time(value)
            return value if seconds is not None and 0 <= seconds < _LATEST else None
        if tag.key == "modulation":
            if not pmt.is_symbol(value):
                return value  # nobody knows from here on
            name = pmt.symbol_to_string(value)
            return value if is_printable(name) and len(name) <= _LONGEST_NAME else None
        return value
    except (RuntimeError, ValueError, TypeError, IndexError):  # ValueError: text that is not UTF-8, too
        return None

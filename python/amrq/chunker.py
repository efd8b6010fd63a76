# SPDX-License-Identifier: GPL-3.0-or-later
"""Division of a symbol stream into chunks."""

from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded, guarded_run
from gnuradio.amrq._tags import BREAKS, tags_between
from gnuradio.amrq.symbol_front_end import INPUT_SECONDS_KEY, NOT_FINITE_KEY

from amrq.chunks import SILENCE_POWER
from amrq.errors import AmrqError

__all__ = ["SAMPLE_INDEX_KEY", "chunker"]

SAMPLE_INDEX_KEY = "sample_index"
"""Tag on the first chunk and on the first one after every break of the stream: a PMT tuple (uint64 index of the
chunk's first sample, uint64 hop)."""

_LONGEST = 4096
"""Samples a chunk at most: GNU Radio's default buffer holds 8192 complex samples."""
_BUFFER = 2**19
"""Bytes of chunks that may wait for the next block: a call of it costs as much as classifying dozens of chunks."""
_ROOM = 4096
"""Samples of the chunks that there is room for in each call: half of GNU Radio's default buffer."""
_FARTHEST = 2**20
"""Samples from chunk to chunk at most: GNU Radio makes the buffer before this block twice as long."""


class chunker(gr.basic_block):
    """Turn a complex stream into vectors of `chunk_length` samples.

    The index of every sample can be recovered: the tag `sample_index`, a tuple (index of the chunk's first sample,
    hop), stands on the first chunk and on the first one after every break of the stream.

    Tags travel to the chunk that *holds* their sample (GNU Radio's own rounding would move those in a chunk's
    second half to the next one); a tag between two chunks goes to the later one. A chunk that straddles a change of a
    `modulation` tag therefore carries the new class although it begins with the old one.
    `input_seconds` (see `symbol_front_end`) becomes a tuple (index of the sample it stood on, seconds).
    A chunk with a `not_finite` tag on one of its samples becomes one that is not finite.
    At a `rx_freq`, `rx_time`, `rx_rate` or `rx_overflow` tag with a new value the stream breaks: the samples before and
    after do not belong together. The chunk in progress is discarded, counted in `discarded`, and the next one begins on
    the tagged sample.

    Args:
        chunk_length: samples a chunk.
        hop: samples from one chunk's first sample to the next one's; 0 means `chunk_length`.
        gate_db: a chunk with a mean power below this, in dB relative to 1, is passed on as zeros, which a classifier
            counts as silent. By default every chunk passes.

    Raises:
        AmrqError: a value is out of its range.
    """

    @checked_arguments
    def __init__(self, chunk_length: int = 32, hop: int = 0, gate_db: float = -200.0) -> None:
        if chunk_length < 1:
            raise AmrqError(f"a chunk needs at least 1 sample, not {chunk_length}.")
        if chunk_length > _LONGEST:
            raise AmrqError(
                f"chunks of {chunk_length} samples are longer than GNU Radio's buffers: give at most {_LONGEST}."
            )
        if not 0 <= hop <= _FARTHEST:
            raise AmrqError(
                f"the hop must be 1 to {_FARTHEST} samples (or 0 for the chunk length), not {hop}: for chunks that are "
                "further apart decimate or gate the stream before."
            )
        gr.basic_block.__init__(
            self, name="amrq_chunker", in_sig=[np.complex64], out_sig=[(np.complex64, chunk_length)]
        )
        self.error: Exception | None = None
        self.discarded = 0
        """Samples left out because the stream broke before their chunk was full."""
        self._length = int(chunk_length)
        self._hop = int(hop) or self._length
        self._begin()
        self.set_gate_db(gate_db)
        self.set_tag_propagation_policy(gr.TPP_DONT)
        self.set_relative_rate(1, self._hop)
        self.set_min_output_buffer(0, max(2, _BUFFER // (8 * self._length)))
        # Where too few samples have come for all chunks that there is room for, GNU Radio asks for half as many again
        # and again, down to this number.
        self.gateway.set_output_multiple(max(_ROOM // self._length, 1))

    def _begin(self) -> None:
        self._next = 0  # index of the next chunk's first sample
        self._announce = True  # the next chunk needs a sample_index tag
        self._broken = -1  # index of the last break
        self._values: dict[str, Any] = {}  # last values of the tags that can mark a break
        self._held: list[tuple[str, Any]] = []  # tags that wait for the next chunk, with their keys

    @guarded_run
    def start(self) -> bool:
        """Begin a run: GNU Radio counts samples from 0 again."""
        self._begin()
        self.error = None
        return True

    @guarded_run
    def stop(self) -> bool:
        """End a run."""
        return True

    @checked_arguments
    def set_gate_db(self, gate_db: float) -> None:
        """Set the power gate in dB relative to 1."""
        if np.isnan(gate_db):
            raise AmrqError("the power gate must be a number in dB, not NaN.")
        self._gate = 10.0 ** (min(gate_db, 300.0) / 10.0)

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Return how many samples a chunk needs: as many chunks are made as there are.

        If all the room there is had to be filled, GNU Radio would hand them over in halves, quarters and so on.
        """
        if self._next > self.nitems_read(0):
            return [1]  # the gap between two chunks may be longer than any buffer
        return [self._length]

    def _next_break(self, tags: list[tuple[int, str, Any]]) -> int | None:
        """Return the index of the first break after the last one, by offset, key and tag of what may be breaks."""
        if not tags:
            return None
        values = dict(self._values)
        for offset, key, tag in tags:
            # Receivers and timing loops repeat tags: an unchanged value is not a break.
            known = key in values and pmt.equal(values[key], tag.value)
            values[key] = tag.value
            if not known and offset > self._broken:
                return offset
        return None

    @guarded
    def general_work(self, input_items: Any, output_items: Any) -> int:
        """Divide the samples that have arrived into chunks."""
        stream, out = input_items[0], output_items[0]
        start = self.nitems_read(0)
        end = start + len(stream)
        tags = tags_between(self, start, end)
        breaking = [tag for tag in tags if tag[1] in BREAKS]
        limit = self._next_break(breaking)
        while limit is not None and limit <= self._next:  # at the next chunk, or in the gap before it
            self._next, self._broken, self._announce = limit, limit, True
            limit = self._next_break(breaking)

        begin = max(self._next, start)
        room = (end if limit is None else limit) - begin
        whole = (room - self._length) // self._hop + 1 if room >= self._length else 0
        count = min(len(out), whole)
        if count and self._hop == self._length:
            out[:count] = stream[begin - start :][: count * self._length].reshape(count, self._length)
        elif count:
            windows = np.lib.stride_tricks.sliding_window_view(stream[begin - start :], self._length)
            out[:count] = windows[: (count - 1) * self._hop + 1 : self._hop]
        if count:
            self._close_gate(out[:count])
        self._next = begin + count * self._hop
        announce, self._announce = self._announce, self._announce and not count
        if limit is not None and count == whole:
            used = begin + (count - 1) * self._hop + self._length if count else begin
            self.discarded += max(0, limit - max(used, self._next))
            self._next, self._broken, self._announce = limit, limit, True

        consumed = min(self._next, end)
        self._tag(begin, out[:count], announce, [tag for tag in tags if tag[0] < consumed])
        self.consume(0, consumed - start)
        return count

    def _close_gate(self, chunks: Any) -> None:
        if self._gate <= SILENCE_POWER:
            return
        parts = np.ascontiguousarray(chunks).view(np.float32)
        power = np.einsum("nl,nl->n", parts, parts) / self._length
        # Not "power < gate -> 0" alone: a NaN must reach the classifier, which counts it.
        chunks[power < self._gate] = 0

    def _tag(self, begin: int, chunks: Any, announce: bool, tags: list[tuple[int, str, Any]]) -> None:
        """Put the tags of the consumed samples onto chunks; the first chunk begins at sample `begin`."""
        written, count, add = self.nitems_written(0), len(chunks), self.add_item_tag
        if count and announce:
            index = pmt.make_tuple(pmt.from_uint64(begin), pmt.from_uint64(self._hop))
            add(0, written, pmt.intern(SAMPLE_INDEX_KEY), index)
        late: list[tuple[str, Any]] = []
        placed = [(0, *held) for held in self._held]
        for offset, key, tag in tags:
            if key in BREAKS:
                self._values[key] = tag.value
            elif key == INPUT_SECONDS_KEY:
                tag.value = pmt.make_tuple(pmt.from_uint64(offset), tag.value)
            chunk, within = divmod(max(0, offset - begin), self._hop)
            placed.append((chunk + (within >= self._length), key, tag))
        for chunk, key, tag in placed:
            if chunk >= count:
                late.append((key, tag))
            elif key == NOT_FINITE_KEY:
                chunks[chunk] = np.nan
            else:
                tag.offset = written + chunk
                add(0, tag)
        self._held = late

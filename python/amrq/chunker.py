# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting a symbol stream into chunks."""

from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._guarded import guarded

from amrq.chunks import SILENCE_POWER
from amrq.errors import AmrqError

__all__ = ["SAMPLE_INDEX_KEY", "chunker"]

SAMPLE_INDEX_KEY = "sample_index"
"""Tag on the first chunk and after every realignment: a PMT tuple (uint64 index of the chunk's first sample,
uint64 hop)."""

_BREAKS = ("rx_freq", "rx_time", "rx_rate")
"""A radio puts these on the first sample behind a retune, an overflow or a change of rate."""


class chunker(gr.basic_block):
    """Turn a complex stream into vectors of `chunk_length` samples.

    Every sample's index survives: the tag `sample_index`, a tuple (index of the chunk's first sample, hop),
    stands on the first chunk and wherever the count does not simply go on.

    Tags travel to the chunk that *holds* their sample (GNU Radio's own rounding would move those in a chunk's
    second half to the next one); a tag between two chunks goes to the later one. A chunk that straddles a change of a
    `modulation` tag therefore carries the new class although it begins with the old one.
    At a `rx_freq`, `rx_time` or `rx_rate` tag the samples before and after do not belong together: the
    chunk in progress is discarded and the next one begins on the tagged sample.

    Args:
        chunk_length: samples a chunk.
        hop: samples from one chunk's first sample to the next one's; 0 means `chunk_length`.
        gate_db: a chunk whose mean power in dB (relative to 1) is below this is passed on as zeros, which a
            classifier takes for silence. The default lets everything pass.

    Raises:
        AmrqError: a value is out of its range.
    """

    def __init__(self, chunk_length: int = 32, hop: int = 0, gate_db: float = -200.0) -> None:
        if chunk_length < 1:
            raise AmrqError(f"a chunk needs at least 1 sample, not {chunk_length}.")
        if hop < 0:
            raise AmrqError(f"the hop must be at least 1 sample (or 0 for the chunk length), not {hop}.")
        gr.basic_block.__init__(
            self, name="amrq_chunker", in_sig=[np.complex64], out_sig=[(np.complex64, chunk_length)]
        )
        self.error: Exception | None = None
        self.discarded = 0
        """Samples left out because the stream broke before their chunk was full."""
        self._length = int(chunk_length)
        self._hop = int(hop) or self._length
        self._skip = 0  # samples still to pass over when the hop is longer than the chunk
        self._announce = True  # the next chunk needs a sample_index tag
        self._held: list[Any] = []  # tags that wait for the next chunk
        self.set_gate_db(gate_db)
        self.set_tag_propagation_policy(gr.TPP_DONT)
        self.set_relative_rate(1, self._hop)

    def set_gate_db(self, gate_db: float) -> None:
        """Set the power gate in dB relative to 1."""
        if np.isnan(gate_db):
            raise AmrqError("the power gate must be a number in dB, not NaN.")
        self._gate = 10.0 ** (gate_db / 10.0)

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Tell how many samples `noutput_items` chunks need."""
        return [max(1, self._skip) if self._skip else (noutput_items - 1) * self._hop + self._length]

    @guarded
    def general_work(self, input_items: Any, output_items: Any) -> int:
        """Cut what is there."""
        stream, out = input_items[0], output_items[0]
        start = self.nitems_read(0)
        if self._skip:
            passed = min(self._skip, len(stream))
            self._skip -= passed
            self._held += self.get_tags_in_range(0, start, start + passed)
            self.consume(0, passed)
            return 0
        if len(stream) < self._length:
            return 0
        count = min(len(out), (len(stream) - self._length) // self._hop + 1)
        reach = start + (count - 1) * self._hop + self._length
        tags = self.get_tags_in_range(0, start, reach)
        breaks = [t.offset for t in tags if t.offset > start and pmt.symbol_to_string(t.key) in _BREAKS]
        consumed = count * self._hop
        if breaks:
            first_break = min(breaks) - start
            whole = (first_break - self._length) // self._hop + 1 if first_break >= self._length else 0
            if whole < count:
                count, consumed = whole, first_break
                self.discarded += max(
                    0, first_break - (whole - 1) * self._hop - self._length if whole else first_break
                )
        if count:
            windows = np.lib.stride_tricks.sliding_window_view(stream, self._length)
            out[:count] = windows[: (count - 1) * self._hop + 1 : self._hop]
            self._close_gate(out[:count])
        self._tag(start, count, consumed, tags)
        taken = min(consumed, len(stream))
        self._skip = consumed - taken
        self._announce |= consumed != count * self._hop
        self.consume(0, taken)
        return count

    def _close_gate(self, chunks: Any) -> None:
        if self._gate <= SILENCE_POWER:
            return
        parts = np.ascontiguousarray(chunks).view(np.float32)
        power = np.einsum("nl,nl->n", parts, parts) / self._length
        # Not "power < gate -> 0" alone: a NaN must reach the classifier, which counts it.
        chunks[power < self._gate] = 0

    def _tag(self, start: int, count: int, consumed: int, tags: list[Any]) -> None:
        written = self.nitems_written(0)
        if count:
            if self._announce:
                index = pmt.make_tuple(pmt.from_uint64(start), pmt.from_uint64(self._hop))
                self.add_item_tag(0, written, pmt.intern(SAMPLE_INDEX_KEY), index)
                self._announce = False
            for tag in self._held:
                self.add_item_tag(0, written, tag.key, tag.value, tag.srcid)
            self._held = []
        for tag in tags:
            if tag.offset >= start + consumed:
                continue  # in the overlap with the next call's first chunk: its turn comes then
            chunk, within = divmod(tag.offset - start, self._hop)
            if within >= self._length:
                chunk += 1
            if chunk < count:
                self.add_item_tag(0, written + chunk, tag.key, tag.value, tag.srcid)
            else:
                self._held.append(tag)

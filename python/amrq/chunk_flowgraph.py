# SPDX-License-Identifier: GPL-3.0-or-later
"""A flowgraph that turns a recording into chunks and their places in the recording."""

from typing import Any, BinaryIO

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._errors import guarded, keep_errors
from gnuradio.amrq.chunker import SAMPLE_INDEX_KEY, chunker
from gnuradio.amrq.plain_errors import raise_errors
from gnuradio.amrq.recording_source import recording_source
from gnuradio.amrq.symbol_front_end import symbol_front_end
from numpy.typing import NDArray

from amrq.labels import symbol_places
from amrq.measure import FrontEndOptions, StreamInfo, check_rates
from amrq.recordings import Recording

__all__ = ["chunk_flowgraph"]

_CHUNK_LENGTH = 32
_PLACE_KEY = "recording_sample"
_SYMBOLS_A_MARK = 256
"""Between two marks the receiver's clock is taken to be even."""


class chunk_flowgraph(gr.top_block):
    """Recording -> symbol front end -> chunker -> file: store the chunks that `amrq classify` would classify.

    Args:
        recording: an open recording.
        spool: an empty binary file for the chunks: a long recording need not fit into memory.
        stream: symbol rate, offset and chunk length (0: 32 symbols) of the signal; the sample rate is the recording's.
        front_end: settings of the symbol front end; None: the defaults.
        start: first sample.
        count: samples; 0 takes all that follow.

    Raises:
        AmrqError: an argument cannot be used.
    """

    def __init__(
        self,
        recording: Recording,
        spool: BinaryIO,
        stream: StreamInfo,
        front_end: FrontEndOptions | None = None,
        start: int = 0,
        count: int = 0,
    ) -> None:
        gr.top_block.__init__(self, "amrq")
        check_rates(recording.sample_rate, stream.symbol_rate)
        chunk_length = stream.chunk_length or _CHUNK_LENGTH
        self._samples_per_symbol = recording.sample_rate / stream.symbol_rate
        self.source = recording_source(recording, start=start, count=count)
        self.front_end = symbol_front_end(recording.sample_rate, stream.symbol_rate, stream.offset, front_end)
        self.chunker = chunker(chunk_length)
        self._marker = _marker(start, max(1, round(_SYMBOLS_A_MARK * self._samples_per_symbol)))
        self._reader = _mark_reader()
        self._spooler = _chunk_spooler(chunk_length, spool)
        self.connect(self.source, self._marker, self.front_end, self.chunker, self._spooler)
        self.connect(self.front_end, self._reader)

    def done(self) -> int:
        """Return how many of the recording's samples have been read."""
        return int(self._marker.nitems_read(0))

    def places(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the begin and end of each chunk, float64 [N] each, samples of the recording; accurate to 2 symbols."""
        first = self._spooler.first_symbols()
        marks = np.array(sorted(self._reader.marks.items()), dtype=np.int64).reshape(-1, 2)
        sample, symbol = marks[:, 0], marks[:, 1]
        # The front end's timing may slip back by a symbol while it settles.
        symbol = np.maximum.accumulate(symbol)
        starts, stops = (
            symbol_places(symbols, symbol, sample, self._samples_per_symbol)
            for symbols in (first, first + self._spooler.chunk_length)
        )
        return starts, stops

    def keep_errors(self) -> None:
        """Do not log an error that ends the run; the caller calls `raise_error` after the run."""
        keep_errors()

    def raise_error(self) -> None:
        """Raise the error that ended the run early, if there was one.

        Raises:
            AmrqError: the errors of all blocks that have one, in order from the source on.
        """
        blocks = (self.source, self._marker, self.front_end, self.chunker, self._reader, self._spooler)
        raise_errors((block.name(), block) for block in blocks)


class _marker(gr.sync_block):
    """Pass samples on, and tag them at regular distances with their place in the recording."""

    def __init__(self, start: int, every: int) -> None:
        gr.sync_block.__init__(self, name="amrq_marker", in_sig=[np.complex64], out_sig=[np.complex64])
        self.error: Exception | None = None
        self._start, self._every = start, every

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        output_items[0][:] = input_items[0]
        begin = self.nitems_written(0)
        first = -(-begin // self._every) * self._every
        for offset in range(first, begin + len(output_items[0]), self._every):
            self.add_item_tag(0, offset, pmt.intern(_PLACE_KEY), pmt.from_uint64(self._start + offset))
        return len(output_items[0])


class _mark_reader(gr.sync_block):
    """Drop symbols and keep their marks: `marks`, by sample of the recording."""

    def __init__(self) -> None:
        gr.sync_block.__init__(self, name="amrq_mark_reader", in_sig=[np.complex64], out_sig=None)
        self.error: Exception | None = None
        self.marks: dict[int, int] = {}

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        begin = self.nitems_read(0)
        count = len(input_items[0])
        for tag in self.get_tags_in_range(0, begin, begin + count, pmt.intern(_PLACE_KEY)):
            # The timing loop repeats a tag now and then: the first one is right.
            self.marks.setdefault(pmt.to_uint64(tag.value), int(tag.offset))
        return count


class _chunk_spooler(gr.sync_block):
    """Write chunks to a file, and keep the index of each one's first symbol."""

    def __init__(self, chunk_length: int, spool: BinaryIO) -> None:
        gr.sync_block.__init__(
            self, name="amrq_chunk_spooler", in_sig=[(np.complex64, chunk_length)], out_sig=None
        )
        self.error: Exception | None = None
        self.chunk_length = chunk_length
        self._spool = spool
        self._runs: list[tuple[int, int, int]] = []  # (chunk, its first symbol, symbols to the next one's)
        self._count = 0

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        begin = self.nitems_read(0)
        count = len(input_items[0])
        for tag in self.get_tags_in_range(0, begin, begin + count, pmt.intern(SAMPLE_INDEX_KEY)):
            index, hop = (pmt.to_uint64(pmt.tuple_ref(tag.value, part)) for part in (0, 1))
            self._runs.append((int(tag.offset), index, hop))
        self._spool.write(np.ascontiguousarray(input_items[0]).tobytes())
        self._count += count
        return count

    def first_symbols(self) -> NDArray[np.int64]:
        """Return int64 [N]."""
        ends = [*(chunk for chunk, _, _ in self._runs[1:]), self._count]
        runs = [
            index + hop * np.arange(end - chunk, dtype=np.int64)
            for (chunk, index, hop), end in zip(self._runs, ends, strict=True)
        ]
        return np.concatenate([np.empty(0, np.int64), *runs])

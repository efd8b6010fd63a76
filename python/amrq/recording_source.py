# SPDX-License-Identifier: GPL-3.0-or-later
"""A source that streams a recording."""

import bisect
import os
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded, guarded_run
from gnuradio.amrq._tags import made_time

from amrq.errors import AmrqError
from amrq.recordings import Recording, open_recording

__all__ = ["recording_source"]


class recording_source(gr.sync_block):
    """Stream a SigMF, wav or raw recording as complex samples, full scale 1.

    Real samples (a wav file of one channel) become the complex signal of their positive frequencies at the same rate.
    Samples that are not finite are sent unchanged: the front end marks them, and their chunks are counted and left
    out. Faults of the file, and values taken from its name, are logged.

    The first sample has the tag `rx_rate`. If the file states them, `rx_time` gives the time of the first sample and
    of the first one after each gap, and `rx_freq` the frequency, on the first sample and at each change. A tag
    `modulation` gives the label of a SigMF annotation at its start, and PMT nil at its end.

    Args:
        path: the file, or a recording that is open already.
        format: one of `amrq.recordings.FORMATS`; `auto` takes the format from the file name.
        sample_rate: samples a second; 0 takes the rate from the file (raw files do not state one).
        start: first sample to send.
        count: samples to send; 0 sends all that follow.
        repeat: begin again at the end.
        name: which recording of a SigMF archive or collection; empty for the first.

    Raises:
        AmrqError: the file cannot be used, or has no samples from `start` on.
    """

    @checked_arguments
    def __init__(
        self,
        path: str | Recording,
        format: str = "auto",
        sample_rate: float = 0.0,
        start: int = 0,
        count: int = 0,
        repeat: bool = False,
        name: str = "",
    ) -> None:
        if not isinstance(path, (str, os.PathLike, Recording)):
            raise AmrqError(f"path must be that of a recording, not a value of type {type(path).__name__}.")
        opened = isinstance(path, Recording)
        self.recording = (
            path
            if isinstance(path, Recording)
            else open_recording(path, format, sample_rate or None, name or None)
        )
        gr.sync_block.__init__(self, name="amrq_recording_source", in_sig=None, out_sig=[np.complex64])
        for note in () if opened else self.recording.notes:  # the caller that opened it reports its notes
            self.logger.warn(note)
        self.error: Exception | None = None
        if not 0 <= start < self.recording.length or count < 0:
            raise AmrqError(
                f"{self.recording.path} has {self.recording.length} samples: nothing can be sent from sample {start} on"
                + (f" for {count} samples." if count < 0 else ".")
            )
        self._start = int(start)
        self._stop = min(self.recording.length, self._start + count) if count else self.recording.length
        self._repeat = repeat
        self._position = self._start
        self._tags = self._all_tags()

    @guarded_run
    def start(self) -> bool:
        """Begin at the beginning."""
        self._position = self._start
        self.error = None
        return True

    def sample_rate(self) -> float:
        """Return the samples a second."""
        return self.recording.sample_rate

    def _all_tags(self) -> list[tuple[int, str, Any]]:
        """Return (sample, key, value) of each tag to send; the first sample sent has all values in force there."""
        tags: list[tuple[int, str, Any]] = [
            (self._start, "rx_rate", pmt.from_double(self.recording.sample_rate))
        ]
        inside = [n for n in self.recording.gaps() if self._start < n < self._stop]
        for sample in (self._start, *inside):
            moment = self.recording.received(sample)
            if moment is not None and moment.year >= 1970:  # the tag cannot give an earlier time
                tags.append((sample, "rx_time", made_time(moment)))
        changes = [("rx_freq", n, pmt.from_double(frequency)) for n, frequency in self.recording.tunings]
        for n, label in self.recording.truths():
            changes.append(("modulation", n, pmt.PMT_NIL if label is None else pmt.intern(label)))
        for wanted in ("rx_freq", "modulation"):
            mine = [(n, value) for key, n, value in changes if key == wanted and n < self._stop]
            for place, (n, value) in enumerate(mine):
                following = mine[place + 1][0] if place + 1 < len(mine) else self._stop
                if following > self._start and (n >= self._start or not pmt.is_null(value)):
                    tags.append((max(n, self._start), wanted, value))
        return sorted(tags, key=lambda tag: tag[0])

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Read the next samples."""
        if self._position >= self._stop:
            if not self._repeat:
                return -1
            self._position = self._start
        out = output_items[0]
        count = min(len(out), self._stop - self._position)
        out[:count] = self.recording.read(self._position, count)
        self._tag(self._position, count)
        self._position += count
        return count

    def _tag(self, position: int, count: int) -> None:
        offset = self.nitems_written(0) - position
        first, last = (
            bisect.bisect_left(self._tags, n, key=lambda tag: tag[0]) for n in (position, position + count)
        )
        for sample, key, value in self._tags[first:last]:
            self.add_item_tag(0, offset + sample, pmt.intern(key), value)

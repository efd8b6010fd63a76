# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording as a stream."""

from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.amrq._guarded import guarded

from amrq.errors import AmrqError
from amrq.recordings import open_recording

__all__ = ["recording_source"]


class recording_source(gr.sync_block):
    """Stream a SigMF, IQ wav or raw recording as complex samples, full scale 1.

    On the first sample stand the tags `rx_rate` and, where the file tells it, `rx_freq`. Where a SigMF
    annotation with a label begins, a tag `modulation` gives the label; where it ends, one gives PMT nil.

    Args:
        path: the file.
        format: auto, sigmf, wav, cf32, ci16, ci8 or cu8; auto goes by the suffix.
        sample_rate: samples a second; 0 takes the file's own, which raw files do not have.
        start: first sample to send.
        count: samples to send; 0 sends all that follow.
        repeat: begin again at the end.

    Raises:
        AmrqError: the file cannot be used, or holds nothing from `start` on.
    """

    def __init__(
        self,
        path: str,
        format: str = "auto",
        sample_rate: float = 0.0,
        start: int = 0,
        count: int = 0,
        repeat: bool = False,
    ) -> None:
        self.recording = open_recording(path, format, sample_rate or None)
        gr.sync_block.__init__(self, name="amrq_recording_source", in_sig=None, out_sig=[np.complex64])
        self.error: Exception | None = None
        if not 0 <= start < self.recording.length or count < 0:
            raise AmrqError(
                f"{path} has {self.recording.length} samples: nothing can be sent from sample {start} on"
                + (f" for {count} samples." if count < 0 else ".")
            )
        self._start = int(start)
        self._stop = min(self.recording.length, self._start + count) if count else self.recording.length
        self._repeat = repeat
        self._position = self._start
        self._truths = self._truth_tags()

    def sample_rate(self) -> float:
        """Return the samples a second."""
        return self.recording.sample_rate

    def _truth_tags(self) -> list[tuple[int, Any]]:
        """(sample, PMT label or nil) for every change of label inside what is sent."""
        changes: dict[int, Any] = {}
        for annotation in sorted(self.recording.annotations, key=lambda a: a.start):
            end = annotation.start + annotation.count
            if not annotation.label or end <= self._start:
                continue
            changes[max(annotation.start, self._start)] = pmt.intern(annotation.label)
            changes.setdefault(end, pmt.PMT_NIL)
        return sorted(changes.items(), key=lambda change: change[0])

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
        if position == self._start:
            self._add(offset + position, "rx_rate", pmt.from_double(self.recording.sample_rate))
            if self.recording.frequency is not None:
                self._add(offset + position, "rx_freq", pmt.from_double(self.recording.frequency))
        for sample, label in self._truths:
            if position <= sample < position + count:
                self._add(offset + sample, "modulation", label)

    def _add(self, offset: int, key: str, value: Any) -> None:
        self.add_item_tag(0, offset, pmt.intern(key), value)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A block that passes a stream to a recorder which outlives the flowgraph."""

import time
from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq._errors import guarded
from gnuradio.amrq._tags import add_tag

from amrq.outputs import SigmfRecorder

__all__ = ["stream_recorder"]


class stream_recorder(gr.sync_block):
    """Pass a stream to a recorder without holding it up; several flowgraphs in turn may use the same recorder.

    For your own flowgraph use `sigmf_recorder`: it makes its recorder and can be switched on and off.

    Tags read: `rx_time`, `rx_freq`, `rx_overflow`. If the flowgraph is not the recorder's first, a loss of samples is
    noted before its first sample.

    Args:
        recorder: the recorder.
        clock: True: a stream without `rx_time` takes its time from the computer's clock; False: it has no time.
    """

    def __init__(self, recorder: SigmfRecorder, clock: bool = True) -> None:
        gr.sync_block.__init__(self, name="amrq_stream_recorder", in_sig=[np.complex64], out_sig=None)
        self.error: Exception | None = None
        self._recorder = recorder
        self._clock = clock
        self._begun = recorder.position  # where in the recorder's stream this one begins
        if self._begun:
            recorder.add_break(self._begun)

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Pass on the samples that have arrived."""
        new, now = input_items[0], time.time()
        first = self.nitems_read(0)
        tags = self.get_tags_in_range(0, first, first + len(new))
        for tag in sorted(tags, key=lambda tag: tag.offset):
            add_tag(self._recorder, tag, self._begun + tag.offset, now)
        if self._clock:
            self._recorder.add_arrival(self._begun + first + len(new), now)
        self._recorder.write(self._begun + first, new)
        return len(new)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A flowgraph that turns the samples of a source into decisions."""

import time
from typing import Any

from gnuradio import gr
from gnuradio.amrq._errors import keep_errors
from gnuradio.amrq.chunker import chunker
from gnuradio.amrq.classifier_sink import classifier_sink
from gnuradio.amrq.plain_errors import raise_errors
from gnuradio.amrq.stream_recorder import stream_recorder
from gnuradio.amrq.symbol_front_end import symbol_front_end

from amrq.errors import AmrqError
from amrq.measure import FrontEndOptions
from amrq.outputs import SigmfRecorder

__all__ = ["decision_flowgraph"]


_DRAIN_SECONDS = 1.0
_LOOK_SECONDS = 0.005


class decision_flowgraph(gr.top_block):
    """Source -> symbol front end -> chunker -> classifier; with a recorder, also source -> recorder.

    Args:
        source: a block with one complex output, and an attribute `error` if it can fail.
        sink: a `classifier_sink`, which knows the stream: its sample rate, symbol rate and offset.
        front_end: settings of the symbol front end; None: the defaults.
        recorder: records the source's samples; None for no recording.
        clock: if the source gives no time, the recording takes its time from the computer's clock.

    Raises:
        AmrqError: an argument cannot be used.
    """

    def __init__(
        self,
        source: Any,
        sink: classifier_sink,
        front_end: FrontEndOptions | None = None,
        recorder: SigmfRecorder | None = None,
        clock: bool = True,
    ) -> None:
        gr.top_block.__init__(self, "amrq")
        self.source, self.sink = source, sink
        for block in getattr(source, "parts", (source,)):
            # A buffer's size in a former flowgraph would limit its size in this one.
            block.set_max_output_buffer(-1)
        stream = sink.stream
        self.front_end = symbol_front_end(stream.sample_rate, stream.symbol_rate, stream.offset, front_end)
        if sink.contract.phase != "any":
            raise AmrqError(
                f"the model {sink.contract.name} needs the carrier's phase, which the front end does not recover: "
                "choose a model for any phase."
            )
        self.chunker = chunker(sink.contract.chunk_length)
        self.connect(self.source, self.front_end, self.chunker, self.sink)
        self.recorder = None if recorder is None else stream_recorder(recorder, clock)
        if self.recorder is not None:
            self.connect(self.source, self.recorder)

    def drain(self) -> None:
        """Have decisions made on what the front end still holds back, before the flowgraph is stopped.

        This takes a second at most.
        """
        self.front_end.flush()
        length = self.sink.contract.chunk_length
        until = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < until:
            made = self.front_end.flushed()
            if made is not None and int(self.sink.nitems_read(0)) >= made // length:
                return
            time.sleep(_LOOK_SECONDS)

    def keep_errors(self) -> None:
        """Do not log an error that ends the run; the caller calls `raise_error` after the run."""
        keep_errors()

    def raise_error(self) -> None:
        """Raise the error that ended the run early, if there was one.

        Raises:
            AmrqError: the errors of all blocks that have one, in order from the source on.
        """
        blocks: list[Any] = [self.source, self.front_end, self.chunker, self.sink]
        if self.recorder is not None:
            blocks.append(self.recorder)
        raise_errors((block.name(), block) for block in blocks)

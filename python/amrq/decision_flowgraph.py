# SPDX-License-Identifier: GPL-3.0-or-later
"""From a source of samples to decisions, as a flowgraph."""

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


class decision_flowgraph(gr.top_block):
    """Source -> symbol front end -> chunker -> classifier; and source -> recorder, where it is recorded.

    Args:
        source: a block with one complex output, and an attribute `error` where it can fail.
        sink: a `classifier_sink`, which knows the stream: its sample rate, symbol rate and offset.
        front_end: how the signal is received; None: as the defaults say.
        recorder: what the source's samples are handed to; None for nothing.
        clock: where the source gives no time, what is recorded has the computer's.

    Raises:
        AmrqError: something given cannot be used.
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
            # What a buffer's size was in a former flowgraph is a limit in this one, unless that is taken back.
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

    def keep_errors(self) -> None:
        """Let blocks log no error that ends the run: `raise_error` is called after it."""
        keep_errors()

    def raise_error(self) -> None:
        """Raise what ended the run before its time, if anything did.

        Raises:
            AmrqError: a block's reason; of several all, from the source on.
        """
        blocks: list[Any] = [self.source, self.front_end, self.chunker, self.sink]
        if self.recorder is not None:
            blocks.append(self.recorder)
        raise_errors((block.name(), block) for block in blocks)

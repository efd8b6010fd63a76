# SPDX-License-Identifier: GPL-3.0-or-later
"""From a source of samples to decisions, as a flowgraph."""

from collections.abc import Callable
from typing import Any

from gnuradio import gr
from gnuradio.amrq._guarded import keep_errors
from gnuradio.amrq.chunker import chunker
from gnuradio.amrq.classifier_sink import Backend, classifier_sink
from gnuradio.amrq.plain_errors import raise_errors
from gnuradio.amrq.stream_recorder import stream_recorder
from gnuradio.amrq.symbol_front_end import symbol_front_end

from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.outputs import SigmfRecorder

__all__ = ["decision_flowgraph"]


class decision_flowgraph(gr.top_block):
    """Source -> symbol front end -> chunker -> classifier; and source -> recorder, where it is recorded.

    Args:
        source: a block with one complex output, and an attribute `error` where it can fail.
        sample_rate: samples a second of it.
        symbol_rate: symbols a second.
        offset: where in the source's band the signal lies, Hz.
        rolloff: roll-off of the matched filter.
        gate_db: power below which there is no signal, dB relative to full scale.
        model: model file or name.
        chunks_per_decision: chunks fused into a decision.
        min_confidence: below this a decision is `unsure`, labelled `unknown`.
        live: the source must not be held up: chunks are dropped instead.
        queue_chunks: chunks that may wait for the classifier.
        backend: see `classifier_sink`.
        recorder: what the source's samples are handed to; None for nothing.
        clock: where the source tells no time, what is recorded has the computer's.
        on_decision: called in another thread with each decision and the truth, where it is known.

    Raises:
        AmrqError: something given cannot be used.
    """

    def __init__(
        self,
        source: Any,
        sample_rate: float,
        symbol_rate: float,
        offset: float = 0.0,
        rolloff: float = 0.35,
        gate_db: float = -200.0,
        model: str = "default",
        chunks_per_decision: int = 32,
        min_confidence: float = 0.8,
        live: bool = False,
        queue_chunks: int = 8192,
        backend: str | Backend = "onnx",
        recorder: SigmfRecorder | None = None,
        clock: bool = True,
        on_decision: Callable[[Decision, str | None], None] | None = None,
    ) -> None:
        gr.top_block.__init__(self, "amrq")
        self.source = source
        for block in getattr(source, "parts", (source,)):
            # What a buffer's size was in a former flowgraph is a limit in this one, unless that is taken back.
            block.set_max_output_buffer(-1)
        self.front_end = symbol_front_end(
            sample_rate, symbol_rate, rolloff=rolloff, offset=offset, gate_db=gate_db
        )
        self.sink = classifier_sink(
            model,
            chunks_per_decision=chunks_per_decision,
            min_confidence=min_confidence,
            live=live,
            queue_chunks=queue_chunks,
            symbol_rate=symbol_rate,
            offset=offset,
            backend=backend,
            on_decision=on_decision,
        )
        if self.sink.contract.phase != "any":
            raise AmrqError(
                f"the model {self.sink.contract.name} needs the carrier's phase, which the front end does not recover: "
                "choose a model for any phase."
            )
        self.chunker = chunker(self.sink.contract.chunk_length)
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

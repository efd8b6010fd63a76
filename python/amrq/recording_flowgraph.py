# SPDX-License-Identifier: GPL-3.0-or-later
"""From a recording to decisions, as a flowgraph."""

from collections.abc import Callable

from gnuradio import gr
from gnuradio.amrq.chunker import chunker
from gnuradio.amrq.classifier_sink import classifier_sink
from gnuradio.amrq.recording_source import recording_source
from gnuradio.amrq.symbol_front_end import symbol_front_end

from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.recordings import Recording

__all__ = ["recording_flowgraph"]


class recording_flowgraph(gr.top_block):
    """Recording -> symbol front end -> chunker -> classifier.

    Args:
        path: the recording; see `recording_source` for this and the next four.
        symbol_rate: symbols a second.
        offset: where in the recording's band the signal lies, Hz.
        format: format of the file.
        sample_rate: samples a second; 0 takes the file's own.
        start: first sample.
        count: samples; 0 takes all that follow.
        rolloff: roll-off of the matched filter.
        gate_db: power below which there is no signal, dB relative to full scale.
        model: model file or name.
        chunks_per_decision: chunks fused into a decision.
        min_confidence: below this a decision says `unknown`.
        on_decision: called in another thread with each decision and the truth, where annotated.

    Raises:
        AmrqError: something given cannot be used.
    """

    def __init__(
        self,
        path: str | Recording,
        symbol_rate: float,
        offset: float = 0.0,
        format: str = "auto",
        sample_rate: float = 0.0,
        start: int = 0,
        count: int = 0,
        rolloff: float = 0.35,
        gate_db: float = -200.0,
        model: str = "default",
        chunks_per_decision: int = 32,
        min_confidence: float = 0.8,
        on_decision: Callable[[Decision, str | None], None] | None = None,
    ) -> None:
        gr.top_block.__init__(self, "amrq recording")
        self.source = recording_source(path, format, sample_rate, start, count)
        self.front_end = symbol_front_end(
            self.source.sample_rate(), symbol_rate, rolloff=rolloff, offset=offset, gate_db=gate_db
        )
        self.sink = classifier_sink(
            model,
            chunks_per_decision=chunks_per_decision,
            min_confidence=min_confidence,
            on_decision=on_decision,
        )
        if self.sink.contract.phase != "any":
            raise AmrqError(
                f"the model {self.sink.contract.name} needs the carrier's phase, which the front end does not recover: "
                "choose a model for any phase."
            )
        self.chunker = chunker(self.sink.contract.chunk_length)
        self.connect(self.source, self.front_end, self.chunker, self.sink)

    def raise_error(self) -> None:
        """Raise what ended the run before its time, if anything did.

        Raises:
            AmrqError: the first block's reason, from the source on.
        """
        for block in (self.source, self.front_end, self.chunker, self.sink):
            if block.error is not None:
                if isinstance(block.error, AmrqError):
                    raise block.error
                raise AmrqError(f"{block.name()} failed: {block.error}") from block.error

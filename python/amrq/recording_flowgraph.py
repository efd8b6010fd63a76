# SPDX-License-Identifier: GPL-3.0-or-later
"""From a recording to decisions, as a flowgraph."""

from collections.abc import Callable

from gnuradio.amrq.decision_flowgraph import decision_flowgraph
from gnuradio.amrq.recording_source import recording_source
from gnuradio.amrq.stream_source import stream_source

from amrq.decision import Decision
from amrq.recordings import Recording, SampleStream

__all__ = ["recording_flowgraph"]


class recording_flowgraph(decision_flowgraph):
    """Recording -> symbol front end -> chunker -> classifier.

    Args:
        path: the recording; see `recording_source` for this, `format`, `sample_rate`, `start` and `count`. Or a
            stream, which is read from where it stands: `format`, `sample_rate` and `start` are its own.
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
        min_confidence: below this a decision is `unsure`, labelled `unknown`.
        on_decision: called in another thread with each decision and the truth, where annotated.

    Raises:
        AmrqError: something given cannot be used.
    """

    def __init__(
        self,
        path: str | Recording | SampleStream,
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
        source: recording_source | stream_source
        if isinstance(path, SampleStream):
            source, rate = stream_source(path, count), path.sample_rate
        else:
            source = recording_source(path, format, sample_rate, start, count)
            rate = source.sample_rate()
        super().__init__(
            source,
            rate,
            symbol_rate,
            offset,
            rolloff,
            gate_db,
            model,
            chunks_per_decision,
            min_confidence,
            on_decision=on_decision,
        )

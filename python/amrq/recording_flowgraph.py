# SPDX-License-Identifier: GPL-3.0-or-later
"""From a recording to decisions, as a flowgraph."""

from dataclasses import replace

from gnuradio.amrq.classifier_sink import classifier_sink
from gnuradio.amrq.decision_flowgraph import decision_flowgraph
from gnuradio.amrq.recording_source import recording_source
from gnuradio.amrq.stream_source import stream_source

from amrq.measure import FrontEndOptions
from amrq.recordings import Recording, SampleStream

__all__ = ["recording_flowgraph"]


class recording_flowgraph(decision_flowgraph):
    """Recording -> symbol front end -> chunker -> classifier.

    Args:
        path: the recording; see `recording_source` for this, `format`, `start` and `count`. Or a stream, which is read
            from where it stands: `format` and `start` are its own.
        sink: a `classifier_sink`, which knows the symbol rate and the offset; of the sample rate only where the
            recording does not have its own.
        front_end: how the signal is received; None: as the defaults say.
        format: format of the file.
        start: first sample.
        count: samples; 0 takes all that follow.

    Raises:
        AmrqError: something given cannot be used.
    """

    def __init__(
        self,
        path: str | Recording | SampleStream,
        sink: classifier_sink,
        front_end: FrontEndOptions | None = None,
        format: str = "auto",
        start: int = 0,
        count: int = 0,
    ) -> None:
        source: recording_source | stream_source
        if isinstance(path, SampleStream):
            source, rate = stream_source(path, count), path.sample_rate
        else:
            given = sink.stream.sample_rate if isinstance(path, str) else 0.0
            source = recording_source(path, format, given, start, count)
            rate = source.sample_rate()
        sink.stream = replace(sink.stream, sample_rate=rate)
        super().__init__(source, sink, front_end)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A flowgraph that turns a recording into decisions."""

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
        path: the recording, as for `recording_source`; or a stream, which is read from its present position and has a
            format of its own (`format` and `start` are not used).
        sink: a `classifier_sink`, which knows the symbol rate and the offset, and the sample rate if the recording
            does not state it.
        front_end: settings of the symbol front end; None: the defaults.
        format: format of the file.
        start: first sample.
        count: samples; 0 takes all that follow.

    Raises:
        AmrqError: an argument cannot be used.
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

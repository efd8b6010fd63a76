# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording says of its decisions."""

from amrq.model import find_model
from amrq.outputs import Origin
from amrq.recordings import Recording, SampleStream

__all__ = ["recording_origin"]


def recording_origin(
    recording: Recording | SampleStream,
    model: str,
    symbol_rate: float,
    start: float = 0.0,
    offset: float = 0.0,
) -> Origin:
    """Return the origin of decisions on a recording.

    Args:
        recording: what is classified; a stream tells neither time nor frequency.
        model: an ONNX file, a shipped model's name, or `default`.
        symbol_rate: symbols a second.
        start: seconds into the recording that classifying begins.
        offset: of the signal from the middle of the band, Hz.
    """
    file = find_model(model)
    if isinstance(recording, SampleStream):
        digest, rate = Origin.hash_of(file), recording.sample_rate
        return Origin(recording.name, symbol_rate, file.stem, digest, start=start, sample_rate=rate)
    return Origin(
        source=str(recording.path),
        symbol_rate=symbol_rate,
        model=file.stem,
        model_sha256=Origin.hash_of(file),
        start=start,
        begun=recording.begun,
        times=tuple((sample / recording.sample_rate, moment) for sample, moment in recording.times),
        sample_rate=recording.sample_rate,
        tunings=tuple((sample / recording.sample_rate, hz + offset) for sample, hz in recording.tunings),
    )

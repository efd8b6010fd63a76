# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream that is classified, as it stands at a moment."""

from dataclasses import dataclass

from amrq.worker import Statistics

__all__ = ["StreamState"]


@dataclass(frozen=True)
class StreamState:
    """What monitoring wants to know of a stream; None where nothing is known.

    Attributes:
        counted: where every chunk went.
        source: a file, device or address.
        model: name of the model.
        model_sha256: of its file, in hexadecimal digits.
        samples: taken from the source.
        overflows: how often the radio lost samples.
        symbol_rate: symbols a second.
        level_db: power in the channel, dB of full scale.
        reconnections: how often the connection to the source was lost and made again.
        refused: messages or packets left out since they are no samples.
        silences: how often no sample came for three seconds.
        silent_seconds: since the last sample.
    """

    counted: Statistics
    source: str
    model: str
    model_sha256: str
    samples: int | None = None
    overflows: int | None = None
    symbol_rate: float | None = None
    level_db: float | None = None
    reconnections: int | None = None
    refused: int | None = None
    silences: int | None = None
    silent_seconds: float | None = None

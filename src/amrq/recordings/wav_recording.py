# SPDX-License-Identifier: GPL-3.0-or-later
"""Two-channel wav files, left I and right Q, as SDR programs write them."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.recordings.recording import Recording

__all__ = ["WavRecording"]


class WavRecording(Recording):
    """An IQ wav file (also RF64, W64 and FLAC: whatever libsndfile reads).

    Args:
        path: the file.
        sample_rate: samples a second where the header is not to be believed; None takes the header's.

    Raises:
        AmrqError: the file is missing, no such file, or has not two channels.
    """

    def __init__(self, path: Path, sample_rate: float | None = None) -> None:
        try:
            self._file = soundfile.SoundFile(str(path))
        except (soundfile.LibsndfileError, OSError) as error:
            raise AmrqError(f"{path} cannot be read as a wav file: {error}") from None
        if self._file.channels != 2:
            raise AmrqError(
                f"{path} has {self._file.channels} channel(s) and I/Q needs two (left I, right Q): "
                "record I/Q rather than audio."
            )
        super().__init__(
            path, self._file.samplerate if sample_rate is None else sample_rate, self._file.frames
        )

    def _read(self, start: int, count: int) -> NDArray[np.complex64]:
        self._file.seek(start)
        values = self._file.read(count, dtype="float32", always_2d=True)
        return np.ascontiguousarray(values, dtype=np.float32).view(np.complex64)[:, 0]

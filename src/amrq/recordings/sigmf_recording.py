# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF recordings."""

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import sigmf
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.recordings.recording import Annotation, Recording

__all__ = ["SigMFRecording"]

_LARGEST_CHECKSUM = 1 << 30
"""Bytes up to which the data are held against their SHA-512: about two seconds of work."""


class SigMFRecording(Recording):
    """A SigMF recording: `.sigmf-meta` with `.sigmf-data` beside it, or a `.sigmf` archive.

    Args:
        path: any of these files.
        sample_rate: samples a second where the metadata is not to be believed; None takes the metadata's.

    Raises:
        AmrqError: a file is missing, broken, truncated, not of one channel, or real instead of I/Q.
    """

    def __init__(self, path: Path, sample_rate: float | None = None) -> None:
        data = path.with_suffix(".sigmf-data")
        large = data.is_file() and data.stat().st_size > _LARGEST_CHECKSUM
        try:
            with warnings.catch_warnings():
                # It warns of a broken number of bytes, which is refused below.
                warnings.simplefilter("ignore")
                self._file = sigmf.fromfile(str(path), skip_checksum=large)
        except json.JSONDecodeError as error:
            raise AmrqError(f"{path} cannot be read as a SigMF recording: it is no JSON ({error}).") from None
        except Exception as error:  # on broken metadata the package raises whatever it stumbles over
            raise AmrqError(
                f"{path} cannot be read as a SigMF recording: {' '.join(str(error).split())}"
            ) from None
        if not isinstance(self._file, sigmf.SigMFFile):
            raise AmrqError(f"{path} is a SigMF collection: give one of its recordings.")
        info = self._file.get_global_info()
        datatype = str(info.get("core:datatype", ""))
        if not datatype.startswith("c"):
            raise AmrqError(f"{path} holds samples of type {datatype!r}, which are not complex I/Q.")
        if info.get("core:num_channels", 1) != 1:
            raise AmrqError(f"{path} holds {info['core:num_channels']} channels: give a recording of one.")
        if sample_rate is None:
            sample_rate = info.get("core:sample_rate")
        if sample_rate is None:
            raise AmrqError(f"{path} does not tell its sample rate: give it (--rate).")
        if self._file.data_file is None and self._file.data_buffer is None:
            raise AmrqError(f"{path} has no data: its .sigmf-data file is missing.")
        if self._file.data_file is not None:
            # The package counts whole samples only; a remainder means that bytes are missing.
            size = Path(self._file.data_file).stat().st_size
            if size % self._file.get_sample_size():
                raise AmrqError(
                    f"{self._file.data_file} has {size} bytes, which is no whole number of {datatype} samples: "
                    "the file is truncated or its datatype is another one."
                )
        length = self._file.sample_count or 0
        try:
            tunings, annotations = self._said(length)
        except (KeyError, TypeError, ValueError) as error:
            raise AmrqError(
                f"{path} cannot be read as a SigMF recording: a capture or annotation in it lacks or mistypes a field "
                f"({error})."
            ) from None
        super().__init__(path, sample_rate, length, tunings, annotations, self._begun(sample_rate))

    def _said(self, length: int) -> tuple[tuple[tuple[int, float], ...], tuple[Annotation, ...]]:
        """Return tunings and annotations."""
        tunings = tuple(
            (int(capture["core:sample_start"]), float(capture["core:frequency"]))
            for capture in self._file.get_captures()
            if "core:frequency" in capture
        )
        annotations = tuple(
            Annotation(
                int(entry["core:sample_start"]),
                int(entry.get("core:sample_count", length - int(entry["core:sample_start"]))),
                str(entry.get("core:label", "")),
                _band(entry, tunings),
                str(entry.get("core:generator", "")),
            )
            for entry in self._file.get_annotations()
        )
        return tunings, annotations

    def _begun(self, sample_rate: float) -> datetime | None:
        """Return when sample 0 was received, as the first capture that tells its time has it."""
        for capture in self._file.get_captures():
            text = str(capture.get("core:datetime", ""))
            # Python 3.10 knows neither the Z nor more digits of a second than six.
            text = re.sub(r"(\.\d{6})\d+", r"\1", text.removesuffix("Z") + "+00:00" * text.endswith("Z"))
            try:
                at = datetime.fromisoformat(text)
            except ValueError:
                continue
            at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
            return at - timedelta(seconds=int(capture["core:sample_start"]) / float(sample_rate))
        return None

    def _read(self, start: int, count: int) -> NDArray[np.complex64]:
        return np.asarray(self._file.read_samples(start, count), dtype=np.complex64)


def _band(entry: Mapping[str, Any], tunings: Sequence[tuple[int, float]]) -> tuple[float, float] | None:
    """Return an annotation's edges, Hz from the middle of the band where it begins."""
    edges = [entry.get(f"core:freq_{edge}_edge") for edge in ("lower", "upper")]
    if any(edge is None for edge in edges):
        return None
    start = int(entry["core:sample_start"])
    # Without a frequency the recording is at baseband, and so are its edges.
    first = tunings[0][1] if tunings else 0.0
    middle = next((hz for sample, hz in reversed(tunings) if sample <= start), first)
    lower, upper = (float(edge) - middle for edge in edges if edge is not None)
    return lower, upper

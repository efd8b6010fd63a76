# SPDX-License-Identifier: GPL-3.0-or-later
"""What the thesis's tables say of a model."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from amrq.errors import AmrqError
from amrq.parsing import parsing
from amrq.plain_text import printable

__all__ = ["PublishedRow", "read_published"]


@dataclass(frozen=True)
class PublishedRow:
    """A row of the tables in the slides of Rothe (2024).

    Attributes:
        chunks_per_s: throughput, on a GPU at batches of 32.
        ms: time of a batch, milliseconds.
        dsp, ff, lut, bram: by Algorithm II.
        bits: of a weight.
    """

    chunks_per_s: float
    ms: float
    dsp: int
    ff: int
    lut: int
    bram: int
    bits: int

    @property
    def weights(self) -> int:
        """Weights that are not zero, within 16 a layer at 4 bits: what DSP = sum 2 floor(N_w B / 32) leaves of them."""
        return round(self.dsp * 16 / self.bits)


def read_published(path: str | os.PathLike[str]) -> dict[str, PublishedRow]:
    """Read the thesis's tables from a CSV file, by name of the model.

    Raises:
        AmrqError: the file is missing or is another one.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise AmrqError(f"there is no file {printable(path)} with the thesis's tables.")
    tables = f"{printable(path)}, which should hold the thesis's tables,"
    with parsing(tables), path.open(encoding="utf-8", newline="") as file:
        return {
            row["model"]: PublishedRow(
                float(row["throughput_samples_per_s"]),
                float(row["inference_time_ms_per_batch"]),
                *(int(row[key]) for key in ("dsp", "ff", "lut", "bram", "bits")),
            )
            for row in csv.DictReader(file)
        }

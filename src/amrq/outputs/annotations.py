# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions as SigMF annotations."""

import json
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from amrq._version import __version__
from amrq.decision import answer_text
from amrq.errors import AmrqError
from amrq.files import check_writable, write_whole
from amrq.model import NO_SIGNAL
from amrq.recordings import read_sigmf_json
from amrq.text import printable

__all__ = ["AnnotationFile"]

_MOST_NAMES = 3
"""Of what unsure decisions were perhaps, and of what does not fit."""


class AnnotationFile:
    """Writes decisions on a SigMF recording into its metadata, for viewers such as IQEngine and inspectrum.

    Indices count as those of the metadata do, from `core:offset` on. Annotations that are there already stay, those of
    an earlier run of this program apart. Consecutive decisions of one label and reason become one annotation, whose
    comment begins with the answer in words; `no signal` becomes none. The file is written when it is closed, whole or
    not at all.

    Args:
        recording: the recording's `.sigmf-meta`, `.sigmf-data` or name without suffix.
        path: the `.sigmf-meta` to write; that of the recording itself is allowed.
        bandwidth: of the signal, Hz; with the carrier's frequency it gives the annotation's edges.

    Raises:
        AmrqError: the recording's metadata cannot be read.
    """

    generator = f"gr-amrq {__version__}"

    def __init__(
        self, recording: str | os.PathLike[str], path: str | os.PathLike[str], bandwidth: float | None = None
    ) -> None:
        self.path = Path(path)
        if self.path.suffix != ".sigmf-meta":
            raise AmrqError(
                f"SigMF annotations go into a file that ends in .sigmf-meta, not {self.path.name}."
            )
        source = Path(recording)
        shown = printable(source)
        if source.suffix in (".sigmf", ".sigmf-collection"):
            raise AmrqError(
                f"{shown} cannot be annotated: give the .sigmf-meta of one recording, of an archive unpacked."
            )
        if source.suffix == ".sigmf-data":
            source = source.with_suffix(".sigmf-meta")
        elif source.suffix != ".sigmf-meta":
            source = source.with_name(source.name + ".sigmf-meta")
        try:
            self._meta = read_sigmf_json(source.read_bytes(), printable(source))
        except FileNotFoundError:
            raise AmrqError(
                f"{shown} cannot be annotated: only a SigMF recording can, and there is no {printable(source)}."
            ) from None
        except OSError as error:
            raise AmrqError(f"{printable(source)} cannot be annotated: {error.strerror}.") from None
        self._rate, self._first = _rate_and_offset(self._meta, printable(source))
        self._former = _former(self._meta, printable(source))
        self.bandwidth = bandwidth
        """Of the signal, Hz, for the records that follow."""
        self._spans: list[dict[str, Any]] = []
        self._length: int | None = None
        self._changed = False

    def write(self, record: Mapping[str, Any]) -> None:
        """Take in a record of `decision_record`."""
        self._changed = True
        begin = round(record["time"] * self._rate)
        end = round((record["time"] + record["duration"]) * self._rate)
        last = self._spans[-1] if self._spans else None
        following = record["symbol_index"] + record["symbol_count"]
        # Symbol indices show whether decisions follow each other: their times are measured separately.
        if (
            last
            and (last["label"], last["reason"]) == (record["label"], record["reason"])
            and last["frequency"] == record["frequency_hz"]
            and last["following"] == record["symbol_index"]
        ):
            last["end"] = end
            last["following"] = following
            last["lowest"] = min(last["lowest"], record["confidence"])
            last["highest"] = max(last["highest"], record["confidence"])
            last["chunks"] += record["chunks"]
            last["best"][record["best"]] += record["chunks"]
            last["refuted"].update(_refuted(record))
            last["alike"].update(_alike(record))
            last["equalised"] |= bool(record.get("equaliser"))
            return
        self._spans.append(
            {
                "label": record["label"],
                "reason": record["reason"],
                "best": Counter({record["best"]: record["chunks"]}),
                "begin": begin,
                "end": end,
                "following": following,
                "frequency": record["frequency_hz"],
                "lowest": record["confidence"],
                "highest": record["confidence"],
                "chunks": record["chunks"],
                "model": record["model"],
                "bandwidth": self.bandwidth,
                "refuted": Counter(_refuted(record)),
                "alike": Counter(_alike(record)),
                "equalised": bool(record.get("equaliser")),
            }
        )

    def check(self) -> None:
        """Check that the file can be written later.

        Raises:
            AmrqError: it cannot be written (see `check_writable`), or the recording's own metadata are not valid SigMF.
        """
        check_writable(self.path)
        if fault := _fault(self._meta):
            raise AmrqError(f"the recording cannot be annotated: its metadata are not valid SigMF: {fault}.")

    def set_samples(self, sample_rate: float, first_index: int) -> None:
        """Set the sample rate, samples a second, and the index of the first sample in the metadata."""
        self._rate, self._first, self._changed = sample_rate, first_index, True

    def set_captures(self, captures: Sequence[Mapping[str, Any]]) -> None:
        """Set SigMF's captures (places in the data where a time or frequency begins), in order."""
        self._changed = True
        self._meta["captures"] = [dict(capture) for capture in captures]

    def set_length(self, samples: int) -> None:
        """Set the number of samples of the recording; annotations after its end are left out."""
        self._length, self._changed = samples, True

    def use_extension(self, extension: Mapping[str, Any]) -> None:
        """Declare an extension of SigMF that annotations use: its name, version and whether it is optional."""
        about = dict(self._meta.get("global") or {})
        declared = about.get("core:extensions")
        known = [one for one in declared if isinstance(one, dict)] if isinstance(declared, list) else []
        if all(one.get("name") != extension["name"] for one in known):
            self._meta["global"] = about | {"core:extensions": [*known, dict(extension)]}

    def _annotation(self, span: Mapping[str, Any]) -> dict[str, Any]:
        low, high = span["lowest"], span["highest"]
        sure = f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"
        names = [name for name, _ in span["best"].most_common(_MOST_NAMES)]
        refuted = " or ".join(name for name, _ in span["refuted"].most_common(_MOST_NAMES))
        alike = [name for name, _ in span["alike"].most_common(_MOST_NAMES)]
        answer = answer_text(span["reason"], *names, refuted=refuted, alike=alike)
        annotation = {
            "core:sample_start": self._first + span["begin"],
            "core:sample_count": max(1, span["end"] - span["begin"]),
            "core:label": printable(span["label"]),
            "core:comment": f"{answer}: confidence {sure}, {span['chunks']} chunks"
            f"{' (equalised)' if span['equalised'] else ''}, model {span['model']}",
            "core:generator": self.generator,
        }
        if span["bandwidth"] and span["frequency"] is not None:
            annotation["core:freq_lower_edge"] = span["frequency"] - span["bandwidth"] / 2
            annotation["core:freq_upper_edge"] = span["frequency"] + span["bandwidth"] / 2
        return annotation

    def _own(self) -> list[dict[str, Any]]:
        """Return the annotations of this program."""
        named = [span for span in self._spans if span["label"] != NO_SIGNAL]
        if self._length is not None:
            inside = [span for span in named if span["begin"] < self._length]
            named = [{**span, "end": min(span["end"], self._length)} for span in inside]
        return [self._annotation(span) for span in named]

    def close(self) -> None:
        """Write the file; where more is known later, once more.

        Where nothing was said of the recording, the file stays as it is.

        Raises:
            AmrqError: it cannot be written, or would not be valid SigMF.
        """
        if not self._changed:
            return
        mine = self._own()
        annotations = sorted([*self._former, *mine], key=lambda a: a["core:sample_start"])
        document = {**self._meta, "annotations": annotations}
        if fault := _fault(document):
            raise AmrqError(
                f"{printable(self.path)} is not written, since it would not be valid SigMF: {fault}."
            )
        write_whole(self.path, json.dumps(document, indent=4) + "\n")


def _refuted(record: Mapping[str, Any]) -> dict[str, int]:
    """Return the name that was refuted, with the chunks of its record; empty if none was."""
    name = record.get("refuted")
    return {name: record["chunks"]} if name else {}


def _alike(record: Mapping[str, Any]) -> dict[str, int]:
    """Return the names that a record's symbols do not tell from its own, with its chunks."""
    return dict.fromkeys(record.get("alike") or (), record["chunks"])


def _fault(document: Mapping[str, Any]) -> str:
    """Return why metadata are not valid SigMF; empty where they are."""
    import sigmf  # takes a while, and only who annotates needs it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sigmf.SigMFFile(metadata=dict(document)).validate()
    except Exception as error:  # the package raises whatever its validator does
        return printable(" ".join(str(error).split()), 200).rstrip(".") or type(error).__name__
    return ""


def _rate_and_offset(meta: Mapping[str, Any], name: str) -> tuple[float, int]:
    """Return the sample rate and the index of the first sample, as the metadata have them."""
    about = meta.get("global")
    rate = about.get("core:sample_rate") if isinstance(about, dict) else None
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1e300:
        raise AmrqError(f"{name} cannot be annotated: it is not SigMF metadata with a sample rate.")
    offset = about.get("core:offset") if isinstance(about, dict) else None
    return float(rate), offset if isinstance(offset, int) and offset >= 0 else 0


def _former(meta: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the annotations that stay: all but this program's own."""
    former: Any = meta.get("annotations") or []
    kept: list[dict[str, Any]] = []
    for annotation in former if isinstance(former, list) else [None]:
        start = annotation.get("core:sample_start") if isinstance(annotation, dict) else None
        if isinstance(start, bool) or not isinstance(start, int | float) or not isinstance(annotation, dict):
            raise AmrqError(
                f"{name} cannot be annotated: an annotation in it lacks its core:sample_start, a number."
            )
        if not str(annotation.get("core:generator", "")).startswith("gr-amrq "):
            kept.append(annotation)
    return kept

# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of SigMF metadata, each checked as it is read."""

import bisect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from amrq.errors import AmrqError, RecordingError
from amrq.files import parsing
from amrq.recordings.recording import Annotation
from amrq.text import printable

__all__ = ["Capture", "SigmfMetadata", "read_sigmf_json"]

_LARGEST_INDEX = 1 << 62
_YEARS = range(1900, 9000)
_NULL = "is null, and taken as missing"
_WITHOUT_ZONE = "has no time zone, and is taken as UTC"


def read_sigmf_json(data: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object that a metadata file holds.

    Raises:
        RecordingError: it is no JSON, or JSON of something else.
    """
    with parsing(f"{name} as SigMF", kind=RecordingError):
        try:
            # Some programs on Windows write UTF-16.
            document = json.loads(data.decode(json.detect_encoding(data)))
        except json.JSONDecodeError as error:
            fault = f"it is no JSON ({printable(error, 100)})"
        except UnicodeDecodeError as error:
            fault = f"it is no JSON: byte {error.start} is not {error.encoding.upper()}"
        except RecursionError:
            fault = "its JSON is nested too deeply"
        except ValueError:
            fault = "a number in it has too many digits"
        else:
            if isinstance(document, dict):
                return document
            fault = "it is no JSON object"
    raise RecordingError(f"{name} cannot be read as a SigMF recording: {fault}.")


@dataclass(frozen=True)
class Capture:
    """One of SigMF's captures.

    Attributes:
        index: what the metadata calls its first sample.
        header_bytes: other bytes in front of that sample.
        frequency: what 0 Hz stands for, Hz; None where it does not say.
        begun: when the first sample was received; None where it does not say.
    """

    index: int
    header_bytes: int = 0
    frequency: float | None = None
    begun: datetime | None = None


class _Fields:
    """An object of the metadata; each field is checked as it is read.

    Args:
        where: what the object is, for messages.
        values: the object.
        odd: takes (what was put up with, name of the field): one that is null counts as missing, a time without a time
            zone as UTC.
        of: what its fields belong to, for messages, where that is not `where`.
    """

    def __init__(self, where: str, values: object, odd: dict[tuple[str, str], None], of: str = "") -> None:
        if not isinstance(values, dict):
            raise RecordingError(f"{where} must be an object, not {_shown(values)}: correct the metadata.")
        self._where, self._values, self._odd = of or where, values, odd

    def value(self, name: str) -> Any:
        found = self._values.get(f"core:{name}")
        if found is None and f"core:{name}" in self._values:
            self._odd[_NULL, f"core:{name}"] = None
        return found

    def refuse(self, name: str, wanted: str, found: object) -> AmrqError:
        return RecordingError(
            f"core:{name} of {self._where} must be {wanted}, not {_shown(found)}: correct the metadata."
        )

    def number(self, name: str) -> float | None:
        found = self.value(name)
        if found is None:
            return None
        # A number too large for a float is no number here either.
        if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 1e300:
            raise self.refuse(name, "a number", found)
        return float(found)

    def count(self, name: str, default: int | None = 0) -> int | None:
        found = self.value(name)
        if found is None:
            return default
        if isinstance(found, float) and found.is_integer() and abs(found) <= _LARGEST_INDEX:
            found = int(found)  # 1e6 is how some programs write a million
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= _LARGEST_INDEX:
            raise self.refuse(name, "a whole number from 0 on", found)
        return found

    def needed(self, name: str) -> int:
        found = self.count(name, None)
        if found is None:
            raise RecordingError(f"{self._where} lacks core:{name}, a whole number: correct the metadata.")
        return found

    def text(self, name: str) -> str:
        found = self.value(name)
        if found is None:
            return ""
        if not isinstance(found, str):
            raise self.refuse(name, "a text", found)
        return found

    def time(self, name: str) -> datetime | None:
        text = self.text(name)
        if not text:
            return None
        # Python 3.10 knows neither the Z nor more or fewer digits of a second than three and six.
        plain = re.sub(r"[zZ]$", "+00:00", text.strip())
        plain = re.sub(r"\.(\d{1,6})\d*", lambda found: f".{found[1]:0<6}", plain, count=1)
        try:
            at = datetime.fromisoformat(plain)
        except ValueError:
            raise self.refuse(name, "a time such as 2024-05-17T12:34:56Z", text) from None
        if at.tzinfo is None:
            self._odd[_WITHOUT_ZONE, f"core:{name}"] = None
        return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def _shown(found: object) -> str:
    """Return a value as JSON has it, short."""
    kind = {dict: "an object", list: "a list", type(None): "null"}.get(type(found))
    if kind:
        return kind
    try:
        return printable(json.dumps(found), 60)
    except ValueError:  # an integer of more digits than Python writes
        return "a number without end"


def _listed(document: Mapping[str, Any], name: str, where: str) -> list[Any]:
    found = document.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise RecordingError(f"{name} of {where} must be a list, not {_shown(found)}: correct the metadata.")
    return found


@dataclass
class SigmfMetadata:
    """The fields of a recording's metadata that its reader needs.

    Args:
        document: as JSON has it.
        name: of the file, for messages.

    Attributes:
        notes: sentences on what was put up with.
        datatype: SigMF's name of the samples' format, in lower case.
        sample_rate: samples a second; None where it does not say.
        channels: number of them.
        captures: in order; one at least.
        offset: `core:offset`, the index of the data's first sample; None where it does not say.
        trailing_bytes: other bytes at the end of the data.
        dataset: name of the data file where it is not that of the metadata; empty elsewhere.
        sha512: of the data, in hexadecimal digits; empty where it does not say.
        without_data: there are no data by intention.

    Raises:
        RecordingError: a field is not what it must be.
    """

    document: Mapping[str, Any]
    name: str
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if "collection" in self.document and "global" not in self.document:
            raise RecordingError(f"{self.name} is a SigMF collection, not a recording.")
        self._odd: dict[tuple[str, str], None] = {}
        if self.document.get("global") is None:
            raise RecordingError(
                f"{self.name} is not a SigMF recording: it lacks 'global', which describes the samples."
            )
        about = _Fields(f"global of {self.name}", self.document["global"], self._odd, self.name)
        written = about.text("datatype")
        if not written:
            raise RecordingError(
                f"{self.name} lacks core:datatype, the format of its samples: correct the metadata."
            )
        self.datatype = written.lower()
        if written != self.datatype:
            self.notes.append(
                f"core:datatype of {self.name} is {printable(written)!r}: {printable(self.datatype)!r}, in lower case, "
                "is taken for it."
            )
        self.sample_rate = about.number("sample_rate")
        self.channels = about.count("num_channels", 1)
        self.offset = about.count("offset", None)
        self.trailing_bytes = about.count("trailing_bytes") or 0
        self.dataset = about.text("dataset")
        self.sha512 = about.text("sha512")
        self.without_data = about.value("metadata_only") is True
        self.captures = self._captures()

    def _captures(self) -> tuple[Capture, ...]:
        captures = []
        for number, entry in enumerate(_listed(self.document, "captures", self.name)):
            fields = _Fields(f"capture {number} in {self.name}", entry, self._odd)
            captures.append(
                Capture(
                    fields.needed("sample_start"),
                    fields.count("header_bytes") or 0,
                    fields.number("frequency"),
                    fields.time("datetime"),
                )
            )
        if not captures:
            return (Capture(self.offset or 0),)
        return tuple(sorted(captures, key=lambda capture: capture.index))

    def first_index(self, samples: int) -> int:
        """Return what the metadata calls the data's first sample.

        Args:
            samples: that the data can hold at most.
        """
        starts = [capture.index for capture in self.captures]
        if self.offset is None:
            if starts[0] and starts[0] >= samples:
                self.notes.append(
                    f"the captures of {self.name} begin at sample {starts[0]}, after the end of its "
                    "data, and core:offset "
                    "is missing: they are taken to begin with the data."
                )
                return starts[0]
            return 0
        if starts[-1] < self.offset:
            self.notes.append(
                f"the captures of {self.name} lie before its core:offset of {self.offset}: their indices "
                "are taken to count "
                "from the first sample of the data."
            )
            return 0
        return self.offset

    def annotations(
        self, first_index: int, length: int, tunings: Sequence[tuple[int, float]]
    ) -> tuple[Annotation, ...]:
        """Return the annotations, those parts of them that lie inside the data.

        Args:
            first_index: what the metadata calls the first sample.
            length: of the data, samples.
            tunings: of the recording, to tell where in its band an annotation lies.
        """
        found = []
        changes = [sample for sample, _ in tunings]
        for number, entry in enumerate(_listed(self.document, "annotations", self.name)):
            fields = _Fields(f"annotation {number} in {self.name}", entry, self._odd)
            begin = fields.needed("sample_start") - first_index
            count = fields.count("sample_count", None)
            end = length if count is None else min(length, begin + count)
            start = max(0, begin)
            edges = fields.number("freq_lower_edge"), fields.number("freq_upper_edge")
            band = None
            if edges[0] is not None and edges[1] is not None:
                # Without a frequency the recording is at baseband, and so are its edges.
                place = max(0, bisect.bisect_right(changes, start) - 1)
                middle = tunings[place][1] if tunings else 0.0
                band = (edges[0] - middle, edges[1] - middle)
            label, generator = printable(fields.text("label")), printable(fields.text("generator"))
            if start < length:
                found.append(Annotation(start, max(0, end - start), label, band, generator))
        return tuple(found)

    def times(self, first_index: int, length: int, sample_rate: float) -> tuple[tuple[int, datetime], ...]:
        """Return (sample, when it was received) of each capture that tells its time, the first one's of sample 0."""
        found: list[tuple[int, datetime]] = []
        for capture in self.captures:
            sample = capture.index - first_index
            if capture.begun is None or sample >= length:
                continue
            if not found or sample < 0:
                sample, since = 0, sample / sample_rate
            else:
                since = 0.0
            try:
                begun = capture.begun - timedelta(seconds=since)
                if begun.year not in _YEARS:
                    raise OverflowError
            except OverflowError:
                self.notes.append(f"a time in {self.name} is in no plausible year: left out.")
                continue
            found.append((sample, begun))
        return tuple(found)

    def field_notes(self) -> tuple[str, ...]:
        """Return notes on fields that SigMF does not have so: those that are null, times without a time zone."""
        names = {reason: [name for why, name in self._odd if why == reason] for reason, _ in self._odd}
        return tuple(f"{', '.join(names[reason])} of {self.name} {reason}." for reason in names)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of emissions that meet a condition, each as SigMF of its own: `label=QPSK and snr_db>10`."""

import contextlib
import difflib
import json
import operator
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from amrq._version import __version__
from amrq.channel import Channel, Channeliser, SampleRing
from amrq.errors import AmrqError, OutputError
from amrq.files import write_whole
from amrq.scan.records import ScanEvent
from amrq.text import counted, prefix_factor, printable

__all__ = ["Condition", "EmissionRecorder"]

_TOKEN = re.compile(
    r"""\s*(?:(?P<sign>==|!=|<=|>=|=|<|>|\(|\))|(?P<quoted>"[^"]*"|'[^']*')|(?P<word>[^\s=!<>()"']+))"""
)
_LONGEST, _DEEPEST = 1000, 20
_LONGEST_NAME = 80
_PIECE = 1 << 20
"""Samples of the band that are taken at a time."""
_HELD = 0.6
"""Seconds by which the end of an emission may be known late."""
_USUAL = frozenset({"label", "family", "snr_db", "bandwidth_hz", "symbol_rate_hz", "duration"})
"""Fields that an error names."""
_PROTOCOL = "protocol"
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_Test = Callable[[Mapping[str, Any]], bool]


class Condition:
    """A condition on an emission's record, written as text.

    Comparisons of a field with a value (`=`, `!=`, `<`, `<=`, `>`, `>=`), joined by `and`, `or` and `not`, with
    parentheses. Fields are those of the record and of its measures. Numbers may have a prefix: `12.5k`, `433.92M`.
    Text is compared without regard to case; an order of texts is not asked for. A field that is null meets no
    comparison but `!=`. `protocol` is the name of each protocol that the record names, or the first words of it.

    Args:
        text: the condition.
        fields: names of fields that there are; others are refused. None: any.
        values: texts that a field may be; others are refused. Fields that are missing may be anything.

    Raises:
        AmrqError: it is no condition.

    >>> wanted = Condition("label=QPSK and (snr_db > 10 or symbol_rate_hz >= 9.6k)")
    >>> wanted({"label": "QPSK", "snr_db": 4.0, "symbol_rate_hz": 9600.0}), wanted({"label": "8PSK", "snr_db": 20.0})
    (True, False)
    """

    def __init__(
        self,
        text: str,
        fields: frozenset[str] | None = None,
        values: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self.text, self._fields, self._values = text, fields, values or {}
        self._tokens: list[tuple[str, str]] = []
        self._place = 0
        if len(text) > _LONGEST:
            raise AmrqError(f"a condition may have {_LONGEST} characters, not {len(text)}.")
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._fault(f"'{printable(text[at:].strip(), 20)}' cannot be read")
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind]))
            at = found.end()
        self._test = self._either(0)
        if self._place < len(self._tokens):
            raise self._fault(f"'{printable(self._tokens[self._place][1], 20)}' is not expected there")

    def __call__(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record meets it."""
        return self._test(record)

    def _fault(self, why: str) -> AmrqError:
        return AmrqError(
            f"the condition '{printable(self.text, 80)}' is not understood: {why}. Write, for example, "
            "label=QPSK and snr_db>10."
        )

    def _peek(self) -> str:
        if self._place >= len(self._tokens):
            return ""
        kind, text = self._tokens[self._place]
        return text if kind == "sign" else text.lower() if kind == "word" else '"'

    def _next(self, wanted: str) -> tuple[str, str]:
        if self._place >= len(self._tokens):
            raise self._fault(f"{wanted} is missing at its end")
        self._place += 1
        return self._tokens[self._place - 1]

    def _either(self, depth: int) -> _Test:
        tests = [self._both(depth)]
        while self._peek() == "or":
            self._place += 1
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda record: any(test(record) for test in tests)

    def _both(self, depth: int) -> _Test:
        tests = [self._one(depth)]
        while self._peek() == "and":
            self._place += 1
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else lambda record: all(test(record) for test in tests)

    def _one(self, depth: int) -> _Test:
        if depth > _DEEPEST:
            raise self._fault(f"it is nested more than {_DEEPEST} deep")
        if self._peek() == "not":
            self._place += 1
            inner = self._one(depth + 1)
            return lambda record: not inner(record)
        if self._peek() == "(":
            self._place += 1
            inner = self._either(depth + 1)
            if self._next("a closing parenthesis")[1] != ")":
                raise self._fault("a closing parenthesis is missing")
            return inner
        return self._comparison()

    def _comparison(self) -> _Test:
        kind, name = self._next("a field")
        if kind != "word" or (self._fields is not None and name not in self._fields):
            near = difflib.get_close_matches(name, self._fields or (), 3, 0.5) or sorted(
                _USUAL & (self._fields or _USUAL)
            )
            raise self._fault(
                f"'{printable(name, 40)}' is not a field; there are {', '.join(near)} and others"
            )
        kind, sign = self._next("a comparison")
        if kind != "sign" or sign not in _SIGNS:
            raise self._fault(f"'{printable(sign, 20)}' is not a comparison")
        kind, text = self._next("a value")
        if kind == "sign":
            raise self._fault(f"'{text}' is not a value")
        value = text[1:-1] if kind == "quoted" else text
        number = _number(value)
        if sign not in ("=", "==", "!=") and number is None:
            raise self._fault(f"{sign} needs a number, not '{printable(value, 40)}'")
        self._check(name, value)
        return lambda record: _compared(record, name, sign, value, number)

    def _check(self, name: str, value: str) -> None:
        """Refuse a text that a field is never."""
        known = self._values.get(name)
        if known is None or any(_is(name, one, value) for one in known):
            return
        near = difflib.get_close_matches(value, known, 3, 0.4) or sorted(known)[:5]
        raise self._fault(
            f"there is no {name} '{printable(value, 40)}'; there are {', '.join(near)} and others"
        )


def _is(name: str, has: str, value: str) -> bool:
    """Return whether a text is the one that is asked for; of a protocol's name, its first words are enough.

    >>> _is("protocol", "POCSAG 1200", "pocsag"), _is("label", "QPSK 1", "qpsk")
    (True, False)
    """
    has, value = has.lower(), value.lower()
    return has == value or (name == _PROTOCOL and has.startswith(f"{value} "))


def _number(text: str) -> float | None:
    found = re.fullmatch(r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)([kKMGT]?)(?:Hz|Bd|dB|s)?", text)
    try:
        return float(found[1]) * prefix_factor(found[2]) if found else None
    except ValueError:
        return None


def _compared(record: Mapping[str, Any], name: str, sign: str, value: str, number: float | None) -> bool:
    if name == _PROTOCOL:
        named = [str(one["name"]) for one in record.get("protocols") or () if one.get("named")]
        return any(_is(name, one, value) for one in named) is (sign != "!=")
    measures = record.get("measures") or {}
    has = record.get(name, measures.get(name))
    if has is None:
        return sign == "!="
    if isinstance(has, bool):
        return _SIGNS[sign](str(has).lower(), value.lower())
    if isinstance(has, (int, float)):
        return number is not None and _SIGNS[sign](float(has), number)
    return sign in ("=", "==", "!=") and _SIGNS[sign](str(has).lower(), value.lower())


@dataclass
class _Take:
    """One recording."""

    data: Path
    file: BinaryIO
    channeliser: Channeliser
    channel: Channel
    first: int
    """Sample of the source that it begins with."""
    done: int
    """Sample of the source up to which it is written."""
    record: Mapping[str, Any]
    stop: int = 0
    """Sample of the source that the emission ended before, once it is over."""
    until: int | None = None
    """Sample of the source that it ends before; None: it goes on."""
    written: int = 0
    rate: float = 0.0
    gone: int = 0
    """Samples of the source that are zeros, since they had gone."""


class EmissionRecorder:
    """Writes the I/Q of emissions, each time that one is on as a SigMF recording of its own, with a little around it.

    Samples come from a ring of the band, so that the beginning is not lost; what is no longer in the ring when a
    recording begins is missing from it, and what goes meanwhile is zeros. What is around it never reaches over a break,
    since samples beyond are of another band or of another time. Nothing is overwritten: a name that is taken gets a
    number. A recording that cannot be written, since the disk is full for instance, ends there and is counted.

    Args:
        folder: where recordings go.
        ring: of the band.
        margin: seconds before and after.
        most: recordings at a time; further emissions are counted in `left_out`.
        say: called with a sentence when a recording fails, and not again before one has gone well.

    Raises:
        AmrqError: nothing can be written there.
    """

    def __init__(
        self,
        folder: Path,
        ring: SampleRing,
        margin: float = 0.02,
        most: int = 16,
        say: Callable[[str], None] | None = None,
    ) -> None:
        if not folder.is_dir():
            raise AmrqError(f"recordings cannot go into {printable(folder)}: there is no such folder.")
        self._folder, self._ring, self._margin, self._most = folder, ring, margin, most
        self._say = say or (lambda text: None)
        self._takes: dict[tuple[int, int], _Take] = {}
        self._told, self._why = False, ""
        self._without: set[tuple[int, int]] = set()  # what is on, and found no room so far
        self._over_without = 0  # how many ended so
        self.written: list[Path] = []
        """Metadata of the recordings that are complete."""
        self.failed = 0
        """Recordings that could not be written, or not to their end."""

    @property
    def left_out(self) -> int:
        """Emissions that were not recorded, because there were too many at a time."""
        return self._over_without + len(self._without)

    def follow(self, event: ScanEvent, record: Mapping[str, Any], wanted: Condition) -> None:
        """Begin to record an emission whose record meets a condition, or end what is recorded of it.

        Args:
            event: what has happened.
            record: the event as plain values, as `emission_record` gives it.
            wanted: the condition.
        """
        found, rate = event.record, self._ring.sample_rate
        if wanted(record):
            about = record["frequency_hz"] if record["frequency_hz"] is not None else record["offset_hz"]
            name = f"{record['label']}-{about / 1e3:.1f}kHz-{max(0, found.start) / rate:.3f}s"
            channel = Channel(found.centre, min(max(2 * found.bandwidth, 1e3), rate))
            self.begin((found.id, found.bursts), found.start, channel, name, record)
        if event.event == "end":
            self.end((found.id, found.bursts), found.stop, record)

    def begin(
        self, key: tuple[int, int], start: int, channel: Channel, name: str, record: Mapping[str, Any]
    ) -> None:
        """Begin to record an emission, if it is not recorded yet.

        Args:
            key: its id, and the number of times that it has been on.
            start: its first sample.
            channel: what is kept.
            name: of the recording.
            record: what is known of the emission so far.
        """
        if key in self._takes:
            return
        if len(self._takes) >= self._most:
            self.advance()  # some may be over, and wholly there
        if len(self._takes) >= self._most:
            self._without.add(key)
            return
        self._without.discard(key)
        rate = self._ring.sample_rate
        first = max(self._ring.first, start - round(self._margin * rate), 0)
        first = max([first, *self._ring.breaks(first, start + 1)])
        try:
            channeliser = Channeliser(rate, [channel], first)
            data, file = self._open(name)
        except (OSError, AmrqError) as error:
            self._fail(error, self._folder / f"{name}.sigmf-data")
            return
        self._takes[key] = _Take(data, file, channeliser, channel, first, first, record)

    def _open(self, name: str) -> tuple[Path, BinaryIO]:
        name = re.sub(r"[^\w.+-]", "-", name)[:_LONGEST_NAME]
        for number in range(1, 10_000):
            data = self._folder / f"{name}{'' if number == 1 else f'-{number}'}.sigmf-data"
            if data.with_suffix(".sigmf-meta").exists():
                continue
            with contextlib.suppress(FileExistsError):
                return data, data.open("xb", buffering=0)
        raise AmrqError(f"{printable(self._folder)} has 9,999 recordings named {name}: give another folder.")

    def end(self, key: tuple[int, int], stop: int, record: Mapping[str, Any]) -> None:
        """Note that an emission is over, and what it was; its recording ends a little later."""
        if key in self._without:
            self._without.discard(key)
            self._over_without += 1
        take = self._takes.get(key)
        if take is not None:
            take.stop, take.record = stop, record
            take.until = stop + round(self._margin * self._ring.sample_rate)

    def advance(self, last: bool = False) -> None:
        """Write what has come.

        Args:
            last: the stream has ended: every recording ends.
        """
        for key, take in list(self._takes.items()):
            # The end of an emission is known a little after it: what is on is written so much later.
            held = 0 if last else min(round(_HELD * self._ring.sample_rate), self._ring.capacity // 2)
            come = self._ring.end
            if take.until is not None:  # a break may come after the end
                take.until = min([take.until, *self._ring.breaks(take.stop - 1, min(take.until, come))])
            end = min(come - held if take.until is None else take.until, come)
            over = last or (take.until is not None and come >= take.until)
            try:
                while take.done < end:
                    stop = min(end, take.done + _PIECE)
                    self._write(take, take.channeliser.process(self._read(take, stop))[0])
                    take.done = stop
                if over:
                    self._write(take, take.channeliser.finish()[0])
                    self._finish(take)
                    self._told = False
            except (OSError, AmrqError) as error:
                over = True
                self._fail(error, take.data)
                self._rescue(take)
            if over:
                del self._takes[key]

    def close(self) -> None:
        """End all recordings.

        Raises:
            OutputError: some could not be written, or not to their end.
        """
        self.advance(last=True)
        if self.failed:
            raise OutputError(f"{counted(self.failed, 'recording')} not complete: {self._why}.")

    def _read(self, take: _Take, stop: int) -> NDArray[np.complex64]:
        """Return the next samples of the band; zeros for what has gone."""
        while True:
            gone = min(max(self._ring.first - take.done, 0), stop - take.done)
            with contextlib.suppress(AmrqError):  # more have gone meanwhile
                samples = self._ring.read(take.done + gone, stop)
                take.gone += gone
                return np.concatenate([np.zeros(gone, np.complex64), samples]) if gone else samples

    def _write(self, take: _Take, piece: Any) -> None:
        take.rate = piece.sample_rate
        data = memoryview(piece.iq.astype("<c8").tobytes())
        while data:
            data = data[take.file.write(data) :]
        take.written += len(piece.iq)

    def _fail(self, error: Exception, path: Path) -> None:
        self.failed += 1
        reason = getattr(error, "strerror", None)
        said = f"{printable(path)} cannot be written: {reason}" if reason else printable(error).rstrip(".")
        self._why = said
        if not self._told:
            self._told = True
            self._say(f"{said}; the recording ends there, and the scan goes on.")

    def _rescue(self, take: _Take) -> None:
        """Leave what was written as a recording, if that is possible; nothing otherwise."""
        with contextlib.suppress(OSError, AmrqError):
            size = np.dtype("<c8").itemsize
            take.written = os.fstat(take.file.fileno()).st_size // size
            take.file.truncate(take.written * size)
            take.file.close()
            if take.written and take.rate:
                self._finish(take)
                return
        with contextlib.suppress(OSError):
            take.file.close()
        with contextlib.suppress(OSError):
            take.data.unlink()

    def _finish(self, take: _Take) -> None:
        take.file.close()
        meta = take.data.with_suffix(".sigmf-meta")
        record = take.record
        ratio = take.rate / self._ring.sample_rate
        middle = record["frequency_hz"]
        capture: dict[str, Any] = {"core:sample_start": 0, "core:global_index": take.first}
        start = max(0, round((record["sample_start"] - take.first) * ratio))
        annotation: dict[str, Any] = {
            "core:sample_start": start,
            "core:sample_count": max(1, min(take.written - start, round(record["sample_count"] * ratio))),
            "core:label": printable(record["label"]),
            "core:comment": _comment(record, take.gone),
            "core:generator": f"gr-amrq {__version__}",
        }
        if middle is not None:
            about = middle - record["offset_hz"] + take.channel.centre
            capture["core:frequency"] = about
            annotation["core:freq_lower_edge"] = record["freq_lower_edge"]
            annotation["core:freq_upper_edge"] = record["freq_upper_edge"]
        if record["utc"]:
            begun = datetime.fromisoformat(record["utc"].replace("Z", "+00:00"))
            begun -= timedelta(seconds=(record["sample_start"] - take.first) / self._ring.sample_rate)
            capture["core:datetime"] = begun.isoformat(timespec="microseconds").replace("+00:00", "Z")
        document = {
            "global": {
                "core:datatype": "cf32_le",
                "core:sample_rate": take.rate,
                "core:version": "1.0.0",
                "core:recorder": f"gr-amrq {__version__}",
                "core:description": "One emission out of a band, by amrq scan.",
            },
            "captures": [capture],
            "annotations": [annotation],
        }
        write_whole(meta, json.dumps(document, indent=4) + "\n")
        self.written.append(meta)


def _comment(record: Mapping[str, Any], gone: int) -> str:
    said = f"{printable(record['reason'])}, confidence {record['confidence']:.3f}"
    return f"{said}; {counted(gone, 'sample')} of the band had gone and are zeros" if gone else said

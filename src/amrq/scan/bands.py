# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a band's samples come from: recordings, feeds, a simulation, a radio's flowgraph; and sweeps over a range."""

import contextlib
import dataclasses
import math
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from amrq.errors import AmrqError, DeviceError
from amrq.machine import gnuradio_object
from amrq.options import OptionError
from amrq.recordings import Recording, open_recording
from amrq.signals import SimulatedBand
from amrq.sources import (
    PacketFeed,
    Piece,
    PipeFeed,
    RtlTcpFeed,
    RtlTcpSettings,
    SourceCounts,
    SourceOptions,
    StreamTag,
    ZmqFeed,
    read_address,
)
from amrq.text import engineering, printable

__all__ = ["Band", "TunedBand", "open_band", "read_sweep", "sweep_steps", "tunings_of"]

_PATIENCE = 0.1
"""Seconds to wait for samples before somebody may look whether to end."""
_QUEUE = 256
"""Pieces of a radio's flowgraph that wait."""
STEP = 0.8
"""Of the sample rate: a sweep goes on by so much, since a radio's filter falls off at the edges of its band."""
_TUNING = 3.0
"""Seconds that a retune may take."""
_RTL_BUFFER, _RTL_SETTLES = 131_072, 0.05
"""Samples that an RTL-SDR hands over at a time, part of which may be from before a retune; seconds to settle."""
_RADIO_SETTLES = 0.1
"""Seconds after a retune in which samples of another radio may be from before it."""


class Band(Protocol):
    """Where samples come from."""

    name: str
    sample_rate: float
    frequency: float | None

    def read(self, patience: float) -> Piece | None:
        """Return the next samples; an empty piece if none came in time, None at the end."""

    def counts(self) -> SourceCounts:
        """Return counts of losses and faults so far."""

    def close(self) -> None:
        """Release everything."""


class TunedBand(Band, Protocol):
    """A radio, which can be tuned."""

    settles: float
    """Seconds after a retune that are not of the new frequency yet."""

    def tune(self, frequency: float, given_up: Callable[[], bool]) -> bool:
        """Tune to a frequency, Hz; what is read next is of it, but for what the radio needs to settle.

        Args:
            frequency: Hz.
            given_up: returns whether nobody wants it any more.

        Returns:
            Whether samples of it come.

        Raises:
            DeviceError: the radio refuses it.
        """


class _FeedBand:
    """Samples of a feed, without GNU Radio."""

    def __init__(self, feed: Any, sample_rate: float, frequency: float | None) -> None:
        self._feed = feed
        self.name: str = feed.name
        self.sample_rate, self.frequency = sample_rate, frequency
        self.settles = _RTL_BUFFER / sample_rate + _RTL_SETTLES

    def read(self, patience: float) -> Piece | None:
        piece: Piece | None = self._feed.read(patience)
        return piece

    def counts(self) -> SourceCounts:
        counts: SourceCounts = self._feed.counts()
        return counts

    def close(self) -> None:
        self._feed.close()

    def tune(self, frequency: float, given_up: Callable[[], bool]) -> bool:
        if self.frequency is not None and round(frequency) == round(self.frequency):
            return True  # nothing would be sent, and no tag comes
        self._feed.set_frequency(frequency)
        self.frequency = frequency
        until = time.monotonic() + _TUNING
        while time.monotonic() < until and not given_up():
            piece = self._feed.read(_PATIENCE)
            if piece is None or any(hertz == frequency for _, hertz in tunings_of(piece)):
                return True
        return False


class _PacedBand:
    """Samples that are made or read here, as fast as a radio would give them."""

    def __init__(
        self,
        name: str,
        sample_rate: float,
        frequency: float | None,
        take: Callable[[int], Piece],
    ) -> None:
        self.name, self.sample_rate, self.frequency, self._take = name, sample_rate, frequency, take
        self._begun: float | None = None
        self._given = 0

    def read(self, patience: float) -> Piece | None:
        now = time.monotonic()
        if self._begun is None:
            self._begun = now
        due = int((now - self._begun) * self.sample_rate) - self._given
        least = round(0.02 * self.sample_rate)
        if due < least:
            time.sleep(min(patience, (least - due) / self.sample_rate))
            return Piece()
        piece = self._take(min(due, 4 * least))
        self._given += len(piece.samples)
        return piece if len(piece.samples) else None

    def counts(self) -> SourceCounts:
        return SourceCounts()

    def close(self) -> None:
        pass


class _RadioBand:
    """Samples of a GNU Radio source, through a thin block that hands them over."""

    settles = _RADIO_SETTLES

    def __init__(self, options: SourceOptions, report: Callable[[str], None]) -> None:
        open_source = gnuradio_object("open_source", "open_source", "a SoapySDR radio")
        tap = gnuradio_object("_sample_tap", "sample_tap", "a SoapySDR radio")
        source = open_source(options, report)
        self.name, self.sample_rate, self.frequency = source.name, source.sample_rate, source.frequency
        self._block = source.block
        self._pieces: queue.Queue[Piece] = queue.Queue(_QUEUE)
        self._lost = False
        self._over = threading.Event()
        from gnuradio import gr

        self._graph = gr.top_block("amrq scan")
        self._tap = tap(self._given, self._over.set)  # without a reference it would be deleted
        self._graph.connect(self._block, self._tap)
        self._graph.start()

    def _given(self, piece: Piece) -> None:
        if self._lost:
            piece = dataclasses.replace(piece, broken=True)
        try:
            self._pieces.put_nowait(piece)
            self._lost = False
        except queue.Full:
            self._lost = True

    def read(self, patience: float) -> Piece | None:
        over = self._over.is_set()  # asked first: what came before the end is still to be read
        try:
            return self._pieces.get(timeout=0 if over else patience)
        except queue.Empty:
            if not over:
                return Piece()
        if getattr(self._block, "error", None) is not None:
            raise AmrqError(f"the source failed: {printable(self._block.error)}")
        return None

    def counts(self) -> SourceCounts:
        counts: SourceCounts = self._block.counts() if hasattr(self._block, "counts") else SourceCounts()
        return counts

    def tune(self, frequency: float, given_up: Callable[[], bool]) -> bool:
        try:
            self._block.set_frequency(frequency)
        except AmrqError:
            raise
        except Exception as error:  # SoapySDR's drivers raise what they like
            raise DeviceError(
                f"{printable(self.name)} cannot be tuned to {engineering(frequency, 'Hz', 7)}: {printable(error)}."
            ) from None
        with contextlib.suppress(queue.Empty):
            while True:
                self._pieces.get_nowait()
        return True

    def close(self) -> None:
        self._graph.stop()
        self._graph.wait()


def open_band(options: SourceOptions, report: Callable[[str], None]) -> Band:
    """Open a source of samples that come in their own time."""
    kind, rate, frequency = options.chosen, options.sample_rate or 0.0, options.frequency
    if kind == "soapy":
        return _RadioBand(options, report)
    if kind == "simulate":
        simulated = SimulatedBand(rate)
        return _PacedBand("simulation", rate, frequency, lambda count: Piece(simulated.next_samples(count)))
    if kind == "file":
        assert options.file is not None
        recording = open_recording(options.file, options.format, options.sample_rate, options.recording_name)
        for note in recording.notes:
            report(note)
        about = recording.tunings[0][1] if recording.tunings else options.frequency
        return _PacedBand(str(recording.path), recording.sample_rate, about, _Reader(recording).take)
    feed: Any
    if kind == "rtl_tcp":
        host, port = read_address(options.rtl_tcp or "")
        gain = options.gain if isinstance(options.gain, (int, float)) else None
        feed = RtlTcpFeed(host, port, RtlTcpSettings(rate, frequency or 0.0, gain, options.ppm))
    elif kind == "stdin":
        feed = PipeFeed(options.raw_format)
    elif kind == "zmq":
        feed = ZmqFeed(options.zmq or "", options.raw_format)
    else:
        host, _, port_text = (options.udp or "").rpartition(":")
        if not (port_text.isascii() and port_text.isdecimal() and len(port_text) < 6):
            raise AmrqError(
                f"'{printable(options.udp)}' is not a UDP port: give PORT or HOST:PORT with a number."
            )
        feed = PacketFeed(int(port_text), host or "127.0.0.1", options.raw_format)
    feed.report = report
    return _FeedBand(feed, rate, frequency)


class _Reader:
    """Reads a recording from its beginning to its end; its breaks and its frequencies are those of the pieces."""

    def __init__(self, recording: Recording) -> None:
        self._recording, self._place = recording, 0
        self._gaps, self._tunings = frozenset(recording.gaps()), dict(recording.tunings)
        self._edges = sorted({*self._gaps, *self._tunings, recording.length})

    def take(self, count: int) -> Piece:
        place = self._place
        until = min(place + count, next((edge for edge in self._edges if edge > place), place))
        samples = self._recording.read(place, until - place)
        self._place += len(samples)
        tags = (StreamTag(0, "rx_freq", self._tunings[place]),) if place in self._tunings else ()
        return Piece(samples, place in self._gaps, tags)


def tunings_of(piece: Piece) -> list[tuple[int, float]]:
    """Return from which samples of a piece on the middle of the band is at which frequency, Hz.

    >>> tunings_of(Piece(tags=(StreamTag(0, "rx_rate", 2.4e6), StreamTag(0, "rx_freq", 433.92e6))))
    [(0, 433920000.0)]
    """
    return [
        (tag.index, tag.value) for tag in piece.tags if tag.key == "rx_freq" and isinstance(tag.value, float)
    ]


def sweep_steps(low: float, high: float, sample_rate: float) -> list[float]:
    """Return the centre frequencies of a sweep, Hz, which cover a range.

    >>> sweep_steps(430e6, 434e6, 2.4e6)
    [430960000.0, 432000000.0, 433040000.0]
    """
    step = STEP * sample_rate
    count = max(1, math.ceil((high - low) / step))
    if count == 1:
        return [(low + high) / 2]
    between = (high - low - step) / (count - 1)
    return [low + step / 2 + number * between for number in range(count)]


def read_sweep(text: str) -> tuple[float, float]:
    """Return the lowest and the highest frequency of a sweep, Hz, of a text.

    Raises:
        AmrqError: it is not a range.

    >>> read_sweep("430M:440M")
    (430000000.0, 440000000.0)
    """
    low_text, colon, high_text = text.partition(":")
    try:
        low, high = _hertz(low_text), _hertz(high_text)
    except ValueError:
        low, high = 0.0, 0.0
    if not (colon and 0 < low < high < 1e12):
        raise OptionError(
            {"sweep": "--sweep"},
            "{sweep} takes two frequencies, the lower one first, as in 430M:440M; not '{given}'.",
            given=printable(text, 60),
        )
    return low, high


def _hertz(text: str) -> float:
    text = text.strip().removesuffix("Hz").strip()
    factor = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:], 1.0)
    return float(text[:-1] if factor != 1.0 else text) * factor

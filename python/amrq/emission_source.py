# SPDX-License-Identifier: GPL-3.0-or-later
"""One emission of a band as a stream of its own, at its own rate."""

import math
import threading
from collections import deque
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded, guarded_handler, guarded_run
from gnuradio.amrq._shown_decision import read_dictionary
from gnuradio.amrq._tags import OVERFLOW_KEY, Breaks, read_number, read_time

from amrq.channel import Channel, ChannelReader, ChannelSamples, SampleRing, channel_rate
from amrq.errors import AmrqError
from amrq.options import converted
from amrq.text import engineering, printable

__all__ = ["SOURCE_SAMPLE_KEY", "emission_source"]

SOURCE_SAMPLE_KEY = "source_sample"
"""Tag on the first sample of an emission, and on the first one after a break: a PMT tuple (uint64, double, double):
the sample of the input that it is about, the fraction of a sample after that, and input samples an output sample."""

_EMISSION = pmt.intern("emission")
_PIECE = 1 << 18
"""Samples of the input that are filtered in a call at most, so that a change is heard soon."""
_BATCH = 0.02
"""Seconds of the input that are filtered together, as long as more comes."""
_LEAST_KEPT = 1 << 18
_MOST_KEPT = 1 << 29
_NARROWEST = 1 << 17
"""Part of the band that a channel has at least: a narrower one would need a filter of seconds, and gigabytes."""
_SLOWEST = 1.0
"""Samples a second that a tag can give at least."""
_LATEST = 2.0**63
"""Seconds of a time that a tag can give."""
_MOST_PENDING = 1 << 18
"""Output samples that wait at most: then no more input is taken in."""


class emission_source(gr.hier_block2):
    """Put one emission of a band out as a stream of its own, shifted to 0 Hz, at a rate that fits its bandwidth.

    Input: complex samples of the whole band. Output: complex samples of the channel, delayed by nothing but what the
        filter must wait for. The last seconds of the input are kept, so that an emission can be put out from a moment
        in the past on, such as its beginning.

    Another emission can be chosen while the flowgraph runs: by `choose`, or by a message. The output then goes on
    with the new one; tags say where. Nothing is filtered over a break of the stream (tags `rx_freq`, `rx_time`,
    `rx_rate`, `rx_overflow` with a new value).

    Tags written, on the first sample of an emission and after each break:
        rx_rate: samples a second of the output.
        rx_freq: frequency of the channel's middle, Hz: that of the band plus the offset.
        rx_time: time of the sample, if the input's tags give it.
        source_sample: (uint64, double, double): input sample, fraction after it, input samples an output sample.
        rx_overflow: as at the input, where samples were lost.

    Message ports:
        emission (in): a dictionary with `offset` (Hz from the middle of the band) and `bandwidth` (Hz), or with
            `freq_lower_edge` and `freq_upper_edge` (Hz, the band's frequency included); if wanted with `rate` (samples
            a second) and `sample_start` (number of the input's sample to begin with, if it is kept still). A bandwidth
            of 0 chooses nothing.

    Args:
        sample_rate: of the input, samples a second, above 0, until a tag `rx_rate` says otherwise.
        offset: middle of the channel, Hz from the middle of the band, -sample_rate/2 to sample_rate/2.
        bandwidth: what passes unchanged, Hz; it falls off by 75 dB within another eighth of this on either side. 0:
            nothing is put out until an emission is chosen.
        rate: samples a second of the output, from 1.02 times the bandwidth to `sample_rate`; 0: 1.25 times the
            bandwidth, or little more. If it is no simple fraction of `sample_rate`, the output has up to 4 % more.
        memory: seconds of the input that are kept.
        frequency: centre frequency of the band, Hz, until a tag `rx_freq` gives it.

    Raises:
        AmrqError: a value is out of its range.
    """

    @checked_arguments
    def __init__(
        self,
        sample_rate: float,
        offset: float = 0.0,
        bandwidth: float = 0.0,
        rate: float = 0.0,
        memory: float = 0.5,
        frequency: float = 0.0,
    ) -> None:
        gr.hier_block2.__init__(
            self,
            "amrq_emission_source",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
        )
        # GNU Radio does not report the end of a stream to a block. A block of this module before it does (see
        # `_is_over`).
        self._before = blocks.copy(gr.sizeof_gr_complex)
        self._channel = _channel(self._before, sample_rate, memory, frequency)
        self._channel.choose(offset, bandwidth, rate, None)
        self.connect(self, self._before, self._channel, self)
        self.message_port_register_hier_in("emission")
        self.msg_connect(self, "emission", self._channel, "emission")

    @property
    def error(self) -> Exception | None:
        """The error that ended the stream early; None if there was none."""
        return self._channel.error

    @checked_arguments
    def choose(
        self, offset: float, bandwidth: float, rate: float = 0.0, sample_start: int | None = None
    ) -> None:
        """Put out another emission from now on, or from a sample of the input on that is kept still.

        Args:
            offset: middle of the channel, Hz from the middle of the band.
            bandwidth: what passes unchanged, Hz; 0: nothing is put out.
            rate: samples a second of the output; 0: what fits the bandwidth.
            sample_start: number of the input's sample to begin with; None: the next one.

        Raises:
            AmrqError: a value is out of its range.
        """
        self._channel.choose(offset, bandwidth, rate, sample_start)

    @checked_arguments
    def set_offset(self, offset: float) -> None:
        """Change the middle of the channel, Hz from the middle of the band."""
        _, bandwidth, rate = self._channel.chosen
        self._channel.choose(offset, bandwidth, rate, None)

    @checked_arguments
    def set_bandwidth(self, bandwidth: float) -> None:
        """Change the bandwidth, Hz; 0: nothing is put out."""
        offset, _, rate = self._channel.chosen
        self._channel.choose(offset, bandwidth, rate, None)

    @checked_arguments
    def set_rate(self, rate: float) -> None:
        """Change the samples a second of the output; 0: what fits the bandwidth."""
        offset, bandwidth, _ = self._channel.chosen
        self._channel.choose(offset, bandwidth, rate, None)

    def output_rate(self) -> float:
        """Return the samples a second of the output; 0 where nothing is chosen."""
        return self._channel.output_rate()

    def lost(self) -> int:
        """Return how many samples of the input were not put out, since the output was not taken in time."""
        return self._channel.lost


class _channel(gr.basic_block):
    """The work of `emission_source`, on the output of the block `before`."""

    def __init__(self, before: Any, sample_rate: float, memory: float, frequency: float) -> None:
        if not 0 < sample_rate < 1e12:
            raise AmrqError(f"the sample rate must be above 0 Hz and below 1 THz, not {sample_rate:g}.")
        if not 0 <= memory * sample_rate <= _MOST_KEPT:
            raise AmrqError(
                f"{memory:g} s of the band cannot be kept: give 0 to {_MOST_KEPT / sample_rate:.3g} s, which are "
                f"{_MOST_KEPT} samples."
            )
        if not math.isfinite(frequency):
            raise AmrqError(f"the band's frequency must be a number of Hz, not {frequency}.")
        gr.basic_block.__init__(
            self, name="amrq_emission_source", in_sig=[np.complex64], out_sig=[np.complex64]
        )
        self.error: Exception | None = None
        self._before, self._first_rate, self._memory, self._first_frequency = (
            before,
            sample_rate,
            memory,
            frequency,
        )
        self._lock = threading.Lock()  # of what is chosen
        self._wanted: tuple[float, float, float] = (0.0, 0.0, 0.0)
        self._start_at: int | None = None
        self._changed = True
        self._begin()
        self.set_tag_propagation_policy(gr.TPP_DONT)
        self.message_port_register_in(_EMISSION)
        self.set_msg_handler(_EMISSION, self._handle_emission)

    def _begin(self) -> None:
        self._rate, self._frequency = self._first_rate, self._first_frequency
        self._ring = self._new_ring(0)
        self._reader: ChannelReader | None = None
        self._held = 0  # samples at the input's beginning that are kept already
        self._breaks = Breaks()
        self._overflows: deque[tuple[int, Any]] = deque(maxlen=1024)
        self._time: tuple[int, float] | None = None  # a sample of the input and its time, seconds
        self._retuned = 0  # sample of the input from which on the band is what it is
        self._anew = True  # what is chosen is to be put out from there on
        self._pending: deque[Any] = deque()
        self._waiting = 0  # samples in it
        self._tags: deque[tuple[int, str, Any]] = deque()
        self._made = 0  # output samples so far, pending ones included
        self._finished = False
        self._upstream: Any = None
        self.lost = 0

    def _new_ring(self, start: int) -> SampleRing:
        """Return a ring for the present rate, which a tag may have given: it keeps as much as is allowed."""
        least = _LEAST_KEPT / self._rate
        try:
            ring = SampleRing(self._rate, max(least, min(self._memory, _MOST_KEPT / self._rate)))
        except MemoryError:
            ring = SampleRing(self._rate, least)
        ring.skip(start)
        return ring

    @property
    def chosen(self) -> tuple[float, float, float]:
        """Offset, bandwidth and rate as they were given last."""
        with self._lock:
            return self._wanted

    def output_rate(self) -> float:
        """Return the samples a second of what is chosen."""
        offset, bandwidth, rate = self.chosen
        return _channel_rate(self._rate, Channel(offset, bandwidth, rate or None)) if bandwidth else 0.0

    def choose(self, offset: float, bandwidth: float, rate: float, start: int | None) -> None:
        """Put out another emission; any thread may call this."""
        if not (bandwidth >= 0 and rate >= 0 and abs(offset) <= self._rate / 2):
            raise AmrqError(
                f"an emission needs an offset of at most half the sample rate, a bandwidth and a rate of at least 0, "
                f"not {offset:g}, {bandwidth:g} and {rate:g}."
            )
        if bandwidth:
            _channel_rate(
                self._rate, Channel(offset, bandwidth, rate or None)
            )  # refuses what is not possible
        with self._lock:
            if start is None and self._wanted == (offset, bandwidth, rate):
                return  # it goes on
            self._wanted, self._start_at, self._changed = (offset, bandwidth, rate), start, True

    @guarded_handler("another emission is not put out")
    def _handle_emission(self, message: Any) -> None:
        asked = read_dictionary(pmt.car(message) if pmt.is_pdu(message) else message)
        number = {
            name: converted("number", name, asked[name])
            for name in ("offset", "bandwidth", "rate", "freq_lower_edge", "freq_upper_edge")
            if name in asked
        }
        if "freq_lower_edge" in number and "freq_upper_edge" in number:
            low, high = number["freq_lower_edge"], number["freq_upper_edge"]
            number = {"offset": (low + high) / 2 - self._frequency, "bandwidth": high - low, **number}
        former = self.chosen
        start = asked.get("sample_start")
        self.choose(
            number.get("offset", former[0]),
            number.get("bandwidth", former[1]),
            number.get("rate", former[2] if "bandwidth" not in number else 0.0),
            None if start is None else converted("integer", "sample_start", start),
        )

    @guarded_run
    def start(self) -> bool:
        """Begin a run: GNU Radio counts samples from 0 again."""
        self.error = None
        with self._lock:
            self._changed = True
        self._begin()
        return True

    def _is_over(self) -> bool:
        """Return whether the input buffer holds the last samples of the stream."""
        if self._upstream is None:  # asked for once a run: each time would cost more than the filter
            self._upstream = self._before.detail()
        return bool(self._upstream.done())

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Ask for new samples; for none where there is something to do without."""
        busy = self._waiting or self._changed or self._ready()
        return [1 if busy or self._is_over() else self._held + 1] * ninputs

    def _ready(self) -> bool:
        """Return whether there is enough to filter."""
        return self._reader is not None and self._reader.waiting >= min(_PIECE, _BATCH * self._rate)

    @guarded
    def general_work(self, input_items: Any, output_items: Any) -> int:
        """Keep the samples that have arrived, filter some of them, and put out what is made."""
        samples, out = input_items[0], output_items[0]
        read = self.nitems_read(0)
        self._keep(samples, read)
        self._change()
        # GNU Radio counted the input before the stream ended: more samples may have come since.
        over = self._is_over() and self._before.nitems_written(0) == read + self._held
        if self._reader is not None and self._waiting < _MOST_PENDING and (over or self._ready()):
            self._take(self._reader.read(_PIECE))
        drained = self._reader is None or not self._reader.waiting
        if over and drained and not self._finished:
            self._end_reader()
            self._finished = True
        count = self._put_out(out)
        # One sample stays at the input, so that GNU Radio calls again until all is put out.
        done = over and self._finished and not self._waiting
        consumed = self._held if done else max(0, self._held - 1)
        self._held -= consumed
        self.consume(0, consumed)
        return count

    def _keep(self, samples: Any, read: int) -> None:
        """Keep new samples, the first of which at the input is number `read`, as long as there is room."""
        first, end = read + self._held, read + len(samples)
        behind = self._reader.waiting if self._reader is not None else 0
        end = min(end, first + max(0, self._ring.capacity - behind))
        if self._waiting >= _MOST_PENDING and behind:
            return
        at = first
        for place, values in self._breaks.changes(self.get_tags_in_range(0, first, end)):
            self._ring.append(samples[at - read : place - read])
            at = place
            self._note_break(place, values)
        self._ring.append(samples[at - read : end - read])
        self._held = end - read

    def _note_break(self, place: int, values: dict[str, Any]) -> None:
        """Take in the tags of a break before a sample of the input."""
        if OVERFLOW_KEY in values:
            self._overflows.append((place, values[OVERFLOW_KEY]))
        rate = read_number(values["rx_rate"]) if "rx_rate" in values else None
        frequency = read_number(values["rx_freq"]) if "rx_freq" in values else None
        retuned = frequency is not None and frequency != self._frequency
        resampled = rate is not None and _SLOWEST <= rate < 1e12 and rate != self._rate
        if retuned or resampled:  # what came before belongs to the former band
            self._end_reader()
            self._retuned, self._anew = place, True
            with self._lock:
                self._changed = True
        if frequency is not None:
            self._frequency = frequency
        if rate is not None and resampled:
            self._rate, self._time = rate, None
            self._ring = self._new_ring(place)
        seconds = read_time(values["rx_time"]) if "rx_time" in values else None
        if seconds is not None:
            self._time = (place, seconds)
        self._ring.add_break()

    def _change(self) -> None:
        """Begin with what was chosen last, if that is new."""
        with self._lock:
            if not self._changed:
                return
            (offset, bandwidth, rate), start = self._wanted, self._start_at
            self._changed, self._start_at = False, None
        self._end_reader()
        if bandwidth and not self._finished:
            if start is None:
                start = self._retuned if self._anew else self._ring.end
            start = max(start, self._retuned)
            wanted = Channel(offset, bandwidth, rate or None)
            try:
                _channel_rate(self._rate, wanted)
                self._reader = ChannelReader(self._ring, wanted, start)
            except AmrqError as error:  # a tag has given another rate since it was chosen
                self.logger.error(printable(f"nothing is put out until another emission is chosen: {error}"))
        self._anew = False

    def _end_reader(self) -> None:
        """Take what is left of the emission that is put out."""
        if self._reader is not None:
            self._take(self._reader.finish())
            self.lost += self._reader.lost
            self._reader = None

    def _take(self, pieces: list[ChannelSamples]) -> None:
        for piece in pieces:
            if piece.begins:
                self._tag(piece)
            self._pending.append(piece.iq)
            self._waiting += len(piece.iq)
            self._made += len(piece.iq)

    def _tag(self, piece: ChannelSamples) -> None:
        """Note the tags of the first sample of a piece."""
        whole = math.floor(piece.start)
        values = {
            "rx_rate": pmt.from_double(piece.sample_rate),
            "rx_freq": pmt.from_double(self._frequency + piece.centre),
            SOURCE_SAMPLE_KEY: pmt.make_tuple(
                pmt.from_uint64(whole), pmt.from_double(piece.start - whole), pmt.from_double(piece.step)
            ),
        }
        if self._time is not None and self._time[0] <= piece.start:
            seconds = self._time[1] + (piece.start - self._time[0]) / self._rate
            if 0 <= seconds < _LATEST:
                values["rx_time"] = pmt.make_tuple(
                    pmt.from_uint64(math.floor(seconds)), pmt.from_double(seconds % 1.0)
                )
        lost = [value for place, value in self._overflows if place <= piece.start]
        if lost:
            values[OVERFLOW_KEY] = lost[-1]
            while self._overflows and self._overflows[0][0] <= piece.start:
                self._overflows.popleft()
        self._tags.extend((self._made, key, value) for key, value in values.items())

    def _put_out(self, out: Any) -> int:
        """Put out what is pending, with its tags; return how many samples."""
        count, written = 0, self.nitems_written(0)
        while self._pending and count < len(out):
            part = self._pending.popleft()
            fitting = min(len(part), len(out) - count)
            out[count : count + fitting] = part[:fitting]
            if fitting < len(part):
                self._pending.appendleft(part[fitting:])
            count += fitting
        self._waiting -= count
        while self._tags and self._tags[0][0] < written + count:
            place, key, value = self._tags.popleft()
            self.add_item_tag(0, place, pmt.intern(key), value)
        return count


def _channel_rate(sample_rate: float, channel: Channel) -> float:
    """Return the samples a second of a channel.

    Raises:
        AmrqError: it is not possible, or too narrow to be made while samples come.
    """
    if channel.bandwidth < sample_rate / _NARROWEST:
        raise AmrqError(
            f"a channel of {engineering(channel.bandwidth, 'Hz')} is too narrow for a band of "
            f"{engineering(sample_rate, 'Hz')}: give at least {engineering(sample_rate / _NARROWEST, 'Hz')}."
        )
    return channel_rate(sample_rate, channel)

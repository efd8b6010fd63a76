# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol front end: from a radio's samples to one sample a symbol, for a signal of unknown modulation."""

import math
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded, guarded_handler, guarded_run
from gnuradio.amrq._tags import Breaks
from gnuradio.amrq.carrier_recovery import CARRIER_KEY

from amrq.measure import STEP, FrontEndOptions, check_offset
from amrq.receive import LINEAR_EQUALISER, BurstReceiver, ReceivedSymbols, Receiver, ReceiverReport

__all__ = [
    "BURST_BORDER_KEY",
    "EQUALISER_KEY",
    "INPUT_RATE_KEY",
    "INPUT_SECONDS_KEY",
    "NOT_FINITE_KEY",
    "SIGNAL_KEY",
    "SNR_KEY",
    "symbol_front_end",
]

INPUT_SECONDS_KEY = "input_seconds"
"""Tag on a symbol now and then: a PMT double, seconds from the first sample that came in to this symbol. The timing
follows the sender's clock, so that counting symbols would not be measuring time."""

INPUT_RATE_KEY = "input_rate"
"""Tag on the first symbol: a PMT double, samples a second of what came in."""
NOT_FINITE_KEY = "not_finite"
"""Tag on the first symbol of each 32 that were made from samples that are not finite. The chunker makes their chunk one
that is not finite, which the classifier counts and leaves out."""
SNR_KEY = "snr_db"
"""Tag on a symbol now and then: a PMT double, Es/N0 in dB by the noise beside the signal; NaN where the noise floor
does not show there."""
BURST_BORDER_KEY = "burst_border"
"""Tag on a symbol, PMT_T: a burst begins or ends before it, or the stream broke there."""
EQUALISER_KEY = "equaliser"
"""Tag on a symbol, a PMT string: the kind of equaliser that made the symbols from there on; empty for none."""

SIGNAL_KEY = "signal"
"""Tag on the first symbol of a signal that was found: a PMT tuple of symbol rate (Bd), offset (Hz) and confidence."""

_TAG_CHUNKS = 16  # most chunks of 32 symbols from one tag to the next
_CARRIER_CHANGE = 1e-3  # cycles/symbol; a larger change is tagged at once
_SNR_CHANGE = 0.5  # dB
_RATE_ERROR = 0.05  # of the symbol rate: more than it may be wrong by
_BUFFER = 65536  # symbols before the work, and samples:
_LEAST_BUFFER, _LARGEST_BUFFER = 1 << 15, 1 << 20
_OUTPUT = 4096  # symbols that there is room for in each call
_IDLE_SECONDS = 1.0  # without a sample, after which what is held back is put out
_PAUSE_SECONDS = 0.05  # without a sample, after which no more are waited for
_FLUSH = "flush"
_LEAST_READ = 1024  # samples that are waited for at most before more work is done, or:
_READ_SECONDS = 0.018
"""Seconds of samples that are waited for: work takes a millisecond a call, however few the symbols."""


class symbol_front_end(gr.hier_block2):
    """Make symbols of a signal's samples: complex samples in, complex symbols out, by `amrq.receive.BurstReceiver`.

    Channel filter, matched filter, timing, level and carrier recovery work block by block (about 96 symbols) and
    feed-forward: there is no loop that must settle. The output has about unit RMS while a signal is on (0.7 in noise
    alone, half of which the matched filter removes). Phase is not recovered: the constellation has any rotation.

    The first symbols leave when some 1,070 have come in, and not before 16,384 samples where these are cleaned; they
    are held back further, at most 512, until the carrier shows as a spectral line. Later ones are some 340 symbols
    late, or leave when their burst is over. Work is done on 18 ms of samples at a time, of a file on what is read in
    that time (on less where the buffer holds less, and where no sample comes for 50 ms). Frequency corrections fall on
    multiples of 32 symbols, counted from the first one put out, so that none falls inside a chunk of 32. Symbols leave
    in whole chunks of 32; at the end of a finite stream, before a break of the stream (tags `rx_freq`, `rx_time`,
    `rx_rate`, `rx_overflow` with a new value) and where no sample comes for a second, less than a chunk is left out.

    Tags written: `input_seconds`, `input_rate`, `not_finite`, `burst_border`, `carrier_offset` (cycles/symbol),
    `snr_db` (Es/N0) and `equaliser`. From them the classifier reports time, frequency and strength of a signal. Other
    tags are passed on with the symbol that is nearest to their sample.

    Args:
        sample_rate: samples a second of the input, at least twice symbol_rate.
        symbol_rate: symbols a second, accurate to 2 %.
        offset: of the signal from the middle of the band, Hz, -sample_rate/2 to sample_rate/2. Its error may be up to
            10 % of the symbol rate (15 % for BPSK, PAM and 8QAM).
        options: roll-off, bandwidths, gate and carrier recovery; None: the defaults. The default bandwidth lets a
            roll-off of 0.5 with 10 % of offset pass. The gate measures the power in the channel, before the level makes
            every signal and all noise about 1.

    Raises:
        AmrqError: a value is outside its range.
    """

    @checked_arguments
    def __init__(
        self,
        sample_rate: float,
        symbol_rate: float,
        offset: float = 0.0,
        options: FrontEndOptions | None = None,
    ) -> None:
        self._options = options or FrontEndOptions()
        self._sample_rate, self._offset = float(sample_rate), float(offset)
        receiver = BurstReceiver(sample_rate, symbol_rate, offset, self._options)
        gr.hier_block2.__init__(
            self,
            "amrq_symbol_front_end",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
        )
        # GNU Radio does not report the end of a stream to a block. A block of this module before it does.
        self._before = blocks.copy(gr.sizeof_gr_complex)
        # Work on many symbols takes less time a symbol, where so many have arrived.
        self._before.set_log_level("warn")
        room = int(min(max(_BUFFER * sample_rate / symbol_rate, _LEAST_BUFFER), _LARGEST_BUFFER))
        self._before.set_min_output_buffer(0, room)
        least = int(min(max(_LEAST_READ, _READ_SECONDS * sample_rate), room // 4))
        self._symbols = _symbols(
            receiver, self._before, self._sample_rate, float(symbol_rate), (least, room // 4)
        )
        # All symbols of a call leave at once: with less room the next call would wait for the block behind, and each
        # block behind be called several times.
        symbols = int(max(least, room // 4) * symbol_rate / sample_rate)
        self._symbols.set_min_output_buffer(0, 2 * (symbols + _OUTPUT))
        self.connect(self, self._before, self._symbols, self)

    @property
    def error(self) -> Exception | None:
        """The error that ended the stream early; None if there was none."""
        return self._symbols.error

    @checked_arguments
    def set_offset(self, offset: float) -> None:
        """Set the signal's offset from the middle of the band, Hz, -sample_rate/2 to sample_rate/2."""
        check_offset(offset, self._sample_rate)
        self._offset = float(offset)
        self._symbols.change(lambda receiver: receiver.set_offset(offset))

    @checked_arguments
    def set_timing_bandwidth(self, timing_bandwidth: float) -> None:
        """Set the noise bandwidth of the timing over symbol_rate, above 0, at most 0.05."""
        self._set(replace(self._options, timing_bandwidth=timing_bandwidth))

    @checked_arguments
    def set_gate_db(self, gate_db: float) -> None:
        """Set the power gate, dB relative to 1."""
        self._set(replace(self._options, gate_db=gate_db))

    def _set(self, options: FrontEndOptions) -> None:
        self._options = options
        self._symbols.change(lambda receiver: receiver.set_options(options))

    def flush(self) -> None:
        """Have the symbols put out that are held back; what comes then is received as after a break."""
        self._symbols.flush()

    def flushed(self) -> int | None:
        """Return how many symbols had been made when `flush` was done; None while it is not."""
        return self._symbols.flushed

    def offset(self) -> float:
        """Return the offset at which the signal is received, Hz from the middle of the band."""
        return self._offset

    def timing_bandwidth(self) -> float:
        """Return the noise bandwidth of the timing over symbol_rate."""
        return self._options.timing_bandwidth

    def level_db(self) -> float:
        """Return the power in the channel at present, dB relative to 1, at least -200."""
        return self._symbols.receiver.level_db()

    def samples_read(self) -> int:
        """Return how many samples arrived since the run began."""
        return int(self._before.nitems_read(0))

    def carrier_offset(self) -> float:
        """Return the offset that carrier recovery removes at present, cycles/symbol; 0 without it."""
        return self._symbols.receiver.carrier_offset()

    def report(self) -> ReceiverReport:
        """Return what is known of the signal at present: its offset, symbol rate, roll-off."""
        return self._symbols.receiver.report()


class _symbols(gr.basic_block):
    """The work of `symbol_front_end`, on the output of the block `before`.

    So many samples are waited for before more work is done, unless no sample comes for a while: `reads[0]`, or what
    arrives in 18 ms where samples arrive faster than a radio gives them, `reads[1]` at most; at low rates, where they
    would last long, only as many of them as the receiver's next block needs.
    """

    def __init__(
        self,
        receiver: Receiver,
        before: Any,
        rate: float,
        symbol_rate: float,
        reads: tuple[int, int] = (_LEAST_READ, _LEAST_READ),
    ) -> None:
        gr.basic_block.__init__(
            self, name="amrq_symbol_front_end", in_sig=[np.complex64], out_sig=[np.complex64]
        )
        self.error: Exception | None = None
        self.receiver, self._before = receiver, before
        self._rate, self._symbol = rate, rate / symbol_rate
        self._reads = reads
        # Tags to be written, by key: one made anew costs three times as much.
        self._written: dict[str, Any] = {}
        self._changes: list[Any] = []
        self._over = threading.Event()
        self._idle: threading.Thread | None = None
        self.flushed: int | None = None
        """Symbols made when the last `flush` was done; None while it is not."""
        self._begin()
        self.message_port_register_in(pmt.intern(_FLUSH))
        self.set_msg_handler(pmt.intern(_FLUSH), self._flush)
        self.set_tag_propagation_policy(gr.TPP_DONT)
        self.set_relative_rate(1.0 / self._symbol)
        # With room for less than a chunk, GNU Radio would ask again and again. It checks whether the following block
        # has ended only when there is no room at all. Where too few samples have come for all the room there is, it
        # asks for half as many symbols again and again, down to this number.
        self.gateway.set_output_multiple(_OUTPUT)

    def _begin(self) -> None:
        # One sample stays at the input until all symbols are put out: without any, GNU Radio would end the block.
        self._fed = 0  # samples at the input's beginning that the receiver has already
        self._origin = 0  # sample that the receiver's stream began with
        self._hurry = False  # samples at the input are to be received, however few
        self._awaited, self._fed_at = self._reads[0], time.monotonic()  # samples; when the last were received
        self._flush_after: int | None = None  # samples after which a flush is due
        self._ready = np.zeros(0, np.complex64)
        self._marks: list[tuple[int, str, Any]] = []  # symbol, key and value of the tags to be written
        self._tags: list[Any] = []  # those of the input that wait for their symbol
        self._made = 0  # symbols made
        self._place = -math.inf  # of the last chunk, in samples of the input
        self._finished = False
        self._breaks = Breaks()
        self._tagged = 0  # symbol of the last regular tags
        self._carrier, self._snr, self._equalised = math.inf, math.inf, False

    @guarded_run
    def start(self) -> bool:
        """Begin a run."""
        self.error = None
        self._begin()
        self.receiver.reset()
        self._over.clear()
        self._idle = threading.Thread(target=self._watch_input, name="amrq idle input", daemon=True)
        self._idle.start()
        return True

    @guarded_run
    def stop(self) -> bool:
        """End a run."""
        self._over.set()
        if self._idle is not None:
            self._idle.join()
        return True

    def _watch_input(self) -> None:
        """Have what is held back put out once no sample has come for a while; before that, what waits for more."""
        seen = flushed = looks = waits = received = 0
        # Looks are counted, not seconds: a machine that is busy delays them as it delays the source.
        while not self._over.wait(_PAUSE_SECONDS):
            came, before = int(self._before.nitems_written(0)), received
            received = self._received()
            looks = looks + 1 if came == seen else 0
            seen = came
            # What was awaited by the pace of a file would last long by that of a radio.
            waits = waits + 1 if received == before and self._awaited > self._reads[0] else 0
            if (looks or waits > 1) and received < came:
                if not self._hurry:
                    self._look_at_input()
            elif looks >= _IDLE_SECONDS / _PAUSE_SECONDS and came > flushed and not len(self._ready):
                self.flush()
                flushed = came

    def _received(self) -> int:
        """Return how many samples have been received."""
        return int(self.nitems_read(0)) + self._fed

    def _look_at_input(self) -> None:
        """Have all samples at the input received, soon, in the block's own thread."""
        self._hurry = True
        self.to_basic_block()._post(pmt.intern(_FLUSH), pmt.PMT_F)

    def flush(self) -> None:
        """Have what is held back put out, soon, in the block's own thread."""
        self.flushed = None
        self.to_basic_block()._post(pmt.intern(_FLUSH), pmt.PMT_T)

    @guarded_handler("symbols that are held back cannot be put out")
    def _flush(self, message: Any) -> None:
        """Put out what is held back, once the samples that are at the input by now have been received."""
        if not pmt.to_bool(message):
            return  # only to have the input looked at
        came = int(self._before.nitems_written(0))
        if self._received() < came:
            self._flush_after, self._hurry = came, True
        else:
            self._put_out()

    def _put_out(self) -> None:
        """Put out what is held back; what comes then is received as after a break."""
        if not self._finished:
            self._take(self.receiver.finish())
            self.receiver.reset()
            self._origin = self._received()
        self.flushed = self._made

    def change(self, change: Any) -> None:
        """Have a function called with the receiver before it is used again."""
        self._changes.append(change)

    def _is_over(self) -> bool:
        """Return whether the input buffer holds the last samples of the stream."""
        return bool(self._before.detail().done())

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Ask for more samples; for none if output is ready, and at the end of the stream."""
        if len(self._ready) or self._is_over():
            return [1] * ninputs
        if self._hurry:
            return [self._fed + 1] * ninputs
        least = self._awaited
        return [
            self._fed + (least if least > _LEAST_READ else max(1, min(least, self.receiver.wanted)))
        ] * ninputs

    @guarded
    def general_work(self, input_items: Any, output_items: Any) -> int:
        """Make symbols of the new samples and put out as many as fit."""
        samples, out = input_items[0], output_items[0]
        if not len(self._ready):
            self._feed(samples)
            self._hurry = False
            if self._flush_after is not None and self._received() >= self._flush_after:
                self._flush_after = None
                self._put_out()
        count = min(len(self._ready), len(out)) // STEP * STEP
        out[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        self._write_tags(self.nitems_written(0) + count)
        spent = self._fed if self._finished and not len(self._ready) else max(0, self._fed - 1)
        self._fed -= spent
        self.consume(0, spent)
        return count

    def _write_tags(self, stop: int) -> None:
        """Write the tags of the symbols before this one."""
        add, done = self.add_item_tag, 0
        for place, key, value in self._marks:
            if place >= stop:
                break
            tag = self._written.get(key) or self._written.setdefault(key, _new_tag(key))
            tag.offset, tag.value = place, value
            add(0, tag)
            done += 1
        del self._marks[:done]

    def _feed(self, samples: Any) -> None:
        """Hand the new samples at the input to the receiver."""
        changes, self._changes = self._changes, []
        for change in changes:
            change(self.receiver)
        read, stop = self.nitems_read(0), len(samples)
        if stop > self._fed:
            first = read + self._fed
            tags = self.get_tags_in_range(0, first, read + stop)
            self._tags += sorted(tags, key=lambda tag: tag.offset)
            self._receive(samples[self._fed : stop], first, tags)
            now = time.monotonic()
            arrived = _READ_SECONDS * (stop - self._fed) / max(now - self._fed_at, 1e-6)
            self._awaited, self._fed_at = int(min(max(self._reads[0], arrived), self._reads[1])), now
            self._fed = stop
        # GNU Radio counted the input before the stream ended: more samples may have come since.
        over = self._is_over() and self._before.nitems_written(0) == read + stop
        if over and not self._finished:
            self._take(self.receiver.finish())
            self._finished = True

    def _receive(self, samples: Any, first: int, tags: list[Any]) -> None:
        """Receive samples, of which the first is number `first` of the input; begin anew where the stream broke."""
        at = 0
        for place in self._breaks.find(tags):
            self._take(self.receiver.process(samples[at : place - first]))
            at = place - first
            if place > self._origin:
                self._take(self.receiver.finish())
                self.receiver.reset()
                self._origin = place
        self._take(self.receiver.process(samples[at:]))

    def _take(self, received: ReceivedSymbols) -> None:
        """Queue symbols, with the tags that are on them."""
        if not len(received):
            return
        self._ready = np.concatenate((self._ready, received.symbols))
        places = (received.positions + self._origin).tolist()
        columns = (
            received.borders,
            received.finite,
            received.equalised,
            received.carrier_offset,
            received.snr_db,
        )
        values = zip(*(column.tolist() for column in columns), strict=True)
        for number, (border, finite, equalised, carrier, snr_db) in enumerate(values):
            first, place = self._made + number * STEP, places[number]
            if self._tags:
                self._pass_on(first, place, places[number - 1] if number else self._place)
            # Most chunks are as the one before: no call for them. A comparison with NaN is false.
            if (
                not first
                or border
                or not finite
                or equalised != self._equalised
                or first - self._tagged >= _TAG_CHUNKS * STEP
                or not abs(carrier - self._carrier) <= _CARRIER_CHANGE
                or not abs(snr_db - self._snr) <= _SNR_CHANGE
            ):
                self._describe(first, place, border, finite, equalised, carrier, snr_db)
        self._made += len(received.symbols)
        self._place = places[-1]

    def _pass_on(self, first: int, place: float, before: float) -> None:
        """Mark the symbols of a chunk that are nearest to the samples of the input's tags.

        A symbol is as long as in the chunk before it, whose place is `before`: the chunk after it may come later.
        """
        symbol = (place - before) / STEP
        if abs(symbol - self._symbol) > _RATE_ERROR * self._symbol:  # something between them was left out
            symbol = self._symbol
        while self._tags and self._tags[0].offset < place + (STEP - 0.5) * symbol:
            tag = self._tags.pop(0)
            number = min(max(round((tag.offset - place) / symbol), 0), STEP - 1)
            self._mark(first + number, pmt.symbol_to_string(tag.key), tag.value)

    def _describe(
        self,
        first: int,
        place: float,
        border: bool,
        finite: bool,
        equalised: bool,
        carrier: float,
        snr_db: float,
    ) -> None:
        """Mark a chunk's first symbol with what is known of it."""
        regular = border or first - self._tagged >= _TAG_CHUNKS * STEP
        if not first:
            self._mark(first, INPUT_RATE_KEY, pmt.from_double(self._rate))
        if regular:
            self._mark(first, INPUT_SECONDS_KEY, pmt.from_double(place / self._rate))
            self._tagged = first
        if border:
            self._mark(first, BURST_BORDER_KEY, pmt.PMT_T)
        if not finite:
            self._mark(first, NOT_FINITE_KEY, pmt.PMT_T)
        if equalised != self._equalised:
            self._mark(first, EQUALISER_KEY, pmt.intern(LINEAR_EQUALISER if equalised else ""))
            self._equalised = equalised
        if regular or _differ(carrier, self._carrier, _CARRIER_CHANGE):
            self._mark(first, CARRIER_KEY, pmt.from_double(carrier))
            self._carrier = carrier
        if regular or _differ(snr_db, self._snr, _SNR_CHANGE):
            self._mark(first, SNR_KEY, pmt.from_double(snr_db))
            self._snr = snr_db

    def _mark(self, symbol: int, key: str, value: Any) -> None:
        self._marks.append((symbol, key, value))


def _new_tag(key: str) -> Any:
    """Return a tag of this key."""
    tag = gr.tag_t()
    tag.key = pmt.intern(key)
    return tag


def _differ(one: float, other: float, change: float) -> bool:
    """Return whether two numbers, or a number and NaN, differ."""
    return abs(one - other) > change or (one != one) != (other != other)

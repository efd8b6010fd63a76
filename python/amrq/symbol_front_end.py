# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol front end: from a radio's samples to one sample a symbol, for a signal of unknown modulation."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pmt
from gnuradio import analog, blocks, digital, gr
from gnuradio import filter as gr_filter
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._errors import guarded
from gnuradio.amrq._snr_tagger import snr_tagger
from gnuradio.amrq.carrier_recovery import carrier_recovery as carrier_recovery_block
from gnuradio.filter import firdes
from numpy.typing import NDArray

from amrq.measure import USUAL_ROLLOFF, FrontEndOptions, SnrMeter, check_offset

__all__ = ["INPUT_RATE_KEY", "INPUT_SECONDS_KEY", "NOT_FINITE_KEY", "symbol_front_end"]

INPUT_SECONDS_KEY = "input_seconds"
"""Tag on a symbol now and then: a PMT double, seconds from the first sample that came in to this symbol. The timing
follows the sender's clock, so that counting symbols would not be measuring time."""

INPUT_RATE_KEY = "input_rate"
"""Tag on the first symbol: a PMT double, samples a second of what came in."""
NOT_FINITE_KEY = "not_finite"
"""Tag on symbols that were made from samples that are not finite: the first, the last, and some between them. The
chunker makes their chunk one that is not finite, which the classifier counts and leaves out."""

_SPS = 4  # samples a symbol inside: the eight-tap interpolator of the timing loop is exact enough from 3 on
_ARMS = 32  # of the polyphase resampler, between which it interpolates linearly
_STOP_DB = 60.0  # of both filters: below the noise of any signal worth classifying
_PULSE_SYMBOLS = 12  # length of the matched filter; shorter costs at 25 dB, longer delays
_GATE_SYMBOLS = 16  # memory of the power gate
_LEVEL_SYMBOLS = 64  # memory of the level: shorter turns 8ASK's own amplitude into noise
_LEVEL_AHEAD = 8  # symbols that the level looks ahead, so that a burst's start is not amplified
_TIME_TAG_SYMBOLS = 512  # symbols between two tags of time; a clock error of 5,000 ppm moves 2.5 of them
_MARKED_SYMBOLS = 4  # symbols between two marks in samples that are not finite: no chunk is shorter
_CLOCK_ERROR = 0.005  # largest error of the symbol rate that the timing follows, 5,000 ppm


class symbol_front_end(gr.hier_block2):
    """Filter, resample, level, match, time and de-rotate a signal: complex samples in, complex symbols out.

    Frequency shift and channel filter (decimating), polyphase resampler to 4 samples a symbol, level,
    root-raised-cosine matched filter, Gardner timing, carrier recovery. The output has about unit RMS while a signal
    is on (0.7 in noise alone, half of which the matched filter removes). The level follows within about 100 symbols.
    Phase is not recovered: the constellation has any rotation.

    There is no frequency-locked loop. GNU Radio's band-edge loop takes any lopsided spectrum for an offset and pulls
    good signals away, and the offsets it is meant for do not disturb the Gardner detector; carrier recovery on symbols
    removes them. Their cost is a matched filter that is not centred: at an Es/N0 of 25 dB the loss is 0.1 dB at 2 %,
    0.6 dB at 5 % and 1.3 dB at 7 % of the symbol rate. Give `offset` if it is known.

    A signal settles within 100 symbols of its start. Symbols are held back until the carrier shows as a spectral line,
    at most 512 symbols, and are then turned by its frequency. Symbols and their tags leave 15 to 17 symbols late; at
    the end of a finite stream this many stay in the filters. Frequency corrections fall on multiples of 32 symbols,
    counted from the first one put out, so that none falls inside a chunk of 32.

    Tags written: `input_seconds`, `input_rate`, `not_finite`, `carrier_offset` (cycles/symbol) and `snr_db` (of the
    signal in its band over the noise floor there). From them the classifier reports time, frequency and strength of a
    signal.

    Args:
        sample_rate: samples a second of the input, at least twice symbol_rate.
        symbol_rate: symbols a second, accurate to 0.5 %.
        offset: of the signal from the middle of the band, Hz, -sample_rate/2 to sample_rate/2. Its error may be up to
            10 % of the symbol rate (15 % for BPSK, PAM and 8QAM).
        options: roll-off, bandwidths, gate and carrier recovery; None: the defaults. With a roll-off of 0.35, signals
            of 0.25 to 0.6 at 25 dB come out at 24 dB or more, those of 0.2 at 23.3 dB. The default bandwidth lets a
            roll-off of 0.5 with 10 % of offset pass. With a timing bandwidth of 0.004 8ASK at Es/N0 25 dB comes out at
            24.3 instead of 23.5 dB; with 0.012 at 22.5 dB, locked within 100 symbols instead of 250. The gate measures
            the power in the channel, before the level makes every signal and all noise about 1.

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
        options = options or FrontEndOptions()
        bandwidth = options.channel_width(sample_rate, symbol_rate)
        rolloff = options.rolloff or USUAL_ROLLOFF
        self._sample_rate = float(sample_rate)
        self._options = options
        check_offset(offset, self._sample_rate)
        gr.hier_block2.__init__(
            self,
            "amrq_symbol_front_end",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
        )

        seconds_late = 0.0  # delay of the filters up to the guard
        decimation = max(1, int(sample_rate / max(_SPS * symbol_rate, 2 * bandwidth)))
        inner_rate = sample_rate / decimation
        taps = [1.0]
        if decimation > 1:
            # Aliases that fold onto the signal are stopped here; the resampler removes those beside it.
            taps = firdes.low_pass_2(1.0, sample_rate, inner_rate / 2, inner_rate - bandwidth, _STOP_DB)
        self._shift = gr_filter.freq_xlating_fir_filter_ccf(decimation, taps, offset, sample_rate)
        seconds_late += _undelay(self._shift, len(taps)) / sample_rate

        # The resampler's prototype is the channel filter too. It passes half the bandwidth either side, and
        # stops where the first image of that begins, or half a symbol rate further where there is room.
        edge = bandwidth / 2
        stop = min(inner_rate - edge, edge + 0.5 * symbol_rate)
        taps = firdes.low_pass_2(_ARMS, _ARMS * inner_rate, (edge + stop) / 2, stop - edge, _STOP_DB)
        self._resample = gr_filter.pfb_arb_resampler_ccf(_SPS * symbol_rate / inner_rate, taps, _ARMS)
        seconds_late += _undelay(self._resample, len(taps) // _ARMS) / inner_rate

        # Level by the RMS of the last symbols, not by a loop: the time a loop takes depends on the level it starts
        # from. It stands after the guard, since one sample that is not a number would stay in the RMS and in the
        # timing loop forever.
        self._guard = _finite(_SPS * symbol_rate, seconds_late, self._sample_rate)
        # The gate gives zeros rather than nothing, so that symbols and chunks are still counted.
        self._squelch = analog.pwr_squelch_cc(options.gate_db, 1.0 / (_GATE_SYMBOLS * _SPS), 0, False)
        self._rms = blocks.rms_cf(1.0 / (_LEVEL_SYMBOLS * _SPS))
        self._rms.set_tag_propagation_policy(gr.TPP_DONT)  # they come with the samples
        self._probe = blocks.probe_signal_f()
        self._floor = blocks.add_const_ff(1e-15)
        self._gain = blocks.float_to_complex()
        self._ahead = blocks.delay(gr.sizeof_gr_complex, _LEVEL_AHEAD * _SPS)
        self._level = blocks.divide_cc()

        pulse = np.array(firdes.root_raised_cosine(1.0, _SPS, 1.0, rolloff, _PULSE_SYMBOLS * _SPS + 1))
        pulse /= math.sqrt(_SPS * float(np.sum(pulse**2)))  # symbols of unit RMS from samples of unit RMS
        self._match = gr_filter.fir_filter_ccf(1, pulse)
        _undelay(self._match, len(pulse))
        self._timing = digital.symbol_sync_cc(
            digital.TED_GARDNER,  # needs neither decisions nor a carrier
            _SPS,
            2 * math.pi * options.timing_bandwidth,
            1.0,  # critically damped
            1.0,  # detector gain; true ones are 0.5 to 2, with the pulse's roll-off
            _CLOCK_ERROR * _SPS,
            1,
            digital.constellation_bpsk().base(),  # not used by this detector
            digital.IR_MMSE_8TAP,
            128,
            [],
        )

        self._meter = SnrMeter(self._sample_rate, symbol_rate, rolloff, offset)
        self._snr = snr_tagger(self._meter)
        self.connect(self, self._snr, self._shift, self._resample, self._guard, self._squelch)
        self.connect(self._squelch, self._rms, self._floor, self._gain, (self._level, 1))
        self.connect(self._rms, self._probe)
        self.connect(self._squelch, self._ahead, (self._level, 0))
        chain: list[Any] = [self._level, self._match, self._timing]
        self._carrier = (
            carrier_recovery_block(options.max_carrier_offset) if options.carrier_recovery else None
        )
        if self._carrier is not None:
            chain.append(self._carrier)
        self.connect(*chain, self)

    @property
    def error(self) -> Exception | None:
        """The error that ended the stream early; None if there was none."""
        blocks_in_python = (self._snr, self._guard, self._carrier)
        return next((block.error for block in blocks_in_python if block is not None and block.error), None)

    @checked_arguments
    def set_offset(self, offset: float) -> None:
        """Set the signal's offset from the middle of the band, Hz, -sample_rate/2 to sample_rate/2."""
        check_offset(offset, self._sample_rate)
        self._shift.set_center_freq(offset)
        self._meter.set_offset(offset)

    @checked_arguments
    def set_timing_bandwidth(self, timing_bandwidth: float) -> None:
        """Set the noise bandwidth of the timing loop over symbol_rate, above 0, at most 0.05."""
        self._options = replace(self._options, timing_bandwidth=timing_bandwidth)
        self._timing.set_loop_bandwidth(2 * math.pi * timing_bandwidth)

    @checked_arguments
    def set_gate_db(self, gate_db: float) -> None:
        """Set the power gate, dB relative to 1."""
        self._options = replace(self._options, gate_db=gate_db)
        self._squelch.set_threshold(gate_db)

    def offset(self) -> float:
        """Return the offset at which the signal is received, Hz from the middle of the band."""
        return float(self._shift.center_freq())

    def timing_bandwidth(self) -> float:
        """Return the noise bandwidth of the timing loop over symbol_rate."""
        return float(self._timing.loop_bandwidth()) / (2 * math.pi)

    def level_db(self) -> float:
        """Return the power in the channel at present, dB relative to 1, at least -200."""
        return 20 * math.log10(max(float(self._probe.level()), 1e-10))

    def samples_read(self) -> int:
        """Return how many samples arrived since the run began."""
        return int(self._shift.nitems_read(0))

    def carrier_offset(self) -> float:
        """Return the offset that carrier recovery removes at present, cycles/symbol; 0 without it."""
        return 0.0 if self._carrier is None else self._carrier.offset()


class _finite(gr.sync_block):
    """Set samples to zero and mark them if they are not finite, or if their square would not be.

    Samples at regular distances are tagged with their time.

    Args:
        rate: samples a second here, a fixed multiple of the input's.
        late: delay of the input's samples at this block, seconds.
        input_rate: samples a second of the input.
    """

    def __init__(self, rate: float, late: float, input_rate: float) -> None:
        gr.sync_block.__init__(self, name="amrq_finite", in_sig=[np.complex64], out_sig=[np.complex64])
        self.error: Exception | None = None
        self._rate, self._late, self._input_rate = rate, late, input_rate

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        samples = input_items[0]
        with np.errstate(over="ignore", invalid="ignore"):
            good = np.abs(samples) < 1e15
            output_items[0][:] = np.where(good, samples, np.complex64(0))
        first = self.nitems_written(0)
        if not good.all():
            self._mark(first, np.flatnonzero(~good))
        if not first:
            self.add_item_tag(0, 0, pmt.intern(INPUT_RATE_KEY), pmt.from_double(self._input_rate))
        step = _TIME_TAG_SYMBOLS * _SPS
        for place in range(-(-first // step) * step, first + len(samples), step):
            seconds = pmt.from_double(place / self._rate - self._late)
            self.add_item_tag(0, place, pmt.intern(INPUT_SECONDS_KEY), seconds)
        return len(samples)

    def _mark(self, first: int, bad: NDArray[np.intp]) -> None:
        """Mark the first and the last sample of each run of bad samples, and one every few symbols between them."""
        begins = np.diff(bad, prepend=-2) > 1
        ends = np.diff(bad, append=bad[-1] + 2) > 1
        between = bad % (_MARKED_SYMBOLS * _SPS) == 0
        for place in bad[begins | ends | between]:
            self.add_item_tag(0, first + int(place), pmt.intern(NOT_FINITE_KEY), pmt.PMT_T)


def _undelay(fir: Any, taps: int) -> int:
    """Delay a filter's tags by half its length, to keep them on their samples; return that delay in samples."""
    delay = (taps - 1) // 2
    fir.declare_sample_delay(delay)
    return delay

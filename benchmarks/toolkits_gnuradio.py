# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals of GNU Radio's own modulators, and of its transmitters of digital television."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from toolkits_channel import Sent

__all__ = ["signals", "version"]

_SYMBOLS = 25_000


def version(toolkit: str) -> str | None:
    """Return GNU Radio's version; None where it is not installed."""
    try:
        from gnuradio import digital, dtv, gr  # noqa: F401
    except ImportError:
        return None
    return str(gr.version())


def _run(
    values: Sequence[Any] | NDArray[Any], kind: str, chain: list[Any], most: int = 600_000
) -> NDArray[Any]:
    """Run samples through a chain of blocks, and return at most so many of what comes out."""
    from gnuradio import blocks, gr

    top = gr.top_block()
    sources = {"b": blocks.vector_source_b, "f": blocks.vector_source_f, "c": blocks.vector_source_c}
    source = sources[kind](np.asarray(values).tolist(), most > 0 and kind == "b")
    head, sink = blocks.head(gr.sizeof_gr_complex, most), blocks.vector_sink_c()
    top.connect(source, *chain, head, sink)
    top.run()
    return np.array(sink.data(), np.complex64)


def signals(toolkit: str, rng: np.random.Generator) -> Iterator[Sent]:
    """Yield a signal of each kind."""
    yield from _linear(rng)
    yield from _frequency_keyed(rng)
    yield from _ofdm(rng)
    yield from _analog(rng)
    yield from _television(rng)


def _random_bytes(rng: np.random.Generator) -> list[int]:
    return [int(value) for value in rng.integers(256, size=40_000)]


def _linear(rng: np.random.Generator) -> Iterator[Sent]:
    from gnuradio import digital

    kinds = (
        ("BPSK", digital.psk_constellation(2), False),
        ("DBPSK", digital.psk_constellation(2), True),
        ("QPSK", digital.psk_constellation(4), False),
        ("DQPSK", digital.psk_constellation(4), True),
        ("8PSK", digital.psk_constellation(8), False),
        ("16PSK", digital.psk_constellation(16), False),
        ("16QAM", digital.qam_constellation(16), True),
        ("16QAM, rectangular", digital.constellation_16qam(), False),
        ("64QAM", digital.qam_constellation(64), False),
        ("256QAM", digital.qam_constellation(256), False),
    )
    for name, constellation, differential in kinds:
        rate = float(np.round(np.exp(rng.uniform(np.log(1e4), np.log(2e6)))))
        roll_off = float(rng.choice([0.2, 0.35, 0.5]))
        # pre_diff_code is off, as the order of bits does not matter here
        modulator = digital.generic_mod(constellation, differential, 4, False, roll_off)
        samples = _run(_random_bytes(rng), "b", [modulator], 4 * _SYMBOLS)[400:]
        yield Sent(name, samples, 4 * rate, ("linear",), rate)


def _frequency_keyed(rng: np.random.Generator) -> Iterator[Sent]:
    from gnuradio import analog, digital

    for bt in (0.3, 0.5):
        rate = float(rng.choice([9600, 100e3, 270833.0]))
        samples = _run(_random_bytes(rng), "b", [digital.gmsk_mod(4, bt)], 4 * 12_000)
        yield Sent(f"gmsk_mod, BT {bt:g}", samples, 4 * rate, ("fsk2",), rate)
    for index, bt in ((0.5, 0.35), (1.0, 0.5), (2.0, 1.0)):
        rate, size = float(rng.choice([4800, 50e3, 250e3])), 8
        modulator = digital.gfsk_mod(size, np.pi * index / size, bt)
        samples = _run(_random_bytes(rng), "b", [modulator], size * 12_000)
        yield Sent(
            f"gfsk_mod, h {index:g}, BT {bt:g}", samples, size * rate, ("fsk2",), rate, index * rate / 2
        )
    pulses = analog.cpm
    for name, pulse, index, length, levels in (
        ("LREC 1", pulses.LREC, 0.5, 1, 2),
        ("LRC 3", pulses.LRC, 0.75, 3, 2),
        ("TFM", pulses.TFM, 0.5, 3, 2),
        ("LREC 1, 4 levels", pulses.LREC, 0.5, 1, 4),
        ("LRC 2, 4 levels", pulses.LRC, 0.4, 2, 4),
        ("LREC 1, 8 levels", pulses.LREC, 0.25, 1, 8),
    ):
        rate, size = float(rng.choice([2400, 20e3, 125e3])), 8
        values = 2 * rng.integers(levels, size=12_000) - levels + 1
        modulator = digital.cpmmod_bc(pulse, index, size, length, 0.3)
        samples = _run([int(value) % 256 for value in values], "b", [modulator], size * 12_000)
        family = {2: "fsk2", 4: "fsk4", 8: "fskm"}[levels]
        plain = pulse == pulses.LREC
        yield Sent(
            f"CPM {name}, h {index:g}", samples, size * rate, (family,), rate,
            index * rate / 2 if levels == 2 and plain else 0.0, index * rate if levels > 2 and plain else 0.0,
        )  # fmt: skip


def _ofdm(rng: np.random.Generator) -> Iterator[Sent]:
    from gnuradio import blocks, digital, gr

    rate = float(rng.choice([1e6, 5e6, 10e6]))
    for name, bits in (("BPSK", 1), ("QPSK", 2)):
        chain = [
            blocks.stream_to_tagged_stream(gr.sizeof_char, 1, 96, "packet_len"),
            digital.ofdm_tx(64, 16, "packet_len", bps_payload=bits, scramble_bits=True),
        ]
        samples = _run(_random_bytes(rng), "b", chain, 150_000)
        yield Sent(f"ofdm_tx, {name}", samples, rate, ("ofdm",), rate / 80, 0.0, rate / 64)


def _speech(rng: np.random.Generator, size: int, rate: float, top: float) -> NDArray[Any]:
    hertz = np.fft.rfftfreq(size, 1 / rate)
    shape = ((hertz > 200) & (hertz < top)) / np.maximum(1.0, hertz / 600)
    tone = np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * shape, size)
    beat = max(int(rate / 12), 1)
    swell = np.abs(rng.standard_normal(size // beat + 3)) + 0.1
    audio = tone * np.interp(np.arange(size) / beat, np.arange(len(swell)), swell)
    return np.asarray(0.9 * audio / np.quantile(np.abs(audio), 0.999)).clip(-1, 1)


def _analog(rng: np.random.Generator) -> Iterator[Sent]:
    from gnuradio import analog, blocks

    audio = _speech(rng, 24_000, 16e3, 3000)
    for deviation in (2.5e3, 5e3):
        samples = _run(audio, "f", [analog.nbfm_tx(16_000, 64_000, max_dev=deviation)])
        yield Sent(f"nbfm_tx, {deviation / 1e3:g} kHz", samples, 64e3, ("fm_narrow",))
    samples = _run(_speech(rng, 9000, 32e3, 14e3), "f", [analog.wfm_tx(32_000, 320_000)])
    yield Sent("wfm_tx, mono", samples, 320e3, ("fm_wide",))
    left, right = _speech(rng, 100_000, 400e3, 14e3), _speech(rng, 100_000, 400e3, 14e3)
    at = np.arange(100_000) / 400e3
    both = 0.4 * (left + right) + 0.1 * np.sin(2 * np.pi * 19e3 * at)
    both = both + 0.4 * (left - right) * np.sin(2 * np.pi * 38e3 * at)
    stereo = [analog.frequency_modulator_fc(2 * np.pi * 75e3 / 400e3)]
    yield Sent("FM, stereo", _run(both, "f", stereo), 400e3, ("fm_wide",))
    am = _run(
        audio, "f", [blocks.multiply_const_ff(0.7), blocks.add_const_ff(1.0), blocks.float_to_complex()]
    )
    yield Sent("AM", am, 16e3, ("am",), width=6e3)
    tone = np.sin(2 * np.pi * 1000 * np.arange(24_000) / 16e3)
    chain = [blocks.multiply_const_ff(0.5), blocks.add_const_ff(1.0), blocks.float_to_complex()]
    yield Sent("AM by a tone", _run(tone, "f", chain), 16e3, ("am",), width=3e3)
    yield Sent("DSB-SC by a tone", _run(tone, "f", [blocks.float_to_complex()]), 16e3, ("am",))
    chain = [analog.frequency_modulator_fc(2 * np.pi * 2.5e3 / 16e3)]
    yield Sent("FM by a tone", _run(tone, "f", chain), 16e3, ("fm_narrow",))


def _television(rng: np.random.Generator) -> Iterator[Sent]:
    from gnuradio import blocks, digital, dtv, gr
    from gnuradio import filter as gr_filter

    packets = rng.integers(256, size=(1500, 188), dtype=np.uint8)
    packets[:, 0] = 0x47
    stream = [int(value) for value in packets.ravel()]

    def root(rate: float, roll_off: float, gain: float = 1.0) -> Any:
        taps = gr_filter.firdes.root_raised_cosine(gain, rate, rate / 2, roll_off, 100)
        return gr_filter.fft_filter_ccc(1, taps, 1)

    data, name_of = 1512, {dtv.MOD_QPSK: "QPSK", dtv.MOD_64QAM: "64QAM"}
    for kind, prefix, code in ((dtv.MOD_QPSK, 512, dtv.GI_1_4), (dtv.MOD_64QAM, 64, dtv.GI_1_32)):
        chain = [
            dtv.dvbt_energy_dispersal(1),
            dtv.dvbt_reed_solomon_enc(2, 8, 0x11D, 255, 239, 8, 51, 8),
            dtv.dvbt_convolutional_interleaver(136, 12, 17),
            dtv.dvbt_inner_coder(1, data, kind, dtv.NH, dtv.C2_3),
            dtv.dvbt_bit_inner_interleaver(data, kind, dtv.NH, dtv.T2k),
            dtv.dvbt_symbol_inner_interleaver(data, dtv.T2k, 1),
            dtv.dvbt_map(data, kind, dtv.NH, dtv.T2k, 1),
            dtv.dvbt_reference_signals(
                gr.sizeof_gr_complex, data, 2048, kind, dtv.NH, dtv.C2_3, dtv.C2_3, code, dtv.T2k, 1, 0
            ),
            digital.ofdm_cyclic_prefixer(2048, 2048 + prefix, 0, ""),
        ]
        rate = 64e6 / 7
        yield Sent(
            f"DVB-T, 2k, {name_of[kind]}", _run(stream, "b", chain, 250_000), rate, ("ofdm",),
            rate / (2048 + prefix), 0.0, rate / 2048,
        )  # fmt: skip
    for name, kind, rate_code in (
        ("QPSK", dtv.MOD_QPSK, dtv.C3_4),
        ("8PSK", dtv.MOD_8PSK, dtv.C3_4),
        ("16APSK", dtv.MOD_16APSK, dtv.C9_10),
        ("32APSK", dtv.MOD_32APSK, dtv.C9_10),
    ):
        size, standard = dtv.FECFRAME_NORMAL, dtv.STANDARD_DVBS2
        chain = [
            dtv.dvb_bbheader_bb(
                standard, size, rate_code, dtv.RO_0_20, dtv.INPUTMODE_NORMAL, dtv.INBAND_OFF, 168, 4000000
            ),
            dtv.dvb_bbscrambler_bb(standard, size, rate_code),
            dtv.dvb_bch_bb(standard, size, rate_code),
            dtv.dvb_ldpc_bb(standard, size, rate_code, dtv.MOD_OTHER),
            dtv.dvbs2_interleaver_bb(size, rate_code, kind),
            dtv.dvbs2_modulator_bc(size, rate_code, kind, dtv.INTERPOLATION_OFF),
            dtv.dvbs2_physical_cc(size, rate_code, kind, dtv.PILOTS_ON, 0),
            root(2.0, 0.2),
        ]
        rate = float(rng.choice([500e3, 1e6, 2e6]))
        yield Sent(f"DVB-S2, {name}", _run(stream, "b", chain, 100_000), 2 * rate, ("linear",), rate)
    rate = 4.5e6 / 286 * 684
    pilot = (6e6 - rate / 2) / 2
    chain = [
        dtv.atsc_pad(),
        dtv.atsc_randomizer(),
        dtv.atsc_rs_encoder(),
        dtv.atsc_interleaver(),
        dtv.atsc_trellis_encoder(),
        dtv.atsc_field_sync_mux(),
        blocks.vector_to_stream(gr.sizeof_char, 1024),
        blocks.keep_m_in_n(gr.sizeof_char, 832, 1024, 4),
        dtv.dvbs2_modulator_bc(dtv.FECFRAME_NORMAL, dtv.C1_4, dtv.MOD_8VSB, dtv.INTERPOLATION_OFF),
        blocks.rotator_cc((-3e6 + pilot) / rate * 2 * np.pi, False),
        gr_filter.fft_filter_ccc(
            1, gr_filter.firdes.root_raised_cosine(0.11, rate, rate / 2, 0.1152, 200), 1
        ),
    ]
    yield Sent("ATSC, 8VSB", _run(stream, "b", chain, 250_000), rate, ("linear", "unknown"))
    rate = 5_056_941.0
    chain = [
        dtv.catv_transport_framing_enc_bb(),
        blocks.packed_to_unpacked_bb(7, gr.GR_MSB_FIRST),
        dtv.catv_reed_solomon_enc_bb(),
        blocks.stream_to_vector(gr.sizeof_char, 128),
        dtv.dvbt_convolutional_interleaver(1, 128, 4),
        dtv.catv_randomizer_bb(dtv.CATV_MOD_64QAM),
        dtv.catv_frame_sync_enc_bb(dtv.CATV_MOD_64QAM, 6),
        dtv.catv_trellis_enc_bb(dtv.CATV_MOD_64QAM),
        dtv.dvbs2_modulator_bc(dtv.FECFRAME_NORMAL, dtv.C1_4, dtv.MOD_64QAM, dtv.INTERPOLATION_ON),
        root(2.0, 0.18),
    ]
    yield Sent("cable television, 64QAM", _run(stream, "b", chain, 120_000), 2 * rate, ("linear",), rate)

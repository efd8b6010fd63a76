#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the SigMF recordings in examples/recordings, with transmitters that are not this module's.

GNU Radio's DVB-S2 and generic modulators, its GMSK and OFDM transmitters and its noise source send through its
channel model: carrier offset, sample-clock error, multipath and noise. The files are small, the same at every
run, and come with a truth.json that says what a classifier should answer.

Example: python3 examples/make_recordings.py --output examples/recordings
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sigmf
from gnuradio import blocks, channels, digital, dtv, filter, gr
from gnuradio.filter import firdes

SEED = 20240517
SYMBOL_RATE = 25_000.0
SAMPLES_PER_SYMBOL = 4
SYMBOLS = 2_400
SETTLING = 400  # symbols cut off at the beginning: filters filling, the scrambler's first frame header


def random_bytes(count: int, seed: int) -> list[int]:
    """Return bytes to send."""
    return [int(byte) for byte in np.random.default_rng(seed).integers(256, size=count)]


def shaped(rolloff: float, stuffed: int) -> Any:
    """Give symbols that come with `stuffed` - 1 zeros between them a root-raised-cosine pulse."""
    taps = firdes.root_raised_cosine(
        SAMPLES_PER_SYMBOL, SAMPLES_PER_SYMBOL, 1.0, rolloff, 16 * SAMPLES_PER_SYMBOL + 1
    )
    return filter.interp_fir_filter_ccf(SAMPLES_PER_SYMBOL // stuffed, taps)


def dvbs2(modulation: int, code_rate: int, rolloff: int) -> list[Any]:
    """DVB-S2 (ETSI EN 302 307), normal frames without pilots, fed with a random transport stream."""
    frame = dtv.FECFRAME_NORMAL
    packets = np.array(random_bytes(188 * 200, SEED), dtype=np.uint8).reshape(-1, 188)
    packets[:, 0] = 0x47
    fraction = {dtv.RO_0_35: 0.35, dtv.RO_0_25: 0.25, dtv.RO_0_20: 0.20}[rolloff]
    return [
        blocks.vector_source_b(packets.ravel().tolist(), True),
        dtv.dvb_bbheader_bb(
            dtv.STANDARD_DVBS2,
            frame,
            code_rate,
            rolloff,
            dtv.INPUTMODE_NORMAL,
            dtv.INBAND_OFF,
            168,
            4_000_000,
        ),
        dtv.dvb_bbscrambler_bb(dtv.STANDARD_DVBS2, frame, code_rate),
        dtv.dvb_bch_bb(dtv.STANDARD_DVBS2, frame, code_rate),
        dtv.dvb_ldpc_bb(dtv.STANDARD_DVBS2, frame, code_rate, dtv.MOD_OTHER),
        dtv.dvbs2_interleaver_bb(frame, code_rate, modulation),
        dtv.dvbs2_modulator_bc(frame, code_rate, modulation, dtv.INTERPOLATION_OFF),
        dtv.dvbs2_physical_cc(frame, code_rate, modulation, dtv.PILOTS_OFF, 0),
        shaped(fraction, stuffed=2),  # the block before puts a zero behind each symbol
    ]


def generic(constellation: Any) -> list[Any]:
    """GNU Radio's generic modulator, not differential."""
    return [
        blocks.vector_source_b(random_bytes(20_000, SEED + 1), True),
        digital.generic_mod(
            constellation,
            differential=False,
            samples_per_symbol=SAMPLES_PER_SYMBOL,
            pre_diff_code=True,
            excess_bw=0.35,
        ),
    ]


def gmsk() -> list[Any]:
    """GMSK with BT 0.35: continuous phase, outside the nine."""
    return [
        blocks.vector_source_b(random_bytes(20_000, SEED + 2), True),
        digital.gmsk_mod(SAMPLES_PER_SYMBOL, 0.35),
    ]


def ofdm() -> list[Any]:
    """GNU Radio's OFDM packets, QPSK on the carriers."""
    payload = blocks.vector_source_b(random_bytes(20_000, SEED + 3), True)
    tagged = blocks.stream_to_tagged_stream(gr.sizeof_char, 1, 96, "packet_len")
    return [payload, tagged, digital.ofdm_tx(packet_length_tag_key="packet_len")]


def silence() -> list[Any]:
    """Nothing, so that the channel's noise is all there is."""
    return [blocks.null_source(gr.sizeof_gr_complex)]


@dataclass(frozen=True)
class Example:
    """A recording to make: who transmits, and what the channel does to it.

    Attributes:
        name: of the files.
        label: the SigMF label.
        accepted: right answers.
        transmitter: makes the blocks, in order.
        es_n0_db: Es/N0 behind a matched filter, dB.
        offset: carrier offset in parts of the symbol rate.
        clock: receiver's sample rate over the transmitter's.
        taps: of the channel, spaced by a sample.
    """

    name: str
    label: str
    accepted: tuple[str, ...]
    transmitter: Callable[[], list[Any]]
    es_n0_db: float = 20.0
    offset: float = 0.01
    clock: float = 1.00002
    taps: tuple[complex, ...] = (1.0,)


UNKNOWN = ("unknown",)
MILD_ECHO = (1.0, 0.0, 0.0, 0.08 + 0.05j)

EXAMPLES = (
    Example("dvbs2_qpsk", "QPSK", ("QPSK",), lambda: dvbs2(dtv.MOD_QPSK, dtv.C1_2, dtv.RO_0_35), 14.0, 0.02),
    Example(
        "dvbs2_8psk", "8PSK", ("8PSK",), lambda: dvbs2(dtv.MOD_8PSK, dtv.C2_3, dtv.RO_0_25), 20.0, -0.015
    ),
    Example(
        "generic_bpsk",
        "BPSK",
        ("BPSK",),
        lambda: generic(digital.constellation_bpsk()),
        12.0,
        0.03,
        taps=MILD_ECHO,
    ),
    Example(
        "generic_qpsk",
        "QPSK",
        ("QPSK",),
        lambda: generic(digital.constellation_qpsk()),
        18.0,
        -0.01,
        taps=MILD_ECHO,
    ),
    Example(
        "generic_16qam", "16QAM", ("16QAM",), lambda: generic(digital.constellation_16qam()), 24.0, 0.005
    ),
    Example("gmsk", "GMSK", UNKNOWN, gmsk),
    Example("ofdm", "OFDM", UNKNOWN, ofdm),
    Example("noise", "noise", UNKNOWN, silence, offset=0.0),
)


class Transmission(gr.top_block):
    """One example on its way into memory."""

    def __init__(self, example: Example, power: float, count: int) -> None:
        """Connect it; `power` is the transmitter's mean power, 1 on a first pass that measures it."""
        gr.top_block.__init__(self, example.name)
        chain = example.transmitter()
        # Es/N0 behind the matched filter: the noise in a sample is that of a symbol spread over the samples.
        noise = np.sqrt(SAMPLES_PER_SYMBOL * 10 ** (-example.es_n0_db / 10))
        chain += [
            blocks.multiply_const_cc(1 / np.sqrt(power)),
            channels.channel_model(
                noise if power != 1.0 or example.label == "noise" else 0.0,
                example.offset / SAMPLES_PER_SYMBOL,
                example.clock,
                list(example.taps),
                SEED & 0x7FFF,
            ),
            blocks.head(gr.sizeof_gr_complex, count),
        ]
        self.sink = blocks.vector_sink_c()
        self.connect(*chain, self.sink)


def record(example: Example) -> np.ndarray[Any, np.dtype[np.complex64]]:
    """Send an example and return its samples at about a quarter of full scale."""
    skip = SETTLING * SAMPLES_PER_SYMBOL
    count = skip + SYMBOLS * SAMPLES_PER_SYMBOL
    power = 1.0
    if example.label != "noise":
        first = Transmission(example, 1.0, count)
        first.run()
        power = float(np.mean(np.abs(np.array(first.sink.data()[skip:])) ** 2))
    final = Transmission(example, power, count)
    final.run()
    samples = np.array(final.sink.data()[skip:], dtype=np.complex64)
    return samples * np.float32(0.25 / np.sqrt(np.mean(np.abs(samples) ** 2)))


def write(example: Example, samples: np.ndarray[Any, np.dtype[np.complex64]], folder: Path) -> None:
    """Write ci16 SigMF."""
    data = folder / f"{example.name}.sigmf-data"
    np.round(samples.view(np.float32) * 32768).clip(-32768, 32767).astype("<i2").tofile(data)
    meta = sigmf.SigMFFile(
        data_file=str(data),
        global_info={
            "core:datatype": "ci16_le",
            "core:sample_rate": SYMBOL_RATE * SAMPLES_PER_SYMBOL,
            "core:version": sigmf.__specification__,
            "core:description": f"{example.label} by GNU Radio's own transmitter and channel model, "
            f"Es/N0 {example.es_n0_db:g} dB, carrier offset {example.offset * SYMBOL_RATE:g} Hz",
            "core:license": "https://spdx.org/licenses/GPL-3.0-or-later.html",
            "core:recorder": "gr-amrq examples/make_recordings.py",
        },
    )
    meta.add_capture(0)
    meta.add_annotation(0, len(samples), {"core:label": example.label})
    meta.tofile(str(folder / f"{example.name}.sigmf-meta"), overwrite=True)


def truth(example: Example) -> dict[str, Any]:
    """Say what the recording holds, to a program."""
    return {
        "name": example.name,
        "modulation": example.label,
        "symbol_rate": SYMBOL_RATE,
        "sample_rate": SYMBOL_RATE * SAMPLES_PER_SYMBOL,
        "segments": [[0, SYMBOLS * SAMPLES_PER_SYMBOL]],
        "es_n0_db": None if example.label == "noise" else example.es_n0_db,
        "accepted": list(example.accepted),
    }


def main() -> None:
    """Make all recordings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "recordings", help="folder to write to"
    )
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for example in EXAMPLES:
        write(example, record(example), folder)
        print(f"{folder / example.name}.sigmf-meta: {example.label}")
    (folder / "truth.json").write_text(json.dumps([truth(example) for example in EXAMPLES], indent=1) + "\n")


if __name__ == "__main__":
    main()

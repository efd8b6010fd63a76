#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make labelled chunks of simulated signals that passed the symbol front end, for `amrq train --add`.

Signals of all nine classes pass symbol_front_end as `amrq live` and `amrq classify` set it up. The symbols after the
first 512 are cut into chunks of 32 symbols. Drawn at random for each signal:

  samples a symbol   2.5 to 16
  roll-off           0.2 to 0.5 (the matched filter assumes 0.35)
  carrier            off by up to 5 % of the symbol rate
  symbol rate        off by up to 0.2 %
  level              1e-3 to 1e3
  Es/N0              0 to 30 dB

If the front end does not find a carrier, as in 16QAM at 7 dB, the offset stays in the chunks.

Each class is a recording of its own in the folder. Each chunk has its Es/N0, and positions count symbols. The draws
depend only on the class and the number of the signal, and are independent of those of benchmarks/front_end.py, which
tests models trained with these chunks. A second run gives the same signals to the bit (`recording_sha256`), and the
same chunks up to the rounding of sums (1e-6), which depends on how GNU Radio cuts the stream. 800 signals a class take
six minutes of one core and 60 MB.

Example:
  python3 scripts/front_end_bank.py -o front-end-bank
  amrq train --add front-end-bank --from default -o mine.onnx
"""

import argparse
import hashlib
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from gnuradio import blocks, gr
from gnuradio.amrq.symbol_front_end import symbol_front_end
from numpy.typing import NDArray

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.labels import LABELS, LabelledChunks, LabelsFolder
from amrq.signals import received_signal

LENGTH = 32
LOCK = 16  # chunks that are left out while the front end settles: 512 symbols
KEPT = 32  # chunks a signal
TAIL = 96  # symbols that may stay in the front end
SEED = 0xBA4C
ES_N0_DB = (0.0, 30.0)


class Passed(NamedTuple):
    """A signal behind the front end: its chunks, complex64 [KEPT, LENGTH], its Es/N0, a hash of its samples."""

    chunks: NDArray[np.complex64]
    es_n0_db: float
    sha256: bytes


def passed(name: str, number: int) -> Passed:
    """Draw signal `number` of a class and let it pass the front end."""
    rng = np.random.default_rng([SEED, LABELS.index(name), number])
    es_n0_db = float(rng.uniform(*ES_N0_DB))
    told = float(np.exp(rng.uniform(np.log(2.5), np.log(16))))  # samples a symbol
    rolloff, offset = rng.uniform(0.2, 0.5), rng.uniform(-0.05, 0.05)
    sent_at = told / (1 + rng.uniform(-0.002, 0.002))
    level = 10 ** rng.uniform(-3, 3)
    count = (LOCK + KEPT) * LENGTH
    symbols = rng.choice(THESIS_9[name].points, count + TAIL)
    samples = received_signal(symbols, sent_at, rolloff, es_n0_db, rng, offset=offset)
    samples *= np.float32(level)
    flowgraph = gr.top_block()
    # Blocks in Python must be held by someone while they run.
    source, front_end, sink = (
        blocks.vector_source_c(samples),
        symbol_front_end(told, 1.0),
        blocks.vector_sink_c(),
    )
    flowgraph.connect(source, front_end, sink)
    flowgraph.run()
    found = np.array(sink.data(), dtype=np.complex64)[:count]
    if front_end.error is not None or len(found) < count:
        raise RuntimeError(
            f"only {len(found)} symbols of {count} of {name} {number} came out: {front_end.error}"
        )
    chunks = found.reshape(-1, LENGTH)[LOCK:]
    return Passed(chunks, es_n0_db, hashlib.sha256(samples.tobytes()).digest())


def bank(name: str, signals: int, pool: ProcessPoolExecutor) -> LabelledChunks:
    """Return so many signals of a class as one recording."""
    found: list[Passed] = []
    for one in pool.map(partial(passed, name), range(signals), chunksize=8):
        found.append(one)
        sys.stderr.write(f"\r{name}: {len(found)} of {signals} ")
    sys.stderr.write("\n")
    first = (LOCK + np.arange(KEPT)) * LENGTH
    step = (LOCK + KEPT) * LENGTH
    return LabelledChunks(
        name=name,
        source="scripts/front_end_bank.py",
        recording_sha256=hashlib.sha256(b"".join(one.sha256 for one in found)).hexdigest(),
        sample_rate=1.0,
        symbol_rate=1.0,
        offset=0.0,
        chunks=np.concatenate([one.chunks for one in found]),
        labels=np.full(signals * KEPT, LABELS.index(name), dtype=np.uint8),
        sample_index=(step * np.arange(signals)[:, None] + first).ravel().astype(np.int64),
        es_n0_db=np.repeat([one.es_n0_db for one in found], KEPT).astype(np.float32),
    )


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--signals", type=int, default=800, help="signals a class (default 800)")
    parser.add_argument("--processes", type=int, default=1, help="processes side by side (default 1)")
    arguments = parser.parse_args()
    if arguments.signals < 1 or arguments.processes < 1:
        parser.error("--signals and --processes must be at least 1")
    folder = LabelsFolder(arguments.output)
    try:
        folder.make()
        with ProcessPoolExecutor(arguments.processes) as pool:
            for name in THESIS_9:
                folder.write(bank(name, arguments.signals, pool))
    except AmrqError as error:
        sys.exit(f"front_end_bank: {error}")


if __name__ == "__main__":
    main()

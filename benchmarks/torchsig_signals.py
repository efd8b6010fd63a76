#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write signals of TorchSig 2.2's data set class at its three levels of impairments, for `open_world.py`.

It runs in an environment of its own, with torchsig==2.2.0 and what that needs; the module is not imported. The classes
are those of the nine that TorchSig has, the metadata its defaults, with 12.5 to 40 dB, 4 to 10 samples a symbol, a
carrier within a fifth of the sample rate, and 32,768 samples of which a signal fills four fifths or more. TorchSig
gives a measured bandwidth, not the symbol rate: that is noted where the modulator is called.

usage: torchsig_signals.py FOLDER COUNT
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torchsig.signals.builders.constellation as constellation
from torchsig.datasets.datasets import TorchSigIterableDataset
from torchsig.transforms.impairments import Impairments
from torchsig.utils.defaults import TorchSigDefaults

SAMPLES = 32_768
NAMES = {
    **{"bpsk": "BPSK", "qpsk": "QPSK", "8psk": "8PSK", "16psk": "16PSK", "4ask": "4ASK", "8ask": "8ASK"},
    **{"16qam": "16QAM", "32qam_cross": "32QAM"},
}
SEED = 77
_rates: list[float] = []
_modulator = constellation.constellation_modulator


def _noting(name: str, pulse: str, bandwidth: float, *rest: Any, **more: Any) -> Any:
    _rates.append(float(bandwidth))  # 4 samples a symbol, resampled to this "bandwidth": the symbol rate
    return _modulator(name, pulse, bandwidth, *rest, **more)


def write(folder: Path, level: int, count: int) -> None:
    """Write `count` signals of one level: samples and what is known of them."""
    metadata = TorchSigDefaults().default_dataset_metadata
    metadata.update(
        num_iq_samples_dataset=SAMPLES,
        signal_duration_in_samples_min=int(0.8 * SAMPLES),
        signal_duration_in_samples_max=SAMPLES,
        # The default limits cut the edges off most signals.
        **{"frequency_min": -5e6, "frequency_max": 4_999_999.0},
        **{"signal_center_freq_min": -2e6, "signal_center_freq_max": 2e6},
        **{"bandwidth_min": 1_000_000, "bandwidth_max": 2_500_000},
        snr_db_min=12.5,
        snr_db_max=40.0,
        cochannel_overlap_probability=0.0,
    )
    impairments = Impairments(level)
    signals = TorchSigIterableDataset(
        signal_generators=list(NAMES),
        metadata=metadata,
        transforms=[impairments.dataset_transforms],
        target_labels=None,
    )
    for generator in signals.signal_generators:
        generator["transforms"] = [impairments.signal_transforms]
    signals.seed(SEED + level)
    samples, known = np.zeros((count, SAMPLES), np.complex64), []
    for place in range(count):
        made = next(signals)
        samples[place] = made.data[:SAMPLES]
        (one,) = made.component_signals
        known.append(
            {
                "name": NAMES[one.class_name],
                "rate": _rates[-1],
                "offset": float(one.center_freq),
                "snr_db": float(one.snr_db),
                "pulse": one.pulse_shape_name,
                "start": float(one.start_in_samples),
            }
        )
    np.save(folder / f"level{level}.npy", samples)
    (folder / f"level{level}.json").write_text(json.dumps(known), encoding="utf-8")


def main() -> None:
    """Write all levels."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    constellation.constellation_modulator = _noting
    for level in range(3):
        write(folder, level, count)


if __name__ == "__main__":
    main()

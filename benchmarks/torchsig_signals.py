#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write signals of TorchSig 2.2's data set class at its three levels of impairments, for `open_world.py`.

It runs in an environment of its own, with torchsig==2.2.0 and what that needs; the module is not imported. The classes
are those of the nine that TorchSig has, the metadata its defaults, with 12.5 to 40 dB, 4 to 10 samples a symbol, a
carrier within a fifth of the sample rate, and 32,768 samples of which a signal fills four fifths or more. TorchSig
gives a measured bandwidth, not the symbol rate: that is noted where the modulator is called.

With a third argument, an SNR in dB as TorchSig defines it, it writes recordings of all of TorchSig's classes for
`torchsig_families.py` instead: COUNT of each at levels 0 and 2, 131,072 samples at 10 MS/s, 0.3 to 2.5 MHz wide, of
which a signal fills four fifths or more.

usage: torchsig_signals.py FOLDER COUNT [SNR [SEED]]
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torchsig.signals.builders.constellation as constellation
from torchsig.datasets.datasets import TorchSigIterableDataset
from torchsig.signals.signal_lists import CLASS_FAMILY_DICT
from torchsig.transforms.impairments import Impairments
from torchsig.utils.defaults import TorchSigDefaults

SAMPLES = 32_768
NAMES = {
    **{"bpsk": "BPSK", "qpsk": "QPSK", "8psk": "8PSK", "16psk": "16PSK", "4ask": "4ASK", "8ask": "8ASK"},
    **{"16qam": "16QAM", "32qam_cross": "32QAM"},
}
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else 77
_rates: list[float] = []
_modulator = constellation.constellation_modulator


def _noting(name: str, pulse: str, bandwidth: float, *rest: Any, **more: Any) -> Any:
    _rates.append(float(bandwidth))  # 4 samples a symbol, resampled to this "bandwidth": the symbol rate
    return _modulator(name, pulse, bandwidth, *rest, **more)


LONGER = 131_072
RATE = 1e7


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


def write_all_classes(folder: Path, level: int, count: int, snr_db: float) -> list[dict[str, Any]]:
    """Write recordings of every class at one level, and return what is known of them."""
    known = []
    for number, name in enumerate(CLASS_FAMILY_DICT):
        metadata = TorchSigDefaults().default_dataset_metadata
        metadata.update(
            num_iq_samples_dataset=LONGER,
            signal_duration_in_samples_min=int(0.8 * LONGER),
            signal_duration_in_samples_max=LONGER,
            **{"frequency_min": -RATE / 2, "frequency_max": RATE / 2 - 1},
            **{"signal_center_freq_min": -2e6, "signal_center_freq_max": 2e6},
            **{"bandwidth_min": 300_000, "bandwidth_max": 2_500_000},
            **{"num_signals_min": 1, "num_signals_max": 1},
            snr_db_min=snr_db,
            snr_db_max=snr_db + 0.01,
            cochannel_overlap_probability=0.0,
        )
        impairments = Impairments(level)
        signals = TorchSigIterableDataset(
            signal_generators=[name],
            metadata=metadata,
            transforms=[impairments.dataset_transforms],
            target_labels=None,
        )
        for generator in signals.signal_generators:
            generator["transforms"] = [impairments.signal_transforms]
        signals.seed(SEED + 1000 * level + number)
        for place in range(count):
            made = next(signals)
            (one,) = made.component_signals
            file = f"{name}_{level}_{snr_db:g}_{place}.cf32"
            np.asarray(made.data[:LONGER], np.complex64).tofile(folder / file)
            about = {"name": name, "group": CLASS_FAMILY_DICT[name], "level": level, "snr_db": snr_db}
            known.append(about | {"file": file, "bandwidth": float(one.bandwidth)})
    return known


def main() -> None:
    """Write all levels."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) > 3:
        snr_db = float(sys.argv[3])
        recordings = [one for level in (0, 2) for one in write_all_classes(folder, level, count, snr_db)]
        (folder / f"known_{snr_db:g}.json").write_text(json.dumps(recordings), encoding="utf-8")
        return
    constellation.constellation_modulator = _noting
    for level in range(3):
        write(folder, level, count)


if __name__ == "__main__":
    main()

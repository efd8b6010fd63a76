# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing needs a compiler to run, only to run fast: without the compiled kernels the same is found and named."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng
from without_kernels import without_kernels

from amrq.classes import THESIS_9
from amrq.classifier import FamilyModel, make_classifier
from amrq.detect import Box, Detector, EmissionEvent, EmissionTracker, SpectrumStream
from amrq.identify import EmissionIdentity, IdentifyModels, identify_emission
from amrq.native import Kernels, kernels
from amrq.protocols import FAMILIES
from amrq.receive import Receiver
from amrq.signals import FAMILY_CLASSES, Reception, SimulatedBand, received_family, received_signal

_LOOKS = [(family, 10.0 + 5 * (number % 2), number) for family in FAMILIES for number in range(2)]
_LOOKS += [("ofdm", 15.0, number) for number in range(2, 6)]
"""Family, SNR in dB and number of looks. Of OFDM the prefix has many lengths, some of which few lags show."""
_SAMPLES = 4096
_RATE = 4.0
"""Samples a bandwidth."""


class Look(NamedTuple):
    """What `identify_emission` is given."""

    iq: NDArray[np.complex64]
    sample_rate: float
    noise_dbfs: float
    edges: tuple[float, float]
    snr_db: float


def look_at(family: str, snr_db: float, number: int) -> Look:
    """Return a look at a signal of a family, with the noise that is beside it."""
    random = rng("without kernels", family, number)
    told = FAMILY_CLASSES[family].draw(random)
    iq = received_family(family, told, random, Reception(snr_db=snr_db), _SAMPLES, _RATE)
    rate, half = _RATE * told.bandwidth, told.bandwidth / 2
    at = np.abs(np.fft.fftfreq(len(iq), 1 / rate))
    beside = np.abs(np.fft.fft(iq)[(at > 2 * half) & (at < 0.4 * rate)]) ** 2
    density = float(np.median(beside)) / np.log(2) / (len(iq) * rate)
    return Look(iq, rate, 10 * np.log10(density), (-half, half), snr_db)


@pytest.fixture(scope="module")
def ways() -> tuple[IdentifyModels, IdentifyModels]:
    """Return the models as the kernels run them, and as they run without."""
    compiled = IdentifyModels(make_classifier("default"), FamilyModel("family"))
    with without_kernels():
        return compiled, IdentifyModels(make_classifier("default"), FamilyModel("family"))


def assert_same(found: EmissionIdentity, plain: EmissionIdentity) -> None:
    said, also = ((one.family, one.label, one.reason, sorted(one.details)) for one in (found, plain))
    assert said == also
    assert plain.confidence == pytest.approx(found.confidence, abs=0.02)
    for name, told in found.details.items():
        assert plain.details[name].value == pytest.approx(told.value, rel=1e-3, abs=1e-6), name
        assert plain.details[name].confidence == pytest.approx(told.confidence, abs=0.02), name
    for family in {*found.families, *plain.families}:
        assert plain.families.get(family, 0) == pytest.approx(found.families.get(family, 0), abs=0.02), family


@pytest.mark.parametrize(("family", "snr_db", "number"), _LOOKS)
def test_the_same_is_said_of_an_emission(
    native: Kernels,
    ways: tuple[IdentifyModels, IdentifyModels],
    family: str,
    snr_db: float,
    number: int,
) -> None:
    look = look_at(family, snr_db, number)
    found = identify_emission(*look, model=ways[0])
    with without_kernels():
        assert_same(found, identify_emission(*look, model=ways[1]))


def test_the_same_boxes_and_emissions_from_the_same_spectra(native: Kernels) -> None:
    """To the bit: a sum that is rounded otherwise would tip a threshold now and then."""
    band = SimulatedBand(480e3, seed=3)
    samples = np.concatenate([band.next_samples(48_000) for _ in range(20)])
    plain = Detector(480e3)
    frames = [SpectrumStream(grid).process(samples) for grid in (plain.coarse, plain.fine)]

    def found() -> tuple[list[Box], list[EmissionEvent]]:
        detector, tracker = Detector(480e3), EmissionTracker(480e3)
        boxes = detector.process_spectra(*frames) + detector.finish()
        return boxes, tracker.update(boxes, len(samples))

    compiled = found()
    with without_kernels():
        assert found() == compiled
    assert len(compiled[0]) > 10


@pytest.mark.parametrize("name", ["QPSK", "16QAM"])
def test_the_same_symbols_are_received(native: Kernels, name: str) -> None:
    random = rng("without kernels", "received", name)
    sent = random.choice(THESIS_9[name].points, 6000)
    echoed = sent + 0.3 * np.roll(sent, 1)
    samples = received_signal(echoed, samples_per_symbol=4.0, rolloff=0.35, es_n0_db=20.0, rng=random)

    def received() -> NDArray[np.complex64]:
        receiver = Receiver(400e3, 100e3)
        parts = [receiver.process(part) for part in np.array_split(samples, 7)]
        return np.concatenate([one.symbols for one in (*parts, receiver.finish())])

    compiled = received()
    with without_kernels():
        plain = received()
    assert len(plain) == len(compiled) > 5000
    # A place between samples is looked up in a table: now and then it is the next entry.
    away = np.abs(plain - compiled)
    assert np.median(away) < 1e-5 and away.max() < 1e-2


def test_no_module_keeps_kernels_of_its_own(native: Kernels) -> None:
    """`without_kernels` finds them where modules ask for them: by the function's own name."""
    from amrq.measure import looks

    with without_kernels():
        assert looks.kernels() is None
    assert looks.kernels is kernels

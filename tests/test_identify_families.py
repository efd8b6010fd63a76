# SPDX-License-Identifier: GPL-3.0-or-later
"""Which family an emission is of: the model proposes, measures decide; labels, protocols and the line in words."""

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.fft
from numpy.typing import NDArray
from seeds import rng

from amrq.identify import (
    EmissionIdentity,
    IdentifyModels,
    ProtocolGuess,
    emission_text,
    guess_protocols,
    identify_emission,
)
from amrq.measure import (
    measure_frequency_keying,
    measure_phase_keying,
    measure_spreading,
    measure_subcarriers,
)
from amrq.outputs import signal_detail
from amrq.protocols import FAMILIES, Measure
from amrq.scan import EmissionRecord, Findings
from amrq.scan import records as records_module
from amrq.signals import FAMILY_CLASSES, Reception, received_family, received_signal

_Iq = NDArray[np.complex64]
_OUTPUTS = (
    *("noise", "carrier", "am", "ssb", "fm", "ook", "pulse", "fsk2", "fsk4", "fskm"),
    *("linear", "pi4dqpsk", "oqpsk", "ofdm", "chirp", "dsss", "unknown"),
)


@dataclass(frozen=True)
class Says:
    """A family model that says the same of everything."""

    shares: dict[str, float]
    families: tuple[str, ...] = _OUTPUTS

    def prepared(self, iq: _Iq, sample_rate: float, edges: tuple[float, float], most: int) -> list[_Iq]:
        return [iq[:16].reshape(1, 16)]

    def log_probabilities(self, chunks: _Iq) -> NDArray[np.float32]:
        left = (1 - sum(self.shares.values())) / (len(self.families) - len(self.shares))
        row = [np.log(max(self.shares.get(name, left), 1e-9)) for name in self.families]
        return np.array([row], dtype=np.float32)

    def together(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values[0]


def said(
    iq: _Iq, rate: float, width: float, families: tuple[str, ...] = _OUTPUTS, **shares: float
) -> EmissionIdentity:
    """Return what is said of samples where the family model says `shares`."""
    models = IdentifyModels("default", Says(shares, families))  # type: ignore[arg-type]
    return identify_emission(iq, rate, None, (-width / 2, width / 2), model=models)


def keyed(name: str, snr_db: float = 20.0) -> tuple[_Iq, float, float]:
    """Return 2FSK of 4,800 Bd and +-2.4 kHz, its sample rate and its bandwidth."""
    generator = rng(name)
    tones = np.repeat(generator.choice([-2400.0, 2400.0], 512), 8)
    scale = np.sqrt(4 / 10 ** (snr_db / 10) / 2)
    noise = generator.normal(size=(4096, 2)) @ [scale, 1j * scale]
    iq = np.exp(2j * np.pi * np.cumsum(tones) / 38.4e3) + noise
    return iq.astype(np.complex64), 38.4e3, 9.6e3


def test_measures_carry_what_the_model_proposes() -> None:
    iq, rate, width = keyed("proposed and measured")
    found = said(iq, rate, width, fsk2=0.6)
    assert (found.family, found.label) == ("fsk2", "2FSK") and found.confidence > 0.9
    assert found.details["symbol_rate"].value == pytest.approx(4800, rel=5e-3)
    assert found.details["deviation"].value == pytest.approx(2400, rel=5e-2)
    assert sum(found.families.values()) == pytest.approx(1)
    assert set(found.families) <= {*FAMILIES, "unknown"}


def test_a_clear_eye_speaks_against_fm_and_linear_whatever_the_model_says() -> None:
    iq, rate, width = keyed("a clear eye")
    for wrong in ("fm", "linear", "chirp"):
        found = said(iq, rate, width, **{wrong: 0.8})
        assert found.family in ("fsk2", "unknown"), wrong
        assert found.confidence < 0.9 or found.family == "fsk2"


@pytest.mark.parametrize(
    "family", ["fsk2", "fsk4", "ook", "pulse", "linear", "pi4dqpsk", "ofdm", "chirp", "dsss", "am"]
)
def test_noise_is_not_named_even_if_the_model_is_sure(family: str) -> None:
    generator = rng("noise that is named")
    for _ in range(3):
        iq = (generator.normal(size=(4096, 2)) @ [1, 1j]).astype(np.complex64)
        found = said(iq, 40e3, 10e3, **{family: 0.9})
        assert found.family in ("noise", "unknown"), (family, found.confidence)
        assert (found.reason and found.confidence == 0) or found.family == "noise"


def filtered_noise(name: str) -> _Iq:
    """Return noise 10 kHz wide at 40 kS/s, 20 dB above the rest of the band."""
    spectrum = rng(name).normal(size=(4096, 2)) @ [1, 1j]
    spectrum[np.abs(np.fft.fftfreq(4096)) > 0.125] *= 0.1
    return np.fft.ifft(64 * spectrum).astype(np.complex64)


def test_what_contradicts_is_said_in_words() -> None:
    found = said(filtered_noise("contradicted"), 40e3, 10e3, fsk2=0.9)
    assert found.reason == "looks like fsk2, but its measures speak against that"


def test_fm_is_narrow_or_wide_by_its_bandwidth() -> None:
    for width, family in ((8e3, "fm_narrow"), (150e3, "fm_wide")):
        generator = rng("how wide")
        rate = 4 * width
        slow = np.convolve(generator.normal(size=4096), np.hanning(41), "same")
        turn = 2 * np.pi * np.cumsum(0.2 * width * slow / slow.std()) / rate
        iq = np.exp(1j * turn) + generator.normal(size=(4096, 2)) @ [0.02, 0.02j]
        found = said(iq.astype(np.complex64), rate, width, fm=0.95)
        assert found.families[family] > 0.9 * (found.families["fm_narrow"] + found.families["fm_wide"])


def test_a_family_of_ones_own_is_let_through() -> None:
    iq, rate, width = keyed("of one's own")
    found = said(iq, rate, width, (*_OUTPUTS[:-1], "hopper", "unknown"), hopper=0.97)
    assert found.families["hopper"] > 0.3
    found = said(filtered_noise("own"), 40e3, 10e3, (*_OUTPUTS[:-1], "hopper", "unknown"), hopper=0.97)
    assert (found.family, found.label) == ("hopper", "hopper")
    assert guess_protocols("hopper", "hopper", {}) == ()


def test_a_rate_of_two_samples_a_symbol_breaks_nothing() -> None:
    told = FAMILY_CLASSES["linear"].draw(rng("narrow channel"))
    iq = received_family("linear", told, rng("narrow channel"), Reception(snr_db=20.0), 1024, 1.25)
    found = said(iq, 1.25 * told.bandwidth, told.bandwidth, linear=0.9)
    assert isinstance(found.family, str)


def test_a_line_in_a_wide_box_is_no_carrier_for_sure() -> None:
    """AM in a pause of speech looks so: the box says that there was more."""
    at = np.arange(8_000)
    iq = np.exp(2j * np.pi * 0.01 * at) + rng("pause").normal(size=(8_000, 2)) @ [0.003, 0.003j]
    iq = iq.astype(np.complex64)
    assert said(iq, 40e3, 8e3, am=0.5, carrier=0.4).confidence < 0.95
    steady = identify_emission(iq[:4000], 2e3, None, (-400.0, 400.0))
    assert steady.label == "carrier" and steady.confidence > 0.8


def test_the_evidence_of_looks_is_summed() -> None:
    def look(**shares: float) -> EmissionIdentity:
        family = max(shares, key=lambda name: shares[name])
        named = shares[family] > 0.5
        return EmissionIdentity(
            family if named else "unknown",
            family if named else "unknown",
            "named",
            shares[family] * named,
            families=shares,
        )

    found = Findings()
    for _ in range(3):
        found.add(look(fsk2=0.7, fsk4=0.25, unknown=0.05), {})
    assert found.fields(all=True)["family"] == "fsk2" and found.fields(all=True)["confidence"] > 0.7
    found.add(look(fsk4=0.9, fsk2=0.05, unknown=0.05), {})
    both = found.fields(all=True)
    assert both["family"] == "fsk2" and both["confidence"] < 0.9
    # What was not clear by itself adds to what the others say.
    before = both["families"]["fsk2"] / both["families"]["fsk4"]
    found.add(look(fsk2=0.45, fsk4=0.15, unknown=0.4), {})
    after = found.fields(all=True)["families"]
    assert after["fsk2"] / after["fsk4"] > before


def test_looks_are_no_surer_together_than_the_proof_allows() -> None:
    found = Findings()
    shares = {"ook": 0.8, "pulse": 0.05, "unknown": 0.15}
    for _ in range(4):
        found.add(EmissionIdentity("OOK", "ook", "named", 0.8, families=shares, most=0.83), {})
    fields = found.fields(all=True)
    assert (fields["family"], fields["confidence"]) == ("ook", pytest.approx(0.83))
    assert sum(fields["families"].values()) == pytest.approx(1)


def test_a_measure_of_several_looks_is_no_mean_of_different_values() -> None:
    """A rate that was once taken for its double, a spreading factor that was once another one."""
    found = Findings()
    for rate, sure, factor in ((1198.0, 0.9, 7), (2400.0, 0.6, 9), (1202.0, 0.9, 7)):
        details = {"symbol_rate": Measure(rate, sure), "spreading_factor": Measure(factor, sure)}
        found.add(EmissionIdentity("LoRa", "chirp", "named", 0.9, symbol_rate=rate, details=details), {})
    fields = found.fields(all=True)
    assert fields["symbol_rate"] == fields["details"]["symbol_rate"].value == pytest.approx(1200.0)
    assert fields["details"]["spreading_factor"] == Measure(7.0, 0.9)


def test_what_a_recording_may_have_cut_off_has_no_length() -> None:
    """In a narrow band the detector knows begin and end by some hundred samples."""
    found = {"family": "am", "label": "AM", "details": {"bandwidth": Measure(5e3, 0.7)}}

    def protocols(start: int, stop: int) -> tuple[ProtocolGuess, ...]:
        record = EmissionRecord(1, start, stop, start, stop, -2.5e3, 2.5e3, 30.0, -10.0, on=False)
        return records_module.with_findings(record, found, 16e3, 41_600, None).protocols

    assert protocols(256, 41_200) == protocols(0, 41_600) != protocols(8_000, 30_000)


def test_edges_beyond_the_band_make_no_more_samples_than_those_of_the_band() -> None:
    iq = (rng("edges").standard_normal((2048, 2)) @ [1, 1j]).astype(np.complex64)
    found = [identify_emission(iq, 40e3, edges=(-edge, edge), thorough=False) for edge in (20e3, 2e6)]
    assert found[0].families == found[1].families


def test_an_emission_in_one_line() -> None:
    details = {
        "symbol_rate": Measure(1200.3, 0.95),
        "deviation": Measure(4520.0, 0.9),
        "index": Measure(7.5, 0.9),
    }
    protocols = guess_protocols("fsk2", "2FSK", details, 466.075e6)
    assert protocols[0].name == "POCSAG 1200" and not protocols[0].guess and "fits" in protocols[0].reason
    line = emission_text("fsk2", "2FSK", details, protocols, 466.075e6)
    assert line == "POCSAG 1200: 2FSK, 1,200 Bd, ±4.52 kHz, 466.075 MHz"
    guessed = guess_protocols("fsk2", "2FSK", details)
    assert all(one.guess for one in guessed)
    assert emission_text("fsk2", "2FSK", details, guessed).startswith("perhaps ")
    assert emission_text("unknown", "unknown", {}) == ""
    assert guess_protocols("unknown", "unknown", details) == ()


def test_what_the_signal_extension_says() -> None:
    protocol = {"name": "AIS", "named": True, "guess": False}
    ais = {"family": "fsk2", "label": "GMSK", "protocols": [protocol]}
    assert signal_detail(ais) == {"type": "digital", "mod_class": "fsk", "order": 2, "standard": "AIS"}
    guess = {**ais, "protocols": [{**protocol, "guess": True}]}
    assert "standard" not in signal_detail(guess)
    assert signal_detail({"family": "linear", "label": "16QAM", "protocols": []})["order"] == 16
    assert signal_detail({"family": "unknown", "label": "unknown", "protocols": []}) == {}


def test_a_floor_that_cannot_be_right_names_nothing() -> None:
    """A floor that is told 20 dB too high would make noise of everything below it."""
    iq, rate, width = keyed("floor too high")
    true = 10 * np.log10(4 / 10**2.0 / rate)
    for wrong in (20.0, 40.0):
        found = identify_emission(iq, rate, true + 20 + wrong, (-width / 2, width / 2))
        assert found.family == "fsk2"
    assert identify_emission(np.zeros(4096, np.complex64), rate, true).reason == "all of its samples are 0"


def test_noise_is_not_surer_than_a_pause_lets_it_be() -> None:
    generator = rng("a pause")
    iq = (generator.normal(size=(4096, 2)) @ [1, 1j]).astype(np.complex64)
    floor = 10 * np.log10(2 / 40e3)
    found = identify_emission(iq, 40e3, floor, (-5e3, 5e3), 15.0)
    assert found.family == "noise" and found.confidence <= 0.9
    beside = np.exp(2j * np.pi * 0.3 * np.arange(4096)) * 3
    found = identify_emission((iq + beside).astype(np.complex64), 40e3, floor, (-5e3, 5e3), 15.0)
    assert (found.family, found.reason) == ("unknown", "nothing within its edges, but beside them")


def test_a_thorough_look_does_not_take_an_echo_for_more_points() -> None:
    """QPSK and its echo, of half its amplitude and a symbol later, have 16 points without an equaliser."""
    generator = rng("an echo makes 16 points")
    points = np.exp(0.5j * np.pi * (generator.integers(4, size=2500) + 0.5))
    echoed = points + 0.5j * np.roll(points, 1)
    iq = received_signal(echoed, samples_per_symbol=4.0, rolloff=0.35, es_n0_db=20.0, rng=generator)
    found = identify_emission(iq, 250e3)
    assert "QAM" not in found.label and "ASK" not in found.label, found.label


@pytest.mark.parametrize("doublings", [-40, 15])
def test_the_level_changes_nothing_but_the_level(doublings: int) -> None:
    iq, rate, width = keyed("level", 25.0)
    edges = (-width / 2, width / 2)
    as_it_is = identify_emission(iq, rate, -90.0, edges)
    gain = np.float32(2.0**doublings)
    other = identify_emission(iq * gain, rate, -90.0 + 20 * np.log10(gain), edges)
    assert (other.family, other.label) == (as_it_is.family, as_it_is.label)
    for name, told in as_it_is.details.items():
        assert other.details[name].value == pytest.approx(told.value, rel=1e-4)
    assert other.confidence == pytest.approx(as_it_is.confidence, abs=1e-4)
    assert as_it_is.measures is not None and other.measures is not None
    louder = other.measures.level_dbfs - as_it_is.measures.level_dbfs
    assert louder == pytest.approx(20 * np.log10(2) * doublings, abs=1e-3)


def odd_signals() -> dict[str, _Iq]:
    draw = rng("odd signals")
    noise = draw.standard_normal((3000, 2)) @ np.array([1, 1j])
    impulses = {f"one impulse in {count}": np.eye(1, count, count // 3)[0] for count in (530, 1632, 5871)}
    return {
        **impulses,
        "one value": np.ones(900),
        "signs": draw.choice([-1.0, 1.0], 5000),
        "a short word again and again": np.resize(draw.standard_normal(7) + 1j, 6000),
        "two values by turns": np.resize([1, 1j], 3000),
        "half of it silent": np.concatenate([np.zeros(2500), noise]),
        "held symbols": np.repeat(draw.choice([1, -1, 1j, -1j], 700), 4),
        "few samples": noise[:70],
        "a tone between the bins": np.exp(2j * np.pi * 0.1037 * np.arange(1500)),
        "huge": noise * 1e15,
        "tiny": noise * 1e-18,
    }


def spectra_with_gaps() -> dict[str, NDArray[np.bool_]]:
    """Return which of 4,096 frequencies hold power; the others hold none at all."""
    at = np.abs(np.fft.fftfreq(4096, 1 / 4096).astype(int))
    return {
        "one line": at == 37,
        "every 64th": at % 64 == 0,
        "blocks": at // 40 % 2 == 0,
        "a gap in the middle": (at > 100) & (at < 400),
        "nothing beside it": at < 500,
    }


@pytest.mark.parametrize("name", spectra_with_gaps())
@pytest.mark.filterwarnings("error")
def test_a_spectrum_that_is_exactly_zero_has_every_measure(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which values of a transform are rounded to 0 depends on the processor: here all do that should be."""
    transform = scipy.fft.fft

    def exact(values: _Iq, *further: int, **options: int) -> _Iq:
        found = np.array(transform(values, *further, **options))
        found[np.abs(found) < 1e-4 * np.abs(found).max(initial=0.0)] = 0
        return found

    inside = spectra_with_gaps()[name]
    iq = np.fft.ifft(inside * np.exp(2j * np.pi * rng("gaps").random(len(inside)))).astype(np.complex64)
    iq /= np.abs(iq).max()
    monkeypatch.setattr(scipy.fft, "fft", exact)
    for width in (1e3, 2.5e3, 9e3):
        assert 0 <= said(iq, 10e3, width, fsk2=0.9).confidence <= 1
        for measure in (
            measure_subcarriers,
            measure_spreading,
            measure_phase_keying,
            measure_frequency_keying,
        ):
            assert 0 <= measure(iq, 10e3, width).confidence <= 1


@pytest.mark.parametrize("name", odd_signals())
@pytest.mark.filterwarnings("error")
def test_odd_signals_have_every_measure(name: str) -> None:
    iq = odd_signals()[name].astype(np.complex64)
    for width in (2.5e3, 9e3):
        for family in ("fsk2", "pulse", "am"):
            assert 0 <= said(iq, 10e3, width, **{family: 0.9}).confidence <= 1
        level = iq / np.abs(iq).max()
        for measure in (
            measure_subcarriers,
            measure_spreading,
            measure_phase_keying,
            measure_frequency_keying,
        ):
            assert 0 <= measure(level, 10e3, width).confidence <= 1


@pytest.mark.parametrize("rate", [1e-3, 21e3, 1e9])
def test_symbol_rates_that_cannot_be_received_are_not_tried(rate: float) -> None:
    iq, sample_rate, width = keyed("a rate that cannot be")
    models = IdentifyModels("default", Says({"linear": 0.9}, _OUTPUTS))  # type: ignore[arg-type]
    found = identify_emission(iq, sample_rate, None, (-width / 2, width / 2), model=models, symbol_rate=rate)
    assert found.symbol_rate != rate


def _sent(name: str, order: int, count: int = 1100) -> NDArray[np.int64]:
    """Return random points of PSK by number."""
    return rng(name).integers(order, size=count)


def _staying(name: str, order: int) -> NDArray[np.int64]:
    """Return points of which half are the same as the one before."""
    changes = rng(f"{name} changes").random(1100) < 0.5
    return _sent(name, order)[np.maximum.accumulate(np.where(changes, np.arange(1100), 0))]


def _led(name: str, order: int) -> NDArray[np.int64]:
    """Return two points by turns, and then others."""
    points = _sent(name, order, 2400)
    points[:1500] = (np.arange(1500) & 1) * (order - 1)
    return points


@pytest.mark.parametrize(
    ("label", "points", "turn"),
    [
        ("pi/2-BPSK", _sent("turned", 2) / 2, 1 / 4),
        ("8PSK", _staying("staying", 8) / 8, 0.0),
        ("BPSK", _led("led", 2) / 2, 0.0),
        ("QPSK", _sent("random", 4) / 4, 0.0),
    ],
)
def test_the_number_of_phases_is_told_whatever_is_sent(
    label: str, points: NDArray[np.float64], turn: float
) -> None:
    symbols = np.exp(2j * np.pi * (points + turn * np.arange(len(points)))).astype(np.complex64)
    iq = received_signal(symbols, 4.0, 0.35, es_n0_db=16.0, rng=rng(label))
    found = identify_emission(iq, 40e3, edges=(-6750.0, 6750.0), snr_db=15.0)
    assert (found.family, found.label) == ("linear", label)


def test_what_lies_on_no_ring_is_no_psk() -> None:
    points = rng("two rings").integers(16, size=1100)
    symbols = np.where(points < 4, 0.4 * 1j**points, np.exp(1j * np.pi * (points + 0.5) / 6))
    iq = received_signal(symbols.astype(np.complex64), 4.0, 0.35, es_n0_db=16.0, rng=rng("16APSK"))
    assert "PSK" not in identify_emission(iq, 40e3, edges=(-6750.0, 6750.0), snr_db=15.0).label


@pytest.mark.parametrize(("shown", "family"), [(4, "fskm"), (1, "unknown")])
def test_looks_that_show_nothing_say_little_against_those_that_do(shown: int, family: str) -> None:
    """A closed eye opened in five of seven looks and the emission was `unknown`: the others had ruled it out."""
    found = Findings()
    for name in ("fskm",) * shown + ("unknown",) * 2:
        shares = {"unknown": 0.55, "fm_wide": 0.45} if name == "unknown" else {name: 0.85, "unknown": 0.15}
        label = "16FSK" if name == "fskm" else name
        found.add(EmissionIdentity(label, name, "named", 0.85, families=shares, most=0.85), {})
    fields = found.fields(all=True)
    assert fields["family"] == family and fields["confidence"] < 0.85
    assert sum(fields["families"].values()) == pytest.approx(1)


def test_a_carrier_whose_phase_wanders_is_one_and_slow_keys_are_none() -> None:
    rate, count = 8e3, 3200
    random = rng("wandering carriers")
    noise = random.standard_normal((2, count, 2)) @ [0.2, 0.2j]
    wanders = np.cumsum(random.standard_normal(count) * 0.08)
    slow_keys = np.cumsum(np.repeat(random.integers(4, size=8), 400) * 20 * 2 * np.pi / rate)
    found = []
    for phase, some in zip((wanders, slow_keys), noise, strict=True):
        iq = (np.exp(1j * phase) + some).astype(np.complex64)
        edges, density = (-1200.0, 1200.0), 10 * np.log10(0.08 / rate)
        found.append(identify_emission(iq, rate, density, edges, 16.0))
    assert found[0].label == "carrier" and 0.6 < found[0].confidence < 0.75
    assert found[1].label != "carrier"


def test_bursts_are_no_noise_where_the_floor_is_that_of_bursts_and_pauses() -> None:
    """A detector that sees no pause between short bursts takes their mean power for the noise's."""
    rate, width, random = 40e3, 12e3, rng("bursts and a wrong floor")
    turns = np.repeat(random.choice([-1.0, 1.0], 1200), 5) / 20  # MSK of 8 kBd
    noise = random.standard_normal((6000, 2)) @ [0.3, 0.3j]
    on = np.arange(6000) % 1500 < 450
    sent = (on * np.exp(2j * np.pi * np.cumsum(turns)) + noise).astype(np.complex64)
    inside = np.abs(np.fft.fftfreq(6000, 1 / rate)) < width / 2
    floor = 10 * np.log10(np.mean(np.abs(np.fft.fft(sent)[inside]) ** 2) / 6000 / rate)
    found = identify_emission(sent, rate, floor, (-width / 2, width / 2), 2.0)
    assert found.family == "fsk2"
    alone = identify_emission(noise.astype(np.complex64), rate, 10 * np.log10(0.18 / rate), (-6e3, 6e3), 2.0)
    assert alone.family in ("noise", "unknown")

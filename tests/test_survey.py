# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording holds, told nothing: one signal or several, its place, and a report; `amrq classify` says it."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import scipy.ndimage
from run_amrq import amrq
from seeds import rng

from amrq.channel import ChannelSamples
from amrq.classes import linear_class
from amrq.cli.report import survey_lines
from amrq.identify import EmissionIdentity
from amrq.outputs import decision_schema, emission_schema
from amrq.protocols import Measure
from amrq.recordings import AnalyticSignal
from amrq.scan import EmissionRecord, Survey, survey_recording
from amrq.scan import parts as parts_module
from amrq.scan import recorded_looks as looks_module
from amrq.scan import records as records_module
from amrq.scan import survey as survey_module
from amrq.scan import table as table_module
from amrq.scan import tones as tones_module
from amrq.signals import received_signal

RATE = 48e3
KnownEmission, ToneJoiner = records_module.KnownEmission, tones_module.ToneJoiner


BLANK = {"reason": "named", "alike": (), "probabilities": {}, "symbols": None}


class Samples:
    """Samples in memory, as a recording."""

    def __init__(self, iq: np.ndarray) -> None:
        self.iq, self.length = iq.astype(np.complex64), len(iq)

    def read(self, start: int, count: int, /) -> np.ndarray:
        assert start >= 0 and start + count <= self.length
        return self.iq[start : start + count]


def noise(count: int, power: float, *path: str) -> np.ndarray:
    return np.sqrt(power / 2) * (rng("survey", *path).standard_normal((count, 2)) @ [1, 1j])


def shift(iq: np.ndarray, hertz: float) -> np.ndarray:
    return iq * np.exp(2j * np.pi * hertz / RATE * np.arange(len(iq)))


def keyed(count: int, deviation: float, symbol_rate: float) -> np.ndarray:
    """2FSK of unit power."""
    symbols = rng("survey", "keyed").choice([-1.0, 1.0], int(count * symbol_rate / RATE) + 2)
    frequency = deviation * symbols[(np.arange(count) * symbol_rate / RATE).astype(int)]
    return np.exp(2j * np.pi * np.cumsum(frequency) / RATE)


def qpsk(symbols: int, samples_per_symbol: float) -> np.ndarray:
    random = rng("survey", "qpsk")
    points = random.choice(linear_class("QPSK").points, symbols)
    return received_signal(points, samples_per_symbol, rolloff=0.35, es_n0_db=25.0, rng=random)


def test_one_signal_beside_noise_is_alone_and_named() -> None:
    iq = shift(qpsk(2400, 8.0), 5e3)
    found = survey_recording(Samples(iq), RATE, 433e6)
    assert found.main is not None and found.alone
    assert (found.main.label, found.main.family) == ("QPSK", "linear")
    assert found.main.centre == pytest.approx(5e3, abs=0.05 * 8.1e3)
    (line,) = (line for line in survey_lines("a.cf32", found) if "where" in line)
    assert "433.00" in line and "MHz" in line


def test_a_signal_is_looked_at_where_it_is_strong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst in a receiver's noise, which stands out of what a filter leaves beside it all the time."""
    count, burst = 96_000, slice(50_000, 56_000)
    spectrum = np.fft.fft(noise(count, 1.0, "through a filter"))
    spectrum[np.abs(np.fft.fftfreq(count, 1 / RATE)) > 8e3] *= 1e-3
    iq = np.fft.ifft(spectrum)
    iq[burst] += 2 * keyed(6_000, 2e3, 4e3)
    starts: list[float] = []

    def identity(_: object, channel: ChannelSamples, *__: object) -> EmissionIdentity:
        starts.append(channel.start)
        return EmissionIdentity()

    monkeypatch.setattr(looks_module.Looker, "identity", identity)
    survey_recording(Samples(iq), RATE)
    # The detector's looks come first; those at the signal are three at least, the strongest among them in the burst.
    assert any(abs(start - burst.start) < 6_000 for start in starts[-6:])


def test_pulses_as_wide_as_the_band_are_one_signal() -> None:
    """The detector sees pieces of their spectrum, which are strong at the same moments."""
    random = rng("survey", "pulses")
    edges = sorted(random.choice(9_000, 120, replace=False) * 10)
    iq = noise(96_000, 1e-3, "pulses")
    for start in edges:
        iq[start : start + 6] += np.exp(2j * np.pi * random.random())
    record = EmissionRecord(1, 0, len(iq), 0, len(iq), -9e3, -6e3, 10.0, -30.0)
    others = [replace(record, lower=low, upper=low + 3e3) for low in (-3e3, 2e3)]
    assert all(
        survey_module.likeness_of(Samples(iq).read, 0, len(iq), RATE, record, one) > survey_module.ALIKE
        for one in others
    )
    apart = noise(96_000, 1.0, "of its own")
    assert all(
        abs(survey_module.likeness_of(Samples(apart).read, 0, len(iq), RATE, record, one))
        < survey_module.ALIKE
        for one in others
    )


def test_a_crowd_of_narrow_emissions_is_no_wide_one() -> None:
    at = np.arange(-2000.0, 2000.0, 2.0)
    record = EmissionRecord(1, 0, 1000, 0, 1000, 100.0, 1900.0, 20.0, -20.0, label="SSB", family="ssb")
    part = survey_module.Part(record, ((0, 1000),), 1.0)
    floor = rng("survey", "crowd").chisquare(60, len(at)) / 60
    narrow = sum(level * (np.abs(at - middle) < 25) for level, middle in ((40, 700), (90, 1300), (20, 1600)))
    found = parts_module.crowd(part, at, floor + narrow)
    assert [round((one.record.lower + one.record.upper) / 100) * 50 for one in found] == [1300, 700, 1600]
    assert all(one.record.family == "unknown" and one.width < 80 for one in found)
    voice = 60 * np.exp(-np.square((at - 600) / 300)) * (at > 200) + floor
    assert parts_module.crowd(part, at, voice) == []


class Turns:
    """A scheduler that takes note of what it is to forget."""

    def __init__(self) -> None:
        self.forgotten: list[int] = []

    def forget(self, key: int) -> None:
        self.forgotten.append(key)


class Table:
    """The part of a table of emissions that is asked."""

    def __init__(self, known: list[KnownEmission], now: int) -> None:
        self.known, self.now, self.sample_rate = known, now, RATE
        self.lock = threading.RLock()
        self.ended: list[EmissionRecord] = []
        self._scheduler = Turns()

    end_as_part = table_module.EmissionTable.end_as_part
    make_one = table_module.EmissionTable.make_one

    def entries(self) -> list[KnownEmission]:
        return [one for one in self.known if not one.part_of]

    def get(self, key: int) -> KnownEmission:
        return self.known[key - 1]

    def put(self, event: str, known: KnownEmission) -> None:
        assert event == "end"
        self.ended.append(known.record)


def two_emissions(iq: np.ndarray) -> tuple[Table, ToneJoiner]:
    """Return a table with an emission on either side of the middle, and who joins them."""
    edges = (-9e3, -1e3), (1e3, 9e3)
    records = [
        EmissionRecord(1 + place, 0, len(iq), 0, len(iq), low, high, 30.0, -3.0, label="OOK", family="ook")
        for place, (low, high) in enumerate(edges)
    ]
    table = Table([KnownEmission(record, record.id) for record in records], len(iq))
    read = Samples(iq).read
    joiner = ToneJoiner(table, lambda start, stop: read(start, stop - start))  # type: ignore[arg-type]
    return table, joiner


def test_a_scan_makes_two_tones_one_emission() -> None:
    table, joiner = two_emissions(keyed(48_000, 5e3, 1200.0) + noise(48_000, 1e-3, "two tones"))
    whole = joiner.join(table.known[1])
    assert whole is table.known[0] and (whole.record.lower, whole.record.upper) == (-9e3, 9e3)
    assert not whole.findings and whole.record.on
    (part,) = table.ended
    assert (part.id, part.family, part.reason, part.on) == (2, "unknown", "a tone of emission 1", False)
    assert table.entries() == [whole] and joiner.join(whole) is None


def test_two_carriers_that_are_keyed_each_for_itself_stay_two() -> None:
    keys = np.repeat(rng("survey", "two keyed carriers").integers(2, size=(2, 600)), 80, axis=1)
    iq = shift(keys[0], -5e3) + shift(keys[1], 5e3) + noise(48_000, 1e-3, "two tones")
    table, joiner = two_emissions(iq)
    assert joiner.join(table.known[1]) is None and not table.ended


def test_two_tones_of_one_signal_are_one_signal() -> None:
    """Tones that are keyed far apart are found as two emissions: one leaves where the other begins."""
    iq = keyed(48_000, 6e3, 600.0) + noise(48_000, 1e-3, "two tones")
    found = survey_recording(Samples(iq), RATE)
    assert found.main is not None and found.alone
    assert found.main.lower < -5.5e3 and found.main.upper > 5.5e3


@pytest.mark.parametrize(("symbol_rate", "deviation", "power"), [(1200.0, 18e3, 0.5), (600.0, 19e3, 0.7)])
def test_tones_far_apart_are_one_signal_where_noise_hides_it(
    symbol_rate: float, deviation: float, power: float
) -> None:
    """Each tone stands out of the noise in its own band, and is keyed on and off: one leaves where the other begins."""
    iq = keyed(96_000, deviation, symbol_rate) + noise(96_000, power, "far tones")
    found = survey_recording(Samples(iq), RATE)
    assert found.main is not None and found.main.family == "fsk2"
    assert found.main.confidence <= 0.9
    assert found.main.details["deviation"].value == pytest.approx(deviation, rel=0.02)


def test_carriers_that_are_keyed_each_for_itself_are_not_frequency_keying() -> None:
    keys = [np.repeat(rng("survey", "far", number).integers(2, size=2400), 40) for number in range(2)]
    iq = shift(keys[0], -18e3) + shift(keys[1], 18e3) + noise(96_000, 0.2, "far tones")
    found = survey_recording(Samples(iq), RATE)
    assert found.main is not None and found.main.family != "fsk2"


def test_two_signals_stay_two() -> None:
    """Two tones at the same level that are there together: neither leaves."""
    tones = shift(np.ones(48_000), -9e3) + shift(np.ones(48_000), 11e3)
    found = survey_recording(Samples(tones + noise(48_000, 1e-3, "two signals")), RATE)
    assert found.main is not None and not found.alone
    places = sorted(one.centre for one in (found.main, *found.others))
    assert places == pytest.approx([-9e3, 11e3], abs=200)
    lines = list(survey_lines("a.cf32", found, "amrq scan a.cf32"))
    assert "2 emissions" in lines[0] and lines[-1].endswith("amrq scan a.cf32")


def test_noise_is_not_claimed_to_be_a_signal() -> None:
    found = survey_recording(Samples(noise(48_000, 1.0, "noise")), RATE)
    assert found.main is None or found.main.confidence < 0.9


@pytest.mark.parametrize("count", [1, 100, 3_000, 4_800])
def test_recordings_without_noise_beside_their_signal(count: int) -> None:
    """As wide as the signal, and as short as a burst: nothing fails, and nothing is said of a place outside."""
    iq = qpsk(2400, 2.0)[:count]
    found = survey_recording(Samples(iq), RATE)
    assert found.samples == count
    if found.main is not None:
        assert -RATE / 2 <= found.main.lower < found.main.upper <= RATE / 2
    assert len(list(survey_lines("a.cf32", found))) >= 1


def test_what_fills_the_recording_is_claimed_with_a_word_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim needs a confidence of 0.8; that there is no noise beside it is said."""

    iq = noise(4_000, 1.0, "filled")
    for claimed, named in ((0.95, True), (0.7, False)):
        identity = EmissionIdentity("OFDM", "ofdm", "named", claimed)
        monkeypatch.setattr(looks_module.Looker, "identity", lambda *_, said=identity: said)
        found = survey_recording(Samples(iq), RATE)
        assert (found.main is not None) == named
        assert any("no noise beside it" in doubt for doubt in found.doubts) == named


def test_silence_is_said() -> None:
    found = survey_recording(Samples(np.zeros(10_000)), RATE)
    assert found.main is None and not found.noise
    assert "zero" in list(survey_lines("a.cf32", found))[-1]


def test_samples_that_are_not_finite_are_not_called_zeros_alone() -> None:
    found = survey_recording(Samples(np.full(10_000, np.nan)), RATE)
    assert found.main is None and "not finite" in " ".join(found.doubts)


def test_a_recording_of_one_value_is_no_signal() -> None:
    """What a receiver writes that received nothing."""
    found = survey_recording(Samples(np.full(20_000, (1 + 1j) / 255)), RATE)
    assert found.main is None and not found.noise
    assert "the same" in list(survey_lines("a.cu8", found))[-1]


def test_a_report_shows_nothing_that_could_steer_a_terminal() -> None:
    for line in survey_lines("a\x1b[31m.wav", Survey(8e3, 8000, noise=True)):
        assert "\x1b" not in line


# The command


def write(path: Path) -> None:
    """Two tones in bytes, with the constant that receivers leave, 0.2 s after noise alone."""
    quiet = noise(9_600, 1e-3, "before")
    iq = 0.4 * np.concatenate([quiet, keyed(48_000, 2e3, 1200.0) + noise(48_000, 1e-3, "command")]) + 0.02
    parts = np.round(iq.astype(np.complex64).view(np.float32) * 127.5 + 127.5)
    parts.clip(0, 255).astype(np.uint8).tofile(path)


def test_classify_told_nothing_but_the_rate(tmp_path: Path) -> None:
    """A recording without a clear symbol rate is no failure: the report says what is known, JSON likewise."""
    path = tmp_path / "r.cu8"
    write(path)
    result = amrq("classify", path, "--rate", "48k")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("r.cu8: 1.2 s at 48 kS/s: one signal\n")
    result = amrq("classify", path, "--rate", "48k", "--start", "0.6", "--json", "--log", tmp_path / "log")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    emissions = [record for record in records if "event" in record]
    for record in emissions:
        jsonschema.validate(record, emission_schema())
        assert record["event"] == "end" and 0.6 <= record["time"] < 0.7
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert logged == records and records


def test_json_of_nothing_says_why_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "zeros.cf32"
    np.zeros(20_000, np.complex64).tofile(path)
    result = amrq("classify", path, "--rate", "250k", "--json", "--log", tmp_path / "log")
    assert (result.returncode, result.stdout) == (0, "")
    assert "zeros.cf32: all of its samples are zero or not finite." in result.stderr


def test_json_of_a_linear_signal_begins_with_its_emission(tmp_path: Path) -> None:
    """Family, label and rate stand in the same record as those of any other signal; decisions follow."""
    recording = Path(__file__).parents[1] / "examples" / "recordings" / "generic_qpsk.sigmf-meta"
    result = amrq("classify", recording, "--json", "--log", tmp_path / "log")
    first, *others = (json.loads(line) for line in result.stdout.splitlines())
    jsonschema.validate(first, emission_schema())
    assert (first["event"], first["family"], first["label"]) == ("end", "linear", "QPSK")
    assert others
    for record in others:
        jsonschema.validate(record, decision_schema())
    assert (tmp_path / "log").read_text() == result.stdout


def test_a_carrier_with_the_same_line_on_either_side_is_amplitude_modulation() -> None:
    # A detector whose bins are as narrow sees three carriers.
    count = 3 * int(RATE)
    made = 0.1 * (1 + 0.7 * np.cos(2 * np.pi * 1000 / RATE * np.arange(count)))
    found = survey_recording(Samples(shift(made, 9000.0) + noise(count, 1e-4, "lines")), RATE)
    assert found.main is not None and found.main.family == "am" and not found.others
    assert abs(found.main.centre - 9000) < 100


@pytest.mark.parametrize(
    ("gap", "strength", "family", "same"),
    [
        (20e3, 1.1, "ofdm", True),
        (100e3, 1.0, "ofdm", False),
        (20e3, 2.0, "ofdm", False),
        (20e3, 1.0, "linear", False),
    ],
)
def test_halves_of_ofdm_are_one_signal(gap: float, strength: float, family: str, same: bool) -> None:
    # Two of 540 kHz, as those of LTE of 1.4 MHz; farther apart, of other powers, or with symbols they are two channels.
    record = EmissionRecord(1, 0, 9000, 0, 9000, -550e3, -10e3, 20.0, -20.0, family=family, confidence=0.9)
    beside = replace(record, lower=-10e3 + gap, upper=530e3 + gap)
    one = parts_module.Part(record, ((0, 9000),), 1.0)
    other = parts_module.Part(beside, ((0, 9000),), strength)
    assert parts_module.halves(one, other) == parts_module.halves(other, one) == same
    assert not parts_module.halves(one, replace(other, stretches=((0, 3000),)))


@pytest.mark.parametrize(("keyed", "snr_db"), [(False, 12.0), (True, 12.0), (True, 7.0)])
def test_a_carrier_whose_fast_keys_are_found_beside_it_or_not_at_all_is_no_sure_one(
    keyed: bool, snr_db: float
) -> None:
    """Half of the power of Manchester code is a line, and around that there is none."""
    random = rng("survey", "keys far away", str(snr_db))
    bits = random.integers(2, size=1500)
    halves = np.repeat(bits, 2) ^ np.tile([0, 1], 1500) if keyed else np.ones(3000)
    iq = shift(np.repeat(halves, 32) + 0j, 4e3)
    found = survey_recording(
        Samples(iq + noise(len(iq), 16 / 10 ** (snr_db / 10), "keys", str(snr_db))), RATE
    ).main
    assert found is not None and found.family in (("ook", "carrier", "unknown") if keyed else ("carrier",))
    if found.family == "carrier":
        assert (found.confidence <= 0.85) == keyed


@pytest.mark.parametrize("keyed", [True, False])
def test_a_line_in_a_raised_band_is_no_carrier(keyed: bool) -> None:
    """On-off keying puts half of its power into a line, the rest into a band that is hardly above the noise."""
    count, a_symbol = 1 << 17, 14.0
    random = rng("survey", "raised", str(keyed))
    bits = random.integers(2, size=int(count / a_symbol) + 40) if keyed else np.ones(10_000, int)
    iq = received_signal(bits + 0j, a_symbol, rolloff=0.3, es_n0_db=100.0, rng=random)[500 : 500 + count]
    iq = shift(iq / np.sqrt(np.mean(np.abs(iq) ** 2)), 3e3)
    iq += noise(count, a_symbol / 2, "about the line", str(keyed))
    found = survey_recording(Samples(iq), 1e7).main
    assert found is not None and found.family in (("ook", "unknown") if keyed else ("carrier",))
    assert found.confidence <= (0.7 if keyed else 0.85)


@pytest.mark.parametrize("sure", [0.79, 0.85])
def test_what_has_no_prefix_in_a_long_look_is_no_sure_ofdm(
    sure: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single sideband of noise is as even; a prefix that a short look showed by chance, and its numbers, are none."""
    count = 1 << 17
    spectrum = np.fft.fft(noise(count, 1.0, "even"))
    spectrum[np.abs(np.fft.fftfreq(count, 1 / RATE)) > 4e3] = 0
    iq = np.fft.ifft(spectrum)
    iq = shift(iq / np.sqrt(np.mean(np.abs(iq) ** 2)), 5e3) + noise(count, 0.19, "beside")
    families = {"ofdm": sure, "ssb": 1 - sure}
    fields = {"family": "ofdm", "label": "OFDM", "confidence": sure, "families": families}
    chance = {"details": {"spacing": Measure(90.0, 0.6)}, "measures": {"spacing": 90.0}, "symbol_rate": 80.0}
    monkeypatch.setattr(looks_module.Findings, "fields", lambda self, all=False: fields | chance | BLANK)
    found = survey_recording(Samples(iq), RATE).main
    assert found is not None and found.family == "ofdm" and found.confidence == 0.7
    assert found.symbol_rate is None and not found.details and "spacing" not in found.measures
    assert sum(found.families.values()) == pytest.approx(1.0)


def test_noise_that_shows_a_prefix_by_chance_is_no_ofdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a floor beside it, only a prefix tells OFDM from a receiver's noise: a longer look decides."""
    families = {"ofdm": 0.83, "noise": 0.17}
    fields = {"family": "ofdm", "label": "OFDM", "confidence": 0.83, "families": families}
    chance = {"details": {"spacing": Measure(90.0, 0.4)}, "measures": {"spacing": 90.0}, "symbol_rate": 80.0}
    monkeypatch.setattr(looks_module.Findings, "fields", lambda self, all=False: fields | chance | BLANK)
    assert survey_recording(Samples(noise(1 << 15, 1.0, "a prefix by chance")), RATE).main is None


def test_a_short_prefix_of_long_symbols_is_found_in_a_longer_look() -> None:
    """As of digital television: a look of 1,500 bandwidths times seconds holds two symbols, the recording thirty."""
    random = rng("survey", "short prefix")
    used = np.r_[1:361, -360:0]
    data = np.zeros((30, 1024), complex)
    data[:, used] = random.choice([1, -1, 1j, -1j], (30, len(used)))
    bodies = np.fft.ifft(data, axis=1) * 4
    iq = np.concatenate([bodies[:, -32:], bodies], axis=1).ravel()
    wide = np.zeros(4 * len(iq), complex)
    half = len(iq) // 2
    wide[:half], wide[-half:] = np.fft.fft(iq)[:half], np.fft.fft(iq)[half:]
    iq = np.fft.ifft(wide) * 4
    iq += noise(len(iq), 10**-1.2 * 4 * np.mean(np.abs(iq) ** 2), "short prefix")
    found = survey_recording(Samples(iq), 4 * 1024e3).main
    assert found is not None and found.family == "ofdm" and found.confidence == found.families["ofdm"] > 0.7
    assert found.details["spacing"].value == pytest.approx(1000.0, rel=0.002)
    assert found.details["prefix"].value == pytest.approx(1 / 32, abs=0.006)
    assert found.symbol_rate == pytest.approx(1000 / (1 + 1 / 32), rel=0.005)
    assert sum(found.families.values()) == pytest.approx(1.0)


def test_three_carriers_that_are_not_alike_stay_three() -> None:
    count = 3 * int(RATE)
    made = sum(shift(np.full(count, 0.1), hertz) for hertz in (5000.0, 6100.0, 9000.0))
    found = survey_recording(Samples(made + noise(count, 1e-4, "three")), RATE)
    assert found.main is not None and found.main.family == "carrier" and len(found.others) == 2


def test_a_real_recording_is_searched_where_it_can_hold_something() -> None:
    # Half of its band is empty: a floor that is taken from there makes all of the audio one signal.
    made = 0.05 * shift(keyed(2 * int(RATE), 850.0, 300.0), 7500.0)
    audio = (made + noise(len(made), 2e-4, "real")).real.astype(np.float32)

    class Audio:
        length, real = len(audio), True

        def read(self, start: int, count: int) -> np.ndarray:
            return audio[start : start + count]

    analytic = AnalyticSignal(Audio())
    analytic.real = True
    found = survey_recording(analytic, RATE)
    assert found.main is not None and found.main.family == "fsk2"
    assert abs(found.main.centre - 7500) < 300 and found.main.stop <= found.samples == len(audio)
    assert found.main.symbol_rate == pytest.approx(300, rel=0.005)
    assert found.main.snr_db < 40
    assert found.sample_rate == RATE and found.centre_hz is None


def test_classify_says_the_same_of_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "r.cu8"
    write(path)
    options = ("--rate", "48k", "--format", "cu8")
    with path.open("rb") as file:
        piped = amrq("classify", "-", *options, stdin=file)
    whole = amrq("classify", path, *options)
    assert piped.returncode == whole.returncode == 0
    assert piped.stdout.splitlines()[1:] == whole.stdout.splitlines()[1:]


def test_slow_tones_side_by_side_are_no_voice() -> None:
    """Stations of FT8 in the band that a receiver's filter passes, with nothing beside it, were a single sideband."""
    random, rate = rng("survey", "slow tones side by side"), 48e3
    count, symbol = int(10 * rate), int(rate / 6.25)
    iq = noise(count, 0.05, "about slow tones")
    for station in range(10):
        tones = np.repeat(random.integers(0, 8, count // symbol + 1), symbol)[:count]
        smooth = scipy.ndimage.uniform_filter1d(tones.astype(float), symbol // 3)
        middle = 350 + 230 * (station + 0.5 * random.random())
        turn = np.cumsum((middle + 6.25 * smooth) / rate)
        iq += 10 ** random.uniform(-1.3, 0) * np.exp(2j * np.pi * turn)
    spectrum, at = np.fft.fft(iq), np.fft.fftfreq(count, 1 / rate)
    found = survey_recording(Samples(np.fft.ifft(np.where((at > 200) & (at < 2800), spectrum, 0))), rate)
    assert found.main is not None
    assert found.main.family == "fskm" and found.main.bandwidth < 100


@pytest.mark.parametrize("level_db", [-3.0, -6.0])
def test_a_signal_with_the_receivers_line_in_it_is_named(level_db: float) -> None:
    """MSK about the line of a receiver that converts to 0 Hz was taken for pi/4-DQPSK."""
    iq = keyed(48_000, 2400.0, 9600.0) + noise(48_000, 0.003, "about a line", str(level_db))
    found = survey_recording(Samples(iq + 10 ** (level_db / 20)), RATE)
    assert found.main is not None
    assert found.main.family == "fsk2" and found.main.confidence <= 0.85


def test_what_is_as_small_as_a_converters_steps_has_no_sure_name() -> None:
    """AM of a modem whose half waves are rounded to a few values was OOK, .996 sure."""
    at = np.arange(48_000) / RATE
    tones = np.where(rng("survey", "steps").random(48_000 // 20) < 0.5, 1200.0, 2400.0).repeat(20)
    iq = (1 + 0.8 * np.sin(2 * np.pi * np.cumsum(tones) / RATE)) * np.exp(2j * np.pi * 6 * at)
    steps = 1.3 * iq.view(np.float64)
    found = survey_recording(Samples((np.floor(steps) + 0.5).view(np.complex128) / 128), RATE)
    assert found.main is None or found.main.confidence <= 0.85

# SPDX-License-Identifier: GPL-3.0-or-later
"""A band from its samples to records of emissions with names."""

import dataclasses
import itertools
import json
import math
import threading
import wave
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray
from rtl_tcp_server import RtlTcpServer
from seeds import rng

from amrq.channel import SampleRing
from amrq.classes import linear_class
from amrq.classifier import make_classifier
from amrq.detect import DrawnSpectra
from amrq.errors import AmrqError, DeviceError, OutputError, StalledError
from amrq.identify import EmissionIdentity, find_in_windows, identify_emission
from amrq.outputs import OutputOptions, emission_fields, emission_schema
from amrq.recordings import open_recording, write_sigmf
from amrq.scan import (
    BandScanner,
    Condition,
    EmissionRecord,
    Findings,
    Looker,
    LookKind,
    ScanEvent,
    ScanOptions,
    ScanOutputOptions,
    ScanSession,
    Scheduler,
    Turn,
    measured_fields,
    open_band,
    sweep_steps,
)
from amrq.scan.session import _Clock
from amrq.signals import received_signal
from amrq.sources import Piece, SourceCounts, SourceOptions

RATE = 1e6
NOISE = 0.01
"""Amplitude of the noise in the whole band, RMS."""

_Samples = NDArray[np.complex64]


def noise(count: int, generator: np.random.Generator) -> NDArray[np.complex128]:
    return (generator.normal(size=count) + 1j * generator.normal(size=count)) * (NOISE / math.sqrt(2))


def linear(
    label: str, symbol_rate: float, centre: float, snr_db: float, count: int, generator: np.random.Generator
) -> NDArray[np.complex128]:
    """A linear signal at a place of the band, `snr_db` over the noise in 1.2 of its symbol rate."""
    spacing = RATE / symbol_rate
    symbols = generator.choice(linear_class(label).points, int(count / spacing) + 20)
    made = received_signal(symbols, spacing, 0.35, math.inf, generator)[:count].astype(np.complex128)
    power = NOISE**2 * 1.2 * symbol_rate / RATE * 10 ** (snr_db / 10)
    return made * math.sqrt(power) * np.exp(2j * np.pi * centre / RATE * np.arange(count))


def carrier(centre: float, snr_db: float, count: int) -> NDArray[np.complex128]:
    """A carrier, `snr_db` over the noise in 1 kHz."""
    power = NOISE**2 * 1e3 / RATE * 10 ** (snr_db / 10)
    return math.sqrt(power) * np.exp(2j * np.pi * centre / RATE * np.arange(count))


def ramped(burst: NDArray[np.complex128], ramp: int = 200) -> NDArray[np.complex128]:
    """Return a burst that rises and falls smoothly: keying at once splatters over the band."""
    edge = np.minimum(np.arange(len(burst)), np.arange(len(burst))[::-1]) / ramp
    return burst * np.sin(np.pi / 2 * np.clip(edge, 0, 1)) ** 2


def band(count: int, generator: np.random.Generator) -> _Samples:
    """QPSK, BPSK and a carrier in noise, and a burst of 8PSK in the middle third."""
    made = noise(count, generator)
    made += linear("QPSK", 20e3, -300e3, 20.0, count, generator)
    made += linear("BPSK", 40e3, 100e3, 18.0, count, generator)
    made += carrier(300e3, 25.0, count)
    third = count // 3
    made[third : 2 * third] += ramped(linear("8PSK", 30e3, -100e3, 24.0, third, generator))
    return made.astype(np.complex64)


def scanned(scanner: BandScanner, samples: _Samples, block: int = 32_768) -> list[ScanEvent]:
    events = []
    for start in range(0, len(samples), block):
        events += scanner.process(samples[start : start + block])
    return events + scanner.finish()


@pytest.fixture(scope="module")
def samples() -> _Samples:
    return band(900_000, rng("a band to scan"))


@pytest.fixture(scope="module")
def events(samples: _Samples) -> list[ScanEvent]:
    return scanned(BandScanner(RATE, 100e6), samples)


def ended(events: list[ScanEvent], centre: float) -> EmissionRecord:
    """Return the longest stretch of an emission."""
    over = [one.record for one in events if one.event == "end" and abs(one.record.centre - centre) < 5e3]
    return max(over, key=lambda record: record.stop - record.start)


@pytest.mark.parametrize(
    ("label", "family", "centre", "symbol_rate"),
    [
        ("QPSK", "linear", -300e3, 20e3),
        ("BPSK", "linear", 100e3, 40e3),
        ("8PSK", "linear", -100e3, 30e3),
        ("carrier", "carrier", 300e3, None),
    ],
)
def test_emissions_are_named(
    events: list[ScanEvent], label: str, family: str, centre: float, symbol_rate: float | None
) -> None:
    found = ended(events, centre)
    assert (found.label, found.family, found.reason) == (label, family, "named")
    assert found.confidence > 0.8 and found.looks >= 1
    assert found.symbol_rate == (None if symbol_rate is None else pytest.approx(symbol_rate, rel=2e-3))
    if symbol_rate is not None:
        assert found.symbols is not None and np.mean(np.abs(found.symbols) ** 2) == pytest.approx(1, rel=0.2)


def test_a_burst_has_its_beginning_and_end(events: list[ScanEvent]) -> None:
    found = ended(events, -100e3)
    assert abs(found.start - 300_000) < 3_000 and abs(found.stop - 600_000) < 3_000


def test_every_emission_begins_once_and_ends_once(events: list[ScanEvent]) -> None:
    begun = [one.record.id for one in events if one.event == "begin"]
    over = [one.record.id for one in events if one.event == "end"]
    assert sorted(begun) == sorted(over) and len(set(begun)) >= 4


def test_the_same_samples_give_the_same_events(samples: _Samples, events: list[ScanEvent]) -> None:
    again = scanned(BandScanner(RATE, 100e6), samples)
    assert [(one.event, one.record) for one in again] == [(one.event, one.record) for one in events]


def lasting(count: int, generator: np.random.Generator) -> _Samples:
    """QPSK and a carrier that last, and a burst of 8PSK that ends before the middle."""
    made = noise(count, generator)
    made += linear("QPSK", 20e3, -300e3, 20.0, count, generator) + carrier(300e3, 25.0, count)
    ends = count // 2 - 5_000
    made[ends - 150_000 : ends] += ramped(linear("8PSK", 30e3, -100e3, 24.0, 150_000, generator))
    return made.astype(np.complex64)


@pytest.mark.parametrize("snr_db", [12.0, 25.0])
def test_amplitude_modulation_is_no_sure_carrier(snr_db: float) -> None:
    """Its sidebands are below the noise in their band, or lines: the detector's box holds the carrier alone."""
    count, rate = 600_000, 300e3
    generator = rng("amplitude modulation", snr_db)
    audio = np.fft.rfft(generator.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / rate)
    voice = np.fft.irfft(audio * ((hertz > 300) & (hertz < 3000)), count)
    level = NOISE * math.sqrt(6e3 / rate) * 10 ** (snr_db / 20)
    made = noise(count, generator)
    made += level * (1 + 0.15 * voice / voice.std()) * np.exp(2j * np.pi * 0.1 * np.arange(count))
    made += level * np.exp(-2j * np.pi * 0.2 * np.arange(count))
    events = scanned(BandScanner(rate), made.astype(np.complex64))
    modulated, plain = ended(events, 30e3), ended(events, -60e3)
    assert modulated.family in ("am", "carrier", "unknown") and (
        modulated.family == "am" or modulated.confidence < 0.9
    )
    if snr_db > 20:
        assert modulated.family == "am" and 4e3 < modulated.bandwidth < 9e3
        assert sum(one.event == "end" and one.record.lower < 31e3 < one.record.upper for one in events) == 1
    assert plain.family == "carrier" and plain.confidence > 0.85 and plain.bandwidth < 1e3


@pytest.mark.parametrize("known", [True, False])
def test_a_gap_of_some_milliseconds_ends_no_emission(known: bool) -> None:
    """10 ms are lost, once so that it is known how many samples they are, once not."""
    made = lasting(900_000, rng("a gap"))
    scanner = BandScanner(RATE)
    events = scanner.process(made[:450_000])
    scanner.add_break(10_000 if known else 0)
    events += scanned(scanner, made[460_000:])
    over = {round(one.record.centre / 1e5): one.record for one in events if one.event == "end"}
    assert len([one for one in events if one.event == "end"]) == len(over) == 3
    assert sorted(one.record.id for one in events if one.event == "begin") == [1, 2, 3]
    end = 900_000 if known else 890_000
    for place, label in ((-3, "QPSK"), (3, "carrier")):
        assert (over[place].label, over[place].gaps, over[place].bursts) == (label, 1, 1)
        assert over[place].start < 10_000 and abs(over[place].stop - end) < 10_000
    # What was over before the gap does not come again.
    assert over[-1].gaps == 0 and abs(over[-1].stop - 445_000) < 6_000


@pytest.mark.long
def test_a_gap_of_seconds_ends_the_stretch_and_the_emission_keeps_its_identity() -> None:
    made = lasting(800_000, rng("a long gap"))
    scanner = BandScanner(RATE)
    events = scanner.process(made[:450_000])
    scanner.add_break(2_000_000)
    events += scanned(scanner, made[450_000:])
    qpsk = [one.record for one in events if one.event == "end" and abs(one.record.centre + 300e3) < 5e3]
    assert [(one.id, one.bursts, one.gaps) for one in qpsk] == [(qpsk[0].id, 1, 0), (qpsk[0].id, 2, 0)]
    assert qpsk[0].stop < 460_000 and qpsk[1].start >= 2_440_000


def test_what_lasts_is_looked_at_twice_a_second_and_seldom_identified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = lasting(1_300_000, rng("what lasts"))
    scanner = BandScanner(RATE, options=ScanOptions(budget=64.0), limited=True)
    count = 0
    known = scanner._looker.identity

    def counting(*given: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        return known(*given, **more)

    monkeypatch.setattr(scanner._looker, "identity", counting)
    for start in range(0, 1_300_000, 50_000):
        scanner.process(made[start : start + 40_000])
    steady = [one for one in scanner.snapshot().emissions if one.on]
    assert {one.label for one in steady} == {"QPSK", "carrier"}
    # Looks are on a grid of half a second; the first one comes when the emission is known, .1 s to .6 s after it began.
    assert all(2 <= one.looks <= 4 for one in steady), steady
    assert count <= 5  # three emissions, some of them with a second, longer look


@pytest.mark.long
def test_glances_are_not_put_off_when_the_budget_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    made = lasting(1_000_000, rng("no budget left"))
    scanner = BandScanner(RATE, options=ScanOptions(budget=64.0), limited=True)
    for start in range(0, 500_000, 50_000):
        scanner.process(made[start : start + 50_000])
    before = {one.id: one.looks for one in scanner.snapshot().emissions if one.on}
    monkeypatch.setattr(scanner._scheduler, "allowed", lambda now: False)
    for start in range(500_000, 1_000_000, 50_000):
        scanner.process(made[start : start + 50_000])
    after = {one.id: one.looks for one in scanner.snapshot().emissions if one.on}
    named = [id for id in before if id in after and before[id]]
    assert named and all(after[id] > before[id] for id in named)


def test_an_emission_is_what_most_looks_say() -> None:
    found = Findings()
    assert found.fields() == {}
    for label in ("QPSK",) * 5 + ("unknown",) * 3:
        named = label == "QPSK"
        family, reason = ("linear", "named") if named else ("unknown", "outside the classes")
        identity = EmissionIdentity(label, family, reason, 0.9 * named)
        found.add(identity, {"level_dbfs": -20.0 if label == "QPSK" else -30.0, "snr_db": None})
    assert found.fields()["label"] == "unknown"  # three of the last five
    whole = found.fields(all=True)
    assert whole["label"] == "QPSK" and 0.5 < whole["confidence"] < 1
    assert whole["measures"] == {"level_dbfs": pytest.approx(-20.0), "snr_db": None}
    found.add(EmissionIdentity("8PSK", "linear", confidence=0.9, symbol_rate=1e3), {})
    found.forget_recent()
    found.add(EmissionIdentity("8PSK", "linear", confidence=0.9, symbol_rate=2e3), {})
    assert found.fields()["label"] == "8PSK" and found.fields()["symbol_rate"] == 1.5e3
    assert found.fields(all=True)["label"] == "QPSK" and len(found) == 10


@pytest.mark.parametrize(
    ("looks", "label"),
    [
        (["AM", "AM voice", *["AM"] * 5], "AM voice"),  # it pauses
        (["AM voice", *["AM"] * 8], "AM"),  # one of nine is no proof
        (["SSB", "SSB", "USB"], "USB"),
        (["USB", "LSB voice", "USB"], "LSB voice"),
        (["NBFM", "AFSK1200 in FM", "NBFM voice", "AFSK1200 in FM"], "AFSK1200 in FM"),
    ],
)
def test_a_label_that_says_more_stands_while_others_say_the_family_alone(
    looks: list[str], label: str
) -> None:
    found, family = Findings(), "fm_narrow"
    for one in looks:
        found.add(EmissionIdentity(one, family, "named", 0.9), {})
    assert found.fields(all=True)["label"] == found.fields()["label"] == label
    found.forget_recent()  # it has become another one
    found.add(EmissionIdentity("SSB", family, "named", 0.9), {})
    assert found.fields()["label"] == "SSB"


def test_looks_in_which_nothing_was_clear_outvote_a_name_only_where_they_are_many() -> None:
    """As of packets, and of a voice that was taken for a modulation once."""
    pause, named = (
        EmissionIdentity(reason="no clear symbol rate"),
        EmissionIdentity("BPSK", "linear", "named", 1.0),
    )
    for pauses, label in ((4, "BPSK"), (5, "unknown"), (20, "unknown")):
        found = Findings()
        for identity in (named, *[pause] * pauses):
            found.add(identity, {})
        assert found.fields(all=True)["label"] == label


def test_noise_alone_gives_nothing_and_samples_that_are_not_finite_count_as_zeros() -> None:
    made = noise(500_000, rng("noise to scan")).astype(np.complex64)
    made[200_000:200_100] = np.nan
    made[300_000] = np.complex64(complex(np.inf, 0))
    scanner = BandScanner(RATE)
    assert scanned(scanner, made) == []
    counters = scanner.snapshot().counters
    assert counters.not_finite == 101 and counters.samples == 500_000 and counters.emissions == 0


def test_a_retune_ends_all_emissions_and_ids_go_on(samples: _Samples) -> None:
    scanner = BandScanner(RATE, 100e6)
    first = scanner.process(samples[:250_000]) + scanner.retune(200e6)
    assert {one.record.id for one in first if one.event == "end"} == {
        one.record.id for one in first if one.event == "begin"
    }
    assert all(one.centre_hz == 100e6 for one in first)
    second = scanner.process(samples[250_000:500_000]) + scanner.finish()
    assert second and all(one.centre_hz == 200e6 for one in second)
    assert not {one.record.id for one in first} & {one.record.id for one in second}
    assert min(one.record.start for one in second) >= 249_000


def test_a_flood_is_limited_and_counted() -> None:
    generator = rng("a flood")
    made = noise(400_000, generator)
    for _ in range(40):
        start, centre = int(generator.integers(0, 380_000)), generator.uniform(-450e3, 450e3)
        made[start : start + 8_000] += ramped(linear("QPSK", 10e3, centre, 25.0, 8_000, generator))
    options = ScanOptions(most_records=2.0)
    scanner = BandScanner(RATE, options=options)
    events = scanned(scanner, made.astype(np.complex64))
    begun = sum(one.event == "begin" for one in events)
    suppressed = scanner.snapshot().counters.suppressed
    assert begun <= 10 and suppressed >= 10
    assert sum(one.event == "end" for one in events) == begun


# What can be said of I/Q


def test_noise_where_an_emission_should_be_is_noise() -> None:
    generator = rng("noise in a box")
    iq = noise(8_000, generator).astype(np.complex64)
    floor = 10 * math.log10(NOISE**2 / 40e3)
    found = identify_emission(iq, 40e3, floor, (-5e3, 5e3), snr_db=10.0)
    assert (found.label, found.family) == ("noise", "noise") and found.confidence > 0.8
    assert identify_emission(iq, 40e3, floor, (-5e3, 5e3), snr_db=-15.0).reason == "too weak for a look"
    assert identify_emission(iq[:20], 40e3, floor).reason == "too short"


def test_a_keyed_or_swept_carrier_is_no_carrier() -> None:
    generator = rng("not a carrier")
    count = 8_000
    at = np.arange(count)
    swept = np.exp(2j * np.pi * (at / count - 0.5) * 0.2 * at) + noise(count, generator)
    sidebands = (1 + 0.6 * np.cos(2 * np.pi * 0.03 * at)) + noise(count, generator)
    for iq in (swept, sidebands):
        assert identify_emission(iq.astype(np.complex64), 40e3, None, (-9e3, 9e3)).label != "carrier"
    steady = np.exp(2j * np.pi * 0.01 * at) + 10 * noise(count, generator)
    found = identify_emission(steady.astype(np.complex64), 40e3, None, (-0.9e3, 0.9e3))
    assert found.label == "carrier" and found.confidence > 0.8


def test_a_known_symbol_rate_is_tried_before_one_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = rng("a known rate")
    symbols = generator.choice(linear_class("QPSK").points, 1200)
    iq = received_signal(symbols, 4.0, 0.35, 20.0, generator)
    searched = []
    whole = find_in_windows

    def counted_search(*given: Any) -> Any:
        searched.append(given)
        return whole(*given)

    monkeypatch.setattr("amrq.identify.linear.find_in_windows", counted_search)
    first = identify_emission(iq, 40e3)
    assert (first.label, len(searched)) == ("QPSK", 1)
    again = identify_emission(iq, 40e3, symbol_rate=first.symbol_rate)
    assert (again.label, len(searched)) == ("QPSK", 1)
    assert again.symbol_rate == pytest.approx(10e3, rel=2e-3)
    other = identify_emission(iq, 40e3, symbol_rate=7.1e3)  # it has changed
    assert (other.label, len(searched)) == ("QPSK", 2)
    assert other.symbol_rate == pytest.approx(10e3, rel=2e-3)


def test_the_pauses_of_packets_do_not_hide_what_they_are() -> None:
    """BPSK for a third of the time, in the middle of noise."""
    generator = rng("packets")
    iq = noise(6_000, generator) * 5
    symbols = generator.choice(linear_class("BPSK").points, 520)
    iq[2_000:4_000] += 0.2 * received_signal(symbols, 4.0, 0.35, math.inf, generator)[:2_000]
    found = identify_emission(iq.astype(np.complex64), 40e3, edges=(-7e3, 7e3))
    assert (found.label, found.reason) == ("BPSK", "named"), found.reason


def test_an_emission_of_a_recording_without_a_name_is_looked_at_in_several_places() -> None:
    """Noise for most of the time, and a signal in the middle that the last look does not see."""
    ring = SampleRing(100e3, 10.0)
    ring.append(np.zeros(900_000, np.complex64))
    ring.add_break()
    ring.append(np.zeros(50_000, np.complex64))
    looker = Looker(ring, lambda: np.zeros(4), make_classifier("default"))
    record = EmissionRecord(1, 100_000, 950_000, 0, 0, -1e3, 1e3, 20.0, -20.0)
    places = looker.places(record, 65_536)
    assert len(places) == 5 and all(stop - start == 65_536 for start, stop in places)
    assert places[-1][0] == 100_000 and places == sorted(places, reverse=True)
    assert all(stop <= 900_000 or start >= 900_000 for start, stop in places)
    assert looker.places(dataclasses.replace(record, stop=200_000), 65_536) == []


# Whose turn it is


def test_what_is_new_comes_first_and_what_is_steady_last() -> None:
    scheduler = Scheduler(ScanOptions(look_every=0.5))
    scheduler.begin(1, 0.0, enough=0.0)
    scheduler.done(Turn(1, LookKind.NEW, True), 0.0, cost=0.01)
    scheduler.begin(2, 0.5, enough=0.0)
    scheduler.begin(3, 0.0, enough=0.0, known=True)
    scheduler.change(3, 0.6)
    assert [(turn.id, turn.kind) for turn in scheduler.due(0.6)] == [
        (2, LookKind.NEW),
        (3, LookKind.CHANGED),
        (1, LookKind.STEADY),
    ]
    assert not scheduler.due(0.6)[-1].full  # it was identified half a second ago
    assert [turn.full for turn in scheduler.due(20.0)] == [True, True, True]


def test_what_stays_the_same_is_identified_less_often() -> None:
    scheduler = Scheduler(ScanOptions(look_every=0.5, name_every=10.0))
    scheduler.begin(1, 0.0, enough=0.0)
    now, identified = 0.0, []
    while now < 300.0:
        for turn in scheduler.due(now):
            scheduler.done(turn, now, cost=0.0, same=True)
            identified += [now] * turn.full
        now += 0.25
    between = [later - earlier for earlier, later in itertools.pairwise(identified)]
    assert between[:4] == pytest.approx([20, 40, 80, 80], abs=1.0)
    scheduler.change(1, now)
    [turn] = scheduler.due(now)
    assert turn.full
    scheduler.done(turn, now, cost=0.0, same=False)
    assert not any(turn.full for turn in scheduler.due(now + 9.0))
    assert all(turn.full for turn in scheduler.due(now + 10.5))


def test_the_budget_is_kept_and_what_is_missed_counts() -> None:
    scheduler = Scheduler(ScanOptions(budget=0.1, look_every=0.5), limited=True)
    for id in range(100):
        scheduler.begin(id, 0.0, enough=0.0)
    spent, now = 0.0, 0.0
    while now < 10.0:
        for turn in scheduler.due(now):
            if not scheduler.allowed(now):
                break
            scheduler.done(turn, now, cost=0.05)
            spent += 0.05
        now += 0.05
    assert 0.9 < spent < 1.6  # a tenth of 10 s, and what was saved up
    assert scheduler.waiting(now) > 50
    scheduler.end(99, now, wanted=True)
    assert scheduler.due(now)[0] == Turn(99, LookKind.ENDED, True)
    scheduler.forget(99, missed=True)
    assert scheduler.missed == 1


# Records


@pytest.fixture(scope="module")
def recording(samples: _Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "band.sigmf-meta"
    samples.astype("<c8").tofile(path.with_suffix(".sigmf-data"))
    write_sigmf(path, RATE, 100e6, "A band to scan.")
    return path


def records(session: ScanSession) -> list[dict[str, Any]]:
    with session as running:
        return list(running.run())


def test_records_keep_their_schema_and_go_to_all_outputs(recording: Path, tmp_path: Path) -> None:
    log, counters, annotated = tmp_path / "log.jsonl", tmp_path / "scan.prom", tmp_path / "band.sigmf-meta"
    outputs = OutputOptions(log=str(log), counters=str(counters))
    writing = ScanOutputOptions(annotate=str(annotated), database=str(tmp_path / "scan.sqlite"))
    found = records(ScanSession(recording, outputs=outputs, writing=writing))
    validator = jsonschema.Draft202012Validator(emission_schema())
    for record in found:
        validator.validate(json.loads(json.dumps(record)))
    assert [json.loads(line) for line in log.read_text().splitlines()] == found
    over = [record for record in found if record["event"] == "end"]
    [qpsk] = [record for record in over if record["label"] == "QPSK"]
    assert qpsk["frequency_hz"] == pytest.approx(99.7e6, abs=500)
    assert qpsk["freq_upper_edge"] - qpsk["freq_lower_edge"] == pytest.approx(qpsk["bandwidth_hz"], abs=0.01)
    annotations = json.loads(annotated.read_text())["annotations"]
    assert len(annotations) == len(over)
    assert {one["core:label"] for one in annotations} == {record["label"] for record in over}
    assert all(one["core:freq_lower_edge"] < one["core:freq_upper_edge"] for one in annotations)
    text = counters.read_text()
    assert (
        'amrq_scan_emissions_total{family="linear",label="QPSK"} 1.0' in text
        and "amrq_samples_received_total" in text
    )


def test_an_emission_that_meets_the_condition_is_recorded(recording: Path, tmp_path: Path) -> None:
    writing = ScanOutputOptions(record_on="label=8PSK and snr_db>10", record_to=str(tmp_path))
    session = ScanSession(recording, writing=writing)
    records(session)
    path = max(session.recordings(), key=lambda path: path.with_suffix(".sigmf-data").stat().st_size)
    taken = open_recording(path)
    assert taken.tunings[0][1] == pytest.approx(99.9e6, abs=500)
    # 0.3 s, and a little before and after.
    assert 0.3 < taken.length / taken.sample_rate < 0.37
    [one] = taken.annotations
    assert one.label == "8PSK" and one.count / taken.sample_rate == pytest.approx(0.3, abs=0.01)
    iq = taken.read(one.start, one.count)
    power = np.abs(iq) ** 2
    beside = np.abs(taken.read(0, one.start - 50)) ** 2
    assert power.mean() > 20 * beside.mean()
    assert identify_emission(iq, taken.sample_rate).label == "8PSK"


def test_a_recording_with_many_emissions_at_a_time_is_recorded_whole(tmp_path: Path) -> None:
    generator = rng("many carriers")
    samples = noise(100_000, generator)
    for centre in np.linspace(-80e3, 80e3, 18):
        turns = centre / 200e3 * np.arange(40_000)
        samples[30_000:70_000] += 0.3 * np.exp(2j * np.pi * turns)
    path = tmp_path / "many.sigmf-meta"
    samples.astype("<c8").tofile(path.with_suffix(".sigmf-data"))
    write_sigmf(path, 200e3, 100e6, "Many carriers.")
    folder = tmp_path / "catches"
    folder.mkdir()
    session = ScanSession(path, writing=ScanOutputOptions(record_on="snr_db>0", record_to=str(folder)))
    over = [one for one in records(session) if one["event"] == "end"]
    assert len(session.recordings()) == len(over) >= 17 and session.losses() == []


def test_what_hinders_in_the_band_is_said(tmp_path: Path) -> None:
    """A receiver's filter leaves half of the band: what lies beyond cannot be found, and that is said."""
    generator = rng("half a band")
    spectrum = np.fft.fft(noise(400_000, generator))
    spectrum[np.abs(np.fft.fftfreq(len(spectrum))) > 0.3] *= 1e-3
    path = tmp_path / "half.sigmf-meta"
    np.fft.ifft(spectrum).astype("<c8").tofile(path.with_suffix(".sigmf-data"))
    write_sigmf(path, RATE, 100e6, "Noise of a receiver.")
    session = ScanSession(path)
    assert records(session) == []
    [said] = session.losses()
    assert said.startswith("Only ") and "is looked at" in said


def test_a_session_ends_with_its_records_written(recording: Path) -> None:
    ending = threading.Event()
    found = []
    with ScanSession(recording, ending=ending) as session:
        for record in session.run():
            found.append(record)
            ending.set()
    assert session.scanner.now < 900_000
    begun = {record["id"] for record in found if record["event"] == "begin"}
    assert begun == {record["id"] for record in found if record["event"] == "end"}


def test_a_recording_of_real_samples_is_searched_where_it_can_hold_something(tmp_path: Path) -> None:
    """The noise floor is not taken from the empty half below 0 Hz, and places and times are those of the file."""
    rate, count = 96_000, 384_000
    generator = rng("a real recording")
    at = np.arange(count) / rate
    keyed = np.repeat(generator.choice([-2500.0, 2500.0], count // 80), 80)
    made = 0.01 * generator.standard_normal(count)
    made += 0.02 * np.cos(2 * np.pi * np.cumsum(12e3 + keyed) / rate)
    made[96_000:192_000] += 0.005 * np.cos(2 * np.pi * 30.5e3 * at[96_000:192_000])
    path = tmp_path / "real.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(made * 32767).astype("<i2").tobytes())
    over = [one for one in records(ScanSession(path)) if one["event"] == "end"]
    over.sort(key=lambda one: one["offset_hz"])
    assert [one["family"] for one in over] == ["fsk2", "carrier"]
    assert [one["offset_hz"] for one in over] == pytest.approx([12e3, 30.5e3], abs=100)
    assert over[0]["duration"] == pytest.approx(4.0, abs=0.1)
    assert (over[1]["time"], over[1]["duration"]) == pytest.approx((1.0, 1.0), abs=0.02)


def test_a_part_of_a_recording_is_scanned(recording: Path) -> None:
    with ScanSession(recording, writing=ScanOutputOptions(once=0.2)) as session:
        list(session.run())
        assert session.scanner.now == 200_000


def test_a_simulation_is_received_in_its_own_time() -> None:
    source = SourceOptions(simulate=True, sample_rate=240e3)
    session = ScanSession(source, writing=ScanOutputOptions(once=0.5))
    found = records(session)
    counters = session.snapshot().counters
    assert counters.samples + counters.dropped == pytest.approx(120_000, abs=20_000)
    begun = {record["id"] for record in found if record["event"] == "begin"}
    assert begun and begun == {record["id"] for record in found if record["event"] == "end"}
    assert all(record["utc"] for record in found)


@pytest.mark.parametrize(
    ("source", "writing", "why"),
    [
        (
            SourceOptions(simulate=True, sample_rate=240e3),
            ScanOutputOptions(sweep="430M:440M"),
            "cannot be tuned",
        ),
        (
            SourceOptions(simulate=True, sample_rate=240e3),
            ScanOutputOptions(record_on="label=="),
            "is missing at its end",
        ),
        (
            SourceOptions(simulate=True, sample_rate=240e3),
            ScanOutputOptions(record_on="power>1"),
            "is not a field",
        ),
        (
            SourceOptions(simulate=True, sample_rate=240e3),
            ScanOutputOptions(record_to="."),
            "belongs to record_on",
        ),
        (
            SourceOptions(simulate=True, sample_rate=240e3),
            ScanOutputOptions(annotate="a.sigmf-meta"),
            "needs a SigMF recording",
        ),
        (
            SourceOptions(rtl_tcp="localhost", sample_rate=1e6, frequency=1e8),
            ScanOutputOptions(sweep="440M:430M"),
            "the lower one first",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    source: SourceOptions, writing: ScanOutputOptions, why: str
) -> None:
    with pytest.raises(AmrqError, match=why), ScanSession(source, writing=writing):
        pass


def test_an_output_that_fails_stops_no_scan_and_the_end_says_it(recording: Path) -> None:
    said: list[str] = []
    session = ScanSession(recording, outputs=OutputOptions(log="/dev/full"), say=said.append)
    with pytest.raises(OutputError, match="/dev/full"):
        records(session)
    assert session.scanner.now == 900_000
    assert sum("The scan goes on" in sentence for sentence in said) == 1


def test_a_session_that_fails_leaves_whole_recordings(recording: Path, tmp_path: Path) -> None:
    writing = ScanOutputOptions(record_on="looks>=0", record_to=str(tmp_path))
    session = ScanSession(recording, writing=writing)
    with pytest.raises(RuntimeError), session as running:
        for record in running.run():
            if record["event"] == "begin":
                raise RuntimeError
    assert session.recordings()
    data = sorted(path.stem for path in tmp_path.glob("*.sigmf-data"))
    assert data == sorted(path.stem for path in session.recordings())


def test_a_file_received_in_its_own_time_follows_its_frequencies(samples: _Samples, tmp_path: Path) -> None:
    path = tmp_path / "two.sigmf-meta"
    samples[:800_000].astype("<c8").tofile(path.with_suffix(".sigmf-data"))
    write_sigmf(path, RATE, 100e6, "Two captures.")
    document = json.loads(path.read_text())
    document["captures"].append({"core:sample_start": 400_000, "core:frequency": 200e6})
    path.write_text(json.dumps(document))
    found = records(ScanSession(SourceOptions(file=path)))
    middles = {round((one["frequency_hz"] - one["offset_hz"]) / 1e6): one for one in found}
    assert set(middles) == {100, 200}
    for one in found:
        later = one["frequency_hz"] > 150e6
        assert (one["sample_start"] >= 399_000) == later


def test_the_time_of_a_sample_is_that_of_the_clock_after_a_break() -> None:
    """Samples come at their rate; two seconds are lost before the third piece, and nobody says how many samples."""
    clock = _Clock(1e9)  # so fast that pieces take no time
    assert clock.moment(0) is None
    begun = datetime.now(timezone.utc)
    clock.see(0, 1000, broken=False)
    clock.see(1000, 1000, broken=False)
    before = clock.moment(1999)
    clock.see(2000, 1000, broken=True)
    after = clock.moment(2000)
    assert before is not None and after is not None
    assert before < begun + timedelta(seconds=1) and clock.moment(0) <= before <= after  # type: ignore[operator]
    clock.see(3_000_000_000, 1000, broken=False)  # three seconds of samples at once: the clock knows better
    assert abs((clock.moment(3_000_000_000) - datetime.now(timezone.utc)).total_seconds()) < 1.0  # type: ignore[operator]


class _Tuned:
    """A radio of the tests' own: noise, and what it does when it is tuned."""

    name, sample_rate, settles = "a radio", 240e3, 0.0
    frequency: float | None = 100e6

    def __init__(self, comes: Callable[[float], bool] = lambda frequency: True) -> None:
        self.tuned: list[float] = []
        self._comes = comes
        self.silent = False
        self.broken: list[bool] = []
        self._noise = noise(24_000, rng("a radio")).astype(np.complex64)

    def tune(self, frequency: float, given_up: Callable[[], bool]) -> bool:
        self.tuned.append(frequency)
        return self._comes(frequency)

    def read(self, patience: float) -> Piece | None:
        if self.silent:
            threading.Event().wait(patience / 10)
            return Piece()
        return Piece(self._noise, self.broken.pop(0) if self.broken else False)

    def counts(self) -> SourceCounts:
        return SourceCounts()

    def close(self) -> None:
        pass


def sweeping(
    radio: _Tuned, monkeypatch: pytest.MonkeyPatch, said: list[str] | None = None, **options: Any
) -> ScanSession:
    monkeypatch.setattr("amrq.scan.session.open_band", lambda wanted, report: radio)
    source = SourceOptions(rtl_tcp="localhost", sample_rate=radio.sample_rate, frequency=100e6)
    writing = ScanOutputOptions(**{"sweep": "100M:100.4M", "dwell": 0.2, "once": 0.01} | options)
    return ScanSession(source, writing=writing, say=None if said is None else said.append)


def test_a_sweep_ends_when_the_radio_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    radio = _Tuned()
    radio.silent = True
    with pytest.raises(StalledError):
        records(sweeping(radio, monkeypatch, stall=0.3, once=None))


def test_a_sweep_tells_the_detector_of_lost_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    radio = _Tuned()
    radio.broken = [False, True]
    session = sweeping(radio, monkeypatch, dwell=0.3)
    records(session)
    assert session.snapshot().counters.breaks == 1


def test_a_frequency_that_the_radio_refuses_is_said_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def comes(frequency: float) -> bool:
        if frequency > 100.2e6:
            raise DeviceError("the radio cannot be tuned.")
        return frequency < 100.1e6

    radio, said = _Tuned(comes), list[str]()
    records(sweeping(radio, monkeypatch, said))
    assert len(radio.tuned) == len(sweep_steps(100e6, 100.4e6, 240e3)) == 3
    assert sum("The sweep goes on without it" in one for one in said) == 1
    assert sum("no samples have come after tuning" in one for one in said) == 1

    def refuses(frequency: float) -> bool:
        raise DeviceError("the radio cannot be tuned.")

    with pytest.raises(DeviceError):
        records(sweeping(_Tuned(refuses), monkeypatch))


def test_a_retune_to_the_same_frequency_takes_no_time() -> None:
    with RtlTcpServer(lambda: iter([bytes(24_000), None])) as server:
        band = open_band(SourceOptions(rtl_tcp=server.address, sample_rate=240e3, frequency=100e6), print)
        try:
            began = len(server.commands)
            assert band.tune(100e6, lambda: pytest.fail("it is waited for"))  # type: ignore[attr-defined]
            assert len(server.commands) == began
        finally:
            band.close()


def test_a_sweep_covers_its_range_without_the_edges_of_bands() -> None:
    for low, high in ((430e6, 440e6), (100e6, 100.1e6), (88e6, 108e6)):
        steps = sweep_steps(low, high, 2.4e6)
        assert steps[0] - 1.2e6 <= low and steps[-1] + 1.2e6 >= high
        assert all(0 < after - before <= 0.8 * 2.4e6 + 1 for before, after in itertools.pairwise(steps))


def test_a_radio_is_swept_over_a_range() -> None:
    """A carrier at 101 MHz: the server sends the band that it was tuned to last."""
    rate, at = 240e3, np.arange(12_000)

    def sent() -> Iterator[bytes | None]:
        block, quiet = 0, rng("a swept band")
        while True:
            tuned = [number for which, number in server.commands if which == 1]
            offset = 101e6 - (tuned[-1] if tuned else 0)
            made = quiet.normal(scale=6.0, size=(len(at), 2)) @ [1, 1j]
            if abs(offset) < rate / 2:
                made = made + 20 * np.exp(2j * np.pi * offset / rate * (at + block * len(at)))
            block += 1
            numbers = np.stack([made.real, made.imag], axis=1).ravel()
            server.over.wait(len(at) / rate)  # as a radio sends them: what waits would be of the band before
            yield np.clip(np.round(numbers + 127.5), 0, 255).astype(np.uint8).tobytes()

    with RtlTcpServer(sent) as server:
        source = SourceOptions(rtl_tcp=server.address, sample_rate=rate, frequency=100e6)
        writing = ScanOutputOptions(sweep="100.7M:101.1M", dwell=0.7, once=0.1)
        found = records(ScanSession(source, writing=writing))
    ended_at = datetime.now(timezone.utc)
    steps = sweep_steps(100.7e6, 101.1e6, rate)
    assert [number for which, number in server.commands if which == 1][1:] == [round(step) for step in steps]
    over = [record for record in found if record["event"] == "end"]
    assert over and all(record["frequency_hz"] == pytest.approx(101e6, abs=300) for record in over)
    assert {record["label"] for record in over} == {"carrier"}
    begun = [datetime.fromisoformat(record["utc"].replace("Z", "+00:00")) for record in over]
    assert all(0 <= (ended_at - one).total_seconds() < 4 * (0.7 + 0.6) for one in begun)


# Conditions


RECORD = {
    "label": "QPSK",
    "snr_db": 12.5,
    "symbol_rate_hz": None,
    "family": "linear",
    "measures": {"envelope_variation": 3.0},
}
FIELDS = emission_fields() | measured_fields()


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("label=QPSK and snr_db>10", True),
        ("label=qpsk AND snr_db>13", False),
        ("not label=QPSK or snr_db >= 12.5", True),
        ("not (label=QPSK or snr_db>100)", False),
        ("label != '8PSK'", True),
        ("symbol_rate_hz>0", False),
        ("symbol_rate_hz!=9600", True),
        ("envelope_variation<5", True),
        ('label="QPSK"and snr_db<1k', True),
        ("snr_db>12.4dB", True),
    ],
)
def test_conditions_hold_or_do_not(text: str, holds: bool) -> None:
    assert Condition(text, FIELDS)(RECORD) is holds


def test_conditions_know_the_measures_and_names_of_families() -> None:
    values = {
        "family": frozenset({"fsk2", "am"}),
        "protocol": frozenset({"POCSAG 512", "POCSAG 1200", "DMR"}),
    }
    named = {"name": "POCSAG 1200", "named": True}
    record = RECORD | {"family": "fsk2", "measures": {"deviation": 4500.0}, "protocols": [named]}
    record["protocols"].append({"name": "DMR", "named": False})
    fields = FIELDS | {"protocol"}
    held = [
        *("family=fsk2 and deviation>4k", "protocol=pocsag", "protocol='POCSAG 1200'"),
        *("protocol!=DMR", "not protocol='POCSAG 512'", "depth!=1"),
    ]
    assert all(Condition(text, fields, values)(record) for text in held)
    for text in ("family=fsk9", "protocol=POC", "protocol=FLARM"):
        with pytest.raises(AmrqError, match=r"there is no (family|protocol)"):
            Condition(text, fields, values)


NO_CONDITIONS = [
    "",
    "label",
    "label=",
    "=QPSK",
    "label=QPSK and",
    "(label=QPSK",
    "label=QPSK)",
    "snr_db>loud",
    "looks<b c",
    "drift>1",
]
NO_CONDITIONS += [
    "not " * 30 + "looks=1",
    "(" * 30 + "looks=1" + ")" * 30,
    "looks=1 id=2",
    "looks=" + "1" * 2000,
    "__import__('os')",
]


@pytest.mark.parametrize("text", NO_CONDITIONS)
def test_what_is_no_condition_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(AmrqError) as caught:
        Condition(text, FIELDS)
    assert str(caught.value).endswith(".") and len(str(caught.value)) < 400


def test_a_snapshot_is_frozen_and_a_picture_has_one_value_a_bin(samples: _Samples) -> None:
    scanner = BandScanner(RATE)
    scanner.process(samples[:500_000])
    shot = scanner.snapshot()
    with pytest.raises(dataclasses.FrozenInstanceError):
        shot.emissions[0].label = "QPSK"  # type: ignore[misc]
    assert [one.lower for one in shot.emissions] == sorted(one.lower for one in shot.emissions)
    lines = DrawnSpectra(RATE).process(samples[:500_000], 0)
    picture = scanner.picture(lines[-1])
    assert picture.mean is not None and picture.peak is not None and picture.stop == lines[-1].stop
    assert len(picture.floor) == len(picture.threshold) and np.all(picture.threshold > picture.floor)
    finer = len(picture.mean) // len(picture.floor)
    assert len(picture.mean) == len(picture.peak) == finer * len(picture.floor)
    quiet = np.median(picture.mean - picture.floor.repeat(finer))
    assert abs(quiet) < 1.0
    assert scanner.picture().mean is None
    [one] = [one for one in shot.emissions if abs(one.centre + 300e3) < 5e3]
    channel = scanner.samples(one.id, 0.05)
    assert channel is not None and len(channel.iq) == pytest.approx(0.05 * channel.sample_rate, rel=0.05)
    assert scanner.samples(10_000) is None


def test_of_a_few_milliseconds_no_emission_is_called_noise(samples: _Samples) -> None:
    """There is no noise floor of before: what the emissions themselves were measured by counts."""
    scanner = BandScanner(RATE)
    found = scanner.process(samples[:12_000]) + scanner.finish()
    over = [one.record for one in found if one.event == "end"]
    assert over and not any(one.label == "noise" for one in over)


def test_hops_share_a_number_where_it_is_asked_for() -> None:
    """Six bursts of QPSK, one after the other on six frequencies, beside a steady carrier."""
    generator, count = rng("hops to scan"), 600_000
    made = noise(count, generator) + carrier(300e3, 25.0, count)
    for number, centre in enumerate((-400e3, -100e3, -300e3, 100e3, -200e3, 0.5e3 + 40e3)):
        start = 250_000 + 52_000 * number
        made[start : start + 50_000] += ramped(linear("QPSK", 20e3, centre, 25.0, 50_000, generator))
    scanner = BandScanner(RATE, options=ScanOptions(group_hops=True))
    over = [one.record for one in scanned(scanner, made.astype(np.complex64)) if one.event == "end"]
    groups = [one.hop_group for one in sorted(over, key=lambda one: one.start) if one.bandwidth > 10e3]
    # The first two hops are over before the third one makes them a chain.
    assert len(groups) == 6 and groups[2:] == [1] * 4
    assert all(one.hop_group == 0 for one in over if one.bandwidth < 5e3)

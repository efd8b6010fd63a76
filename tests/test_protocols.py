# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocols as data, which of them an emission may be, and the command that lists them."""

import csv
import importlib
import json
import math
import runpy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from run_amrq import amrq_here, refused

from amrq.classes import LINEAR_CLASSES
from amrq.errors import AmrqError
from amrq.protocols import (
    FAMILIES,
    PARAMETERS,
    SHIPPED,
    Band,
    Evidence,
    LikelyProtocols,
    Measure,
    ParameterRange,
    Protocol,
    find_protocol,
    likely_protocols,
    list_protocols,
    read_protocol,
)

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(SHIPPED.glob("*.yml"))
PROTOCOLS = list_protocols()
# What linear signals are called that are no constellation of the table: by their differences, or all of a kind.
OTHER_LINEAR = {
    "2PSK",
    "D8PSK",
    "DQPSK",
    "CQPSK",
    "H-DQPSK",
    "PM",
    "DSSS",
    "OQPSK",
    "MSK",
    "GMSK",
    "AFSK1200 in FM",
}
WANTED = (
    *(
        "POCSAG 512",
        "POCSAG 1200",
        "POCSAG 2400",
        "FLEX 1600/2",
        "AIS",
        "ACARS",
        "VDL Mode 2",
        "Mode S and ADS-B",
    ),
    *(
        "Mode A/C",
        "DMR",
        "dPMR",
        "NXDN 4800",
        "NXDN 9600",
        "P25 phase 1",
        "P25 phase 2",
        "TETRA",
        "D-STAR",
        "M17",
    ),
    *(
        "System Fusion",
        "APRS and packet, 1200",
        "Packet, 9600 (G3RUH)",
        "FT8",
        "FT4",
        "JT65",
        "WSPR",
        "PSK31",
    ),
    *(
        "RTTY 45",
        "RTTY 75",
        "Olivia 8/250",
        "Morse",
        "FM broadcast",
        "AM broadcast",
        "DRM",
        "DAB and DAB+",
        "DVB-T",
    ),
    *("DVB-S", "DVB-S2", "NOAA APT", "Meteor LRPT", "HRPT", "GOES HRIT", "Orbcomm", "Iridium", "Inmarsat-C"),
    *(
        "GPS L1 C/A",
        "NAVTEX",
        "DSC on VHF",
        "HFDL",
        "STANAG 4285",
        "LoRa, Europe",
        "LoRa, Americas",
        "EV1527 remote",
    ),
    *(
        "PT2262 remote",
        "wM-Bus mode T",
        "wM-Bus mode S",
        "wM-Bus mode C",
        "Z-Wave 100k",
        "Bluetooth LE",
        "DECT",
    ),
    *(
        "802.15.4 at 2.4 GHz",
        "Wi-Fi, OFDM",
        "GSM",
        "LTE",
        "Radiosonde RS41",
        "Radiosonde DFM",
        "ATIS",
        "ERMES",
    ),
)

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: one.key)


def nominal(protocol: Protocol) -> dict[str, Measure | float]:
    """Return the measures of a signal that is all as the sources state it."""
    return {name: ranges[0].middle for name, ranges in protocol.parameters.items()}


def middle(band: Band) -> float:
    return math.sqrt(band.low * band.high)


def score(found: LikelyProtocols, key: str) -> float:
    return next((one.score for one in found.found if one.protocol.key == key), 0.0)


# --- the data ---------------------------------------------------------------------------------------------------------


def test_what_the_bands_hold_is_there() -> None:
    assert len(PROTOCOLS) == len(FILES) >= 60
    names = {one.name for one in PROTOCOLS}
    assert not [name for name in WANTED if name not in names]
    assert {family for one in PROTOCOLS for family in one.families} == {*FAMILIES} - {"noise"}


def test_no_two_files_are_the_same() -> None:
    facts = [json.dumps({**one.as_dict(), "key": "", "name": "", "what": ""}) for one in PROTOCOLS]
    assert len({*facts}) == len(facts)


@every_protocol
def test_a_file_is_complete_and_sane(protocol: Protocol) -> None:
    assert protocol.parameters and protocol.bands and protocol.sources
    assert protocol.what.endswith(".") and protocol.inside.endswith(".")
    text = (SHIPPED / f"{protocol.key}.yml").read_text(encoding="utf-8")
    assert len(text) < 3000, "a protocol's file is small"
    # A range that stands in the file with its nominal value has it inside; two of the same parameter do not overlap.
    for ranges in protocol.parameters.values():
        assert all(one.low <= one.middle <= one.high for one in ranges)
    spans = sorted((band.low, band.high) for band in protocol.bands)
    assert len({*spans}) == len(spans)
    if protocol.families == ("linear",):
        known = {*(one.name for one in LINEAR_CLASSES.values()), *OTHER_LINEAR, "pi/2-BPSK"}
        assert {*protocol.labels} <= known


@every_protocol
def test_its_own_values_find_it(protocol: Protocol) -> None:
    """First or tied in at least one of its bands, as every family that it may be received as."""
    for family in protocol.families:
        named = [
            likely_protocols(
                Evidence(family, protocol.labels[0], measures=nominal(protocol), centre=middle(band))
            )
            for band in protocol.bands
        ]
        assert any(protocol in [one.protocol for one in found.named] for found in named), family


@every_protocol
def test_another_family_never_finds_it(protocol: Protocol) -> None:
    for family in {*FAMILIES, "unknown"} - {*protocol.families}:
        found = likely_protocols(
            Evidence(family, measures=nominal(protocol), centre=middle(protocol.bands[0]))
        )
        assert score(found, protocol.key) == 0.0


@every_protocol
def test_a_measure_far_outside_excludes_it(protocol: Protocol) -> None:
    family = protocol.families[0]
    for name, ranges in protocol.parameters.items():
        # Beyond twenty standard deviations, on the side where there is room.
        beyond = max(one.high for one in ranges) * math.exp(20 * PARAMETERS[name].error)
        evidence = Evidence(
            family, measures={**nominal(protocol), name: beyond}, centre=middle(protocol.bands[0])
        )
        assert score(likely_protocols(evidence), protocol.key) == 0.0, name


# --- the law ----------------------------------------------------------------------------------------------------------


def made(
    key: str, rate: tuple[float, float], band: tuple[float, float] | None = None, **more: object
) -> Protocol:
    parameters = {"symbol_rate": (ParameterRange(*rate),)}
    bands = () if band is None else (Band(*band),)
    return Protocol(key, "A.", ("fsk2",), ("2FSK",), "B.", ("C",), parameters, bands, key=key, **more)  # type: ignore[arg-type]


def fsk(protocols: list[Protocol], **evidence: object) -> LikelyProtocols:
    return likely_protocols(Evidence("fsk2", **evidence), protocols)  # type: ignore[arg-type]


def test_without_any_evidence_half_is_none_of_these() -> None:
    found = fsk([made("a", (990, 1010)), made("b", (1990, 2010))])
    assert found.none_of_these == 0.5
    assert [one.score for one in found.found] == [0.25, 0.25]


def test_scores_sum_to_one() -> None:
    protocols = [made("a", (990, 1010)), made("b", (950, 1050)), made("c", (1040, 1060))]
    found = fsk(protocols, measures={"symbol_rate": 1000.0})
    assert sum(one.score for one in found.found) + found.none_of_these == pytest.approx(1.0)


def test_the_ratio_is_that_of_the_densities() -> None:
    """Of two ranges that hold the value well inside, of widths in the ratio 1:5 in logarithm; confidence 1."""
    protocols = [made("a", (1000 / 1.02, 1000 * 1.02)), made("b", (1000 / 1.02**5, 1000 * 1.02**5))]
    found = fsk(protocols, measures={"symbol_rate": Measure(1000.0, confidence=1.0, error=1e-3)})
    assert score(found, "a") / score(found, "b") == pytest.approx(5.0, rel=1e-6)


def test_the_less_sure_a_measure_is_the_less_it_tells() -> None:
    protocols = [made("a", (990, 1010)), made("b", (1990, 2010))]
    scores = [
        score(fsk(protocols, measures={"symbol_rate": Measure(1000.0, confidence)}), "a")
        for confidence in (0.0, 0.2, 0.5, 0.9, 1.0)
    ]
    assert scores == sorted(scores) and scores[0] == 0.25 and scores[-1] > 0.8


def test_a_measure_of_little_confidence_excludes_nothing() -> None:
    protocols = [made("a", (990, 1010)), made("b", (1990, 2010))]
    doubted = fsk(protocols, measures={"symbol_rate": Measure(1500.0, confidence=0.3)})
    assert 0 < score(doubted, "a") < 0.25
    believed = fsk(protocols, measures={"symbol_rate": Measure(1500.0, confidence=0.9)})
    assert believed.found == () and believed.none_of_these == 1.0


def test_a_number_that_many_share_proves_little() -> None:
    alone = [made("a", (990, 1010)), *(made(f"o{n}", (100.0 * n, 101.0 * n)) for n in range(20, 39))]
    shared = [made("a", (990, 1010)), *(made(f"o{n}", (990, 1010)) for n in range(20, 39))]
    measures = {"symbol_rate": 1000.0}
    assert score(fsk(alone, measures=measures), "a") > 5 * score(fsk(shared, measures=measures), "a")
    assert fsk(shared, measures=measures).text == "", "twenty names are none"


def test_missing_measures_weaken() -> None:
    whole = nominal(find_protocol("pocsag-1200"))
    for name in ("symbol_rate", "deviation"):
        less = {other: value for other, value in whole.items() if other != name}
        full, part = (likely_protocols(Evidence("fsk2", measures=m, centre=466.075e6)) for m in (whole, less))
        assert score(part, "pocsag-1200") < score(full, "pocsag-1200")
    unknown = {name: math.nan for name in whole}
    assert likely_protocols(Evidence("fsk2", measures=unknown)) == likely_protocols(Evidence("fsk2"))


def test_an_unknown_frequency_counts_neither_for_nor_against_and_leaves_a_guess() -> None:
    protocols = [made("a", (990, 1010), (400e6, 410e6)), made("b", (990, 1010), (800e6, 810e6))]
    unplaced = fsk(protocols, measures={"symbol_rate": 1000.0})
    assert score(unplaced, "a") == pytest.approx(score(unplaced, "b"))
    assert all(one.guess for one in unplaced.found) and unplaced.text == "perhaps a or b"
    placed = fsk(protocols, measures={"symbol_rate": 1000.0}, centre=405e6)
    assert score(placed, "a") > 100 * score(placed, "b")


def test_bands_that_overlap_count_once() -> None:
    one = Protocol("a", "A.", ("fsk2",), ("2FSK",), "B.", ("C",), {}, (Band(400e6, 480e6),))
    two = Protocol(
        "b", "A.", ("fsk2",), ("2FSK",), "B.", ("C",), {}, (Band(400e6, 450e6), Band(420e6, 480e6))
    )
    first, second = fsk([one, two], centre=430e6).found
    assert first.score == pytest.approx(second.score)


def test_what_has_the_same_parameters_is_named_together() -> None:
    for family, measures, names in (
        ("fskm", {"symbol_rate": 6.25, "tones": 8.0}, {"FT8", "JS8"}),
        ("fsk4", {"symbol_rate": 2400.0, "deviation": 1050.0, "rolloff": 0.2}, {"NXDN 4800", "dPMR"}),
    ):
        found = likely_protocols(Evidence(family, measures=measures))
        assert {one.protocol.name for one in found.named} == names
        assert found.text.startswith("perhaps ") and all(name in found.text for name in names)


@pytest.mark.parametrize(
    ("evidence", "text"),
    [
        (
            Evidence("fsk2", measures={"symbol_rate": 1199.9, "deviation": 4480.0}, centre=466.075e6),
            "POCSAG 1200",
        ),
        (
            Evidence(
                "fsk2", "GMSK", measures={"symbol_rate": 9600.0}, centre=161.9752e6, bursts=[0.0266] * 3
            ),
            "AIS",
        ),
        (Evidence("fsk2", "2FSK", measures={"symbol_rate": 9993.0, "deviation": 19.2e3}, centre=868.3e6), ""),
        (
            Evidence("linear", "8PSK", measures={"symbol_rate": 10500.6, "rolloff": 0.6}, centre=136.975e6),
            "VDL Mode 2",
        ),
        (
            Evidence("pulse", measures={"symbol_rate": 2e6}, centre=1090e6, bursts=[120e-6, 121e-6]),
            "Mode S and ADS-B",
        ),
        (Evidence("ofdm", measures={"spacing": 1000.0, "prefix": 0.246}, centre=227.36e6), "DAB and DAB+"),
        (Evidence("fm_wide", measures={"pilot": 19001.0, "deviation": 61e3}, centre=99.9e6), "FM broadcast"),
        (Evidence("unknown", centre=99.9e6), ""),
        (Evidence("noise"), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else value.family,
)
def test_signals_of_the_air_are_named(evidence: Evidence, text: str) -> None:
    assert likely_protocols(evidence).text == text


def test_a_general_label_says_no_more_than_the_family() -> None:
    measures = {"deviation": 3e3}
    for family, general in (("fm_narrow", "NBFM"), ("fsk2", "2FSK"), ("ofdm", "OFDM"), ("ook", "OOK")):
        plain, labelled = (
            likely_protocols(Evidence(family, label, measures=measures)) for label in ("", general)
        )
        assert [one.score for one in plain.found] == [one.score for one in labelled.found]


def test_a_label_changes_the_odds_by_its_confidence() -> None:
    """By (c + (1 - c) / 2) / ((1 - c) / 2), between a protocol that has it and one that has not."""
    plain, voice, modem = (
        likely_protocols(Evidence("fm_narrow", label, 0.5, {"deviation": 3e3}, 144.8e6))
        for label in ("", "NBFM voice", "AFSK1200 in FM")
    )
    odds = [score(found, "ham-fm") / score(found, "aprs-1200") for found in (plain, voice, modem)]
    assert odds[1] / odds[0] == pytest.approx(3.0) and odds[0] / odds[2] == pytest.approx(3.0)


def test_bursts_speak_against_what_sends_without_a_gap() -> None:
    measures = {"symbol_rate": 4800.0}
    still, keyed = (likely_protocols(Evidence("fsk2", measures=measures, bursts=b)) for b in ((), (0.6, 0.6)))
    assert score(keyed, "lms6") < score(still, "lms6") < 1
    assert score(keyed, "rs41") > score(still, "rs41")


def test_a_broadcast_that_faded_once_is_still_one() -> None:
    measures = {"pilot": 19e3, "bandwidth": 180e3}
    for bursts in ((), (40.0,), (0.2, 3.0)):
        found = likely_protocols(Evidence("fm_wide", measures=measures, centre=98e6, bursts=bursts))
        assert found.found[0].protocol.name == "FM broadcast", bursts


@pytest.mark.parametrize(
    "wrong", [{"label_confidence": 1.5}, {"label_confidence": math.nan}, {"centre": math.inf}]
)
def test_evidence_that_is_no_number_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(AmrqError):
        Evidence("fm_wide", **wrong)  # type: ignore[arg-type]


def test_the_reason_says_what_was_compared() -> None:
    (one,) = likely_protocols(
        Evidence("fsk2", "2FSK", measures={"symbol_rate": 1200.0, "deviation": 4500.0}, centre=466.075e6)
    ).named
    assert "symbol rate 1.2 kBd fits 1.2 kBd" in one.reason and "deviation 4.5 kHz fits" in one.reason
    assert "466.075 MHz is within 448 to 470 MHz" in one.reason
    assert "not measured: burst length" in one.reason


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Evidence("fsk"), "family must be one of"),
        (lambda: Evidence("fsk2", measures={"baud": 1.0}), "no measure is called 'baud'"),
        (lambda: Measure(1.0, 1.5), "from 0 to 1"),
        (lambda: Measure(1.0, error=0.0), "above 0"),
        (lambda: find_protocol("nxdn"), "nxdn-4800, nxdn-9600"),
    ],
)
def test_what_makes_no_sense_is_said(make: Callable[[], object], words: str) -> None:
    with pytest.raises(AmrqError, match=words):
        make()


# --- files of one's own -----------------------------------------------------------------------------------------------

MINE = """\
name: Gate
what: A gate.
families: [ook]
labels: [OOK]
inside: 12 bits.
parameters:
  symbol_rate: {nominal: 2.5k, low: 2.3k, high: 2.7k}
bands:
  - {low: 433.8M, high: 434M}
sources: [measured]
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        (
            "inside: 12 bits.",
            "insides: 12 bits.",
            5,
            "insides is no field of a protocol's file: there are name, what",
        ),
        ("labels: [OOK]\n", "", "", "labels is missing"),
        ("[ook]", "[oook]", 3, r"families\[0\] must be one of noise, carrier"),
        ("symbol_rate:", "baud_rate:", 7, "baud_rate is no parameter: there are symbol_rate"),
        ("low: 2.3k", "low: 2.8k", 7, r"symbol_rate\[0\] must have low at most high"),
        ("low: 2.3k", "low: many", 7, r"symbol_rate\[0\].low must be a number, not 'many'"),
        ("low: 2.3k", "lower: 2.3k", 7, "lower is no field"),
        ("nominal: 2.5k", "nominal: 3k", 7, "must have nominal from low to high"),
        ("high: 434M", "high: 433M", 9, r"bands\[0\] must have low below high"),
        ("low: 433.8M", "low: 1", 9, "both from 3 kHz to 300 GHz"),
        ("sources: [measured]", "sources: []", 10, "sources must have one entry"),
        ("sources: [measured]", "sources: [measured]\nname: Gate", 11, "name is given twice"),
        ("[measured]", "&a [*a]", 10, "references"),
        ("[measured]", "[measured", 11, "no YAML"),
        ("12 bits.", "2026-11-29", 5, "inside must not be a date"),
        ("name: Gate", "key: x\nname: Gate", 1, "key is no field"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: object, words: str
) -> None:
    (tmp_path / "mine.yml").write_text(MINE.replace(old, new))
    at = rf"mine\.yml, line {line}: " if line else r"mine\.yml: "
    with pytest.raises(AmrqError, match=f"^{at}.*{words}"):
        read_protocol(tmp_path / "mine.yml")


@pytest.mark.parametrize(
    ("content", "words"), [("", "settings such as"), ("- a", "not list"), ("a" * 70_000, "longer")]
)
def test_what_is_no_protocol_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "mine.yml").write_text(content)
    with pytest.raises(AmrqError, match=words):
        read_protocol(tmp_path / "mine.yml")


def test_a_folder_of_ones_own_adds_and_replaces(tmp_path: Path) -> None:
    with pytest.raises(AmrqError, match="has no file"):
        list_protocols(tmp_path)
    (tmp_path / "gate.yml").write_text(MINE)
    (tmp_path / "ais.yml").write_text(MINE.replace("Gate", "AIS"))
    listed = {one.key: one for one in list_protocols(tmp_path)}
    assert len(listed) == len(PROTOCOLS) + 1
    assert listed["gate"].parameters["symbol_rate"] == (ParameterRange(2300.0, 2700.0, 2500.0),)
    assert listed["ais"].families == ("ook",)
    found = likely_protocols(
        Evidence("ook", measures={"symbol_rate": 2500.0}, centre=433.9e6), listed.values()
    )
    assert "Gate" in [one.protocol.name for one in found.named]
    (tmp_path / "other.yml").write_text(MINE.replace("Gate", "gate"))
    with pytest.raises(AmrqError, match="same name"):
        list_protocols(tmp_path)


# --- the command and the page -----------------------------------------------------------------------------------------


def test_the_command_lists_what_is_asked_for(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    everything = json.loads(amrq_here(capfd, "protocols", "--json").stdout)
    assert [one["key"] for one in everything] == [one.key for one in PROTOCOLS]
    there = json.loads(amrq_here(capfd, "protocols", "--freq", "433.92M", "--family", "ook", "--json").stdout)
    assert {"ev1527", "pt2262", "keeloq"} <= {one["key"] for one in there}
    assert all("ook" in one["families"] for one in there)
    assert all(any(b["low"] <= 433.92e6 <= b["high"] for b in one["bands"]) for one in there)
    text = amrq_here(capfd, "protocols", "--family", "chirp").stdout
    assert "LoRa, Europe" in text and "SF 7 to 12" in text and "863 to 870 MHz" in text and "AIS" not in text
    assert "no protocol is known of the family dsss at 5 MHz" in (
        amrq_here(capfd, "protocols", "--family", "dsss", "--freq", "5M").stderr
    )
    (tmp_path / "gate.yml").write_text(MINE)
    mine = amrq_here(capfd, "protocols", "--protocols", tmp_path, "--freq", "433.9M").stdout
    assert "Gate" in mine


def test_the_command_shows_one(capfd: pytest.CaptureFixture[str]) -> None:
    text = amrq_here(capfd, "protocols", "show", "AIS").stdout
    assert "161.969 to 161.981 MHz" in text and "M.1371" in text
    assert json.loads(amrq_here(capfd, "protocols", "show", "ais", "--json").stdout)["families"] == ["fsk2"]
    refused(amrq_here(capfd, "protocols", "show", "nothing like it"), "no protocol is called")
    refused(amrq_here(capfd, "protocols", "--family", "fsk"), "--family must be one of")


def test_the_page_is_made_from_the_files() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_protocols.py"))
    page = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    assert script["up_to_date"](page) == page, "run scripts/make_protocols.py"
    assert all(f"| {one.name} |" in page.replace("\\", "") for one in PROTOCOLS)


def test_the_example_of_the_page_is_a_protocol(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    (tmp_path / "gate.yml").write_text(page.split("```yaml\n")[1].split("```")[0])
    assert read_protocol(tmp_path / "gate.yml").name == "Gate at the farm"


def test_a_width_that_no_symbol_rate_and_deviation_make_excludes_a_protocol() -> None:
    """DMR is 7 kHz wide: a box of 138 kHz holds something else, one of 9 kHz may hold DMR."""
    for width, possible in ((138e3, False), (9e3, True), (700.0, False)):
        found = likely_protocols(Evidence("fsk4", measures={"bandwidth": width}, centre=440e6))
        assert ("DMR" in [one.protocol.name for one in found.found]) == possible


# --- through the whole program ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def names() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("protocol_names")


@pytest.mark.parametrize("key", ["air-voice", "aprs-1200", "fm-stereo", "somfy-rts", "nb-iot"])
def test_a_signal_with_its_parameters_in_its_band_is_told_as_it(names: ModuleType, key: str) -> None:
    told = names.told_of(find_protocol(key))
    assert told["result"] == "named" and told["alone"]


def test_the_page_has_what_was_measured(names: ModuleType) -> None:
    with names.RESULTS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    page = names.PAGE.read_text(encoding="utf-8")
    assert page == names.page_of(page, rows), "run benchmarks/protocol_names.py --pages"
    assert {row["protocol"] for row in rows} == {one.key for one in PROTOCOLS}


def test_a_quiet_moment_excludes_no_protocol_that_speaks() -> None:
    """Less deviation than is stated is a pause; more is another system, and so is less of keyed frequency."""
    for deviation, possible in ((800.0, True), (2.4e3, True), (9e3, False)):
        found = likely_protocols(
            Evidence("fm_narrow", "NBFM voice", measures={"deviation": deviation}, centre=446.1e6)
        )
        assert ("PMR446" in [one.protocol.name for one in found.found]) == possible
    found = likely_protocols(
        Evidence("fsk2", measures={"symbol_rate": 1200.0, "deviation": 800.0}, centre=466.1e6)
    )
    assert "POCSAG 1200" not in [one.protocol.name for one in found.found]

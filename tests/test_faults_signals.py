# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that go wrong, and real recordings: what is said of them in one pass, with little or nothing given."""

import json
import runpy
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amrq.classes import THESIS_9
from amrq.evaluation import answer_of
from amrq.identify import Identification, identify_linear
from amrq.recordings import open_recording

SHARED = Path(__file__).resolve().parents[2] / "shared"
MAKER = SHARED / "faults" / "make_signals.py"
needs_faults = pytest.mark.skipif(not MAKER.is_file(), reason="../shared/faults is not on this machine")

FOREIGN = (
    "64qam_25dB",
    "64qam_15dB",
    "rect32qam_25dB",
    "32apsk_25dB",
    "32psk_20dB",
    "16ask_20dB",
    "pi4dqpsk_20dB",
)
"""Files that hold a modulation outside the nine."""
NAMED = {
    "qpsk_echo_1symbol_-6dB_20dB": "QPSK",
    "bpsk_echo_1symbol_-6dB_20dB": "BPSK",
    "qpsk_dc_-8dB_20dB": "QPSK",
    "bpsk_dc_-6dB_20dB": "BPSK",
    "8psk_drift_6e-5_20dB": "8PSK",
    "8psk_clipped_20dB": "8PSK",
    "qpsk_weak": "QPSK",
}
"""Files that hold one of the nine, and which."""
SURELY = (
    "qpsk_dc_-8dB_20dB",
    "bpsk_dc_-6dB_20dB",
    "qpsk_echo_1symbol_-6dB_20dB",
    "bpsk_echo_1symbol_-6dB_20dB",
)
"""Of these, those that must be named; of the others, `unknown` is an answer too."""
TWO = "two_signals_250k_25kBd_at_40k_9615Bd_at_-60k"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("faults")
    before, sys.argv = sys.argv, ["make_signals.py", str(made)]
    try:
        runpy.run_path(str(MAKER), run_name="__main__")
    finally:
        sys.argv = before
    return made


def read(folder: Path, name: str) -> Any:
    return np.fromfile(folder / f"{name}.cf32", np.complex64)


def names(found: Identification) -> Counter[str]:
    """Count names among the decisions: only those that name one of the nine."""
    return Counter(decision.label for decision in found.decisions if decision.reason == "named")


@needs_faults
@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_outside_the_nine_has_no_name(folder: Path, name: str) -> None:
    found = identify_linear(read(folder, name), 40e3, 10e3)
    assert len(found.decisions) >= 4
    assert not names(found)


@needs_faults
@pytest.mark.parametrize("name", [one for one in NAMED if one != "qpsk_weak"])
def test_what_went_wrong_with_one_of_the_nine_gives_no_other_name(folder: Path, name: str) -> None:
    found = identify_linear(read(folder, name), 40e3, 10e3)
    assert set(names(found)) <= {NAMED[name]}
    if name in SURELY:
        assert names(found).total() == len(found.decisions)


@needs_faults
def test_each_burst_has_its_name_and_the_noise_between_has_none(folder: Path) -> None:
    found = identify_linear(read(folder, "qpsk_bursts_200symbols_20dB"), 40e3, 10e3)
    bursts = [found.at(4000 * number + 400) for number in range(10)]  # 200 symbols of 4 samples
    pauses = [found.at(4000 * number + 2400) for number in range(9)]
    assert [one and one.label for one in bursts] == ["QPSK"] * 10
    assert all(one is None or one.reason in ("noise", "silent") for one in pauses)


@needs_faults
def test_rectangular_pulses_have_their_own_symbol_rate(folder: Path) -> None:
    found = identify_linear(read(folder, "qpsk_rectangular_16sps_20dB"), 160e3)
    assert found.symbol_rate == pytest.approx(10e3, rel=1e-3)
    assert names(found) == {"QPSK": len(found.decisions)}


@needs_faults
def test_of_two_signals_the_one_asked_for_is_named_and_both_are_seen(folder: Path) -> None:
    samples = read(folder, TWO)[:600_000]
    for offset, rate, name in ((40e3, 25e3, "QPSK"), (-60e3, 250e3 / 26, "8PSK"), (None, 25e3, "QPSK")):
        found = identify_linear(samples, 250e3, offset=offset)
        assert found.symbol_rate == pytest.approx(rate, rel=1e-3)
        assert names(found) == {name: len(found.decisions)}
        places = sorted(signal.centre for signal in found.found.signals)
        assert places == pytest.approx([-60e3, 40e3], abs=2e3)


@needs_faults
def test_the_same_bytes_in_two_formats_are_the_same(folder: Path) -> None:
    answers = []
    for path in (folder / "qpsk_weak.cu8", folder / "qpsk_weak.sigmf-meta"):
        recording = open_recording(path, sample_rate=40e3 if path.suffix == ".cu8" else None)
        found = identify_linear(recording.read(0, recording.length), recording.sample_rate, 10e3)
        answers.append([answer_of(decision) for decision in found.decisions])
    assert answers[0] == answers[1]
    assert Counter(answers[0]) == {"QPSK": len(answers[0])}


def real() -> dict[str, tuple[Path, dict[str, Any]]]:
    """Return the linear recordings, by name, with their folder and what is known of them."""
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for folder in (SHARED / "iq", SHARED / "air" / "given"):
        if (folder / "truth.json").is_file():
            for entry in json.loads((folder / "truth.json").read_text()):
                accepted = entry.get("accepted") or accepted_of(entry)
                if set(accepted) & set(THESIS_9):
                    found[f"{folder.name}/{entry['name']}"] = folder, {**entry, "accepted": accepted}
    return found


def accepted_of(entry: dict[str, Any]) -> list[str]:
    """Return the right answers to an entry of ../shared/air, which says in words what it is."""
    if entry["family"] != "linear":
        return []
    kind = entry["name"].split("_")[1]
    return {"pi2bpsk": ["QPSK", "unknown"], "d8psk": ["8PSK"]}.get(kind, [kind.upper()])


@pytest.mark.skipif(not real(), reason="the real recordings (../shared) are not on this machine")
def test_real_linear_recordings_have_their_symbol_rate_and_no_wrong_name() -> None:
    """With nothing given. Satellites send up to 0.5 % less than the nominal rate, which some entries state."""
    for name, (folder, entry) in real().items():
        if (
            folder.name == "given" or "lilacsat1" in name
        ):  # the same recordings, in parts; and the longest one
            continue
        recording = open_recording(folder / f"{entry['name']}.sigmf-meta")
        found = identify_linear(recording.read(0, recording.length), recording.sample_rate)
        assert found.symbol_rate == pytest.approx(entry["symbol_rate"], rel=6e-3), name
        assert set(names(found)) <= set(entry["accepted"]), name

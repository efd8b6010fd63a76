# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo, and the recordings it is judged by."""

import json
import shlex
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from run_amrq import amrq, run, warm

from amrq.classes import THESIS_9

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "examples" / "headless.py"
OURS = ROOT / "examples" / "recordings"
OUTCOMES = ("right", "misnamed", "missed", "undecided")
REAL = ROOT.parent / "shared" / "iq"


def demo_process(*options: object) -> subprocess.CompletedProcess[str]:
    return run(warm(DEMO, *options), {"COLUMNS": "300"})


class Demo(NamedTuple):
    """What the demo wrote."""

    output: Path
    summary: dict[str, Any]
    said: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    output = tmp_path_factory.mktemp("demo")
    recordings = ["--recordings", OURS] + (["--recordings", REAL] if REAL.is_dir() else [])
    result = demo_process("--output", output, "--chunks", 96, *recordings)
    assert result.returncode == 0, result.stdout + result.stderr
    return Demo(output, json.loads((output / "summary.json").read_text()), result.stdout)


def test_pictures_and_figures(demo: Demo) -> None:
    for name in ("confusion.png", "accuracy.png"):
        assert (demo.output / name).read_bytes()[:4] == b"\x89PNG"
    summary = demo.summary
    assert set(summary["one_chunk"]) == set(summary["fused"]) == set(THESIS_9)
    operating_point = summary["operating_point"]
    assert operating_point["decisions"] == 9 * 96
    assert sum(operating_point[kind] for kind in OUTCOMES) == 9 * 96
    # .986 of 4,608 in a long run, whose 95 % interval for 864 reaches down to .975.
    assert operating_point["right"] > 0.96 * 9 * 96 and operating_point["misnamed"] < 0.01 * 9 * 96
    for level in (20.0, 25.0):
        column = summary["es_n0_db"].index(level)
        assert sum(tallies[column]["right"] for tallies in summary["one_chunk"].values()) / (9 * 96) > 0.95
        assert all(
            tallies[column] == {"right": 3, "misnamed": 0, "missed": 0, "undecided": 0}
            for tallies in summary["fused"].values()
        )


def recordings_of(demo: Demo, folder: Path) -> dict[str, dict[str, Any]]:
    names = {entry["name"] for entry in json.loads((folder / "truth.json").read_text())}
    found = {result["name"]: result for result in demo.summary["recordings"] if result["name"] in names}
    assert set(found) == names
    return found


def verdicts(found: dict[str, dict[str, Any]], how: str) -> dict[str, str]:
    return {name: result[how]["verdict"] for name, result in found.items()}


def test_our_recordings_are_recognised(demo: Demo) -> None:
    found = recordings_of(demo, OURS)
    known = {name: "right" for name, result in found.items() if result["sent"]}
    outside = dict.fromkeys({"gmsk", "ofdm", "noise"}, "right")
    assert set(known) | set(outside) == set(found) and len(known) == 5
    assert verdicts(found, "told") == known | outside
    alone = verdicts(found, "alone")
    # Frequency keying may show a symbol rate or not.
    assert alone.pop("gmsk") in ("right", "undecided")
    assert alone == known | {"ofdm": "undecided", "noise": "undecided"}
    # Noise has no symbol rate, and none was given.
    assert found["noise"]["alone"]["symbol_rate"] is None and found["noise"]["told"]["symbol_rate"] == 25e3


@pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings (../shared/iq) are not on this machine")
def test_real_recordings_are_counted_honestly(demo: Demo) -> None:
    found = recordings_of(demo, REAL)
    outside = {"pi2bpsk_4800_orbcomm_iq_data_0", "ofdm_80211a_6mbps", "ofdm_80211a_24mbps"}
    outside |= {"ook_urh_elektromaten", "2fsk_urh_fsk"}
    assert {name for name, result in found.items() if not result["sent"]} == outside
    told = verdicts(found, "told")
    assert told == dict.fromkeys(found, "right")
    assert "misnamed" not in verdicts(found, "alone").values()


@pytest.mark.parametrize("folder", [OURS, REAL], ids=["ours", "real"])
def test_the_recordings_in_the_pages_are_called_so(demo: Demo, folder: Path) -> None:
    """benchmarks/results/recordings.json, from which the table in docs/limits.md is made."""
    if not folder.is_dir():
        pytest.skip(f"{folder} is not on this machine")
    committed = json.loads((ROOT / "benchmarks" / "results" / "recordings.json").read_text())["recordings"]
    written = {result["name"]: result for result in committed}
    for name, result in recordings_of(demo, folder).items():
        for how in ("alone", "told"):
            assert result[how]["verdict"] == written[name][how]["verdict"]
            rates = [found[name][how]["symbol_rate"] or 0.0 for found in (written, {name: result})]
            assert rates[1] == pytest.approx(rates[0], rel=1e-3)


def test_the_last_lines_count_what_there_is(demo: Demo) -> None:
    lines = demo.said.splitlines()
    for how, began in (("alone", "Nothing given"), ("told", "Symbol rate and on-time given")):
        (line,) = (line for line in lines if line.startswith(began + ": "))
        results = demo.summary["recordings"]
        known = [result[how]["verdict"] for result in results if result["sent"]]
        other = [result[how]["verdict"] for result in results if not result["sent"]]
        assert line == (
            f"{began}: of {len(known)} recordings of the nine classes, {known.count('right')} right, "
            f"{known.count('misnamed')} with a wrong name, {known.count('missed')} missed, {known.count('undecided')} "
            f"undecided; of {len(other)} recordings of other signals, {other.count('right')} right, "
            f"{other.count('misnamed')} with a wrong name, {other.count('undecided')} undecided."
        )


@pytest.mark.parametrize("name", ["dvbs2_qpsk", "generic_bpsk"])
def test_with_nothing_given_it_is_what_the_command_says(demo: Demo, name: str) -> None:
    """Of linear signals; of others the command says what they are instead."""
    result = amrq("classify", OURS / f"{name}.sigmf-meta", "--json")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    words = {"foreign": "unknown", "noise": "noise", "silent": "no signal", "unsure": "unsure"}
    decisions = (record for record in records if "event" not in record)
    labels = Counter(words.get(record["reason"], record["label"]) for record in decisions)
    assert recordings_of(demo, OURS)[name]["alone"]["decisions"] == labels
    assert bool(labels) == (result.returncode == 0)


def test_a_recording_that_cannot_be_run_is_a_failure_of_the_demo(tmp_path: Path) -> None:
    """What was decided does not matter to the exit status; what could not be run does."""
    truth = json.loads((OURS / "truth.json").read_text())
    (qpsk,) = (entry for entry in truth if entry["name"] == "dvbs2_qpsk")
    for suffix in ("sigmf-meta", "sigmf-data"):
        (tmp_path / f"dvbs2_qpsk.{suffix}").write_bytes((OURS / f"dvbs2_qpsk.{suffix}").read_bytes())
    options = ("--output", tmp_path / "results", "--recordings-only", "--recordings", tmp_path)

    (tmp_path / "truth.json").write_text(json.dumps([qpsk | {"modulation": "BPSK", "accepted": ["BPSK"]}]))
    wrong = demo_process(*options)
    assert wrong.returncode == 0, wrong.stdout + wrong.stderr
    assert (
        "of 1 recordings of the nine classes, 0 right, 1 with a wrong name, 0 missed, 0 undecided"
        in wrong.stdout
    )

    (tmp_path / "truth.json").write_text(json.dumps([qpsk, qpsk | {"name": "not_there"}]))
    missing = demo_process(*options)
    assert missing.returncode == 2 and "Traceback" not in missing.stdout + missing.stderr
    assert "headless: not_there: " in missing.stderr
    assert (
        "of 1 recordings of the nine classes, 1 right, 0 with a wrong name, 0 missed, 0 undecided"
        in missing.stdout
    )


@pytest.mark.parametrize("truth", [None, "not JSON", '[{"name": "x"}]', "[1]"])
def test_a_folder_without_a_truth_that_can_be_read_is_one_sentence(tmp_path: Path, truth: str | None) -> None:
    if truth is not None:
        (tmp_path / "truth.json").write_text(truth)
    result = demo_process("--output", tmp_path / "results", "--recordings", tmp_path)
    assert result.returncode == 2
    assert "truth.json cannot be read: " in result.stderr and "Traceback" not in result.stdout + result.stderr


def test_recordings_are_remade_as_shipped(tmp_path: Path) -> None:
    script = ROOT / "examples" / "make_recordings.py"
    run(warm(script, "--output", tmp_path), check=True)
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in OURS.iterdir()}
    for made in tmp_path.glob("*.sigmf-meta"):
        assert (
            json.loads(made.read_text())["annotations"]
            == json.loads((OURS / made.name).read_text())["annotations"]
        )
    for made in tmp_path.glob("*.sigmf-data"):
        # Another processor's vector units may round the last bit differently.
        new, old = (np.fromfile(folder / made.name, "<i2").astype(int) for folder in (tmp_path, OURS))
        assert len(new) == len(old) and np.abs(new - old).max() <= 2
    assert (tmp_path / "truth.json").read_text() == (OURS / "truth.json").read_text()


def test_a_missing_model_is_one_sentence(tmp_path: Path) -> None:
    result = demo_process("--output", tmp_path, "--model", "nothing", "--chunks", 32)
    assert result.returncode == 2
    assert "headless: there is no model 'nothing'" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_results_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = demo_process("--output", tmp_path / "file" / "results")
    assert result.returncode == 2 and "headless: " in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("way", "status", "sentence"),
    [
        ("> /dev/full", 2, "headless: standard output cannot be written: No space left on device."),
        (">&-", 2, "headless: standard output is closed"),
        ("| true", 141, ""),
    ],
)
def test_output_that_nobody_takes_costs_no_results(
    tmp_path: Path, way: str, status: int, sentence: str
) -> None:
    (tmp_path / "truth.json").write_text(json.dumps(json.loads((OURS / "truth.json").read_text())[:1]))
    for suffix in ("sigmf-meta", "sigmf-data"):
        (tmp_path / f"dvbs2_qpsk.{suffix}").write_bytes((OURS / f"dvbs2_qpsk.{suffix}").read_bytes())
    options = ("--output", tmp_path / "results", "--recordings", tmp_path)
    command = map(str, warm(DEMO, "--recordings-only", *options))
    result = run(
        ["bash", "-c", f"{shlex.join(command)} {way}; exit ${{PIPESTATUS[0]}}"],
        environment={"LC_ALL": "C", "PYTHONUTF8": "0"},
    )
    assert result.returncode == status, result.stderr
    assert sentence in result.stderr and "Traceback" not in result.stderr
    if status != 2 or "full" in way:
        assert json.loads((tmp_path / "results" / "summary.json").read_text())["recordings"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a user types it, in processes of its own."""

import hashlib
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from patience import PATIENCE
from run_amrq import ENVIRONMENT, amrq, amrq_here, python, refused, start_amrq, the_rest
from seeds import SEED
from small_models import linear_model, linear_onnx
from typer.testing import CliRunner

from amrq.cli.main import app
from amrq.model import read_contract
from amrq.outputs import decision_schema
from amrq.signals import ModulatedSignal, Schedule

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT / "examples" / "recordings"
QPSK = RECORDINGS / "dvbs2_qpsk.sigmf-meta"


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["classify"],
        ["live"],
        ["models"],
        ["model", "show"],
        ["model", "annotate"],
        ["label"],
        ["train"],
        ["evaluate"],
        ["evaluate-report"],
        ["sweep"],
        ["sweep-report"],
        ["estimate"],
        ["rtl"],
        ["compile"],
        ["bound"],
    ],
)
def test_help_ends_with_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env=ENVIRONMENT)
    assert result.exit_code == 0
    assert "Example: amrq" in result.output


def test_classify_json_is_nothing_but_json() -> None:
    result = amrq("classify", QPSK, "--symbol-rate", "25e3", "--json")
    assert result.returncode == 0, result.stderr
    decisions = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(decisions) == 3
    for decision in decisions[:2]:
        assert decision["chunks"] == 32
        assert decision["truth"] == "QPSK"
        assert sum(np.exp(list(decision["log_probabilities"].values()))) == pytest.approx(1, abs=1e-3)
    # The first decision begins while the front end still settles; the second is held to the truth.
    assert decisions[1]["label"] == "QPSK"
    assert decisions[1]["time"] == pytest.approx(1024 / 25e3, abs=0.002)


def test_classify_hands_the_same_records_to_every_output(tmp_path: Path) -> None:
    out = tmp_path / "annotated.sigmf-meta"
    options = ("--json", "--log", tmp_path / "log.jsonl", "--annotate", out, "--publish", "tcp://127.0.0.1:0")
    result = amrq("classify", QPSK, "--symbol-rate", "25e3", *options)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert (tmp_path / "log.jsonl").read_text().splitlines() == lines
    for line in lines:
        jsonschema.validate(json.loads(line), decision_schema(), jsonschema.Draft202012Validator)
    record = json.loads(lines[0])
    model = ROOT / "models" / f"{record['model']}.onnx"
    assert record["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    said = [a for a in json.loads(out.read_text())["annotations"] if "core:generator" in a]
    assert "QPSK" in {a["core:label"] for a in said} and all(a["core:sample_start"] >= 0 for a in said)


def test_classify_refuses_outputs_that_cannot_be(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    base = (capfd, "classify", QPSK, "--symbol-rate", "25e3")
    refused(amrq_here(*base, "--log", tmp_path / "none" / "log"), "cannot be opened")
    refused(amrq_here(*base, "--publish", "nowhere"), "cannot be published")
    refused(amrq_here(*base, "--annotate", tmp_path / "a.json"), ".sigmf-meta")
    refused(amrq_here(*base, QPSK, "--annotate", tmp_path / "a.sigmf-meta"), "one recording at a time")


def test_classify_table_and_several_files(tmp_path: Path) -> None:
    result = amrq(
        "classify", QPSK, RECORDINGS / "noise.sigmf-data", tmp_path / "missing.cf32", "--symbol-rate", 25e3
    )
    # What could be read is shown in full although another file could not.
    assert "dvbs2_qpsk.sigmf-meta: of 3 decisions" in result.stdout
    assert "noise.sigmf-data: of 3 decisions: noise 3" in result.stdout
    assert result.returncode == 2 and "Traceback" not in result.stderr
    said = [line for line in result.stderr.splitlines() if line.startswith("amrq: ")]
    assert len(said) == 2 and "missing.cf32" in said[0] and "1 of 3 files failed" in said[1]


def test_classify_raw_wav_and_a_part(tmp_path: Path) -> None:
    import soundfile

    values = np.fromfile(QPSK.with_suffix(".sigmf-data"), "<i2")
    values.tofile(tmp_path / "r.ci16")
    soundfile.write(str(tmp_path / "r.wav"), values.reshape(-1, 2), 100_000, subtype="PCM_16")
    options = ("--symbol-rate", "25e3", "--json", "--start", "0.02", "--duration", "0.06")
    raw = amrq("classify", tmp_path / "r.ci16", "--rate", "100e3", *options)
    wav = amrq("classify", tmp_path / "r.wav", *options)
    assert raw.returncode == wav.returncode == 0, raw.stderr + wav.stderr
    first, second = ([json.loads(line) for line in r.stdout.splitlines()] for r in (raw, wav))
    assert [d["label"] for d in first] == [d["label"] for d in second]
    assert sum(d["chunks"] for d in first) in range(40, 48)  # 0.06 s hold 1,500 symbols, 46 chunks
    assert 0.02 <= first[0]["time"] < 0.022


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.cf32"], "there is no file nothing.cf32"),
        ([QPSK, "--model", "nothing"], "there is no model 'nothing'"),
        ([QPSK, "--model", "{foreign}"], "no gr-amrq contract"),
        ([QPSK, "--model", "{garbage}"], "cannot be loaded as an ONNX model"),
        ([QPSK, "--model", "{length}"], "but its contract says"),
        (["{empty}", "--rate", "1e6"], "holds no samples"),
        (["{odd}", "--rate", "1e6"], "less than one cf32 sample"),
        ([""], "an argument is empty"),
        (["{nan}", "--rate", "1e5", "--format", "wav"], "cannot be read as a wav file"),
        (["{nan}"], "--rate"),
        (["{nan}", "--rate", "49e3"], "--rate 49 kS/s is below twice the --symbol-rate 25 kBd"),
        (["{short}", "--rate", "1e5"], "too short for a decision"),
        (["{cut}"], "remove core:sha512 from the metadata"),
        ([QPSK, "--start", "10"], "--start 10 s is after the end of "),
        ([QPSK, "--chunks", "0"], "must be from 1 to 65536, not 0"),
        ([QPSK, "--start", "nan"], "--start must be"),
        ([QPSK, "--duration", "inf"], "--duration must be"),
        (["{short}", "--rate", "1e5", "--json"], "too short for a decision"),
        ([QPSK, "--model", "{coherent}"], "needs the carrier's phase"),
        ([QPSK, "--offset", "nan"], "offset"),
    ],
)
def test_bad_input_gets_one_sentence(
    tmp_path: Path, arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {
        name: tmp_path / f"{name}.{suffix}"
        for name, suffix in (
            ("foreign", "onnx"),
            ("garbage", "onnx"),
            ("length", "onnx"),
            ("empty", "cf32"),
            ("odd", "cf32"),
            ("nan", "cf32"),
            ("short", "cf32"),
            ("cut", "sigmf-meta"),
            ("coherent", "onnx"),
        )
    }
    linear_onnx(files["foreign"])
    files["garbage"].write_bytes(b"garbage")
    linear_model(files["length"])
    _lengthen(files["length"])
    linear_model(files["coherent"], phase="coherent")
    files["empty"].touch()
    files["odd"].write_bytes(b"12345")
    samples = np.ones(30_000, np.complex64)
    samples[20_000] = np.nan
    samples.tofile(files["nan"])
    samples[:90].tofile(files["short"])
    shutil.copy(QPSK, files["cut"])
    files["cut"].with_suffix(".sigmf-data").write_bytes(QPSK.with_suffix(".sigmf-data").read_bytes()[:1001])
    names = {name: str(path) for name, path in files.items()}
    filled = [str(argument).format(**names) for argument in arguments]
    refused(amrq_here(capfd, "classify", *filled, "--symbol-rate", "25e3"), words)


def _lengthen(path: Path) -> None:
    """Make a model's contract promise chunks of 64 samples, which its graph does not take."""
    import onnx

    proto = onnx.load(str(path))
    (entry,) = [p for p in proto.metadata_props if p.key == "amrq.contract"]
    entry.value = entry.value.replace('"chunk_length": 32', '"chunk_length": 64')
    onnx.save(proto, str(path))


def test_names_from_outside_are_shown_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a [red] b ü.sigmf-meta"
    meta = json.loads(QPSK.read_text())
    meta["annotations"][0]["core:label"] = "[/b] QPSK"
    path.write_text(json.dumps(meta))
    shutil.copy(QPSK.with_suffix(".sigmf-data"), path.with_suffix(".sigmf-data"))
    result = amrq("classify", path, "--symbol-rate", "25e3")
    assert result.returncode == 0, result.stderr
    assert "a [red] b ü.sigmf-meta: of 3 decisions" in result.stdout and "[/b] QPSK" in result.stdout
    linear_model(tmp_path / "odd.onnx", classes=("[/x]", "[red]QPSK", "unknown"))
    shown = amrq("model", "show", tmp_path / "odd.onnx")
    assert shown.returncode == 0 and "[/x], [red]QPSK, unknown" in shown.stdout


def test_an_impossible_rate_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    refused(amrq_here(capfd, "classify", QPSK, "--symbol-rate", "0.01"), "decimate before the front end")


def test_time_is_the_recordings_whatever_the_senders_clock_does(tmp_path: Path) -> None:
    """Symbols come at the sender's pace: 0.4 % off the rate that is given, which is 240 symbols at the end."""
    names, count = ["BPSK", "8PSK", "4ASK"], 60_000
    sent = ModulatedSignal(Schedule(names, 2_000), 25.0, 0.0, 0.3, 4, 0.35, SEED)
    samples, changes = sent.generate(4 * count)
    samples.astype(np.complex64).tofile(tmp_path / "r.cf32")
    rates = ("--rate", "100e3", "--symbol-rate", 25e3 * 1.004)
    result = amrq("classify", tmp_path / "r.cf32", *rates, "--json", "--chunks", "1")
    assert result.returncode == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    seen: dict[str, list[float]] = {name: [] for name in names}  # when each class came in place of another
    for before, record in itertools.pairwise(records):
        if record["label"] != before["label"] and record["label"] in names:
            seen[record["label"]].append(record["time"])
    late = [min(abs(time - sample / 100e3) for time in seen[name]) for sample, name in changes[1:]]
    assert max(late) * 25e3 < 80  # two chunks and the front end's length


def test_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    values = np.tile(np.fromfile(QPSK.with_suffix(".sigmf-data"), "<i2"), 2000)  # ten minutes of signal
    values.tofile(tmp_path / "long.ci16")
    rates = ("--rate", "100e3", "--symbol-rate", "25e3")
    process = start_amrq("classify", tmp_path / "long.ci16", *rates, "--json", "--chunks", "1")
    assert process.stdout is not None
    json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, err = the_rest(process)
    assert process.returncode == 130
    assert "Traceback" not in err
    for line in out.splitlines():
        json.loads(line)


def long_recording(folder: Path, seconds: float, symbol_rate: float = 25e3) -> tuple[str, ...]:
    """Return a recording of QPSK of this length, and what `amrq classify` must be told of it."""
    values = np.fromfile(QPSK.with_suffix(".sigmf-data"), "<i2")
    np.tile(values, math.ceil(seconds * 8 * symbol_rate / len(values))).tofile(folder / "long.ci16")
    rates = ("--rate", str(4 * symbol_rate), "--symbol-rate", str(symbol_rate))
    return (str(folder / "long.ci16"), *rates)


def test_a_row_of_the_table_comes_as_soon_as_it_is_decided(tmp_path: Path) -> None:
    arguments = ("classify", *long_recording(tmp_path, 600), "--chunks", "1")
    process = start_amrq(*arguments, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    rows = [process.stdout.readline() for _ in range(5)]
    assert process.poll() is None  # ten minutes of signal are far from decided on
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(PATIENCE) == 130
    assert rows[0].startswith("long.ci16") and rows[1].split()[:3] == ["from", "to", "decision"]
    assert "QPSK" in rows[4] + rest and max(map(len, rows)) <= 80


def test_the_table_and_the_records_say_the_same(tmp_path: Path) -> None:
    arguments = ("classify", *long_recording(tmp_path, 1), "--chunks", "2")
    table = amrq(*arguments)
    records = [json.loads(line) for line in amrq(*arguments, "--json").stdout.splitlines()]
    rows = [line.split() for line in table.stdout.splitlines() if " s " in line]
    assert len(rows) == len(records)
    for row, record in zip(rows, records, strict=True):
        assert float(row[0]) == pytest.approx(record["time"], abs=6e-4)
        assert row[4] == {"unsure": "unsure", "noise": "noise"}.get(record["reason"], record["label"])
    last = records[-1]
    # Four samples of the source a symbol.
    assert last["source_sample_index"] == pytest.approx(4 * last["symbol_index"], abs=8)
    assert last["source_sample_index"] == pytest.approx(last["time"] * 100e3, abs=1)
    assert last["source_sample_count"] == pytest.approx(4 * last["symbol_count"], abs=1)


def test_records_tell_where_the_carrier_was_found(tmp_path: Path) -> None:
    sent = ModulatedSignal(Schedule(["QPSK"], 4096), 20.0, 0.0, 0.3, 4, 0.35, SEED)
    samples, _ = sent.generate(40_000)
    turned = samples * np.exp(2j * np.pi * (5_000 + 412) / 100e3 * np.arange(len(samples)))
    turned.astype(np.complex64).tofile(tmp_path / "r.cf32")
    options = ("--rate", "100e3", "--symbol-rate", "25e3", "--offset", "5k", "--json")
    records = [
        json.loads(line) for line in amrq("classify", tmp_path / "r.cf32", *options).stdout.splitlines()
    ]
    assert len(records) >= 9
    for record in records:
        assert (record["reason"], record["label"], record["symbol_rate_hz"]) == ("named", "QPSK", 25e3)
        assert record["offset_hz"] == pytest.approx(5_412, abs=25)
        # Es/N0 is over the noise in one symbol rate, the band 1.35 times as wide.
        assert record["snr_db"] == pytest.approx(20 - 1.3, abs=1.5)


def test_fewer_records_where_that_is_wanted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ("classify", *long_recording(tmp_path, 150, 625.0), "--json")
    times = [json.loads(line)["time"] for line in amrq(*arguments, "--every", "60").stdout.splitlines()]
    assert times == pytest.approx([0, 60, 120], abs=2.0)  # a decision takes 1.6 s
    log = tmp_path / "log.jsonl"
    result = amrq(*arguments, "--changes", "--log", log)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    for one, two in itertools.pairwise(records):
        kind = (one["reason"], one["label"])
        assert kind != (two["reason"], two["label"]) or two["time"] - one["time"] > 59.5
    assert 3 <= len(records) < 30  # of some 90 decisions
    assert log.read_text() == result.stdout
    table = amrq(*arguments[:-1], "--changes").stdout.splitlines()
    assert len([line for line in table if " s " in line]) == len(records)
    for bad in ((*arguments, "--every", "-1"), ("live", "--simulate", "--every", "nan")):
        refused(amrq_here(capfd, *bad), "must be at least 0 s")


def test_samples_that_are_not_finite_cost_their_chunk_alone(tmp_path: Path) -> None:
    values = np.fromfile(QPSK.with_suffix(".sigmf-data"), "<i2").astype(np.float32) / 32768
    options = ("--rate", "100e3", "--symbol-rate", "25e3", "--json")
    values.tofile(tmp_path / "whole.cf32")
    values[10_000:10_002] = np.nan
    values.tofile(tmp_path / "r.cf32")
    whole, broken = (amrq("classify", tmp_path / name, *options) for name in ("whole.cf32", "r.cf32"))
    assert whole.returncode == broken.returncode == 0, broken.stderr
    chunks = [sum(json.loads(line)["chunks"] for line in run.stdout.splitlines()) for run in (whole, broken)]
    lost = chunks[0] - chunks[1]
    assert lost in (1, 2)  # the sample lies in one chunk, or on the border of two
    (said,) = [line for line in broken.stderr.splitlines() if line.startswith("amrq: ")]
    assert f"r.cf32: {lost} chunk" in said and "counted as not finite and left out" in said
    assert "not finite" not in whole.stderr
    np.full(40_000, np.nan, np.complex64).tofile(tmp_path / "all.cf32")
    refused(amrq("classify", tmp_path / "all.cf32", *options), "not finite")


def test_what_was_decided_before_a_file_became_shorter_is_not_lost(tmp_path: Path) -> None:
    values = np.tile(np.fromfile(QPSK.with_suffix(".sigmf-data"), "<i2"), 2000)  # ten minutes of signal
    values.tofile(tmp_path / "r.ci16")
    rates = ("--rate", "100e3", "--symbol-rate", "25e3")
    process = start_amrq("classify", tmp_path / "r.ci16", *rates, "--json", "--chunks", "1")
    assert process.stdout is not None
    json.loads(process.stdout.readline())
    os.truncate(tmp_path / "r.ci16", 1_000_000)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    (said,) = [line for line in errors.splitlines() if line.startswith("amrq: ")]
    assert "became shorter while it was read" in said


def test_models_show_and_annotate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    foreign = linear_onnx(tmp_path / "foreign.onnx")
    linear_model(tmp_path / "mine.onnx")
    shown = amrq("model", "show", tmp_path / "mine.onnx", "--json")
    assert shown.returncode == 0
    (tmp_path / "contract.json").write_text(shown.stdout)
    refused(amrq_here(capfd, "model", "show", foreign), "amrq model annotate")
    assert amrq("model", "annotate", foreign, "--contract", tmp_path / "contract.json").returncode == 0
    assert read_contract(foreign).classes == ("BPSK", "QPSK", "unknown")
    listed = amrq("models", environment={"AMRQ_MODELS": str(tmp_path)})
    assert listed.returncode == 0
    assert all(name in listed.stdout for name in ("foreign", "mine", "blind-full-int8"))
    shown = amrq("model", "show", "default")
    assert "4ASK, 8ASK, BPSK" in shown.stdout and "unit-rms" in shown.stdout
    refused(
        amrq_here(capfd, "model", "annotate", foreign, "--contract", tmp_path / "nothing.json"),
        "cannot be read",
    )


def test_rtl_of_one_of_the_thesis_s_networks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    models = ROOT / "docs" / "thesis" / "models"
    eight = models / "vgglike_2f_2c_2re_2mp_8bit_pr_20.onnx"
    made = amrq("rtl", eight, "-o", tmp_path / "out", "--lanes", 64, "--chunks", 16)
    assert made.returncode == 0, made.stderr
    assert "a chunk every 6830 clocks, 6789 clocks" in made.stdout
    readme = (tmp_path / "out" / "README.md").read_text()
    assert (
        "64 multipliers compute 4 layers one after the other" in readme
        and "| symbol_1 | 16 x 51 | 75 |" in readme
    )
    refused(
        amrq_here(capfd, "rtl", eight, "-o", tmp_path, "--architecture", "pipeline"),
        "needs the architecture 'array'",
    )
    refused(amrq_here(capfd, "rtl", "coherent-small-int4", "-o", tmp_path, "--lanes", 4), "leave --lanes out")
    assert "onnx" in sys.modules  # a second import of its extensions would end the process
    refused(
        amrq_here(capfd, "rtl", models / "vgglike_2f_2c_2re_2mp_pr_20.onnx", "-o", tmp_path),
        "in floating point",
    )
    assert amrq("rtl", eight, "-o", tmp_path, "--architecture", "systolic").returncode == 2


def test_a_command_starts_without_what_others_need() -> None:
    code = (
        "import sys, typer.main; from amrq.cli.main import app; typer.main.get_command(app).commands['live']; "
        "print(*(name for name in sys.modules if name.startswith('amrq.cli.'))); "
        "print(*({'amrq.sweep', 'amrq.hardware.rtl', 'amrq.training', 'amrq.likelihood'} & set(sys.modules)))"
    )
    commands, others = python("-c", code).stdout.splitlines()
    assert set(commands.split()) == {f"amrq.cli.{name}" for name in ("main", "app", "live", "views")}
    assert not others


def test_version() -> None:
    result = amrq("--version")
    assert result.returncode == 0 and result.stdout.startswith("amrq ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["--offset", "1M", "--symbol-rate", "25k"],
            "--offset 1 MHz is outside the band of -50 kHz to 50 kHz.",
        ),
        (["--symbol-rate", "90k"], "--rate 100 kS/s is below twice the --symbol-rate 90 kBd: "),
        (
            ["--symbol-rate", "25k", "--channel-bandwidth", "10"],
            "--channel-bandwidth 10 Hz is outside 25 kHz to 75 kHz",
        ),
        (["--start", "10"], "--start 10 s is after the end of "),
        (["--start", "10", "--symbol-rate", "25k"], "--start 10 s is after the end of "),
    ],
)
def test_values_that_do_not_fit_the_recording_are_named_as_options(
    capfd: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    refused(amrq_here(capfd, "classify", QPSK, *given), said)

# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq classify` on recordings as people have them, and on pipes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE
from recording_files import CI16, COUNT, RATE, SIGNAL, auxi_chunk, wav_bytes, write_meta
from run_amrq import amrq, run, start_amrq

RAW = ("--rate", str(RATE), "--symbol-rate", "25k", "--json")


def said(result: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in result.stderr
    return [line.removeprefix("amrq: ") for line in result.stderr.splitlines() if line.startswith("amrq: ")]


def records(result: subprocess.CompletedProcess[str]) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def decided(found: list[dict]) -> list[dict]:
    """Decisions, but for the name of where they come from: the pieces in which samples are passed on change nothing."""
    return [record | {"source": ""} for record in found if "event" not in record]


def refused(words: str, *arguments: object, **options: object) -> None:
    result = amrq(*arguments, **options)  # type: ignore[arg-type]
    (line,) = said(result)
    assert (result.returncode, result.stdout) == (2, "") and words in line


def test_every_file_as_it_is_found(tmp_path: Path) -> None:
    """One run over all of them: each is named QPSK, and what was put up with is said once."""
    data = CI16.tobytes()
    x = SIGNAL.copy()
    x[12_000] = np.nan
    mono = (SIGNAL * np.exp(2j * np.pi * 0.2 * np.arange(COUNT))).real
    (tmp_path / "two.dat").write_bytes(
        b"\x7f" * 4 + data[: len(data) // 2] + b"\x7f" * 4 + data[len(data) // 2 :]
    )
    headers = [{"sample_start": start, "header_bytes": 4} for start in (0, COUNT // 2)]
    write_meta(tmp_path / "two.sigmf-meta", "ci16_le", headers, dataset="two.dat")
    (tmp_path / "odd.dat").write_bytes(b"\x7f" * 43 + data)
    odd = [{"sample_start": 0, "header_bytes": 43}]
    write_meta(tmp_path / "odd.sigmf-meta", "ci16_le", odd, dataset="odd.dat")
    SIGNAL.tofile(tmp_path / "offset.sigmf-data")
    capture = [{"sample_start": 10**6, "frequency": 433.9e6, "datetime": "2024-01-01T00:00:10Z"}]
    label = [{"sample_start": 10**6, "sample_count": COUNT, "label": "QPSK\x1b[31m"}]
    write_meta(tmp_path / "offset.sigmf-meta", "cf32_le", capture, label, offset=10**6)
    SIGNAL.tofile(tmp_path / "text.sigmf-data")
    write_meta(tmp_path / "text.sigmf-meta", sample_rate="100000")
    (tmp_path / "killed.wav").write_bytes(wav_bytes(data, data_size=0, riff_size=36))
    (tmp_path / "wrapped.wav").write_bytes(wav_bytes(data, data_size=4000))
    hdsdr = "HDSDR_20240517_123456Z_145900kHz_RF.wav"
    (tmp_path / hdsdr).write_bytes(wav_bytes(data, before=((b"auxi", auxi_chunk(145_900_000)),)))
    gqrx = "gqrx_20240517_123456_145900000_100000_fc.raw"
    SIGNAL.tofile(tmp_path / gqrx)
    (tmp_path / "partial.cf32").write_bytes(SIGNAL.tobytes()[:-3])
    x.tofile(tmp_path / "nan.cf32")
    (tmp_path / "mono.wav").write_bytes(wav_bytes(np.round(mono * 32767).astype("<i2").tobytes(), channels=1))
    expected: dict[str, tuple[str, ...]] = {
        "two.sigmf-meta": (),
        "odd.sigmf-meta": (),
        "offset.sigmf-meta": (),
        "text.sigmf-meta": ('must be a number, not "100000"',),
        "killed.wav": ("says 0 bytes",),
        "wrapped.wav": ("less than the file holds",),
        hdsdr: ("from the auxi chunk",),
        gqrx: ("from the name of",),
        "partial.cf32": ("5 bytes of a cf32 sample, left out",),
        "nan.cf32": ("counted as not finite",),
        "mono.wav": ("one channel of real samples", "the signal is at 20"),
    }
    result = amrq("classify", *(tmp_path / name for name in expected), *RAW)
    lines = said(result)
    assert result.returncode == 2 and lines[-1] == "1 of 11 files failed."
    by_name: dict[str, list[dict]] = {name: [] for name in expected}
    for record in records(result):
        by_name[Path(record["source"]).name].append(record)
    for name, words in expected.items():
        mine = [line for line in lines[:-1] if name in line]
        assert len(mine) == len(words) and all(a in b for a, b in zip(words, mine, strict=True)), (name, mine)
        labels = [record["label"] for record in by_name[name]]
        if name == "text.sigmf-meta":
            assert labels == []
        else:
            assert set(labels) == {"QPSK"} and len(labels) >= 5, (name, labels)
            chunks = sum(record["chunks"] for record in by_name[name])
            assert chunks >= COUNT // 4 // 32 - 3, name
    first = by_name["offset.sigmf-meta"][0]
    assert first["utc"].startswith("2024-01-01T00:00:10.0000")  # to the first symbol, within 0.1 ms
    assert first["frequency_hz"] == 433.9e6
    assert first["truth"] == "QPSK\\x1b[31m"
    assert by_name[hdsdr][0]["utc"].startswith("2024-05-17T12:34:56.7890")
    assert by_name[gqrx][0]["utc"].startswith("2024-05-17T12:34:56.0000")
    assert by_name[hdsdr][0]["frequency_hz"] == by_name[gqrx][0]["frequency_hz"] == 145.9e6


def test_raw_and_sigmf_of_the_same_weak_bytes_give_the_same(tmp_path: Path) -> None:
    """Two and a half steps of a converter: half a step beside the middle would be a line as strong as "
    "the signal's noise."""
    values = np.round(SIGNAL.view(np.float32) * 2.5 + 127.5 + 0.2).astype(np.uint8)
    values.tofile(tmp_path / "r.cu8")
    values.tofile(tmp_path / "r.sigmf-data")
    meta = write_meta(tmp_path / "r.sigmf-meta", "cu8")
    pieces = records(amrq("classify", tmp_path / "r.cu8", meta, *RAW))
    raw, other = ([r for r in pieces if r["source"].endswith(end)] for end in ("cu8", "meta"))
    assert len(raw) == len(other) >= 5
    assert decided(raw) == decided(other)


def test_pipes_lose_nothing(tmp_path: Path) -> None:
    """Without a symbol rate: what was looked at for it is classified as well."""
    SIGNAL.tofile(tmp_path / "r.cf32")
    options = ("--rate", RATE, "--json", "--format", "cf32")
    file = records(amrq("classify", tmp_path / "r.cf32", *options))
    with (tmp_path / "r.cf32").open("rb") as standard_input:
        cat = subprocess.Popen(["cat"], stdin=standard_input, stdout=subprocess.PIPE)
        piped = records(amrq("classify", "-", *options, stdin=cat.stdout))
        assert cat.stdout is not None
        cat.stdout.close()
        cat.wait(PATIENCE)
    os.mkfifo(tmp_path / "fifo.cf32")
    writer = threading.Thread(target=lambda: (tmp_path / "fifo.cf32").write_bytes(SIGNAL.tobytes() + b"abc"))
    writer.start()
    result = amrq("classify", tmp_path / "fifo.cf32", *options[:3])  # its name tells the format
    writer.join(PATIENCE)
    fifo = records(result)
    assert any("ended with 3 bytes of a cf32 sample, left out" in line for line in said(result))
    for others in (piped, fifo):
        assert decided(others) == decided(file)
    assert piped[0]["source"] == "standard input" and len(file) >= 5


@pytest.mark.skipif(shutil.which("bash") is None, reason="a shell with <( ) is not here")
def test_a_part_of_what_a_shell_substitutes(tmp_path: Path) -> None:
    SIGNAL.tofile(tmp_path / "r.cf32")
    options = "--format cf32 --rate 100k --symbol-rate 25k --start 0.05 --duration 0.1 --json"
    result = run(
        ["bash", "-c", f"exec '{sys.executable}' -m amrq classify <(cat r.cf32) {options}"], cwd=tmp_path
    )
    found = records(result)
    assert 0.05 <= found[0]["time"] < 0.052 and result.returncode == 0, result.stderr
    assert sum(record["chunks"] for record in found) in range(72, 80)  # 0.1 s hold 2,500 symbols, 78 chunks


def test_pipes_that_cannot_be_read_are_one_sentence(tmp_path: Path) -> None:
    raw = ("--format", "cu8", "--rate", "1e5")
    refused("does not state its format", "classify", "-")
    refused("holds no samples", "classify", "-", *raw)
    refused(
        "--annotate needs a SigMF recording", "classify", "-", *raw, "--annotate", tmp_path / "a.sigmf-meta"
    )


def test_waiting_for_a_pipe_is_interrupted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.cf32")
    process = start_amrq("classify", tmp_path / "fifo.cf32", "--rate", "1e5", stdout=None)
    # Once a writer can open the other end, the command is waiting for it.
    with (tmp_path / "fifo.cf32").open("wb"):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (130, "")


def test_names_that_are_empty() -> None:
    for command in (("classify",), ("live", "--file")):
        refused("is empty", *command, "")


def test_live_plays_one_of_a_collection_and_says_so(tmp_path: Path) -> None:
    for name in ("first", "second"):
        SIGNAL.tofile(tmp_path / f"{name}.sigmf-data")
        write_meta(tmp_path / f"{name}.sigmf-meta")
    path = tmp_path / "both.sigmf-collection"
    path.write_text(json.dumps({"collection": {"core:streams": [{"name": "first"}, {"name": "second"}]}}))
    played = ("live", "--file", path, "--symbol-rate", "25k", "--json")
    result = amrq(*played)
    assert {record["label"] for record in records(result)} == {"QPSK"}
    assert any("first is read; --recording NAME" in line for line in said(result))
    assert said(amrq(*played, "--recording", "second")) == []
    refused("--recording belongs to", "live", "--stdin", "--rate", "1e5", "--recording", "x")

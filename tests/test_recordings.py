# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading recordings."""

from pathlib import Path

import numpy as np
import pytest
import sigmf
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import rng

from amrq.errors import AmrqError
from amrq.recordings import open_recording

SAMPLES = (rng("recordings").uniform(-0.9, 0.9, (3000, 2)) @ [1, 1j]).astype(np.complex64)


def write_sigmf(
    folder: Path, datatype: str = "cf32_le", samples: np.ndarray = SAMPLES, **info: object
) -> Path:
    data = folder / "r.sigmf-data"
    values = samples.astype(np.complex64).view(np.float32)
    if datatype == "ci16_le":
        values = np.round(values * 32768).astype("<i2")
    elif datatype == "ci8":
        values = np.round(values * 128).clip(-128, 127).astype("i1")
    values.tofile(data)
    meta = sigmf.SigMFFile(
        data_file=str(data), global_info={"core:datatype": datatype, "core:sample_rate": 48e3} | info
    )
    meta.add_capture(0, {"core:frequency": 437.5e6})
    meta.add_annotation(100, 200, {"core:label": "BPSK"})
    meta.tofile(str(folder / "r.sigmf-meta"))
    return folder / "r.sigmf-meta"


@pytest.mark.parametrize(("datatype", "step"), [("cf32_le", 1e-9), ("ci16_le", 2**-15), ("ci8", 2**-7)])
@pytest.mark.parametrize("suffix", ["meta", "data", ""])
def test_sigmf(tmp_path: Path, datatype: str, step: float, suffix: str) -> None:
    path = write_sigmf(tmp_path, datatype).with_suffix(f".sigmf-{suffix}" if suffix else "")
    recording = open_recording(path)
    assert (recording.length, recording.sample_rate, recording.tunings) == (3000, 48e3, ((0, 437.5e6),))
    (annotation,) = recording.annotations
    assert (annotation.start, annotation.count, annotation.label) == (100, 200, "BPSK")
    np.testing.assert_allclose(recording.read(1000, 500), SAMPLES[1000:1500], atol=step)
    assert len(recording.read(2990, 100)) == 10


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 3100), count=st.integers(0, 3100))
def test_any_piece_of_any_format(tmp_path_factory: pytest.TempPathFactory, start: int, count: int) -> None:
    folder = tmp_path_factory.mktemp("pieces")
    SAMPLES.tofile(folder / "r.cf32")
    np.round(SAMPLES.view(np.float32) * 32768).astype("<i2").tofile(folder / "r.ci16")
    np.round(SAMPLES.view(np.float32) * 128).astype("i1").tofile(folder / "r.ci8")
    np.round(SAMPLES.view(np.float32) * 127.5 + 127.5).astype("u1").tofile(folder / "r.cu8")
    stereo = np.stack([SAMPLES.real, SAMPLES.imag], axis=1)
    soundfile.write(str(folder / "r.wav"), stereo, 48000, subtype="PCM_16")
    for name, step in (
        ("r.cf32", 0),
        ("r.ci16", 2**-15),
        ("r.ci8", 2**-7),
        ("r.cu8", 2**-7),
        ("r.wav", 2**-14),
    ):
        recording = open_recording(folder / name, sample_rate=48e3)
        piece = recording.read(start, count)
        assert piece.dtype == np.complex64
        np.testing.assert_allclose(piece, SAMPLES[start : start + count], atol=step)


def test_wav_tells_its_rate(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "r.wav"), np.zeros((10, 2)), 192000, subtype="FLOAT")
    assert open_recording(tmp_path / "r.wav").sample_rate == 192000
    assert open_recording(tmp_path / "r.wav", sample_rate=96e3).sample_rate == 96e3


def refused(words: str, *arguments: object, **settings_: object) -> None:
    with pytest.raises(AmrqError, match=words) as caught:
        recording = open_recording(*arguments, **settings_)  # type: ignore[arg-type]
        recording.read(0, recording.length)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.cf32").touch()
    (tmp_path / "odd.ci16").write_bytes(b"12345")
    (tmp_path / "thing.xyz").write_bytes(b"12345678")
    (tmp_path / "fake.wav").write_bytes(b"RIFF nothing")
    soundfile.write(str(tmp_path / "four.wav"), np.zeros((10, 4)), 8000)
    SAMPLES.tofile(tmp_path / "good.cf32")
    rng("integers").integers(-300, 300, 4000).astype("<i2").tofile(tmp_path / "integers.cf32")
    refused("no file", tmp_path / "missing.cf32", sample_rate=1.0)
    refused("is a folder", tmp_path)
    refused("holds no samples", tmp_path / "empty.cf32", sample_rate=1.0)
    refused("less than one cf32 sample", tmp_path / "odd.ci16", "cf32", sample_rate=1.0)
    refused("does not state its sample rate", tmp_path / "odd.ci16")
    refused(r"suffix.*--format", tmp_path / "thing.xyz")
    refused("no format 'mp3'", tmp_path / "thing.xyz", "mp3")
    refused("cannot be read as a wav", tmp_path / "fake.wav")
    refused("4 channels: I/Q has two", tmp_path / "four.wav")
    refused("no receiver writes as cf32", tmp_path / "integers.cf32", sample_rate=1.0)
    refused("sample rate .* above 0", tmp_path / "good.cf32", sample_rate=-5.0)


def test_broken_sigmf_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = write_sigmf(tmp_path)
    meta, data = path.read_text(), path.with_suffix(".sigmf-data")
    whole = data.read_bytes()
    data.write_bytes(whole[:-8])
    refused("core:sha512 .* remove core:sha512 from the metadata", path)
    data.unlink()
    refused("no data", path)
    data.write_bytes(whole)
    path.write_text(meta[: len(meta) // 2])
    refused("cannot be read as a SigMF", path)
    path.write_text("[]")
    refused("cannot be read as a SigMF", path)
    path.write_text(meta.replace("cf32_le", "cq77"))
    refused("'cq77', which SigMF does not know", path)
    path.write_text(meta.replace('"core:sample_rate": 48000.0,', ""))
    refused("does not state its sample rate", path)


def test_cut_sigmf_without_a_checksum_is_read_with_a_note(tmp_path: Path) -> None:
    path = write_sigmf(tmp_path, "ci16_le")
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "sha512" not in line))
    data = path.with_suffix(".sigmf-data")
    data.write_bytes(data.read_bytes()[:-3])
    recording = open_recording(path)
    assert recording.length == 2999
    (note,) = recording.notes
    assert "end with 1 byte of a ci16_le sample, left out" in note


def test_truth_of_overlapping_annotations(tmp_path: Path) -> None:
    path = write_sigmf(tmp_path)
    meta = sigmf.fromfile(str(path))
    for start, count, label in ((0, 900, "QPSK"), (500, 50, "8PSK"), (900, 10, "QPSK"), (2000, 5, "")):
        meta.add_annotation(start, count, {"core:label": label})
    meta.add_capture(1000, {"core:frequency": 438e6})
    meta.tofile(str(path), overwrite=True)
    recording = open_recording(path)
    assert recording.tunings == ((0, 437.5e6), (1000, 438e6))
    # write_sigmf itself has BPSK on samples 100 to 299.
    assert recording.truths() == [
        (0, "QPSK"),
        (100, "BPSK"),
        (300, "QPSK"),
        (500, "8PSK"),
        (550, "QPSK"),
        (910, None),
    ]

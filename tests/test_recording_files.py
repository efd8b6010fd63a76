# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings as people have them: files that are not as their formats plan them."""

import io
import json
import os
import struct
import tarfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import sigmf
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording_files import CI16, COUNT, RATE, SIGNAL, auxi_chunk, wav_bytes, write_meta
from run_amrq import python
from seeds import SEED, rng

from amrq.errors import AmrqError
from amrq.identify import FoundSignal
from amrq.labels import labelled_spans
from amrq.live import RecordingOptions, find_in_recording, recording_origin
from amrq.measure import SymbolRate, find_signals
from amrq.outputs import AnnotationFile
from amrq.recordings import RAW_FORMATS, Recording, SampleStream, open_recording
from amrq.signals import ModulatedSignal, Schedule
from amrq.text import counted

BEGUN = datetime(2024, 5, 17, 12, 34, 56, tzinfo=timezone.utc)


def whole(recording: Recording) -> np.ndarray:
    """All of it, in pieces whose ends fall anywhere."""
    return np.concatenate([recording.read(start, 1000 + 7) for start in range(0, recording.length, 1000 + 7)])


def same(recording: Recording, samples: np.ndarray = SIGNAL, step: float = 2**-14) -> None:
    assert recording.length == len(samples)
    np.testing.assert_allclose(whole(recording), samples, atol=step)


def refused(words: str, *arguments: object, **options: object) -> None:
    with pytest.raises(AmrqError, match=words) as caught:
        open_recording(*arguments, **options)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()


# SigMF


def test_bytes_in_front_of_any_capture_are_no_samples(tmp_path: Path) -> None:
    data = (
        b"\x7f" * 43
        + CI16[:20_000].tobytes()
        + b"\x7f" * 4
        + CI16[20_000:30_000].tobytes()
        + CI16[30_000:].tobytes()
    )
    (tmp_path / "r.dat").write_bytes(data + b"\x7f" * 5)
    captures = [
        {"sample_start": 0, "header_bytes": 43},
        {"sample_start": 10_000, "header_bytes": 4, "frequency": 1e6},
        {"sample_start": 15_000},
    ]
    path = write_meta(tmp_path / "r.sigmf-meta", "ci16_le", captures, dataset="r.dat", trailing_bytes=5)
    recording = open_recording(path)
    same(recording)
    assert (recording.notes, recording.tunings) == ((), ((10_000, 1e6),))
    np.testing.assert_allclose(recording.read(9_990, 20), SIGNAL[9_990:10_010], atol=2**-14)


def test_captures_need_not_begin_with_the_data(tmp_path: Path) -> None:
    (tmp_path / "r.dat").write_bytes(CI16[:200].tobytes() + b"\x7f" * 6 + CI16[200:].tobytes())
    captures = [{"sample_start": 100, "header_bytes": 6, "frequency": 145e6}]
    recording = open_recording(write_meta(tmp_path / "r.sigmf-meta", "ci16_le", captures, dataset="r.dat"))
    same(recording)
    assert recording.tunings == ((100, 145e6),)


def test_captures_behind_the_end_of_the_data_are_left_out(tmp_path: Path) -> None:
    SIGNAL.tofile(tmp_path / "r.sigmf-data")
    captures = [{"sample_start": 0}, {"sample_start": COUNT}, {"sample_start": 2 * COUNT, "frequency": 1e6}]
    recording = open_recording(write_meta(tmp_path / "r.sigmf-meta", captures=captures))
    same(recording)
    assert recording.tunings == ()
    recording = open_recording(write_meta(tmp_path / "r.sigmf-meta", captures=[captures[0], captures[2]]))
    same(recording)
    assert "1 of 2 captures in" in recording.notes[0]
    refused(
        "holds no samples",
        write_meta(tmp_path / "r.sigmf-meta", captures=[{"sample_start": 0, "header_bytes": 10**9}]),
    )


def offset_meta(folder: Path, **info: object) -> Path:
    SIGNAL.tofile(folder / "r.sigmf-data")
    captures = [{"sample_start": 10**6, "frequency": 433.9e6, "datetime": "2024-01-01T00:00:10Z"}]
    annotations = [
        {"sample_start": 10**6 - 50, "sample_count": 60, "label": "BPSK"},
        {
            "sample_start": 10**6 + 200,
            "sample_count": 100,
            "label": "QPSK",
            "freq_lower_edge": 433.9e6,
            "freq_upper_edge": 434e6,
        },
    ]
    return write_meta(folder / "r.sigmf-meta", "cf32_le", captures, annotations, **info)


def test_indices_count_from_the_offset(tmp_path: Path) -> None:
    recording = open_recording(offset_meta(tmp_path, offset=10**6))
    assert recording.begun == datetime(2024, 1, 1, 0, 0, 10, tzinfo=timezone.utc)
    assert (recording.first_index, recording.tunings, recording.notes) == (10**6, ((0, 433.9e6),), ())
    assert recording.truths() == [(0, "BPSK"), (10, None), (200, "QPSK"), (300, None)]
    assert recording.annotations[1].band == (0.0, 1e5)


def test_an_offset_that_is_missing_or_not_counted_is_seen(tmp_path: Path) -> None:
    recording = open_recording(offset_meta(tmp_path))
    assert recording.first_index == 10**6 and recording.tunings == ((0, 433.9e6),)
    assert "core:offset is missing" in recording.notes[0]
    path = write_meta(tmp_path / "r.sigmf-meta", captures=[{"sample_start": 0, "frequency": 1e6}], offset=500)
    recording = open_recording(path)
    assert (recording.first_index, recording.tunings) == (0, ((0, 1e6),))
    assert "before its core:offset of 500" in recording.notes[0]


def test_time_goes_on_behind_a_gap(tmp_path: Path) -> None:
    """Captures as the recorder writes them: the second begins 3 s late, the third where the second ends."""
    SIGNAL.tofile(tmp_path / "r.sigmf-data")
    times = ("2024-01-01T00:00:10.5Z", "2024-01-01T00:00:13.6Z", "2024-01-01T00:00:13.6500002+00:00")
    captures = [
        {"sample_start": 10_000 + place * 5_000, "datetime": time} for place, time in enumerate(times)
    ]
    captures[1]["sample_start"] = 20_000
    captures[2]["sample_start"] = 25_000
    path = write_meta(tmp_path / "r.sigmf-meta", captures=captures, offset=10_000)
    recording = open_recording(path)
    begun = datetime(2024, 1, 1, 0, 0, 10, 500_000, tzinfo=timezone.utc)
    assert recording.begun == recording.received(0) == begun
    assert recording.received(9_999) == begun + timedelta(seconds=0.09999)
    assert recording.received(10_100) == begun + timedelta(seconds=3.101)
    assert recording.gaps() == (10_000,)
    origin = recording_origin(recording, "default", FoundSignal(0.0, SymbolRate(25e3, 1.0)))
    assert origin.moment(0.09) == begun + timedelta(seconds=0.09)
    assert origin.moment(0.11) == begun + timedelta(seconds=3.11)
    for odd in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        recording = open_recording(write_meta(path, captures=[{"sample_start": 0, "datetime": odd}]))
        assert recording.begun is None and "in no plausible year" in recording.notes[0]


def test_annotations_are_written_with_the_offset(tmp_path: Path) -> None:
    path = offset_meta(tmp_path, offset=10**6)
    out = AnnotationFile(path, tmp_path / "o.sigmf-meta", bandwidth=1e3)
    record = {
        "time": 0.1,
        "duration": 0.01,
        "symbol_index": 0,
        "symbol_count": 10,
        "label": "QPSK",
        "confidence": 1.0,
    }
    more = {"chunks": 1, "frequency_hz": None, "model": "m", "reason": "named", "best": "QPSK"}
    out.write(record | more)
    out.close()
    (mine,) = [
        a for a in json.loads((tmp_path / "o.sigmf-meta").read_text())["annotations"] if "core:generator" in a
    ]
    assert (mine["core:sample_start"], mine["core:sample_count"]) == (10**6 + 10_000, 1000)


@pytest.mark.parametrize(
    ("datatype", "dtype", "scale", "middle"),
    [
        ("cu8", "u1", 127.5, 127.5),
        ("cu16_le", "<u2", 32767.5, 32767.5),
        ("ci8", "i1", 128, 0),
        ("ci16_be", ">i2", 32768, 0),
        ("ci32_le", "<i4", 2**31, 0),
        ("cf64_be", ">f8", 1, 0),
        ("CF32_LE", "<f4", 1, 0),
    ],
)
def test_every_datatype(tmp_path: Path, datatype: str, dtype: str, scale: float, middle: float) -> None:
    values = SIGNAL.view(np.float32).astype(float) * 0.9 * scale + middle
    (values if "f" in dtype else np.round(values)).astype(dtype).tofile(tmp_path / "r.sigmf-data")
    recording = open_recording(write_meta(tmp_path / "r.sigmf-meta", datatype))
    same(recording, SIGNAL * np.float32(0.9), max(1.1 / scale, 1e-6) if scale > 1 else 1e-6)
    assert bool(recording.notes) == datatype.isupper()


def test_the_zero_of_unsigned_bytes_is_the_same_in_every_reader(tmp_path: Path) -> None:
    data = bytes(range(256))
    expected = (np.arange(256, dtype=np.float32) - 127.5) / 127.5
    (tmp_path / "r.sigmf-data").write_bytes(data)
    (tmp_path / "r.cu8").write_bytes(data)
    (tmp_path / "r.wav").write_bytes(wav_bytes(data, bits=8))
    write_meta(tmp_path / "r.sigmf-meta", "cu8")
    for name in ("r.sigmf-meta", "r.cu8", "r.wav"):
        samples = open_recording(tmp_path / name, sample_rate=1.0).read(0, 128)
        np.testing.assert_allclose(samples.view(np.float32), expected, atol=1e-7)
    np.testing.assert_allclose(
        RAW_FORMATS["cu8"].decode(np.arange(256, dtype=np.uint8)).view(np.float32), expected, atol=1e-7
    )


def archive(path: Path, names: tuple[str, ...]) -> Path:
    with tarfile.open(path, "w") as out:
        for place, name in enumerate(names):
            write_meta(path.with_suffix(".tmp"), "ci16_le", sample_rate=RATE + place)
            meta = path.with_suffix(".tmp").read_bytes()
            for suffix, content in (
                (".sigmf-meta", meta),
                (".sigmf-data", np.roll(CI16, 2 * place).tobytes()),
            ):
                member = tarfile.TarInfo(name + suffix)
                member.size = len(content)
                out.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("size", [-512, -1024, -1, -(1 << 40)])
def test_an_archive_with_a_size_below_0_is_not_walked_for_ever(tmp_path: Path, size: int) -> None:
    first, second = (bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT)) for name in ("a", "b"))
    second[124:136] = (size & ((1 << 96) - 1)).to_bytes(12, "big")
    second[148:156] = b" " * 8
    second[148:156] = b"%06o\0 " % sum(second)
    (tmp_path / "x.sigmf").write_bytes(first + second + bytes(1024))
    code = "import sys; from amrq.recordings import *; open_recording(sys.argv[1])"
    walked = python("-c", code, tmp_path / "x.sigmf")
    # Newer Pythons end the walk by themselves.
    assert walked.stderr.splitlines()[-1].startswith("amrq.errors.RecordingError"), walked.stderr
    assert "a size below 0" in walked.stderr or "was cut off" in walked.stderr


def test_an_archive_of_two_recordings(tmp_path: Path) -> None:
    path = archive(tmp_path / "both.sigmf", ("a/first", "a/second"))
    recording = open_recording(path)
    same(recording)
    assert "of 2 recordings (a/first, a/second): a/first is read; --recording NAME" in recording.notes[0]
    for name in ("second", "a/second"):
        recording = open_recording(path, name=name)
        same(recording, np.roll(SIGNAL, 1))
        assert (recording.sample_rate, recording.notes) == (RATE + 1, ())
    refused("no recording 'third': it holds a/first, a/second", path, name="third")
    assert open_recording(archive(tmp_path / "one.sigmf", ("x",))).notes == ()
    data = path.read_bytes()
    (tmp_path / "cut.sigmf").write_bytes(data[: len(CI16) * 2])
    recording = open_recording(tmp_path / "cut.sigmf")
    assert 0 < recording.length < COUNT and "is cut" in recording.notes[0]
    (tmp_path / "zip.sigmf").write_bytes(b"PK\3\4" + bytes(600))
    refused("tar file without compression.*unpack it", tmp_path / "zip.sigmf")
    SIGNAL.tofile(tmp_path / "r.cf32")
    refused("holds one recording.*leave --recording out", tmp_path / "r.cf32", sample_rate=1.0, name="x")


def test_a_collection(tmp_path: Path) -> None:
    for place, name in enumerate(("first", "second")):
        np.roll(CI16, 2 * place).tofile(tmp_path / f"{name}.sigmf-data")
        write_meta(tmp_path / f"{name}.sigmf-meta", "ci16_le")
    path = tmp_path / "both.sigmf-collection"

    def write(*streams: object) -> Path:
        path.write_text(json.dumps({"collection": {"core:version": "1.2.0", "core:streams": list(streams)}}))
        return path

    recording = open_recording(write({"name": "first", "hash": "x"}, {"name": "second", "hash": "y"}))
    same(recording)
    assert "collection of 2 recordings (first, second): first is read" in recording.notes[0]
    same(open_recording(write(["first", "x"], ["second", "y"]), name="second"), np.roll(SIGNAL, 1))
    refused("its recording .*third.sigmf-meta is missing", write({"name": "third"}))
    refused("outside the recording's folder", write({"name": "../first"}))
    refused("collection without recordings", write())


def test_data_may_not_lie_outside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    SIGNAL.tofile(tmp_path / "out.dat")
    SIGNAL.tofile(folder / "in.dat")
    (folder / "link.dat").symlink_to(tmp_path / "out.dat")
    (folder / "inner.dat").symlink_to(folder / "in.dat")
    for name in (
        "../out.dat",
        str(tmp_path / "out.dat"),
        "link.dat",
        "/etc/passwd",
        "x/../../out.dat",
        "..",
        "a\0b",
    ):
        refused(
            "core:dataset .* outside the recording's folder",
            write_meta(folder / "r.sigmf-meta", dataset=name),
        )
    for name in ("in.dat", "./in.dat", "inner.dat"):
        same(open_recording(write_meta(folder / "r.sigmf-meta", dataset=name)))
    os.mkfifo(folder / "pipe.dat")
    refused("not an ordinary file", write_meta(folder / "r.sigmf-meta", dataset="pipe.dat"))


def test_a_checksum_that_does_not_fit_says_how_to_go_on(tmp_path: Path) -> None:
    SIGNAL.tofile(tmp_path / "r.sigmf-data")
    refused("remove core:sha512 from the metadata", write_meta(tmp_path / "r.sigmf-meta", sha512="0" * 128))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"sample_rate": "100000"}, 'core:sample_rate of .* must be a number, not "100000"'),
        ({"sample_rate": True}, "core:sample_rate of .* must be a number, not true"),
        ({"sample_rate": [1]}, "must be a number, not a list"),
        ({"sample_rate": None}, "does not state its sample rate"),
        ({"sample_rate": 0}, "must be a number above 0 Hz, not 0"),
        ({"datatype": 5}, "core:datatype of .* must be a text, not 5"),
        ({"datatype": None}, "lacks core:datatype, the format of its samples"),
        ({"datatype": "ci16"}, "core:datatype of .* is 'ci16', which SigMF does not know"),
        ({"num_channels": 2}, "2 channels: give a recording of one"),
        ({"num_channels": "1"}, "core:num_channels"),
        ({"offset": -1}, "core:offset of .* must be a whole number from 0 on, not -1"),
        ({"offset": 1.5}, "core:offset"),
        ({"trailing_bytes": {}}, "core:trailing_bytes of .* not an object"),
        ({"dataset": 3}, "core:dataset of .* must be a text"),
        ({"metadata_only": True}, "no data, as its core:metadata_only says"),
        ({"captures": [{}]}, "capture 0 in .* lacks core:sample_start"),
        ({"captures": [{"sample_start": None}]}, "capture 0 in .* lacks core:sample_start"),
        ({"captures": [{"sample_start": "0"}]}, "core:sample_start of capture 0"),
        ({"captures": [{"sample_start": 10**30}]}, "core:sample_start of capture 0"),
        ({"captures": [{"sample_start": 0, "header_bytes": -4}]}, "core:header_bytes of capture 0"),
        ({"captures": [{"sample_start": 0, "frequency": "1 MHz"}]}, "core:frequency of capture 0"),
        ({"captures": [{"sample_start": 0, "frequency": float("inf")}]}, "core:frequency of capture 0"),
        ({"captures": [{"sample_start": 0, "datetime": "yesterday"}]}, "core:datetime of capture 0"),
        ({"captures": {"sample_start": 0}}, "captures of .* must be a list, not an object"),
        ({"annotations": "none"}, "annotations of .* must be a list"),
        ({"annotations": [{"sample_count": 5}]}, "annotation 0 in .* lacks core:sample_start"),
        ({"annotations": [{"sample_start": 0, "label": 7}]}, "core:label of annotation 0"),
    ],
)
def test_a_field_that_is_not_what_it_must_be_is_one_sentence(
    tmp_path: Path, broken: dict, words: str
) -> None:
    SIGNAL.tofile(tmp_path / "r.sigmf-data")
    refused(words, write_meta(tmp_path / "r.sigmf-meta", **broken))


def test_fields_that_are_null_count_as_missing(tmp_path: Path) -> None:
    SIGNAL.tofile(tmp_path / "r.sigmf-data")
    captures = [{"sample_start": 0, "frequency": None, "datetime": None, "header_bytes": None}]
    annotations = [{"sample_start": 5, "sample_count": None, "label": None, "freq_lower_edge": None}]
    nothing = {"num_channels": None, "offset": None, "trailing_bytes": None, "dataset": None, "sha512": None}
    recording = open_recording(
        write_meta(tmp_path / "r.sigmf-meta", "cf32_le", captures, annotations, **nothing)
    )
    same(recording)
    assert (recording.tunings, recording.begun, recording.annotations[0].label) == ((), None, "")
    (note,) = recording.notes
    assert "core:offset" in note and "is null, and taken as missing" in note
    same(open_recording(write_meta(tmp_path / "r.sigmf-meta", sample_rate=None), sample_rate=1e5))
    path = tmp_path / "r.sigmf-meta"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"captures": None, "annotations": None}))
    same(open_recording(path, sample_rate=1e5))


def test_what_is_no_metadata_is_one_sentence(tmp_path: Path) -> None:
    SIGNAL.tofile(tmp_path / "r.sigmf-data")
    for content, words in (
        (b"\xaa\xbb", "it is no JSON: byte 0 is not UTF-8"),
        (b"\xff\xfe{}", "it is no JSON"),
        (b"", "it is no JSON"),
        (b"{", "it is no JSON"),
        (b"[]", "it is no JSON object"),
        (b'"x"', "it is no JSON object"),
        (b"[" * 200_000, "its JSON is nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "too many digits|lacks 'global'"),
        (b"{}", "not a SigMF recording: it lacks 'global'"),
        (b'{"global": null}', "not a SigMF recording: it lacks 'global'"),
        (b'{"global": 5}', "global of .* must be an object, not 5"),
        (b'{"global": []}', "global of .* must be an object, not a list"),
    ):
        (tmp_path / "r.sigmf-meta").write_bytes(content)
        refused(words, tmp_path / "r.sigmf-meta")
    (tmp_path / "alone.sigmf-data").write_bytes(bytes(80))
    refused("has no metadata.*--format would read it as raw", tmp_path / "alone.sigmf-data")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_metadata_in_any_encoding_of_json(tmp_path: Path, encoding: str) -> None:
    SIGNAL.tofile(tmp_path / "r.sigmf-data")
    path = write_meta(tmp_path / "r.sigmf-meta", annotations=[{"sample_start": 0, "label": "Ångström"}])
    path.write_bytes(json.dumps(json.loads(path.read_text()), ensure_ascii=False).encode(encoding))
    recording = open_recording(path)
    same(recording)
    assert (recording.annotations[0].label, recording.notes) == ("Ångström", ())


def test_a_time_without_its_zone_is_taken_as_utc(tmp_path: Path) -> None:
    SIGNAL.tofile(tmp_path / "r.sigmf-data")
    for text, notes in (
        ("2024-05-17T12:34:56Z", 0),
        ("2024-05-17T14:34:56+02:00", 0),
        ("2024-05-17T12:34:56.000", 1),
    ):
        captures = [{"sample_start": 0, "datetime": text}]
        recording = open_recording(write_meta(tmp_path / "r.sigmf-meta", captures=captures))
        assert recording.begun == BEGUN
        assert len(recording.notes) == notes and all("no time zone" in note for note in recording.notes)


def test_an_archive_that_is_cut_before_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.sigmf"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("a.sigmf-data")
        member.size = SIGNAL.nbytes
        archive.addfile(member, io.BytesIO(SIGNAL.tobytes()))
    path.write_bytes(path.read_bytes()[:30_000])
    refused("without SigMF metadata .*, or was cut off before it", path)


def test_labels_cannot_steer_a_terminal(tmp_path: Path) -> None:
    SIGNAL.tofile(tmp_path / "r.sigmf-data")
    annotations = [{"sample_start": 0, "sample_count": 9, "label": "QPSK\x1b[2J\n", "generator": "\x9b31m"}]
    (annotation,) = open_recording(write_meta(tmp_path / "r.sigmf-meta", annotations=annotations)).annotations
    assert (
        annotation.label.isprintable()
        and annotation.label.startswith("QPSK")
        and annotation.generator.isprintable()
    )


def test_many_annotations_are_read_as_one_after_the_other(tmp_path: Path) -> None:
    """Against the rule written down plainly."""
    random, count = rng("many annotations"), 30_000
    starts = np.sort(random.integers(0, 10 * count, count))
    annotations = [
        {"sample_start": int(start), "sample_count": 1 + place % 97, "label": ["QPSK", "BPSK"][place % 2]}
        for place, start in enumerate(starts)
    ]
    np.zeros(10 * count, np.complex64).tofile(tmp_path / "r.sigmf-data")
    recording = open_recording(write_meta(tmp_path / "r.sigmf-meta", annotations=annotations))
    truths = recording.truths()
    changes = np.array([sample for sample, _ in truths])
    spans = [(a.start, a.start + a.count, a.label) for a in recording.annotations]
    for sample in random.integers(0, 10 * count, 300):
        inside = [span for span in spans if span[0] <= sample < span[1]]
        place = int(np.searchsorted(changes, sample, side="right")) - 1
        assert (truths[place][1] if place >= 0 else None) == (max(inside)[2] if inside else None)
    assert len(labelled_spans(recording).spans) > 1000
    out = AnnotationFile(tmp_path / "r.sigmf-meta", tmp_path / "o.sigmf-meta")
    out.set_samples(1e5, 0)
    assert len(out._former) == count


# wav


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, None),
        ({"data_size": 0, "riff_size": 36}, "says 0 bytes"),
        ({"data_size": 4000}, "less than the file holds"),
        ({"data_size": 0xFFFFFFFF, "riff_size": 0xFFFFFFFF}, "says no size"),
        ({"data_size": 10**9}, "more than the file holds"),
        ({"riff_size": 36}, None),
        ({"riff_size": 0}, None),
        ({"behind": ((b"LIST", b"INFO" + bytes(50)),)}, None),
        ({"behind": ((b"abcd", bytes(11)), (b"efgh", b""))}, None),
        ({"behind": ((b"LIST", b"cut"),)}, None),
    ],
)
def test_a_size_in_a_wav_header_that_is_not_true(tmp_path: Path, sizes: dict, words: str | None) -> None:
    (tmp_path / "r.wav").write_bytes(wav_bytes(CI16.tobytes(), **sizes))
    recording = open_recording(tmp_path / "r.wav")
    same(recording)
    assert recording.sample_rate == RATE
    assert (words is None) == (recording.notes == ()) and (words is None or words in recording.notes[0])


def test_a_chunk_of_odd_size_without_its_padding(tmp_path: Path) -> None:
    data = wav_bytes(CI16.tobytes(), before=((b"LIST", b"INFOabc"),))
    same(open_recording(_written(tmp_path / "r.wav", data)))
    place = data.index(b"INFOabc") + 7
    same(open_recording(_written(tmp_path / "r.wav", data[:place] + data[place + 1 :])))


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_wav_that_is_cut(tmp_path: Path) -> None:
    data = wav_bytes(CI16.tobytes())
    (tmp_path / "r.wav").write_bytes(data[:-4001])
    recording = open_recording(tmp_path / "r.wav")
    same(recording, SIGNAL[:-1001])
    assert "more than the file holds" in recording.notes[0] and "3 bytes of a sample" in recording.notes[1]
    (tmp_path / "r.wav").write_bytes(data[:40])
    refused("no samples|no data chunk", tmp_path / "r.wav")
    (tmp_path / "r.wav").write_bytes(data[:30])
    refused("cannot be read as a wav file", tmp_path / "r.wav")


@pytest.mark.parametrize("container", ["FLAC", "W64"])
def test_other_containers_that_are_cut(tmp_path: Path, container: str) -> None:
    stereo = np.stack([SIGNAL.real, SIGNAL.imag], axis=1)
    path = tmp_path / f"r.{container.lower()}"
    soundfile.write(str(path), stereo, RATE, subtype="PCM_16", format=container)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    recording = open_recording(path)
    assert COUNT // 3 < recording.length < COUNT
    same(recording, SIGNAL[: recording.length])
    assert container == "W64" or "more samples than can be read" in recording.notes[0]


@pytest.mark.parametrize("kind", [b"RF64", b"BW64"])
@pytest.mark.parametrize("said", [len(CI16) * 2, 0, 1 << 63, 1 << 33])
def test_files_with_sizes_of_64_bits(tmp_path: Path, kind: bytes, said: int) -> None:
    sizes = (b"ds64", struct.pack("<QQQI", 1 << 33, said, said // 4, 0))
    data = wav_bytes(CI16.tobytes(), kind=kind, data_size=0xFFFFFFFF, riff_size=0xFFFFFFFF, before=(sizes,))
    (tmp_path / "r.wav").write_bytes(data)
    recording = open_recording(tmp_path / "r.wav")
    same(recording)
    assert (said == len(CI16) * 2) == (recording.notes == ())


def test_a_file_above_4_gib_is_read_to_its_end(tmp_path: Path) -> None:
    """Sparse: its size wraps truly, and its last samples lie behind 4 GiB."""
    data = wav_bytes(CI16.tobytes(), data_size=None)
    header, size = data[:44], (1 << 32) + len(CI16) * 2
    with (tmp_path / "r.wav").open("wb") as file:
        file.write(header[:40] + struct.pack("<I", size % (1 << 32)))
        file.write(CI16.tobytes())
        file.seek(44 + size - len(CI16) * 2)
        file.write(CI16.tobytes())
    recording = open_recording(tmp_path / "r.wav")
    assert recording.length == size // 4 and "wrap at 4 GiB" in recording.notes[0]
    np.testing.assert_allclose(recording.read(recording.length - COUNT, COUNT), SIGNAL, atol=2**-14)


SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "IMA_ADPCM")
KINDS_OF_SOUND = [
    (container, subtype)
    for container in ("WAV", "WAVEX", "RF64", "W64", "FLAC")
    for subtype in SUBTYPES
    if soundfile.check_format(container, subtype)
]


def test_there_are_as_many_kinds_of_sound_as_libsndfile_knows() -> None:
    # FLAC holds two of these kinds of numbers, WAVEX and RF64 all but IMA ADPCM.
    assert len(KINDS_OF_SOUND) == 5 * len(SUBTYPES) - 8


@pytest.mark.parametrize(("container", "subtype"), KINDS_OF_SOUND)
def test_every_kind_of_number_and_container(tmp_path: Path, subtype: str, container: str) -> None:
    stereo = np.stack([SIGNAL.real, SIGNAL.imag], axis=1)
    path = tmp_path / f"r.{container.lower().replace('x', '')}"
    path = path.with_suffix(".wav") if "WAV" in container else path
    soundfile.write(str(path), stereo, RATE, subtype=subtype, format=container)
    step = {"PCM_U8": 2**-6, "ALAW": 0.05, "IMA_ADPCM": 2}.get(subtype, 2**-14)
    recording = open_recording(path)
    if subtype == "IMA_ADPCM":  # whole blocks
        assert recording.length >= COUNT
    else:
        same(recording, SIGNAL, step)


@pytest.mark.parametrize("place", ["before", "behind"])
def test_what_sdr_programs_say_in_a_wav_file(tmp_path: Path, place: str) -> None:
    chunk = ((b"auxi", auxi_chunk(145_900_000)),)
    (tmp_path / "r.wav").write_bytes(wav_bytes(CI16.tobytes(), **{place: chunk}))
    recording = open_recording(tmp_path / "r.wav")
    same(recording)
    assert recording.begun == BEGUN + timedelta(milliseconds=789)
    assert recording.tunings == ((0, 145.9e6),)
    (note,) = recording.notes
    assert "auxi chunk" in note and "frequency 145.9 MHz" in note and "2024-05-17 12:34:56 UTC" in note


def test_the_chunk_and_the_name_complete_each_other(tmp_path: Path) -> None:
    chunk = ((b"auxi", auxi_chunk((5_800_123_456) % (1 << 32))),)
    path = tmp_path / "HDSDR_20240517_123456Z_5800123kHz_RF.wav"
    path.write_bytes(wav_bytes(CI16.tobytes(), before=chunk))
    assert open_recording(path).tunings == ((0, 5_800_123_456.0),)  # of a field of 32 bits
    xml = '<?xml version="1.0"?><SDR-XML-Root><Definition RadioCenterFreq="10489750000" UTCSeconds="1715949296"/>'
    path = tmp_path / "console.wav"
    path.write_bytes(
        wav_bytes(CI16.tobytes(), before=((b"auxi", (xml + "</SDR-XML-Root>").encode("utf-16-le")),))
    )
    recording = open_recording(path)
    assert (recording.tunings, recording.begun) == (((0, 10_489_750_000.0),), BEGUN)
    path.write_bytes(wav_bytes(CI16.tobytes(), before=((b"auxi", bytes(200)),)))
    assert (open_recording(path).tunings, open_recording(path).notes) == ((), ())


@pytest.mark.parametrize(
    ("name", "program", "frequency"),
    [
        ("HDSDR_20240517_123456Z_145900kHz_RF.wav", "HDSDR", 145.9e6),
        ("SDRSharp_20240517_123456Z_145900000Hz_IQ.wav", "SDR#", 145.9e6),
        ("SDRSharp_20240517_123456Z_12MHz_IQ.wav", "SDR#", 12e6),
        ("SDRuno_20240517_123456Z_10122kHz.wav", "SDRuno", 10.122e6),
        ("baseband_145900000Hz_12-34-56_17-05-2024.wav", "SDR++", 145.9e6),
        ("Baseband_145900000hz_12-34-56_17-05-2024.wav", "SDR++", 145.9e6),
        ("hdsdr_20240517_123456Z_145900khz_rf.WAV", "HDSDR", 145.9e6),
        ("Copy of sdrsharp_20240517_123456Z_145900000Hz_IQ (1).wav", "SDR#", 145.9e6),
    ],
)
def test_names_that_tell_time_and_frequency(
    tmp_path: Path, name: str, program: str, frequency: float
) -> None:
    (tmp_path / name).write_bytes(wav_bytes(CI16.tobytes()))
    recording = open_recording(tmp_path / name)
    assert recording.tunings == ((0, frequency),)
    assert recording.begun is not None
    local = "baseband" in name.lower()
    assert (recording.begun if not local else recording.begun.replace(tzinfo=timezone.utc)) == BEGUN
    (note,) = recording.notes
    assert f"as {program} gives it" in note and local == ("local time" in note)


@pytest.mark.parametrize(
    "name", ["antenna_2m_100k.wav", "my_2024_notes_145kHz.wav", "gqrx_notes_fc.wav", "HDSDR_2024_145kHz.wav"]
)
def test_names_that_tell_nothing(tmp_path: Path, name: str) -> None:
    recording = open_recording(_written(tmp_path / name, wav_bytes(CI16.tobytes())))
    assert (recording.tunings, recording.begun, recording.notes) == ((), None, ())


def test_a_note_names_only_what_is_taken_from_the_name(tmp_path: Path) -> None:
    for name, format, told in (
        ("my.GQRX_20240517_123456_145900000_100000_fc.raw", "auto", True),
        ("gqrx_20240517_123456_145900000_100000_fc.raw", "cf32", False),
    ):
        SIGNAL.tofile(tmp_path / name)
        recording = open_recording(tmp_path / name, format)
        same(recording)
        assert ("format cf32" in recording.notes[0]) == told and "145.9 MHz" in recording.notes[0]
    CI16.tofile(tmp_path / "gqrx_20240517_123456_145900000_100000_fc.cs16")
    recording = open_recording(tmp_path / "gqrx_20240517_123456_145900000_100000_fc.cs16")
    same(recording)
    assert "format" not in recording.notes[0]


def test_names_that_tell_rate_and_format(tmp_path: Path) -> None:
    path = tmp_path / "gqrx_20240517_123456_145900000_100000_fc.raw"
    SIGNAL.tofile(path)
    recording = open_recording(path)
    same(recording)
    assert (recording.sample_rate, recording.tunings, recording.begun) == (1e5, ((0, 145.9e6),), BEGUN)
    (note,) = recording.notes
    assert all(
        words in note for words in ("145.9 MHz", "12:34:56 UTC", "sample rate 100 kS/s", "format cf32")
    )
    recording = open_recording(path, sample_rate=48e3)  # what is given wins
    assert recording.sample_rate == 48e3 and "sample rate" not in recording.notes[0]
    assert open_recording(path, "ci16").length == 2 * COUNT
    path = tmp_path / "g001_433.92M_250k.cu8"
    np.full(800, 200, np.uint8).tofile(path)
    recording = open_recording(path)
    assert (recording.sample_rate, recording.tunings) == (250e3, ((0, 433.92e6),))
    for name in ("qpsk_25k.cf32", "test_100M.cf32", "gqrx_notes.raw"):
        SIGNAL.tofile(tmp_path / name)
        refused("give it .--rate|give its format", tmp_path / name)


# real samples


def test_one_channel_is_a_real_signal(tmp_path: Path) -> None:
    n = np.arange(COUNT)
    tone = 0.5 * np.exp(2j * np.pi * 0.2 * n)
    (tmp_path / "r.wav").write_bytes(
        wav_bytes(np.round(32767 * tone.real).astype("<i2").tobytes(), channels=1)
    )
    recording = open_recording(tmp_path / "r.wav")
    assert (recording.length, recording.sample_rate, recording.real) == (COUNT, RATE, True)
    # The tone stays at its frequency with its amplitude and phase; its mirror image is gone.
    np.testing.assert_allclose(whole(recording)[600:-600], tone[600:-600], atol=1e-3)
    assert "one channel of real samples, a signal of 0 to 50 kHz" in recording.notes[0]
    found = find_signals(recording.read(0, COUNT), RATE)[0]
    assert found.centre == pytest.approx(20_000, abs=200) and 0 < found.bandwidth < 5_000
    np.testing.assert_allclose(recording.read(777, 100), whole(recording)[777:877], atol=1e-6)


def test_two_channels_that_are_the_same_are_audio(tmp_path: Path) -> None:
    """As gqrx records what it demodulates."""
    tone = np.round(16_000 * np.cos(0.3 * np.arange(COUNT))).astype("<i2")
    (tmp_path / "r.wav").write_bytes(wav_bytes(np.repeat(tone, 2).tobytes()))
    recording = open_recording(tmp_path / "r.wav")
    assert recording.real and recording.length == COUNT and "audio and not I/Q" in recording.notes[0]
    np.testing.assert_allclose(whole(recording).real * 32768, tone, atol=0.01)
    (tmp_path / "r.wav").write_bytes(wav_bytes(bytes(4_000)))
    assert not open_recording(tmp_path / "r.wav").real


def test_the_symbol_rate_in_a_receivers_audio(tmp_path: Path) -> None:
    """1,200 Bd at 1,500 Hz in 48,000 samples a second: of the band, nine tenths are empty."""
    sent = ModulatedSignal(Schedule(["QPSK"], 100_000), 20.0, 0.0, 0.3, 40, 0.35, SEED)
    samples, _ = sent.generate(48_000)
    audio = (samples * np.exp(2j * np.pi * 1500 / 48_000 * np.arange(len(samples)))).real
    spectrum = np.fft.rfft(audio)
    spectrum[np.abs(np.fft.rfftfreq(len(audio), 1 / 48_000) - 1500) > 1200] = 0  # the receiver's filter
    audio = np.fft.irfft(spectrum)
    soundfile.write(str(tmp_path / "r.wav"), 0.5 * audio / np.abs(audio).max(), 48_000, subtype="PCM_16")
    recording = open_recording(tmp_path / "r.wav")
    for offset in (None, 1400.0, 1500.0):
        found = find_in_recording(recording, RecordingOptions(offset=offset))
        assert found.offset == pytest.approx(1500, abs=60) and found.symbol_rate is not None
        assert found.symbol_rate.rate == pytest.approx(1200, rel=2e-3)


def test_real_samples_in_sigmf(tmp_path: Path) -> None:
    tone = 0.5 * np.exp(2j * np.pi * 0.1 * np.arange(COUNT))
    tone.real.astype("<f4").tofile(tmp_path / "r.sigmf-data")
    recording = open_recording(write_meta(tmp_path / "r.sigmf-meta", "rf32_le"))
    np.testing.assert_allclose(whole(recording)[600:-600], tone[600:-600], atol=1e-3)


def test_a_real_sample_that_is_not_finite_spoils_its_surroundings_alone(tmp_path: Path) -> None:
    values = np.cos(0.3 * np.arange(COUNT)).astype("<f4")
    values[5000] = np.nan
    values.tofile(tmp_path / "r.sigmf-data")
    recording = open_recording(write_meta(tmp_path / "r.sigmf-meta", "rf32_le"))
    broken = np.flatnonzero(~np.isfinite(whole(recording)))
    assert 4700 < broken.min() <= 5000 <= broken.max() < 5300


# raw files


@pytest.mark.parametrize("format", RAW_FORMATS)
def test_the_rest_of_a_sample_is_left_out(tmp_path: Path, format: str) -> None:
    size = RAW_FORMATS[format].sample_size
    (tmp_path / f"r.{format}").write_bytes(b"\x01\x02\x03\x3f" * 10 + b"x" * (size - 1))
    recording = open_recording(tmp_path / f"r.{format}", sample_rate=1.0)
    assert recording.length == 40 // size
    assert f"ends with {counted(size - 1, 'byte')} of a {format} sample, left out" in recording.notes[0]


def test_samples_that_are_not_finite_are_read_as_they_are(tmp_path: Path) -> None:
    samples = SIGNAL.copy()
    samples[[17, 40]] = np.nan, np.inf
    samples.tofile(tmp_path / "r.cf32")
    read = open_recording(tmp_path / "r.cf32", sample_rate=1.0).read(0, COUNT)
    np.testing.assert_array_equal(np.flatnonzero(~np.isfinite(read)), [17, 40])


@pytest.mark.parametrize("name", ["r.cf32", "r.sigmf-meta", "r.wav"])
def test_a_file_that_becomes_shorter_is_one_sentence(tmp_path: Path, name: str) -> None:
    if name == "r.wav":
        (tmp_path / name).write_bytes(wav_bytes(CI16.tobytes()))
    else:
        SIGNAL.tofile(tmp_path / ("r.sigmf-data" if "meta" in name else name))
        write_meta(tmp_path / "r.sigmf-meta")
    recording = open_recording(tmp_path / name, sample_rate=1e5)
    os.truncate(tmp_path / name.replace("meta", "data"), 8_000)
    with pytest.raises(AmrqError, match=f"of {COUNT}: it became shorter while it was read"):
        whole(recording)


@pytest.mark.parametrize(
    ("suffix", "format"),
    [
        (".iq", None),
        (".raw", None),
        (".dat", None),
        (".bin", None),
        (".data", None),
        ("", None),
        (".c64", "cf32"),
        (".fc32", "cf32"),
        (".cfile", "cf32"),
        (".CF32", "cf32"),
        (".cs8", "ci8"),
        (".complex16s", "ci8"),
        (".cs16", "ci16"),
        (".sc16", "ci16"),
        (".complex16u", "cu8"),
        (".s8", None),
        (".u8", None),
    ],
)
def test_suffixes_in_use(tmp_path: Path, suffix: str, format: str | None) -> None:
    SIGNAL.tofile(tmp_path / f"r{suffix}")
    if format is None:
        refused("the (suffix|name) of r.*--format.*--rate", tmp_path / f"r{suffix}", sample_rate=1.0)
    else:
        size = RAW_FORMATS[format].sample_size
        assert open_recording(tmp_path / f"r{suffix}", sample_rate=1.0).length == SIGNAL.nbytes // size


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.cf32")
    refused("is a pipe or a device", tmp_path / "pipe.cf32", sample_rate=1.0)
    refused("is a pipe or a device", "/dev/null", "cf32", 1.0)
    refused("is empty", "")
    refused("folder", ".")
    refused("there is no file|cannot be read", "a\0b.cf32", sample_rate=1.0)
    refused("cannot be read", "x" * 300 + ".cf32", sample_rate=1.0)
    refused("no file .*x.x1b.2J", "x\x1b[2J.cf32", sample_rate=1.0)


# pipes


def stream(folder: Path, data: bytes, format: str = "cf32", rate: float | None = 1e5) -> SampleStream:
    """A FIFO that somebody has written to and closed: what fits into it waits there."""
    path = folder / f"{len(list(folder.iterdir()))}.fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = SampleStream(path, format, rate)
        with path.open("wb") as writer:
            writer.write(data)
    finally:
        os.close(reader)
    return found


def never() -> bool:
    return False


def test_a_stream_is_looked_at_and_then_read(tmp_path: Path) -> None:
    found = stream(tmp_path, SIGNAL[:8000].tobytes() + b"xyz")
    found.begin(100, never)
    np.testing.assert_array_equal(found.head(500, never), SIGNAL[100:600])
    assert len(found.head(10_000, never)) == 7900
    parts = []
    while (part := found.read(333)) is not None:
        parts.append(part)
    np.testing.assert_array_equal(np.concatenate(parts), SIGNAL[100:8000])
    assert "ended with 3 bytes of a cf32 sample" in found.notes[0]


def test_what_is_no_stream_is_one_sentence(tmp_path: Path) -> None:
    for words, format, rate in (
        ("does not state its format", "auto", 1e5),
        ("does not state its sample rate", "cu8", None),
        ("cannot be read as wav, which needs a file", "wav", 1e5),
        ("no format 'mp3'", "mp3", 1e5),
        ("above 0 Hz and below 1 THz, not -1", "cu8", -1.0),
        ("above 0 Hz and below 1 THz, not 1e.12", "cu8", 1e12),
    ):
        with pytest.raises(AmrqError, match=words):
            SampleStream("-", format, rate)
    with pytest.raises(AmrqError, match="cannot be read: No such file"):
        SampleStream(tmp_path / "none.cu8", "auto", 1e5)
    with pytest.raises(AmrqError, match="holds no samples"):
        stream(tmp_path, b"").begin(0, never)
    with pytest.raises(AmrqError, match="holds 3 bytes, less than one cf32 sample"):
        stream(tmp_path, b"abc").begin(0, never)
    with pytest.raises(AmrqError, match="holds 2 samples, and --start leaves out 5"):
        stream(tmp_path, bytes(16)).begin(5, never)
    os.mkfifo(tmp_path / "quiet.cu8")
    assert len(SampleStream(tmp_path / "quiet.cu8", "auto", 1e5).head(5, lambda: True)) == 0


# mutations


def seeds(folder: Path) -> dict[str, bytes]:
    data = CI16[:400].tobytes()
    (folder / "r.dat").write_bytes(data)
    (folder / "r.sigmf-data").write_bytes(data)
    captures = [
        {"sample_start": 5, "header_bytes": 4, "frequency": 1e6, "datetime": "2024-01-01T00:00:10.123Z"}
    ]
    annotations = [
        {
            "sample_start": 20,
            "sample_count": 10,
            "label": "QPSK",
            "freq_lower_edge": 0,
            "freq_upper_edge": 2.5,
        }
    ]
    meta = write_meta(
        folder / "r.sigmf-meta", "ci16_le", captures, annotations, offset=5, dataset="r.dat"
    ).read_bytes()
    collection = json.dumps({"collection": {"core:streams": [{"name": "r", "hash": "0"}]}}).encode()
    flac = io.BytesIO()
    soundfile.write(flac, CI16[:400].reshape(-1, 2), RATE, format="FLAC")
    auxi = ((b"auxi", auxi_chunk(145_900_000)),)
    return {
        "m.sigmf-meta": meta,
        "m.sigmf": archive(folder / "a.sigmf", ("r",)).read_bytes()[:4096],
        "m.sigmf-collection": collection,
        "m.wav": wav_bytes(data, before=auxi, behind=auxi),
        "m.rf64": wav_bytes(data, kind=b"RF64", before=((b"ds64", bytes(28)),)),
        "m.flac": flac.getvalue(),
    }


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_broken_file_is_read_or_refused_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, data: st.DataObject
) -> None:
    if not hasattr(request.node, "folder"):
        request.node.folder = tmp_path_factory.mktemp("mutations")
        request.node.seeds = seeds(request.node.folder)
    name = data.draw(st.sampled_from(sorted(request.node.seeds)))
    content = bytearray(request.node.seeds[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1)) if content else 0
        piece = data.draw(
            st.binary(max_size=8)
            | st.sampled_from(
                [b"null", b"-1", b"1e999", b"[" * 3000, b'"x"', b"9" * 5000, b"{}", b"\xff" * 4, b"\0" * 4]
            )
        )
        cut = data.draw(st.integers(0, 12))
        content[place : place + cut] = piece
    path = request.node.folder / name
    path.write_bytes(bytes(content))
    try:
        recording = open_recording(path)
        recording.truths()
        recording.read(0, 1000)
    except AmrqError as error:
        assert str(error).isprintable() and len(str(error)) < 2000


def test_what_is_written_here_is_sigmf(tmp_path: Path) -> None:
    """The generators of these tests make what the format's own package takes for it."""
    SIGNAL.tofile(tmp_path / "r.sigmf-data")
    found = sigmf.fromfile(str(write_meta(tmp_path / "r.sigmf-meta")))
    found.validate()
    np.testing.assert_array_equal(found.read_samples(), SIGNAL)

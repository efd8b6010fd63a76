# SPDX-License-Identifier: GPL-3.0-or-later
"""From annotated recordings to labelled chunks: what counts as a label, what is kept, what lies on disk."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_signals import annotation, labelled_chunks, write_recording
from run_amrq import amrq, amrq_here, python, refused
from seeds import rng

from amrq.classes import THESIS_9
from amrq.classifier import make_classifier
from amrq.errors import AmrqError
from amrq.labels import (
    LABELS,
    LabelledChunks,
    LabelsFolder,
    Reason,
    Span,
    hold_out,
    label_name,
    labelled_spans,
    numbered_labels,
    select_chunks,
    symbol_places,
)
from amrq.recordings import open_recording

ROOT = Path(__file__).resolve().parents[1]
QPSK = ROOT / "examples" / "recordings" / "dvbs2_qpsk.sigmf-meta"
REAL = ROOT.parent / "shared" / "iq"
OWN = "gr-amrq 0.1.0"


def label(*arguments: object) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
    return amrq("label", *arguments)


def row(result: subprocess.CompletedProcess[str], what: str) -> list[int]:
    """The numbers that stand behind `what` in the table, one a recording."""
    lines = [line.split(what, 1)[1].split() for line in result.stdout.splitlines() if what in line]
    return [int(line[0]) for line in lines if line]


# What counts as a label


@pytest.mark.parametrize("name", LABELS)
def test_labels_however_people_write_them(name: str) -> None:
    for text in (name, name.lower(), name.title(), f" {name} ", name.replace("QAM", "-QAM"), name.upper()):
        assert label_name(text) == name


@pytest.mark.parametrize("text", ["GMSK", "PSK", "8", "QPSK burst", "noise", "D8PSK", "my own"])
def test_any_other_text_is_a_label_of_its_own(text: str) -> None:
    assert label_name(f" {text} ") == text


@pytest.mark.parametrize("text", ["", "  ", "Q\nPSK", "\x1b[31m", "x" * 65])
def test_what_is_no_label(text: str) -> None:
    assert label_name(text) is None


def test_there_are_as_many_labels_as_a_byte_counts() -> None:
    own = [f"kind {number}" for number in range(256 - len(LABELS))]
    names, labels = numbered_labels([*own, "QPSK"])
    assert [names[label] for label in labels] == [*own, "QPSK"] and len(names) == 256
    with pytest.raises(AmrqError, match="245 labels beside the usual ones, not 246"):
        numbered_labels([*own, "one more"])


def spans_of(tmp_path: Path, annotations: list[dict[str, Any]], **arguments: Any) -> Any:
    path = write_recording(tmp_path / "r.sigmf-meta", ["QPSK"], 1000, annotations)
    return labelled_spans(open_recording(path), **arguments)


def test_annotations_become_stretches(tmp_path: Path) -> None:
    found = spans_of(
        tmp_path,
        [
            annotation(100, 200, "qpsk"),
            annotation(300, 100, "QPSK"),  # touches the one before: the front end stays in lock
            annotation(350, 100, "8-psk"),
            annotation(600, 9_999_999, "burst"),
            annotation(900, 100, "x" * 70),
            annotation(700, 10, ""),
        ],
    )
    assert found.spans == (
        Span(100, 400, "QPSK"),
        Span(350, 450, "8PSK"),
        Span(600, 4000, "burst"),
        Span(900, 1000, "x" * 70, known=False),
    )
    assert found.unknown_names == ("x" * 70,)


def test_aliases_say_what_a_name_means_or_leave_it_out(tmp_path: Path) -> None:
    annotations = [annotation(0, 10, "GMSK"), annotation(20, 10, "header"), annotation(40, 10, "QPSK")]
    found = spans_of(tmp_path, annotations, aliases={"gmsk": "Unknown", "Header": ""})
    assert found.spans == (Span(0, 10, "unknown"), Span(40, 50, "QPSK"))
    found = spans_of(tmp_path, annotations, aliases={"gmsk": "MSK", "Header": ""})
    assert found.spans == (Span(0, 10, "MSK"), Span(40, 50, "QPSK"))
    with pytest.raises(AmrqError, match="is not a label"):
        spans_of(tmp_path, annotations, aliases={"GMSK": "F\nSK"})


def test_what_somebody_says_overrules_the_program(tmp_path: Path) -> None:
    """Its own decisions count where nobody says more, and its unknown means that it could not tell."""
    found = spans_of(
        tmp_path,
        [
            annotation(0, 1000, "BPSK", generator=OWN),
            annotation(400, 100, "QPSK", generator="a person"),
            annotation(2000, 100, "unknown", generator=OWN),
            annotation(3000, 100, "unknown"),
        ],
    )
    assert found.spans == (
        Span(0, 400, "BPSK"),
        Span(400, 500, "QPSK"),
        Span(500, 1000, "BPSK"),
        Span(2000, 2100, "unknown (undecided)", known=False),
        Span(3000, 3100, "unknown"),
    )
    assert (found.own, found.undecided) == (1, 1)
    # Where a decision begins and ends is not known exactly.
    own = [annotation(0, 500, "BPSK", generator=OWN), annotation(500, 500, "BPSK", generator=OWN)]
    own += [annotation(1000, 150, "QPSK", generator=OWN), annotation(2000, 900, "QPSK")]
    found = spans_of(tmp_path, own, own_margin=100)
    assert found.spans == (Span(100, 900, "BPSK"), Span(2000, 2900, "QPSK"))


def test_one_label_for_all_of_it(tmp_path: Path) -> None:
    own = [annotation(0, 10, "BPSK", generator=OWN), annotation(20, 5, "")]
    assert spans_of(tmp_path, own, whole="16-qam").spans == (Span(0, 4000, "16QAM"),)
    with pytest.raises(AmrqError, match="already has annotations"):
        spans_of(tmp_path, [*own, annotation(20, 5, "QPSK")], whole="QPSK")
    assert spans_of(tmp_path, own, whole="GMSK").spans == (Span(0, 4000, "GMSK"),)
    with pytest.raises(AmrqError, match="is not a label"):
        spans_of(tmp_path, [], whole="\x07")


def test_annotations_elsewhere_in_the_band_are_left_out(tmp_path: Path) -> None:
    def at(middle: float, label: str) -> dict[str, Any]:
        edges = {"freq_lower_edge": middle - 5e3, "freq_upper_edge": middle + 5e3}
        return annotation(0, 1000, label, **edges)

    annotations = [at(100e6 - 20e3, "BPSK"), at(100e6 + 20e3, "QPSK")]
    path = write_recording(tmp_path / "r.sigmf-meta", ["QPSK"], 1000, annotations)
    meta = json.loads(path.read_text())
    meta["captures"][0]["core:frequency"] = 100e6
    path.write_text(json.dumps(meta))
    for offset, name in ((20e3, "QPSK"), (-22e3, "BPSK")):
        found = labelled_spans(open_recording(path), offset)
        assert [span.label for span in found.spans] == [name] and found.elsewhere == 1
    # Without a frequency, edges count from the middle of the band.
    found = spans_of(tmp_path, [at(20e3, "QPSK")], offset=20e3)
    assert len(found.spans) == 1


def test_broken_annotations_are_one_sentence(tmp_path: Path) -> None:
    for broken in ({"core:sample_start": "x"}, {"core:freq_lower_edge": "low", "core:freq_upper_edge": 1}):
        path = write_recording(tmp_path / "r.sigmf-meta", ["QPSK"], 100, [annotation(0, 9, "QPSK") | broken])
        with pytest.raises(AmrqError, match=r"of annotation 0 in .* must be a"):
            open_recording(path)


# What is kept


@given(
    st.lists(
        st.tuples(st.integers(0, 2000), st.integers(1, 900), st.sampled_from(["BPSK", "QPSK", "burst"])),
        max_size=8,
    ),
    st.lists(st.booleans(), min_size=60, max_size=60),
    st.integers(0, 200),
    st.integers(0, 10),
)
def test_chunks_are_labelled_only_where_one_label_holds(
    given_spans: list[tuple[int, int, str]], audible: list[bool], settling: int, most: int
) -> None:
    spans = sorted(
        (Span(start, start + count, name, known=name != "burst") for start, count, name in given_spans),
        key=lambda span: span.start,
    )
    starts = 40.0 * np.arange(60)
    stops = starts + 32
    found = select_chunks(starts, stops, np.array(audible), spans, settling, 0.0, most)
    assert len(found.rows) == len(found.labels)
    assert len(found.rows) + found.dropped.total() == 60
    for chunk, name in zip(found.rows, found.labels, strict=True):
        begin, end = starts[chunk], stops[chunk]
        around = [span for span in spans if span.start < end and span.stop > begin]
        assert {span.label for span in around} == {name} and name != "burst"
        assert any(span.start + settling <= begin and end <= span.stop for span in around)
        assert audible[chunk]
    for name in ("BPSK", "QPSK"):
        assert not most or found.labels.count(name) <= most


def test_every_dropped_chunk_has_its_reason() -> None:
    starts = 100.0 * np.arange(10)
    audible = np.array([True] * 9 + [False])
    spans = [
        Span(0, 300, "BPSK"),
        Span(250, 350, "QPSK"),
        Span(400, 600, "GMSK", False),
        Span(700, 1000, "QPSK"),
    ]
    found = select_chunks(starts, starts + 100, audible, spans, settling=100)
    assert found.rows.tolist() == [1, 8] and found.labels == ["BPSK", "QPSK"]
    assert found.dropped == {
        Reason.OUTSIDE: 2,
        Reason.DISAGREE: 1,
        "label not known: GMSK": 2,
        Reason.GATED: 1,
        Reason.SETTLING: 2,
    }
    assert select_chunks(starts[:0], starts[:0], audible[:0], spans).rows.tolist() == []


def test_of_too_many_chunks_evenly_spread_ones_are_kept() -> None:
    starts = 100.0 * np.arange(1000)
    found = select_chunks(starts, starts + 100, np.ones(1000, np.bool_), [Span(0, 100_000, "BPSK")], most=10)
    assert found.rows.tolist() == list(range(0, 1000, 100))
    assert found.dropped == {Reason.THINNED: 990}


def test_symbols_are_where_the_marks_say() -> None:
    symbols = np.array([0, 10, 20, 30, 60], np.int64)
    places = symbol_places(symbols, np.array([10, 30]), np.array([100, 180]), 4.1)
    np.testing.assert_allclose(places, [59, 100, 140, 180, 303])
    nothing = np.empty(0, np.int64)
    np.testing.assert_allclose(symbol_places(symbols, nothing, nothing, 4.0), 4 * symbols)


# What lies on disk


def test_a_folder_gives_back_what_was_written(tmp_path: Path) -> None:
    folder = LabelsFolder(tmp_path / "new" / "labelled")
    folder.make()
    first = labelled_chunks("one", {"BPSK": 3, "no signal": 2, "unknown": 1}, rng("folder"))
    second = labelled_chunks("two.b@12500", {"16QAM": 2}, rng("folder", 2))
    second = replace(second, es_n0_db=np.array([3.5, 20], np.float32))
    for chunks in (second, first):
        folder.write(chunks)
    found = folder.read()
    assert [chunks.name for chunks in found] == ["one", "two.b@12500"]
    for written, read in zip((first, second), found, strict=True):
        for name in ("chunks", "labels", "sample_index"):
            np.testing.assert_array_equal(getattr(written, name), getattr(read, name))
        if written.es_n0_db is None:
            assert read.es_n0_db is None
        else:
            np.testing.assert_array_equal(written.es_n0_db, read.es_n0_db)
        assert (read.source, read.symbol_rate, read.counts) == (
            written.source,
            written.symbol_rate,
            written.counts,
        )
        assert len(read.sha256) == 64
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    folder.write(first)
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before


def test_another_recordings_chunks_are_not_overwritten(tmp_path: Path) -> None:
    folder = LabelsFolder(tmp_path)
    chunks = labelled_chunks("one", {"BPSK": 3}, rng("overwrite"))
    folder.write(chunks)
    with pytest.raises(AmrqError, match="another recording"):
        folder.write(replace(chunks, recording_sha256="1" * 64))
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(AmrqError, match="another recording"):
        folder.write(replace(chunks, name="mine"))


def damage(path: Path, **changes: Any) -> None:
    about = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in about.items() if value is not ...}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "another"}, "does not describe labelled chunks"),
        ({"version": 2}, "of version 2"),
        ({"sha256": "0" * 64}, "is not the file"),
        ({"labels": ["GM\nSK"] * 3}, "not different names"),
        ({"labels": ["QPSK"]}, "holds a label 2"),
        ({"labels": 5}, r"not labelled chunks: labels must be a list, not 5"),
        ({"symbol_rate": "fast"}, "not labelled chunks"),
        ({"symbol_rate": 0}, "is not a rate"),
        ({"source": ...}, r"not labelled chunks: source is missing"),
        ({"dropped": []}, "not labelled chunks"),
    ],
)
def test_broken_descriptions_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    LabelsFolder(tmp_path).write(labelled_chunks("one", {"BPSK": 3}, rng("broken")))
    damage(tmp_path / "one.json", **changes)
    with pytest.raises(AmrqError, match=words):
        LabelsFolder(tmp_path).read()


def test_broken_arrays_are_refused(tmp_path: Path) -> None:
    good = labelled_chunks("one", {"BPSK": 3}, rng("arrays"))
    for changes, words in (
        ({"chunks": good.chunks.astype(np.complex128)}, "complex64 of 2 axes"),
        ({"chunks": good.chunks[:2]}, "2 chunks but 3 entries"),
        ({"chunks": good.chunks[:, 0]}, "complex64 of 2 axes"),
        ({"chunks": np.where(good.chunks == good.chunks[1, 3], np.nan, good.chunks)}, "not finite"),
        ({"chunks": good.chunks * np.array([[1], [0], [1]], np.complex64)}, "is silent"),
        ({"labels": np.array([0, 1, len(LABELS)], np.uint8)}, "is none of"),
        ({"labels": np.array([0.0, 1, 2])}, "uint8 of 1 axes"),
        ({"sample_index": np.array([0, 5, 5])}, "does not rise"),
        ({"offset": float("nan")}, "is not an offset"),
        ({"es_n0_db": np.zeros(2, np.float32)}, "3 chunks but 2 entries"),
        ({"es_n0_db": np.zeros(3)}, "float32 of 1 axes"),
        ({"es_n0_db": np.array([0, np.inf, 0], np.float32)}, "Es/N0 is not finite"),
    ):
        with pytest.raises(AmrqError, match=words):
            replace(good, **changes)
    LabelsFolder(tmp_path).write(good)
    (tmp_path / "one.npz").unlink()
    with pytest.raises(AmrqError, match=r"one\.npz cannot be read"):
        LabelsFolder(tmp_path).read()


def test_folders_with_nothing_to_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AmrqError, match="there is no folder"):
        LabelsFolder(tmp_path / "none").read()
    with pytest.raises(AmrqError, match="holds no labelled chunks"):
        LabelsFolder(tmp_path).read()
    LabelsFolder(tmp_path).write(labelled_chunks("a", {"BPSK": 3}, rng("lengths")))
    LabelsFolder(tmp_path).write(labelled_chunks("b", {"BPSK": 3}, rng("lengths"), length=64))
    with pytest.raises(AmrqError, match="32 and 64 symbols"):
        LabelsFolder(tmp_path).read()
    (tmp_path / "file").touch()
    with pytest.raises(AmrqError, match="cannot be made"):
        LabelsFolder(tmp_path / "file" / "folder").make()


def test_held_out_chunks_are_later_than_those_learnt() -> None:
    many = labelled_chunks("many", {"BPSK": 100, "QPSK": 40, "8PSK": 5}, rng("held"))
    few = labelled_chunks("few", {"QPSK": 9}, rng("held", 2))
    parted = hold_out([many, few])
    for name, learnt, tested in (("BPSK", 76, 20), ("QPSK", 28, 8), ("8PSK", 5, 0)):
        mine = many.labels == LABELS.index(name)
        first, second = (rows[mine[rows]] for rows in parted[0])
        assert (len(first), len(second)) == (learnt, tested)
        assert not len(second) or second.min() - first.max() > 4
    assert (len(parted[1].learnt), len(parted[1].tested)) == (9, 0)
    parted = hold_out([many, few], ["few"])
    assert [(len(part.learnt), len(part.tested)) for part in parted] == [(145, 0), (0, 9)]
    with pytest.raises(AmrqError, match="not labelled chunks 'other' to hold out: choose from many, few"):
        hold_out([many, few], ["other"])
    with pytest.raises(AmrqError, match="none is left"):
        hold_out([many, few], ["many", "few"])


# The command


def test_annotated_signals_become_chunks_of_their_class(tmp_path: Path) -> None:
    """Three classes follow each other without a gap: each chunk is where its class is, and is of its class."""
    names = ["QPSK", "BPSK", "16QAM"]
    path = write_recording(tmp_path / "three.sigmf-meta", names, 2000)
    result = label(path, "--symbol-rate", "25k", "-o", tmp_path / "out", "--settling", 200)
    assert result.returncode == 0, result.stderr
    (found,) = LabelsFolder(tmp_path / "out").read()
    # 2,000 symbols hold 62 chunks, of which some 7 are lost to settling and at the edges.
    assert all(50 <= found.counts[name] <= 57 for name in names), found.counts
    truth = open_recording(path).annotations
    for number, start in zip(found.labels, found.sample_index, strict=True):
        (here,) = [a for a in truth if a.label == LABELS[number]]
        assert here.start + 800 - 4 <= start and start + 128 <= here.start + here.count
    said = make_classifier().classify(found.chunks).log_probabilities.argmax(axis=1)
    assert (
        np.array(make_classifier().contract.classes)[said] == np.array(LABELS)[found.labels]
    ).mean() > 0.95
    assert sum(found.counts.values()) == sum(row(result, "QPSK") + row(result, "BPSK") + row(result, "16QAM"))
    assert row(result, "front end settling")[0] == found.dropped[Reason.SETTLING] >= 18


def test_places_are_right_behind_a_retune(tmp_path: Path) -> None:
    """Where the radio was tuned elsewhere a chunk breaks off, and the next one begins there."""
    path = write_recording(tmp_path / "two.sigmf-meta", ["QPSK", "BPSK"], 1500)
    meta = json.loads(path.read_text())
    captures = [{"core:sample_start": n, "core:frequency": hz} for n, hz in ((0, 100e6), (3050, 101e6))]
    path.write_text(json.dumps(meta | {"captures": captures}))
    result = label(path, "--symbol-rate", "25k", "-o", tmp_path / "out", "--settling", 100)
    assert result.returncode == 0, result.stderr
    (found,) = LabelsFolder(tmp_path / "out").read()
    steps = np.diff(found.sample_index)
    assert set(found.counts) == {"QPSK", "BPSK"} and found.sample_index[-1] > 10_000
    near = np.abs(found.sample_index - 3050).min()
    assert near <= 8  # two symbols
    assert (np.abs(steps[found.sample_index[1:] > 3060][:20] - 128) <= 8).all()


def test_repeating_changes_nothing_and_another_recording_is_kept_apart(tmp_path: Path) -> None:
    command = (QPSK, "--symbol-rate", "25k", "-o", tmp_path / "out")
    assert label(*command).returncode == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert sorted(before) == ["dvbs2_qpsk.json", "dvbs2_qpsk.npz"]
    assert label(*command).returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    other = write_recording(tmp_path / "dvbs2_qpsk.sigmf-meta", ["BPSK"], 1000)
    refused(label(other, "--symbol-rate", "25k", "-o", tmp_path / "out"), "another recording")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    # Two signals in one band do not overwrite each other either.
    assert label(*command, "--offset", "500").returncode == 0
    assert len(LabelsFolder(tmp_path / "out").read()) == 2


def test_one_label_for_a_raw_recording_at_an_estimated_rate(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "r.sigmf-meta", ["8PSK"], 4000)
    raw = path.with_suffix(".cf32")
    path.with_suffix(".sigmf-data").rename(raw)
    result = label(raw, "--rate", "100k", "--label", "8psk", "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "estimated" in result.stdout
    (found,) = LabelsFolder(tmp_path / "out").read()
    assert found.counts["8PSK"] > 100 and found.symbol_rate == pytest.approx(25e3, rel=0.002)


def test_recordings_that_cannot_be_used_do_not_stop_the_others(tmp_path: Path) -> None:
    gmsk = QPSK.with_name("gmsk.sigmf-meta")
    bare = write_recording(tmp_path / "bare.sigmf-meta", ["QPSK"], 1000, [])
    result = label(tmp_path / "none.cf32", bare, QPSK, "--symbol-rate", "25k", "-o", tmp_path / "out")
    assert result.returncode == 2 and "Traceback" not in result.stderr
    said = [line for line in result.stderr.splitlines() if line.startswith("amrq: ")]
    assert "there is no file" in said[0] and "no annotations with a label" in said[1]
    assert said[2] == "amrq: 2 of 3 recordings failed."
    assert [chunks.name for chunks in LabelsFolder(tmp_path / "out").read()] == ["dvbs2_qpsk"]
    result = label(gmsk, "--symbol-rate", "25k", "--alias", "GMSK=unknown", "-o", tmp_path / "out")
    assert result.returncode == 0 and row(result, "unknown")[0] > 50


def test_a_label_that_is_no_class_here_is_a_name(tmp_path: Path) -> None:
    gmsk = QPSK.with_name("gmsk.sigmf-meta")
    result = label(gmsk, "--symbol-rate", "25k", "-o", tmp_path / "out")
    assert result.returncode == 0 and row(result, " GMSK  ")[0] > 50
    assert "the library has no class GMSK. The label is kept" in " ".join(result.stdout.split())
    (found,) = LabelsFolder(tmp_path / "out").read()
    assert found.counts == {"GMSK": len(found.labels)} and found.names == (*LABELS, "GMSK")


def test_what_cannot_be_labelled_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")
    bare = write_recording(tmp_path / "bare.sigmf-meta", ["QPSK"], 1000, [])
    short = write_recording(tmp_path / "short.sigmf-meta", ["QPSK"], 1000, [annotation(2000, 200, "QPSK")])
    out = ("--symbol-rate", "25k", "-o", tmp_path / "out")
    refused(amrq_here(capfd, "label", bare, *out), "has no annotations with a label")
    refused(amrq_here(capfd, "label", short, *out), "none of its chunks can be used")
    refused(amrq_here(capfd, "label", QPSK, *out, "--label", "QPSK"), "already has annotations")
    refused(amrq_here(capfd, "label", QPSK, *out, "--label", " "), "' ' is not a label")
    refused(amrq_here(capfd, "label", QPSK, *out, "--alias", "QPSK"), "--alias takes NAME=LABEL")
    refused(
        amrq_here(capfd, "label", QPSK, "--symbol-rate", "0", "-o", tmp_path / "out"), "--symbol-rate must be"
    )
    refused(amrq_here(capfd, "label", QPSK, *out, "--gate", "10"), "below the gate")
    refused(
        amrq_here(capfd, "label", QPSK, *out, "--chunk-length", "5000"), "longer than GNU Radio's buffers"
    )
    assert not list((tmp_path / "out").iterdir())


def test_own_decisions_are_used_and_said_to_be_such(tmp_path: Path) -> None:
    annotations = [
        annotation(0, 8000, "QPSK", generator=OWN),
        annotation(8000, 4000, "unknown", generator=OWN),
        annotation(12000, 4000, "8PSK", generator=OWN),
    ]
    path = write_recording(tmp_path / "own.sigmf-meta", ["QPSK"], 4000, annotations)
    result = label(path, "--symbol-rate", "25k", "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "2 annotations are this program's own decisions" in result.stdout
    assert "could not tell" in result.stdout and row(result, "unknown (undecided)")[0] > 20
    (found,) = LabelsFolder(tmp_path / "out").read()
    assert set(found.counts) == {"QPSK", "8PSK"}


@pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings (../shared/iq) are not on this machine")
def test_real_recordings_with_truth(tmp_path: Path) -> None:
    result = label(*sorted(REAL.glob("bpsk_9600_*.sigmf-meta")), "--symbol-rate", "9600", "-o", tmp_path)
    assert result.returncode == 0, result.stderr
    classifier = make_classifier()
    found = LabelsFolder(tmp_path).read()
    assert len(found) == 5
    for recording in found:
        said = classifier.classify(recording.chunks).log_probabilities.argmax(axis=1)
        assert recording.counts["BPSK"] == len(said) >= 40
        assert (said == list(THESIS_9).index("BPSK")).mean() > 0.9


def test_labelled_chunks_need_no_gnu_radio_to_be_read(tmp_path: Path) -> None:
    LabelsFolder(tmp_path).write(labelled_chunks("one", {"BPSK": 3}, rng("bare")))
    code = (
        f"import sys; from amrq.labels import LabelsFolder; "
        f"print(LabelsFolder({str(tmp_path)!r}).read()[0].counts, 'gnuradio' in sys.modules)"
    )
    result = python("-c", code)
    assert result.stdout.strip() == "{'BPSK': 3} False", result.stderr


def test_the_arrays_are_plain(tmp_path: Path) -> None:
    """What docs/label.md promises to other programs."""
    written = LabelsFolder(tmp_path).write(labelled_chunks("one", {"BPSK": 3, "QPSK": 1}, rng("plain")))
    assert isinstance(written, LabelledChunks)
    about = json.loads((tmp_path / "one.json").read_text())
    with np.load(tmp_path / "one.npz", allow_pickle=False) as file:
        assert {name: (file[name].dtype.str, file[name].shape) for name in file} == {
            "chunks": ("<c8", (4, 32)),
            "labels": ("|u1", (4,)),
            "sample_index": ("<i8", (4,)),
        }
        assert [about["labels"][number] for number in file["labels"]] == ["BPSK"] * 3 + ["QPSK"]
    assert about["format"] == "gr-amrq labelled chunks" and about["version"] == 1
    assert about["counts"] == {"BPSK": 3, "QPSK": 1}

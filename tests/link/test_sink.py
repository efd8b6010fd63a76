# SPDX-License-Identifier: GPL-3.0-or-later
"""A board at the end of a flowgraph, and of the command."""

import dataclasses
import json
import signal
import stat
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import run_amrq
from boards import MODEL, board, chunks, image, in_thread
from prometheus_text import read_metrics

from amrq.classifier import make_classifier
from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.outputs import decision_schema

gnuradio = pytest.importorskip("gnuradio", reason="GNU Radio is not installed")
pytest.importorskip("gnuradio.amrq", reason="the module's blocks are not installed")

from gnuradio import amrq, blocks, gr  # noqa: E402

RECORDINGS = Path(__file__).resolve().parents[2] / "examples" / "recordings"
NOBODY = "tcp://127.0.0.1:9"
FOUR = amrq.DecisionOptions(chunks_per_decision=4)
BOARD = [field.name for field in dataclasses.fields(amrq.BoardBackend)]


def flowgraph(given: np.ndarray, repeat: bool = False, **settings: object):
    top = gr.top_block()
    source = blocks.vector_source_c(given.ravel(), repeat)
    chunker = amrq.chunker(32)
    decisions: list[Decision] = []
    backend = amrq.BoardBackend(**{name: settings.pop(name) for name in BOARD if name in settings})
    sink = amrq.classifier_sink(
        MODEL, backend=backend, on_decision=lambda decision, truth: decisions.append(decision), **settings
    )
    top.connect(source, chunker, sink)
    return top, (source, chunker, sink), decisions


def test_a_board_decides_as_the_integer_reference_does() -> None:
    given = chunks(1200, "sink")
    with board() as started:
        top, (*_kept, sink), decisions = flowgraph(given, endpoint=started.endpoint, decision=FOUR)
        top.run()
    other = gr.top_block()
    source, chunker = blocks.vector_source_c(given.ravel(), False), amrq.chunker(32)
    expected: list[Decision] = []
    local = amrq.classifier_sink(
        MODEL,
        decision=FOUR,
        backend=lambda model: make_classifier(model, "integer"),
        on_decision=lambda decision, truth: expected.append(decision),
    )
    other.connect(source, chunker, local)
    other.run()
    assert len(decisions) == len(expected) >= 300
    for mine, other in zip(decisions, expected, strict=True):
        # Scores are the same to the bit; how many are weighed at a time may move the last digits of what follows.
        assert (mine.label, mine.best, mine.sample_index) == (other.label, other.best, other.sample_index)
        assert mine.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)
    counted = sink.board_statistics()
    assert counted["by_board"] == sink.statistics().classified == 1200


@pytest.mark.parametrize(("policy", "where"), [("auto", "lost"), ("local", "locally")])
def test_a_live_stream_goes_on_without_a_board(policy: str, where: str) -> None:
    given = chunks(3000, "absent")
    top, (*_kept, sink), _ = flowgraph(
        given, live=True, endpoint=NOBODY, board_policy=policy, queue_chunks=10_000, board_timeout=0.5
    )
    top.run()
    counted, board_counted = sink.statistics(), sink.board_statistics()
    assert counted.received == 3000 == counted.classified + counted.dropped
    assert board_counted["by_board"] == 0
    assert counted.classified == board_counted["locally"]
    assert board_counted[where] > 0


def test_a_waiting_flowgraph_can_be_stopped() -> None:
    top, (*_kept, sink), _ = flowgraph(chunks(1000, "wait"), repeat=True, endpoint=NOBODY, queue_chunks=500)
    top.start()
    while sink._worker.wait_for_room(0.0):  # until it is full, and the flowgraph waits for the board
        sink._worker.wait_until_idle(0.01)

    def end() -> None:
        top.stop()
        top.wait()

    in_thread(end)()
    counted = sink.statistics()
    assert counted.received == counted.dropped and counted.classified == 0


def test_another_model_ends_it_with_one_sentence() -> None:
    with board("coherent-small-int8") as other:
        top, (*_kept, sink), _ = flowgraph(chunks(10, "other"), endpoint=other.endpoint)
        in_thread(top.run)()
        assert isinstance(sink.error, AmrqError) and "runs the model coherent-small-int8" in str(sink.error)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"live": True, "board_policy": "wait"}, "cannot wait for a board"),
        ({"board_policy": "hope"}, "board_policy must be auto, wait, drop or local, not 'hope'"),
        ({"endpoint": "nowhere"}, "cannot be a board at 'nowhere'"),
        ({"board_batch": 0}, "board_batch must be at least 1"),
        ({"secret_key": "mine.secret"}, "needs both"),
        ({"secret_key": "mine.secret", "board_key": "none"}, "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(AmrqError, match=words):
        flowgraph(chunks(1), **settings)


def until_the_first_line(*arguments: object) -> str:
    """Run the command until it has printed something, end it with Ctrl-C, and return all that it printed."""
    with run_amrq.start_amrq(*arguments, patient=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            out, err = run_amrq.the_rest(process)
        finally:
            process.kill()
    assert process.returncode == 0 and first, first + err
    return first + out


def refused(capfd: pytest.CaptureFixture[str], words: str, *arguments: object) -> None:
    run_amrq.refused(run_amrq.amrq_here(capfd, *arguments), words)


def test_amrq_live_on_a_board(capfd: pytest.CaptureFixture[str]) -> None:
    run = ("live", "--simulate", "--board")
    with board("blind-small-int8") as started:
        mine = (*run, started.endpoint, "--model", "blind-small-int8")
        for line in until_the_first_line(*mine, "--json").splitlines():
            jsonschema.validate(json.loads(line), decision_schema(), jsonschema.Draft202012Validator)
        assert " by the board, 0 on this machine" in until_the_first_line(*mine)
        refused(capfd, "runs the model blind-small-int8", *run, started.endpoint)
    refused(capfd, "no board answers at tcp://127.0.0.1:9", *run, NOBODY)
    refused(capfd, "cannot wait for a board (--board-policy wait)", *run, NOBODY, "--board-policy", "wait")
    refused(capfd, "leave out either that or --board", *run, NOBODY, "--engine", "integer")
    refused(capfd, "--key belongs to --board", "live", "--simulate", "--key", "mine.secret")


def test_amrq_classify_on_a_board(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A recording waits for its board, but does not begin without one."""
    recording = RECORDINGS / "generic_16qam.sigmf-meta"
    run = ("classify", recording, "--symbol-rate", "25k", "--model", "blind-small-int8", "--json", "--board")
    counters = tmp_path / "amrq.prom"
    with board("blind-small-int8") as started:
        done = run_amrq.amrq(*run, started.endpoint, "--board-timeout", "5", "--counters", counters)
        assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["label"] for record in found[1:]] == ["16QAM"] * (len(found) - 1) and len(found) >= 2
    classified = read_metrics(counters.read_text())["amrq_chunks_classified_total"].value()
    assert classified == sum(record["chunks"] for record in found)
    refused(capfd, "no board answers at tcp://127.0.0.1:9", *run, NOBODY)


def test_amrq_board_as_a_user_types_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = tmp_path / "board"
    made = run_amrq.amrq("board", "keygen", "-o", name)
    assert made.returncode == 0, made.stderr
    for file in (tmp_path / "board.public", tmp_path / "board.secret"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    refused(capfd, "already exists", "board", "keygen", "-o", name)
    exported = run_amrq.amrq("board", "export", "blind-small-int4", "-o", tmp_path / "image.npz")
    assert "blind-small-int4" in exported.stdout, exported.stderr
    refused(capfd, "floating point", "board", "export", "blind-small-float32", "-o", tmp_path / "x.npz")
    serve = ("board", "--model", image(MODEL))
    with board(MODEL, program=("-m", "amrq", "board", "--model")) as started:
        refused(capfd, "cannot listen", *serve, "--listen", started.endpoint)
        started.process.send_signal(signal.SIGINT)
        out, err = run_amrq.the_rest(started.process)
        assert started.process.returncode == 0 and "0 chunks in 0 requests" in out, err
    for arguments, words in (
        (("--engine", "rtl", "--simulator", "abacus"), "no simulator 'abacus'"),
        (("--engine", "abacus"), "no engine 'abacus'"),
        (("--engine", "zmq"), "another board (zmq): choose from onnx, native, integer, rtl"),
        (("--engine", "onnx", "--input-bits", "9"), "the engine onnx has no option 'input_bits'"),
        (("--model", tmp_path / "none.npz"), "there is no image"),
        (("--model", tmp_path / "board.secret"), "as an ONNX model"),
        (("--key", tmp_path / "board.secret"), "give both or neither"),
        (("--clients", "0"), "--clients must be at least 1"),
    ):
        refused(capfd, words, *serve, *arguments)
    (tmp_path / "board.secret").chmod(0o644)
    keys = ("--key", tmp_path / "board.secret", "--client", tmp_path / "board.public")
    refused(capfd, "chmod 600", *serve, *keys)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of engines: all give the same scores, and a new one is a file and a line."""

import contextlib
import os
import re
import shutil
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run_amrq
from patience import PATIENCE
from seeds import rng
from serial_boards import PythonBoard, board_of

from amrq.classifier import (
    ENGINES,
    ChunkClassifier,
    Engine,
    EngineKind,
    IntegerScores,
    engines_here,
    logits_of,
    make_classifier,
    make_engine,
)
from amrq.errors import AmrqError
from amrq.link import BoardServer
from amrq.model import Contract

pytest.importorskip("onnx", reason="the package onnx is not installed")

ROOT = Path(__file__).resolve().parents[1]
MODEL = "coherent-small-int4"


def some_chunks(count: int, *path: str) -> np.ndarray:
    generator = rng("engines", *path)
    return generator.standard_normal((count, 64)).astype(np.float32).view(np.complex64)


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_of_the_list_is_what_the_list_says(name: str) -> None:
    kind = ENGINES[name]
    found = kind.load()
    assert issubclass(found, Engine) and found.name == name == kind.name
    assert found.may_lose == kind.remote  # what computes here loses nothing
    assert kind.computes and "model" not in kind.options()
    assert (name in engines_here()) != kind.remote


def test_the_page_has_a_row_for_every_engine() -> None:
    page = (ROOT / "docs" / "engines.md").read_text()
    table = page[page.index("| engine |") : page.index("\n\n", page.index("| engine |"))]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(ENGINES)


@contextlib.contextmanager
def serving(model: str) -> Iterator[str]:
    """Serve a model in this process; yield where."""
    server = BoardServer(make_engine("integer", model), "tcp://127.0.0.1:*")
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server.endpoint
    finally:
        server.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("name", ENGINES)
def test_all_engines_say_the_same_of_chunks_silence_and_nonsense(name: str) -> None:
    given = some_chunks(9)
    given[2], given[4, 7], given[8] = 0, np.nan, 0
    expected = make_classifier(MODEL).classify(given)
    with contextlib.ExitStack() as opened:
        options: dict[str, Any] = {}
        if name == "rtl":
            if shutil.which("iverilog") is None:
                pytest.skip("iverilog is not installed")
            options = {"simulator": "iverilog"}
        elif name == "serial":
            options = {"port": opened.enter_context(PythonBoard(board_of(MODEL))).port}
        elif name == "zmq":
            options = {"endpoint": opened.enter_context(serving(MODEL)), "policy": "wait"}
        classifier = opened.enter_context(contextlib.closing(make_classifier(MODEL, name, **options)))
        classifier.open()
        found = classifier.classify(given)
        nothing = classifier.classify(given[[2, 4, 8]])
        none = classifier.classify(given[:0])
    assert found.usable.tolist() == [n not in (2, 4, 8) for n in range(9)]
    assert (found.lost is None) == (name != "zmq") and (found.lost is None or not found.lost.any())
    for ours, theirs in zip(found[:4], expected[:4], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not nothing.usable.any() and not nothing.log_likelihoods.any()
    assert none.log_probabilities.shape == (0, len(classifier.contract.classes))
    if name == "zmq":
        assert classifier.counters()["by_board"] == 6  # silence is not sent


class Fixed(Engine):
    """Gives what it is told to, and notes what it is asked."""

    name = "fixed"
    contract = Contract("fixed", ("a", "b"), 32)

    def __init__(self, *scores: Any) -> None:
        self.scores = list(scores)
        self.asked: list[int] = []

    def run(self, iq: np.ndarray, level: np.ndarray | None) -> Any:
        self.asked.append(len(iq))
        assert np.isfinite(iq).all() and level is None
        return self.scores.pop(0)


def test_only_chunks_with_a_signal_reach_an_engine() -> None:
    given = some_chunks(5, "asked")
    given[[0, 3]] = 0
    engine = Fixed(np.float32([[1, 0], [0, 1], [2, 0]]))
    found = ChunkClassifier(engine).classify(given)
    assert engine.asked == [3]
    assert found.log_probabilities.argmax(axis=1)[found.usable].tolist() == [0, 1, 0]
    assert not found.log_probabilities[[0, 3]].any()


def test_integers_are_weighed_as_the_logits_they_stand_for() -> None:
    integers = np.int64([[3, -5], [1 << 40, 0]])
    scores = IntegerScores(integers, -3)
    np.testing.assert_array_equal(logits_of(scores), (integers / 8).astype(np.float32))
    whole = ChunkClassifier(Fixed(scores)).classify(some_chunks(2))
    parted = ChunkClassifier(Fixed((integers / 8).astype(np.float32))).classify(some_chunks(2))
    np.testing.assert_array_equal(whole.log_likelihoods, parted.log_likelihoods)


def test_a_row_without_scores_is_lost_where_an_engine_may_lose_and_an_error_elsewhere() -> None:
    scores = np.float32([[1, 0], [np.nan, np.nan], [0, 1]])
    given = some_chunks(4, "lost")
    given[1] = 0
    engine = Fixed(scores.copy())
    with pytest.raises(AmrqError, match="fixed gave outputs that are not finite"):
        ChunkClassifier(engine).classify(given)
    engine = Fixed(scores)
    engine.may_lose = True
    found = ChunkClassifier(engine).classify(given)
    assert found.lost is not None and found.lost.tolist() == [False, False, True, False]
    assert found.usable.tolist() == [True, False, False, True]
    assert found.power[2] > 0 and not found.log_likelihoods[2].any()


def test_what_an_engine_has_not_is_refused_by_name() -> None:
    with pytest.raises(AmrqError, match=rf"no engine 'abacus': choose from auto, {', '.join(ENGINES)}\."):
        make_engine("abacus", MODEL)
    with pytest.raises(
        AmrqError, match=r"the engine onnx has no option 'input_bits'; its options: threads\."
    ):
        make_engine("onnx", MODEL, input_bits=9)
    assert ENGINES["onnx"].taken(threads=2, input_bits=9) == {"threads": 2}
    with pytest.raises(AttributeError, match="Missing"):
        EngineKind("missing", "nothing", "amrq.classifier:MissingEngine").load()


STRANGER = '''
"""An engine of a stranger's."""

import hashlib

import numpy as np

from amrq.classifier import Engine
from amrq.model import find_model, read_contract


class ConstantEngine(Engine):
    name = "constant"

    def __init__(self, model="default"):
        path = find_model(model)
        self.contract = read_contract(path)
        self.model_sha256 = hashlib.sha256(path.read_bytes()).digest()

    def run(self, iq, level):
        scores = np.zeros((len(iq), len(self.contract.weighed())), np.float32)
        scores[:, 0] = 100.0
        return scores
'''
LINE = 'EngineKind("constant", "the first hypothesis, always", "amrq.hardware.constant_engine:ConstantEngine"),\n'

USES = """
import contextlib, io, json, sys, threading
import numpy as np
from amrq.classifier import make_classifier, make_engine
from amrq.cli import main
from amrq.link import BoardServer

RECORDING = sys.argv[1]

def said(*words):
    sys.argv = ["amrq", *words]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main()
    return out.getvalue()

for command in ("board", "evaluate", "classify", "live"):
    assert "constant (the first" in " ".join(said(command, "--help").replace("│", " ").split()), command
first = make_classifier("default").contract.weighed()[0].label
shown = said("evaluate", "default", "--engine", "constant", "--chunks", "5", "--es-n0", "10", "--sweeps", "none",
             "--json")
assert '"accuracy"' in shown or '"classes"' in shown, shown
server = BoardServer(make_engine("constant", "coherent-small-int4"), "tcp://127.0.0.1:*")
thread = threading.Thread(target=server.run)
thread.start()
board = make_classifier("coherent-small-int4", "zmq", endpoint=server.endpoint, policy="wait")
board.open()
found = board.classify(np.ones((3, 32), np.complex64))
board.close()
server.stop()
thread.join()
contract = board.contract
assert {contract.classes[n] for n in found.log_probabilities.argmax(axis=1)} == {contract.weighed()[0].label}
try:
    import gnuradio.amrq
except ImportError:
    pass
else:
    said("classify", RECORDING, "--engine", "constant", "--no-check", "--log", "decisions.jsonl")
    records = map(json.loads, open("decisions.jsonl"))
    assert {record["best"] for record in records if "event" not in record} == {first}
print("runs everywhere")
"""


def test_a_new_engine_is_one_file_and_one_line(tmp_path: Path) -> None:
    """It is put into a copy of the library, as a stranger would, and is offered and runs wherever engines do."""
    library = tmp_path / "amrq"
    shutil.copytree(ROOT / "src" / "amrq", library, ignore=shutil.ignore_patterns("__pycache__"))
    (library / "hardware" / "constant_engine.py").write_text(STRANGER)
    listed = library / "classifier" / "engine.py"
    before, last, after = listed.read_text().partition('        EngineKind("zmq"')
    assert last
    listed.write_text(before + LINE + last + after)
    process = run_amrq.python(
        "-c",
        textwrap.dedent(USES),
        ROOT / "examples" / "recordings" / "generic_qpsk.sigmf-meta",
        environment={
            "PYTHONPATH": os.pathsep.join((str(tmp_path), run_amrq.ENVIRONMENT["PYTHONPATH"])),
            "AMRQ_MODELS": str(ROOT / "models"),
            "COLUMNS": "300",
        },
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.endswith("runs everywhere\n")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that happens to a block, before it, after it or in it, hangs a flowgraph or ends the process."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import shutil
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import run_amrq
from file_radio import HEADER, build_file_radio
from seeds import rng
from small_models import linear_model, nan_model

pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")

import drive_blocks
import numpy as np
from gnuradio import amrq, blocks, gr
from gnuradio.amrq._errors import guarded, guarded_handler, guarded_run
from gnuradio.amrq.plain_errors import block_errors, raise_error

from amrq.classifier import ChunkClassifier, OnnxEngine, make_classifier
from amrq.errors import AmrqError, OutputClosedError
from amrq.model import open_model

CLASSES = drive_blocks.found()


def test_every_block_ends_with_what_follows_it(tmp_path: Path) -> None:
    """Each block there is: into head, into a sink that is done, into one that raises; messages it cannot use."""
    environment = {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(tmp_path)}
    left_out = set()
    if HEADER.exists() and shutil.which("c++") and importlib.util.find_spec("gnuradio.soapy"):
        np.zeros(10_000, np.complex64).tofile(tmp_path / "samples.cf32")
        environment |= build_file_radio(tmp_path)
        environment["AMRQ_TEST_RADIO"] = f"driver=amrqfile,path={tmp_path / 'samples.cf32'}"
    else:
        left_out |= {"radio_source.radio_source"}
    if not importlib.util.find_spec("PyQt5"):
        left_out |= {name for name in CLASSES if "display" in name}
    with open("/dev/zero", "rb") as zeros:
        process = run_amrq.run(run_amrq.warm(drive_blocks.__file__, tmp_path), environment, stdin=zeros)
    lines = [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]
    assert process.returncode == 0, f"after {lines[-1:]}: {process.stderr[-4000:]}"
    *cases, last = lines
    assert {case["block"] for case in cases} == set(last["blocks"]) - left_out
    assert [case for case in cases if case["error"]] == []


def methods(kind: type, *names: str) -> list[Any]:
    return [vars(kind)[name] for name in names if name in vars(kind)]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_block_is_guarded(name: str) -> None:
    """An exception out of any of these would hang a flowgraph, or end the process."""
    kind = CLASSES[name]
    for method in methods(kind, "work", "general_work", "start", "stop"):
        assert getattr(method, "_guarded", False), method
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    if "set_msg_handler" in ast.unparse(tree):
        handlers = [
            method
            for method in vars(kind).values()
            if inspect.isfunction(method)
            and list(inspect.signature(method).parameters) == ["self", "message"]
        ]
        assert handlers
        assert all(getattr(handler, "_guarded", False) for handler in handlers), handlers


PUBLIC = sorted(name for name in CLASSES if name.partition(".")[2] in amrq.__all__)
WRONG = ("text", "", None, [], {}, object(), b"3", float("nan"), 1e300, -(10**400), 10**400, 2**64, "\0")


@pytest.mark.parametrize("name", PUBLIC)
def test_arguments_of_a_wrong_kind_are_one_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A file that can be loaded is loaded once: most of the time goes there.
    monkeypatch.setattr("amrq.classifier.engine.open_model", cache(open_model))
    if "display" in name:
        QtWidgets = pytest.importorskip("PyQt5.QtWidgets")
        application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        assert application is not None
    kind = CLASSES[name]
    known = {
        "sample_rate": 100e3,
        "symbol_rate": 25e3,
        "path": str(drive_blocks.RECORDING),
        "name": str(tmp_path / "take"),
        "port": 0,
        "address": "tcp://127.0.0.1:9",
        "device": "driver=none",
        "frequency": 1e6,
    }
    loaded = make_classifier("default")
    refused = 0
    for parameter in inspect.signature(kind).parameters.values():
        if "Callable" in str(parameter.annotation) or "Backend" in str(parameter.annotation):
            continue
        for value in WRONG:
            arguments = {
                key: known[key]
                for key, one in inspect.signature(kind).parameters.items()
                if one.default is one.empty
            }
            if "backend" in inspect.signature(kind).parameters and parameter.name != "model":
                arguments["backend"] = lambda model: loaded
            try:
                kind(**(arguments | {parameter.name: value}))
            except AmrqError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) < 1000
    assert refused > 3


class Failing(OnnxEngine):
    """Fails where it is told to."""

    where = ""

    def _fail(self, where: str) -> None:
        if where == self.where:
            raise OSError(f"no luck with {where}")

    def open(self) -> None:
        self._fail("open")

    def run(self, *given: Any) -> Any:
        self._fail("run")
        return super().run(*given)

    def close(self) -> None:
        self._fail("close")


def failing(model: str) -> ChunkClassifier:
    return ChunkClassifier(Failing(model))


@pytest.mark.parametrize("where", ["open", "run", "close"])
def test_a_backend_that_raises_ends_the_flowgraph(where: str, tmp_path: Path) -> None:
    code = f"""
        import sys
        from pathlib import Path
        from test_blocks_end import Failing, failing
        from gnuradio import amrq, blocks, gr
        from gnuradio.amrq.plain_errors import plain_errors, raise_error

        plain_errors(raised=True)
        Failing.where = {where!r}
        class graph(gr.top_block):
            def __init__(self):
                gr.top_block.__init__(self)
                self.source = blocks.vector_source_c([1] * 64_000, False, 32)
                self.sink = amrq.classifier_sink({str(linear_model(tmp_path / "linear.onnx"))!r}, backend=failing)
                self.connect(self.source, self.sink)
        made = graph()
        made.run()
        raise_error(made)
    """
    process = run_amrq.run(run_amrq.warm("-c", textwrap.dedent(code)))
    assert process.returncode == 2, process.stderr
    assert process.stderr == f"sink failed: no luck with {where}.\n"


def test_a_thread_with_nothing_left_to_show_on_is_no_error() -> None:
    """What polls a block for a label goes on while the window is closed; any other error of a thread is printed."""
    pytest.importorskip("PyQt5")
    code = """
        import threading
        from gnuradio.amrq.plain_errors import plain_errors
        from PyQt5 import Qt, sip

        plain_errors()
        application = Qt.QApplication([])
        label = Qt.QLabel("state")
        sip.delete(label)
        def other():
            raise RuntimeError("the aerial has been deleted")
        for target in (label.text, other):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    """
    process = run_amrq.run(run_amrq.warm("-c", textwrap.dedent(code)), {"QT_QPA_PLATFORM": "offscreen"})
    assert process.returncode == 0
    assert process.stderr.count("Traceback") == 1
    assert process.stderr.endswith("RuntimeError: the aerial has been deleted\n")


@pytest.mark.parametrize("command", ["classify", "live"])
def test_a_model_that_gives_nan_ends_the_command(command: str, tmp_path: Path) -> None:
    model = nan_model(tmp_path / "nan.onnx")
    file = ["--file", str(drive_blocks.RECORDING)] if command == "live" else [str(drive_blocks.RECORDING)]
    process = run_amrq.amrq(command, *file, "--symbol-rate", "25k", "--model", model)
    assert process.returncode == 2
    assert process.stderr == "amrq: nan.onnx gave outputs that are not finite: the model is not usable.\n"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str]]:
    # A command that ran in this process before has its blocks keep their errors for it.
    monkeypatch.setattr("gnuradio.amrq._errors._kept", False)
    lines: list[str] = []
    logger = SimpleNamespace(error=lines.append)
    return SimpleNamespace(error=None, logger=logger), lines


def test_errors_of_a_run_are_all_told(logged: tuple[Any, list[str]]) -> None:
    block, lines = logged

    def fail(self: Any, *rest: Any) -> Any:
        raise AmrqError("The log is full.")

    def start(self: Any) -> bool:
        raise OSError("nothing is there")

    assert guarded(fail)(block) == -1
    assert lines == ["The log is full. The flowgraph ends here."]
    assert guarded_run(start)(block) is True
    assert str(block.error) == "The log is full. nothing is there"
    assert guarded(lambda self: 3)(block) == -1, "it did not start"
    block.error = None
    assert guarded_run(_starts("start"))(block) is True and guarded(lambda self: 3)(block) == 3


def _starts(name: str) -> Callable[[Any], bool]:
    def step(self: Any) -> bool:
        return True

    step.__name__ = name
    return step


def test_a_pipe_that_nobody_reads_is_no_line_in_a_log(logged: tuple[Any, list[str]]) -> None:
    block, lines = logged

    def fail(self: Any) -> int:
        raise OutputClosedError("standard output is no longer read.")

    assert guarded(fail)(block) == -1 and not lines
    assert isinstance(block.error, OutputClosedError)


def test_a_handler_complains_once_of_the_same(logged: tuple[Any, list[str]]) -> None:
    block, lines = logged

    @guarded_handler("a message could not be used")
    def handle(self: Any, message: Any) -> None:
        raise ValueError(message)

    for message in ("a", "a", "b\x1b[2J"):
        handle(block, message)
    assert lines == [
        "a message could not be used: ValueError: a",
        "a message could not be used: ValueError: b\\x1b[2J",
    ]


def test_only_blocks_have_errors() -> None:
    """GNU Radio 3.10.12 gives a generated flowgraph a logger, whose `error` is a method."""

    class odd:  # noqa: N801
        @property
        def error(self) -> Exception:
            raise RuntimeError("do not ask")

        to_basic_block = None

    class graph(gr.top_block):  # noqa: N801
        def __init__(self) -> None:
            gr.top_block.__init__(self)
            self.logger = SimpleNamespace(error=lambda text: None)
            self.widget = SimpleNamespace(error=ValueError("not a block's"))
            self.odd = odd()
            self.good = amrq.chunker()
            self.theirs = blocks.null_sink(8)
            self.one, self.other = amrq.sigmf_recorder, amrq.chunker()

    made = graph()
    assert list(block_errors(vars(made).items())) == []
    raise_error(made)
    made.good.error, made.other.error = AmrqError("The log is full."), OSError("nothing is there")
    with pytest.raises(AmrqError, match=r"^The log is full\. other failed: nothing is there\.$"):
        raise_error(made)
    # Whoever read has gone: that hides nothing else, and is an end of its own where it is all.
    made.good.error, made.other.error = OutputClosedError("nobody reads."), AmrqError("The log is full.")
    with pytest.raises(AmrqError, match=r"^The log is full\.$") as caught:
        raise_error(made)
    assert caught.value.exit_status == 2
    made.other.error = None
    with pytest.raises(OutputClosedError):
        raise_error(made)


def test_the_flowgraph_that_hung(tmp_path: Path) -> None:
    """Source, symbol front end, head: it ran for ever, since there was never quite no room for output."""
    random = rng("the flowgraph that hung")
    samples = np.repeat(np.exp(0.5j * np.pi * random.integers(4, size=96_000)), 4).astype(np.complex64)
    source, front_end = blocks.vector_source_c(samples), amrq.symbol_front_end(100e3, 25e3)
    head, sink = blocks.head(gr.sizeof_gr_complex, 2000), blocks.null_sink(gr.sizeof_gr_complex)
    graph = gr.top_block()
    graph.connect(source, front_end, head, sink)
    drive_blocks.run(graph)
    assert sink.nitems_read(0) == 2000

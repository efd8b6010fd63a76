# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all tests."""

import gc
import json
import platform
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import amrq  # noqa: F401  # first: it keeps onnxruntime, which some tests import themselves, from reporting
from amrq.native import Kernels, kernels, missing

# A shell has what it starts in the background ignore Ctrl-C, and that is inherited: tests send it to what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What is loaded for all tests stays: Python need not look through half a million objects of it for garbage every few
# seconds, nor while they are made.
gc.disable()

# The same examples in every run, wherever it runs: a failure can be repeated, and a pass is not luck.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("repeatable")

LONGEST = (
    "test_tune.py",
    "test_examples.py",
    "test_golden.py",
    "test_block_qa.py",
    "test_golden_command.py",
    "test_live.py",
    "test_training.py",
    "test_bad_output_and_input.py",
    "test_symbol_rate.py",
    "test_sweep.py",
    "test_command.py",
    "test_scan.py",
    "test_evaluation.py",
    "test_installed.py",
    "test_tenth_class.py",
    "test_rtl.py",
    "test_headless.py",
    "test_blocks_end.py",
    "test_scan_worker.py",
    "test_signals_end.py",
    "test_likelihood.py",
    "test_classify_files.py",
    "test_array.py",
    "test_detect.py",
    "test_scan_command.py",
    "test_wheel.py",
    "test_shipped_models.py",
    "test_sweep_report.py",
    "test_rtl_engine.py",
    "test_faults.py",
    "test_sink.py",
    "test_aligner_rtl.py",
    "test_label.py",
    "test_benchmarks.py",
    "test_grcc.py",
    "test_privacy.py",
    "test_trained_networks.py",
)
"""Files of the tests that take longest, in this order, so that processes which share the files end together."""


LONG_TESTS = Path(__file__).with_name("long_tests.json")
"""When the tests marked long last passed, all of them, and with what."""


class LongRecord:
    """Keeps which long tests have passed, and writes a dated result if none has failed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.passed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid.split("[")[0])

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus != 0:
            return
        commit = subprocess.run(
            ["git", "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False
        )
        about = {
            "date": time.strftime("%Y-%m-%d"),
            "commit": commit.stdout.strip(),
            "python": platform.python_version(),
            "passed": sorted(self.passed),
        }
        self.path.write_text(json.dumps(about, indent=1) + "\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-long", type=Path, help="write to this file that the long tests have passed")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--record-long")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(LongRecord(path))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("-m") == "not long":
        last = json.loads(LONG_TESTS.read_text())
        count, when = len(last["passed"]), f"{last['date']} at {last['commit']}"
        terminalreporter.write_line(
            f"{count} long tests are not run here, but by make test-long: passed on {when}."
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture
def native() -> Kernels:
    """Return the compiled kernels; tests that need them are skipped where they were not built."""
    found = kernels()
    if found is None:
        pytest.skip(str(missing()))
    return found


@pytest.fixture
def new_socket() -> Iterator[Callable[[int], Any]]:
    """Make ZMQ sockets of the kinds asked for; none outlives the test, since an open one holds up pytest's own end."""
    zmq = pytest.importorskip("zmq")
    context = zmq.Context()
    try:
        yield context.socket
    finally:
        context.destroy(linger=0)

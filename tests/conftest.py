# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

import amrq  # noqa: F401  # first: it keeps onnxruntime, which some tests import themselves, from reporting

# The same examples in every run, wherever it runs: a failure can be repeated, and a pass is not luck.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("repeatable")

LONGEST = (
    "test_tune.py",
    "test_sweep.py",
    "test_training.py",
    "test_examples.py",
    "test_live.py",
    "test_headless.py",
    "test_likelihood.py",
    "test_golden.py",
    "test_bad_output_and_input.py",
    "test_rtl.py",
    "test_command.py",
    "test_golden_command.py",
    "test_installed.py",
    "test_signals_end.py",
    "test_evaluation.py",
    "test_sink.py",
    "test_label.py",
)
"""Files of the tests that take longest, in this order, so that processes which share the files end together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture
def new_socket() -> Iterator[Callable[[int], Any]]:
    """Make ZMQ sockets of the kinds asked for; none outlives the test, since an open one holds up pytest's own end."""
    zmq = pytest.importorskip("zmq")
    context = zmq.Context()
    try:
        yield context.socket
    finally:
        context.destroy(linger=0)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of errors: what could not be used, and with which status the command then exits."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from amrq.classifier import make_classifier
from amrq.errors import (
    AmrqError,
    DeviceError,
    LinkError,
    ModelError,
    OutputError,
    RecordingError,
    StalledError,
)
from amrq.hardware import IntegerNetwork
from amrq.link import FrameError, read_secret_key
from amrq.model import Contract
from amrq.recordings import open_recording
from amrq.sources import RtlTcpFeed, RtlTcpSettings


def _closed_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _ask_a_server_that_is_not_there() -> None:
    feed = RtlTcpFeed("127.0.0.1", _closed_port(), RtlTcpSettings(1e6, 100e6))
    feed.open()


CASES: dict[str, tuple[type[AmrqError], Callable[[Path], object]]] = {
    "a recording that is missing": (
        RecordingError,
        lambda folder: open_recording(folder / "none.sigmf-meta"),
    ),
    "a recording without rate": (RecordingError, lambda folder: open_recording(_file(folder / "r.cf32"))),
    "a format that does not exist": (AmrqError, lambda folder: open_recording(_file(folder / "r"), "cf99")),
    "a model that is missing": (ModelError, lambda folder: make_classifier(folder / "none.onnx")),
    "a contract that is not one": (ModelError, lambda folder: Contract.from_json("[]")),
    "a model of floats as hardware": (
        ModelError,
        lambda folder: IntegerNetwork.from_onnx("blind-small-float32"),
    ),
    "a radio that is missing": (DeviceError, lambda folder: _ask_a_server_that_is_not_there()),
    "a key that is not one": (LinkError, lambda folder: read_secret_key(_secret(folder / "k.secret"))),
}


def _file(path: Path) -> Path:
    path.write_bytes(bytes(800))
    return path


def _secret(path: Path) -> Path:
    path.write_text("no key")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("case", CASES)
def test_the_kind_of_error_says_what_cannot_be_used(case: str, tmp_path: Path) -> None:
    kind, use = CASES[case]
    with pytest.raises(AmrqError) as caught:
        use(tmp_path)
    assert type(caught.value) is kind or (kind is not AmrqError and isinstance(caught.value, kind))


def test_every_kind_is_one_of_ours_and_keeps_its_exit_status() -> None:
    kinds = (RecordingError, ModelError, DeviceError, LinkError, OutputError)
    for kind in kinds:
        assert issubclass(kind, AmrqError)
        assert kind.exit_status == AmrqError.exit_status == 2
        assert not any(issubclass(kind, other) for other in kinds if other is not kind)
    assert issubclass(StalledError, DeviceError) and StalledError.exit_status == 3
    assert issubclass(FrameError, LinkError)

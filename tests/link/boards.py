# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards as processes, and what stands between them and a client."""

import contextlib
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import zmq
from patience import PATIENCE
from run_amrq import start, the_rest
from seeds import rng

from amrq.classifier import ChunkClassifier
from amrq.hardware import write_image
from amrq.link import BoardEngine, Frame, LinkSettings, MessageType, Status, read_frame

MODEL = "coherent-small-int4"
ANYWHERE = "tcp://127.0.0.1:*"
QUICK = LinkSettings(batch=16, window=4, timeout=0.5, heartbeat=1.0, connect_timeout=PATIENCE, backoff=0.05)


def chunks(count: int, *path: str | int) -> np.ndarray:
    """Chunks of noise, which reaches every score."""
    return rng("link", *path).standard_normal((count, 64)).astype(np.float32).view(np.complex64)


@cache
def _images() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


@cache
def image(model: str) -> str:
    """Return an image of a model, with which a board starts sooner than with ONNX."""
    file = Path(_images().name) / f"{model}.npz"
    write_image(model, file)
    return str(file)


class Board:
    """A board in a process of its own.

    Attributes:
        process: that process.
        endpoint: where it listens.
        said: lines up to the one that tells it.
    """

    def __init__(
        self, *arguments: str, listen: str = ANYWHERE, program: tuple[str, ...] = ("-m", "amrq.link")
    ):
        model, *arguments = arguments
        self.process = start([sys.executable, *program, image(model), *arguments, "--listen", listen])
        assert self.process.stdout is not None
        self.said: list[str] = []
        found = None
        while found is None:
            self.said.append(self.process.stdout.readline())
            if not self.said[-1]:
                self.process.kill()
                raise AssertionError("".join(self.said) + self.process.communicate()[1])
            found = re.search(r"at (tcp://[^\s,]+)", self.said[-1])
        self.endpoint = found.group(1)

    @contextlib.contextmanager
    def cleaned(self) -> Iterator["Board"]:
        """Let it not outlive a block of code."""
        try:
            yield self
        finally:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGCONT)
                self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> str:
        """End it as a system does, and return its summary."""
        self.process.send_signal(signal.SIGTERM)
        out, err = the_rest(self.process)
        assert self.process.returncode == 0 and "Traceback" not in err, err
        return out


@contextlib.contextmanager
def board(*arguments: str, **more: object) -> Iterator[Board]:
    with Board(*(arguments or (MODEL,)), **more).cleaned() as started:  # type: ignore[arg-type]
        yield started


class Told:
    """What a client says, to be waited for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def wait_for(self, words: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(words in line for line in self.lines), PATIENCE), (
                self.lines
            )


def refusal(frame: Frame, status: Status, text: bytes = b"") -> list[bytes]:
    """What a board sends that answers a frame with an error."""
    answer = Frame(
        type=MessageType.ERROR, session=frame.session, sequence=frame.sequence, payload=text, status=status
    )
    return [answer.to_bytes()]


@contextlib.contextmanager
def client(endpoint: str, policy: str = "drop", **more: object) -> Iterator[ChunkClassifier]:
    more = {"settings": QUICK, "say": Told(), "model": MODEL} | more
    classifier = ChunkClassifier(BoardEngine(endpoint=endpoint, policy=policy, **more))  # type: ignore[arg-type]
    classifier.open()
    try:
        yield classifier
    finally:
        classifier.close()


def in_thread(work: Callable[[], None]) -> Callable[[], None]:
    """Start `work`; what is returned waits for its end and raises what it raised."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def finish() -> None:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "it hangs"
        if failed:
            raise failed[0]

    return finish


class Proxy:
    """Stands between one client and a board, and does to the board's messages what it likes.

    Args:
        endpoint: of the board.
        tamper: what is delivered in place of each scores message.
    """

    def __init__(self, endpoint: str, tamper: Callable[[bytes], list[bytes]]) -> None:
        self._context = zmq.Context()
        self._front, self._back = self._context.socket(zmq.ROUTER), self._context.socket(zmq.DEALER)
        for socket in (self._front, self._back):
            socket.setsockopt(zmq.LINGER, 0)
        self._front.bind(ANYWHERE)
        self._back.connect(endpoint)
        self.endpoint = self._front.getsockopt(zmq.LAST_ENDPOINT).decode()
        self._tamper = tamper
        self._ending = threading.Event()
        self._finish = in_thread(self._run)

    def _run(self) -> None:
        identity = b""
        poller = zmq.Poller()
        poller.register(self._front, zmq.POLLIN)
        poller.register(self._back, zmq.POLLIN)
        while not self._ending.is_set():
            ready = dict(poller.poll(50))
            if self._front in ready:
                identity, message = self._front.recv_multipart()
                self._back.send(message)
            if self._back in ready:
                message = self._back.recv()
                scores = read_frame(message).type is MessageType.SCORES
                for one in self._tamper(message) if scores else [message]:
                    self._front.send_multipart([identity, one])

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        self._finish()
        self._context.destroy(linger=0)


class Stranger:
    """A socket that says whatever it is told to."""

    def __init__(self, endpoint: str, **options: bytes) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, int(1000 * PATIENCE))
        for name, value in options.items():
            self.socket.setsockopt(getattr(zmq, name), value)
        self.socket.connect(endpoint)

    def ask(self, message: bytes | Frame) -> Frame:
        """Send a message and return the answer to it."""
        self.socket.send(message if isinstance(message, bytes) else message.to_bytes())
        return read_frame(self.socket.recv())

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *error: object) -> None:
        self._context.destroy(linger=0)


Says = Callable[[Frame], list[bytes]]


class Liar:
    """A board that answers what it likes.

    Attributes:
        says: what becomes of each message, to be replaced at any time.
        heard: how many messages came of each type, `changed` whenever one more has been answered.
    """

    def __init__(self, says: Says) -> None:
        self.says = says
        self.heard = dict.fromkeys(MessageType, 0)
        self.changed = threading.Condition()
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.bind(ANYWHERE)
        self.endpoint = self._router.getsockopt(zmq.LAST_ENDPOINT).decode()
        self._ending = threading.Event()
        self._finish = in_thread(self._run)

    def _run(self) -> None:
        while not self._ending.is_set():
            if not self._router.poll(20):
                continue
            identity, message = self._router.recv_multipart()
            frame = read_frame(message)
            for answer in self.says(frame):
                self._router.send_multipart([identity, answer])
            with self.changed:
                self.heard[frame.type] += 1
                self.changed.notify_all()

    def wait_for(self, kind: MessageType, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.heard[kind] >= count, PATIENCE), self.heard

    def __enter__(self) -> "Liar":
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        self._finish()
        self._context.destroy(linger=0)


ODD_BOARD = str(Path(__file__).with_name("odd_board.py"))

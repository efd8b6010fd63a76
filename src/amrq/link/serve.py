# SPDX-License-Identifier: GPL-3.0-or-later
"""A board as a process of its own."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType

from amrq.link.board_server import LOOPBACK, BoardServer
from amrq.link.engine import Engine
from amrq.link.limits import Limits
from amrq.plain_text import printable

__all__ = ["serve"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 130


def serve(
    engine: Engine,
    endpoint: str = LOOPBACK,
    limits: Limits | None = None,
    secret_key: str | None = None,
    client_keys: Iterable[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve until SIGTERM, SIGHUP or Ctrl-C; in the main thread.

    The first signal ends it within two seconds: an engine that has not returned by then is left alone, and the process
    ends here. A second signal ends the process at once.

    Args:
        engine: what computes.
        endpoint: where to listen.
        limits: of memory and work.
        secret_key: file with the board's secret key; None: no encryption.
        client_keys: files with public keys of the clients that are let in.
        say: called with a line when it listens, and with a summary when it ends.

    Raises:
        AmrqError: as `BoardServer`.
    """
    server = BoardServer(engine, endpoint, limits, secret_key, client_keys)

    stopping = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(_INTERRUPTED)
        stopping.set()
        server.stop()

    def tell(line: str) -> None:
        with contextlib.suppress(OSError):  # whether or not anybody reads, the board serves
            say(line)

    # A signal that whoever started the process ignores, as nohup does, is left to be ignored.
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heeded}
    contract = engine.contract
    tell(
        f"amrq board: {printable(contract.name)} ({engine.model_sha256.hex()[:12]}), engine {engine.name}, at "
        f"{server.endpoint}" + ("" if secret_key is None else ", known clients only")
    )
    try:
        server.run()
    finally:
        for number, former in before.items():
            signal.signal(number, former)
    counted = server.counted
    refused = sum(count for name, count in counted.items() if name.startswith("refused"))
    left = f", {counted['dropped']} of clients that left" if counted["dropped"] else ""
    tell(
        f"amrq board: {counted['chunks']} chunks in {counted['classify']} requests, {refused} refused{left}, "
        f"{counted['hello']} greetings"
    )
    if server.stuck:  # a thread inside the engine would hold up, or crash, an orderly end
        engine.close()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(0)

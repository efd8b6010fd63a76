# SPDX-License-Identifier: GPL-3.0-or-later
"""A board as a process of its own."""

import signal
from collections.abc import Callable, Iterable
from types import FrameType

from amrq.link.board_server import LOOPBACK, BoardServer
from amrq.link.engine import Engine
from amrq.link.limits import Limits

__all__ = ["serve"]


def serve(
    engine: Engine,
    endpoint: str = LOOPBACK,
    limits: Limits | None = None,
    secret_key: str | None = None,
    client_keys: Iterable[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; in the main thread.

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

    def end(number: int, frame: FrameType | None) -> None:
        server.stop()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    contract = engine.contract
    say(
        f"amrq board: {contract.name} ({engine.model_sha256.hex()[:12]}), engine {engine.name}, at {server.endpoint}"
        + ("" if secret_key is None else ", known clients only")
    )
    try:
        server.run()
    finally:
        for number, former in before.items():
            signal.signal(number, former)
    counted = server.counted
    refused = sum(count for name, count in counted.items() if name.startswith("refused"))
    say(
        f"amrq board: {counted['chunks']} chunks in {counted['classify']} requests, {refused} refused, "
        f"{counted['hello']} greetings"
    )

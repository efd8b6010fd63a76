# SPDX-License-Identifier: GPL-3.0-or-later
"""An rtl_tcp server of the tests' own, in this process."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from patience import PATIENCE

__all__ = ["HEADER", "RtlTcpServer"]

HEADER = struct.pack(">4sII", b"RTL0", 5, 29)  # an R820T with its 29 gains


class RtlTcpServer:
    """Listens on a port of its own, and treats one client after another as it is told.

    Args:
        data: returns an iterator over what a client is sent behind the header; called once a client. Where it ends,
            the connection is closed; a block that is None waits until the server is closed.
        header: that a client is greeted with; None: no word, ever.
        port: to listen at; 0 takes a free one.

    Attributes:
        commands: (which, number) that clients sent.
        clients: how many have come.
        commanded: set with every command.
        over: set when it is closed; a block that waits for it, for a while, comes at the pace of a radio.
    """

    def __init__(
        self, data: Callable[[], Iterator[bytes | None]], header: bytes | None = HEADER, port: int = 0
    ) -> None:
        self.commands: list[tuple[int, int]] = []
        self.clients = 0
        self.commanded = threading.Event()
        self._data, self._header = data, header
        self.over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._connections: list[socket.socket] = []
        self._threads[0].start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "RtlTcpServer":
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        for connection in (self._listening, *self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.clients += 1
            self._connections.append(connection)
            hearing = threading.Thread(target=self._hear, args=(connection,), daemon=True)
            self._threads.append(hearing)
            hearing.start()
            with contextlib.suppress(OSError):
                self._send(connection)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _send(self, connection: socket.socket) -> None:
        if self._header is None:
            self.over.wait()
            return
        connection.sendall(self._header)
        for block in self._data():
            if block is None:
                self.over.wait()
            elif self.over.is_set():
                return
            else:
                connection.sendall(block)

    def _hear(self, connection: socket.socket) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while part := connection.recv(4096):
                rest += part
                while len(rest) >= 5:
                    self.commands.append(struct.unpack(">BI", rest[:5]))
                    rest = rest[5:]
                self.commanded.set()

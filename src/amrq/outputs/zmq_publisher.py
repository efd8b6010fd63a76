# SPDX-License-Identifier: GPL-3.0-or-later
"""Records for whoever subscribes."""

import json
from collections.abc import Mapping
from typing import Any

from amrq.errors import AmrqError
from amrq.optional_package import optional_package

__all__ = ["ZmqPublisher"]

_WAITING = 1_000
"""Records kept for a slow subscriber; it loses what comes on top of that, and nobody else does."""
_LINGER_MS = 500


class ZmqPublisher:
    """A ZMQ PUB socket: each message is one frame, a record as JSON text in UTF-8. No PMT is needed to read it.

    It never waits: without subscribers records go nowhere.

    Args:
        endpoint: where to listen, `tcp://127.0.0.1:5556` for instance; port 0 or `*` takes a free one.

    Raises:
        AmrqError: PyZMQ is missing, or the endpoint cannot be listened at.
    """

    def __init__(self, endpoint: str) -> None:
        self._zmq = optional_package("zmq", "publishing decisions")
        self._socket = self._zmq.Context.instance().socket(self._zmq.PUB)
        self._socket.setsockopt(self._zmq.SNDHWM, _WAITING)
        self._socket.setsockopt(self._zmq.LINGER, _LINGER_MS)
        try:
            self._socket.bind(endpoint)
        except self._zmq.ZMQError as error:
            self._socket.close(linger=0)
            raise AmrqError(
                f"decisions cannot be published at {endpoint!r} ({error.strerror}): give an address of this machine "
                "and a free port, tcp://127.0.0.1:5556 for instance."
            ) from None
        self.endpoint = self._socket.getsockopt(self._zmq.LAST_ENDPOINT).decode()

    def write(self, record: Mapping[str, Any]) -> None:
        """Publish a record."""
        self._socket.send_string(json.dumps(record))

    def close(self) -> None:
        """Send what still waits, half a second at most, and close the socket."""
        self._socket.close()

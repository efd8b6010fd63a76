# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that classifies on an FPGA board at a serial port (docs/serial-protocol.md)."""

import contextlib
import hashlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Engine, IntegerScores
from amrq.errors import AmrqError, LinkError
from amrq.hardware import IMAGE_SUFFIX, FrameSeeker, SerialFrame, SerialIdentity, SerialType, read_image
from amrq.model import find_model, read_contract
from amrq.text import printable

__all__ = ["SerialEngine"]

_PAUSE = 0.05
"""Seconds without a byte after which the board has given up half a frame, and has nothing more to say."""
_LONGEST_CLEARING = 2.0
"""Seconds after which a line that will not be quiet is no board's."""
_ASKED = 3
"""Times that something is asked before the board counts as gone."""
_SLICE = 0.1
"""Seconds after which a wait looks whether the engine was closed."""
_READ = 1 << 16


class _SerialPort:
    """A serial port, raw, 8 bits, no parity, for this program alone.

    Args:
        path: such as /dev/ttyUSB0.
        baud: bits a second.

    Raises:
        LinkError: it is not there, in use, no serial port, or cannot run at this speed.
    """

    def __init__(self, path: str, baud: int) -> None:
        try:
            import fcntl
            import termios
        except ImportError:
            raise LinkError("a board at a serial port needs Linux or another Unix.") from None
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            known = sorted(int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit())
            fast = ", ".join(str(rate) for rate in known if rate >= 9600)
            raise LinkError(f"a serial port cannot run at {baud} bits/s here: choose from {fast}.")
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise LinkError(
                f"the serial port {printable(path)} cannot be opened ({printable(reason)}): give the board's, "
                "/dev/ttyUSB0 for instance."
            ) from None
        try:
            fcntl.ioctl(self._file, termios.TIOCEXCL)
            mode = termios.tcgetattr(self._file)
            mode[0] = mode[1] = mode[3] = 0  # nothing is translated, nothing echoed
            mode[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
            mode[4] = mode[5] = speed
            termios.tcsetattr(self._file, termios.TCSANOW, mode)
        except (OSError, termios.error) as error:
            os.close(self._file)
            raise LinkError(
                f"{printable(path)} cannot be set up as a serial port ({printable(error.args[-1])})."
            ) from None

    def wait(self, seconds: float, write: bool = False) -> tuple[bool, bool]:
        """Wait until there is something to read, or where asked room to write; return which."""
        readable, writable, _ = select.select(
            [self._file], [self._file] if write else [], [], max(seconds, 0)
        )
        return bool(readable), bool(writable)

    def read(self) -> bytes:
        """Return what there is.

        Raises:
            LinkError: the port is gone.
        """
        try:
            data = os.read(self._file, _READ)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from None
        if not data:
            raise self._gone("nothing comes any more")
        return data

    def write(self, data: bytes | memoryview) -> int:
        """Write what there is room for, and return how much that was.

        Raises:
            LinkError: the port is gone.
        """
        try:
            return os.write(self._file, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._gone(error) from None

    def _gone(self, error: object) -> LinkError:
        reason = getattr(error, "strerror", None) or error
        return LinkError(f"the serial port {printable(self.path)} is gone ({printable(reason)}).")

    def close(self) -> None:
        """Give it back."""
        with contextlib.suppress(OSError):
            os.close(self._file)


class SerialEngine(Engine):
    """Computes scores on an FPGA board at a serial port: a design that `amrq rtl MODEL --board ulx3s` wrote.

    The board must have been made of the same model file. It is asked when the engine is made, and again when it did not
    answer. Up to eight chunks are under way at a time; a question without an answer is asked again, three times in all.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`; or an image that `amrq board export` wrote.
        port: path of the serial port.
        baud: its speed, as the design was made for, in bits/s.
        timeout: seconds without an answer after which a question is asked again.
        say: called with a sentence about the board that was found; None writes it to the log `amrq.link`.

    Attributes:
        identity: what the board says of itself.

    Raises:
        ModelError: the model is missing or has no contract.
        LinkError: there is no such port, no board answers at it, or the board has another model.
        AmrqError: `timeout` is not above 0.
    """

    name = "serial"
    integer_scores = True

    def __init__(
        self,
        model: str | os.PathLike[str] = "default",
        port: str = "/dev/ttyUSB0",
        baud: int = 3_000_000,
        timeout: float = 1.0,
        say: Callable[[str], None] | None = None,
    ) -> None:
        if not timeout > 0:
            raise AmrqError(f"a board is given a time above 0 s, not {timeout:g} s.")
        if Path(model).suffix == IMAGE_SUFFIX:
            network, self.model_sha256 = read_image(model)
            self.contract = network.contract
        else:
            path = find_model(model)
            self.contract = read_contract(path)
            self.model_sha256 = hashlib.sha256(path.read_bytes()).digest()
        self._path, self._baud, self._timeout = port, baud, timeout
        self._closed = False
        self._lock = threading.Lock()  # held by whoever uses the port
        self._number = 0
        self._until: float | None = None
        self._counted = {"resent": 0, "damaged": 0}
        self._port: _SerialPort | None = None
        self._seeker = FrameSeeker({})
        self._connect()
        speak = say or logging.getLogger("amrq.link").info
        speak(
            f"the board at {printable(port)} has the model {printable(self.contract.name)}, I and Q of "
            f"{self.identity.input_bits} bits"
        )

    def open(self) -> None:
        """Look for the board again, if the engine was closed."""
        self._closed = False
        self._until = None
        with self._lock:
            if self._port is None:
                self._connect()

    def close(self) -> None:
        """Give the port back; a `run` in progress in another thread fails soon."""
        self._closed = True
        with self._lock:
            self._drop()

    def hurry(self, seconds: float | None) -> None:
        """Make every call of `run` return within so many seconds, until the next `open`; see `Engine`."""
        self._until = None if seconds is None else time.monotonic() + seconds

    def counters(self) -> dict[str, int]:
        """Return counters since the engine was made: questions asked again, and frames that came damaged."""
        return {
            "serial_resent": self._counted["resent"],
            "serial_damaged": self._counted["damaged"] + self._seeker.damaged,
        }

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> IntegerScores:
        """Return scores; see `Engine`.

        Raises:
            LinkError: the board does not answer, or the port is gone; the next call looks for both again.
        """
        with self._lock:
            if self._port is None:
                self._connect()
            found = np.zeros((len(iq), self.identity.scores), np.int64)
            try:
                self._exchange(self._bodies(iq, level), found)
            except BaseException:
                self._drop()  # an answer that comes later would be taken for another's
                raise
        return IntegerScores(found, self.identity.score_exponent)

    # --- what goes over the line --------------------------------------------------------------------------------------

    def _bodies(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> list[bytes]:
        identity = self.identity
        least, most = -(1 << (identity.input_bits - 1)), (1 << (identity.input_bits - 1)) - 1
        with np.errstate(over="ignore"):  # infinity saturates as any large value does
            steps = np.rint(np.ldexp(iq, -identity.input_exponent)).clip(least, most)
        symbols = steps.astype(np.int64).transpose(0, 2, 1)
        side = np.zeros((len(iq), identity.sides), np.int64)
        if identity.sides and level is not None:
            ends = (-128, 127) if identity.sides_signed else (0, 255)
            side = np.rint(np.ldexp(level, -identity.side_exponent)).clip(*ends).astype(np.int64)
        return [identity.chunk(*chunk) for chunk in zip(symbols, side, strict=True)]

    def _exchange(self, bodies: list[bytes], found: NDArray[np.int64]) -> None:
        """Ask about all chunks, a few at a time, in order; answers come in that order as well."""
        waiting: dict[int, tuple[int, int]] = {}  # by number: chunk, times asked
        again: list[tuple[int, int]] = []
        next_chunk, done = 0, 0
        out = bytearray()
        last = time.monotonic()
        while done < len(bodies):
            while len(waiting) < self.identity.window and (again or next_chunk < len(bodies)):
                chunk, asked = again.pop(0) if again else (next_chunk, 0)
                next_chunk = max(next_chunk, chunk + 1)
                waiting[self._next_number(waiting)] = (chunk, asked + 1)
                number = next(reversed(waiting))
                out += SerialFrame(SerialType.CLASSIFY, number, bodies[chunk]).to_bytes()
            for frame in self._turn(out, last + self._timeout):
                if frame.type is not SerialType.SCORES or frame.number not in waiting:
                    continue
                # Those asked before it were lost on their way: answers keep the order of the questions.
                for number in [*waiting]:
                    chunk, asked = waiting.pop(number)
                    if number == frame.number:
                        found[chunk] = self.identity.read_scores(frame.body)[0]
                        done += 1
                        break
                    again.append(self._once_more(chunk, asked))
                last = time.monotonic()
            if time.monotonic() - last > self._timeout:
                again += [self._once_more(*one) for one in waiting.values()]
                waiting.clear()
                out.clear()
                self._clear()
                last = time.monotonic()

    def _once_more(self, chunk: int, asked: int) -> tuple[int, int]:
        if asked >= _ASKED:
            raise LinkError(self._silence())
        self._counted["resent"] += 1
        return chunk, asked

    def _next_number(self, waiting: dict[int, Any]) -> int:
        self._number = (self._number + 1) % 256
        assert self._number not in waiting  # at most 128 wait
        return self._number

    def _turn(self, out: bytearray, until: float) -> list[SerialFrame]:
        """Write and read what there is, or wait for it; return the frames that came."""
        port = self._port
        if self._closed or port is None:
            raise LinkError("the connection to the board has been closed.")
        now = time.monotonic()
        if self._until is not None and now > self._until:
            raise LinkError(self._silence())
        readable, writable = port.wait(min(until - now, _SLICE), bool(out))
        if writable:
            del out[: port.write(memoryview(bytes(out)))]
        return list(self._seeker.feed(port.read())) if readable else []

    def _clear(self) -> None:
        """Wait until nothing comes any more, and the board has given up what came in half."""
        quiet = time.monotonic()
        end = quiet + _LONGEST_CLEARING
        while time.monotonic() < quiet + _PAUSE:
            port = self._port
            if self._closed or port is None:
                raise LinkError("the connection to the board has been closed.")
            if time.monotonic() > end:
                raise LinkError(
                    f"{printable(self._path)} sends without end: no board of 'amrq rtl' is there."
                )
            if port.wait(quiet + _PAUSE - time.monotonic())[0]:
                port.read()
                quiet = time.monotonic()
        self._seeker.clear()

    # --- finding the board --------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Open the port, ask who is there, and see that it fits."""
        if self._closed:
            raise LinkError("the connection to the board has been closed.")
        self._port = _SerialPort(self._path, self._baud)
        self._counted["damaged"] += self._seeker.damaged
        self._seeker = FrameSeeker({SerialType.IDENTITY: SerialIdentity.size()})
        try:
            identity = self._ask_who()
            self._see_that_it_fits(identity)
        except BaseException:
            self._drop()
            raise
        self._seeker.sizes = {**self._seeker.sizes, SerialType.SCORES: identity.score_body}
        self.identity = identity
        self.input_scale = 2.0**identity.input_exponent
        self.exact_bits = 8 if identity.input_bits == 8 else 16

    def _ask_who(self) -> SerialIdentity:
        for _ in range(_ASKED):
            self._clear()
            number = self._next_number({})
            out = bytearray(SerialFrame(SerialType.IDENTIFY, number).to_bytes())
            until = time.monotonic() + self._timeout
            while time.monotonic() < until:
                for frame in self._turn(out, until):
                    if frame.type is SerialType.IDENTITY and frame.number == number:
                        return SerialIdentity.from_bytes(frame.body)
        raise LinkError(self._silence())

    def _silence(self) -> str:
        return (
            f"no board answers at {printable(self._path)} at {self._baud} bits/s: load the bitstream that 'amrq rtl "
            "MODEL --board ulx3s' and 'make bitstream' made, and give its baud rate."
        )

    def _see_that_it_fits(self, identity: SerialIdentity) -> None:
        contract = self.contract
        if identity.model_sha256 != self.model_sha256:
            theirs, ours = identity.model_sha256.hex()[:12], self.model_sha256.hex()[:12]
            raise LinkError(
                f"the board at {printable(self._path)} has another model ({theirs}), not "
                f"{printable(contract.name)} ({ours}): load that model's bitstream, or name the board's model here."
            )
        if (identity.chunk_length, identity.scores) != (contract.chunk_length, len(contract.weighed())):
            raise LinkError(
                f"the board at {printable(self._path)} says of its model what is not true of it: chunks or scores are "
                "others."
            )

    def _drop(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()

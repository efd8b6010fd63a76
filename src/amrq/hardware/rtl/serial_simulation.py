# SPDX-License-Identifier: GPL-3.0-or-later
"""A board's whole design in a Verilog simulator, behind a pseudo-terminal: a serial port with a simulated board."""

import contextlib
import os
import pty
import select
import subprocess
import tempfile
import threading
import tty
from pathlib import Path
from types import TracebackType

from amrq.errors import AmrqError
from amrq.hardware.rtl.serial_board import SerialBoard
from amrq.hardware.rtl.simulation import build, installed, reason_in
from amrq.hardware.rtl.templates import rendered

__all__ = ["SerialSimulation"]

_MOST_AT_ONCE = 255
"""Bytes of a step."""
_IDLE = 0.02
"""Seconds that an idle line is waited at before time goes on in the simulation."""


class SerialSimulation:
    """Run the top level of a board, its clock and its serial line bit by bit, as if it were at a serial port.

    The simulator is built in a temporary folder. `exchange` runs it step by step; `serve` opens a pseudo-terminal and
    carries bytes between it and the line until `close`.

    Args:
        board: what is simulated.
        simulator: one of `SIMULATORS`; None: the first that is installed.

    Attributes:
        simulator: its name.
        port: after `serve`: path of the pseudo-terminal.

    Raises:
        AmrqError: the simulator is missing or cannot build the design.
    """

    port = ""

    def __init__(self, board: SerialBoard, simulator: str | None = None) -> None:
        self.simulator = installed(simulator)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._ends: tuple[int, ...] = ()
        self._folder = tempfile.TemporaryDirectory(prefix="amrq-board-")
        folder = Path(self._folder.name)
        bench = rendered("serial_bench.v.in", board=board, step_clocks=20 * board.clocks_a_bit)
        try:
            sources = {name: text for name, text in board.files.items() if name.endswith((".v", ".hex"))}
            build(
                self.simulator,
                folder,
                "serial_bench",
                {"serial_bench.v": bench, **sources},
                board.design.network.contract.name,
            )
            with (folder / "said.log").open("wb") as said:
                self._process = subprocess.Popen(
                    [str(folder / "simulation")],
                    cwd=folder,  # where memories' contents lie
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    start_new_session=True,
                )
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> "SerialSimulation":
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def exchange(self, data: bytes = b"", steps: int = 1) -> bytes:
        """Send bytes to the board, and return what it sent meanwhile.

        Args:
            data: bytes.
            steps: after them, steps of 20 bits in which nothing is sent.

        Raises:
            AmrqError: the simulator ended.
        """
        parts = [data[k : k + _MOST_AT_ONCE] for k in range(0, len(data), _MOST_AT_ONCE)]
        return b"".join(self._step(part) for part in [*parts, *[b""] * steps])

    def _step(self, data: bytes) -> bytes:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(bytes((len(data),)) + data)
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            if not line.endswith(b"\n"):
                raise BrokenPipeError
            return bytes.fromhex(line.decode("ascii"))
        except (OSError, ValueError):
            said = reason_in(Path(self._folder.name) / "said.log")
            raise AmrqError(
                f"the simulator of the board ended by itself ({said or 'it wrote nothing'})."
            ) from None

    def serve(self) -> str:
        """Open a pseudo-terminal, carry bytes from now on, and return its path."""
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        self._ends = (ours, theirs)
        self.port = os.ttyname(theirs)
        self._thread = threading.Thread(target=self._carry, args=(ours,), name="amrq board line", daemon=True)
        self._thread.start()
        return self.port

    def _carry(self, ours: int) -> None:
        quiet = 0
        with contextlib.suppress(AmrqError, OSError):
            while not self._closing.is_set():
                # While an answer may be under way time goes on at once, and else when somebody writes.
                ready, _, _ = select.select([ours], [], [], 0 if quiet < 400 else _IDLE)
                data = os.read(ours, _MOST_AT_ONCE) if ready else b""
                sent = self._step(data)
                quiet = 0 if data or sent else quiet + 1
                while sent:
                    sent = sent[os.write(ours, sent) :]

    def close(self) -> None:
        """End the simulator, and remove what was built."""
        self._closing.set()
        self._process.kill()
        self._process.wait()
        if self._thread is not None:
            self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        for end in self._ends:
            os.close(end)
        self._ends = ()
        self._folder.cleanup()

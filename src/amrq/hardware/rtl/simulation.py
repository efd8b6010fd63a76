# SPDX-License-Identifier: GPL-3.0-or-later
"""A design run by a Verilog simulator, and compared with the integer reference."""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError, OutputError
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.templates import rendered

__all__ = ["SIMULATORS", "Simulation", "build", "cosimulate", "installed", "reason_in"]

SIMULATORS = ("verilator", "iverilog")
"""The faster one first: Verilator, 5.0 or later, takes half a minute to build and is then a thousand times as fast."""

_PATIENCE = 120.0
"""Seconds without a byte to or from the simulator after which it counts as hanging."""
_PACKETS_AT_ONCE = {"verilator": 64, "iverilog": 1}
"""Written by the simulator, so that a slow one gives signs of life and a fast one does not wake this side too often."""
_PIECE = 1 << 16


class Simulation:
    """Run a design's Verilog, chunk by chunk, through its AXI4-Stream ports.

    The simulator is built in a temporary folder and started when this object is made. If it died or was ended because
    it hung, the next call starts it again. One thread at a time may call `run`, and any thread `close`.

    Args:
        design: what is simulated.
        simulator: one of `SIMULATORS`; None: the first that is installed.
        patience: seconds without a byte from the simulator after which it is ended.

    Attributes:
        simulator: its name.

    Raises:
        AmrqError: the simulator is missing or cannot build the design.
    """

    def __init__(self, design: Design, simulator: str | None = None, patience: float = _PATIENCE) -> None:
        self.simulator = installed(simulator)
        self._design = design
        self._patience = patience
        self._line = 8 * design.per_beat + 1  # characters a beat
        self._lock = threading.Lock()
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="amrq-rtl-")
        try:
            self._build(Path(self._folder.name))
            self._start()
        except BaseException:
            self.close()
            raise

    def _build(self, folder: Path) -> None:
        design = self._design
        stream = rendered(
            "stream.v.in",
            design=design,
            length=design.network.contract.chunk_length,
            # Without a symbol in or a score out, and far more than any chunk takes: the hardware itself hangs.
            stuck=4 * (design.latency + design.clocks_a_chunk) + 1000,
            flush=_PACKETS_AT_ONCE[self.simulator],
        )
        build(
            self.simulator,
            folder,
            "stream",
            {"stream.v": stream, **design.files},
            design.network.contract.name,
        )

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise AmrqError("the simulation of the hardware has been closed.")
            if self._process is None:
                folder = Path(self._folder.name)
                with (folder / "said.log").open("wb") as said:
                    try:
                        self._process = subprocess.Popen(
                            [str(folder / "simulation")],
                            cwd=folder,  # where memories' contents lie
                            stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE,
                            stderr=said,
                            bufsize=0,
                            # A Ctrl-C in the terminal is for whoever runs this, not for it.
                            start_new_session=True,
                        )
                    except OSError as error:
                        raise AmrqError(
                            f"the simulator of the hardware cannot be started: {error.strerror or error}."
                        ) from None
                for pipe in (self._process.stdin, self._process.stdout):
                    assert pipe is not None
                    os.set_blocking(pipe.fileno(), False)
            return self._process

    def _end(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()

    def close(self) -> None:
        """End the simulator and remove what was built; a `run` that is going on fails soon."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                # Its pipes are closed by the `run` that may be looking at them, or with this object.
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    def run(self, symbols: NDArray[np.int64], side: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the hardware's scores of N chunks.

        Args:
            symbols: int64 [N, L, 2], I and Q as the design's port takes them.
            side: int64 [N, S], what joins the mean; S may be 0.

        Returns:
            int64 [N, H], scores in the unit of the network's `score_exponent`.

        Raises:
            AmrqError: the simulator ended, hangs, or gave something that is not a score.
        """
        count, scores = len(symbols), self._design.network.head_layers[-1].outputs
        if not count:
            return np.zeros((0, scores), np.int64)
        per_beat = self._design.per_beat
        try:
            answer = self._exchange(self._request(symbols, side), count * self._design.beats * self._line)
            # Characters of a beat, the highest score first and its highest digit first; then a line's end.
            lines = np.frombuffer(answer, np.uint8).reshape(count, self._design.beats, self._line)
            if (lines[..., -1] != ord("\n")).any():
                raise ValueError
            digits = np.ascontiguousarray(lines[..., :-1]).tobytes()
            if not digits.isalnum():  # fromhex would overlook blanks
                raise ValueError
            words = np.frombuffer(bytes.fromhex(digits.decode()), ">i4").reshape(count, -1, per_beat)
        except ValueError as error:
            self._end()
            if isinstance(error, AmrqError):
                raise
            raise AmrqError("the simulator of the hardware gave something that is not a score.") from None
        except BaseException:
            self._end()  # an answer half read would be taken for the next one's
            raise
        return words[..., ::-1].reshape(count, -1)[:, :scores].astype(np.int64)

    def _request(self, symbols: NDArray[np.int64], side: NDArray[np.int64]) -> bytes:
        """Return bytes as `stream.v` reads them."""
        count, bits = len(symbols), self._design.symbol_bits
        unit = 1 << bits // 2
        words = (symbols[..., 0] % unit + symbols[..., 1] % unit * unit).astype(f">u{bits // 8}")
        parts = [
            (side[:, ::-1] % 256).astype(np.uint8),
            np.ascontiguousarray(words).view(np.uint8).reshape(count, -1),
        ]
        return count.to_bytes(4, "big") + np.concatenate(parts, axis=1).tobytes()

    def _exchange(self, request: bytes, size: int) -> bytes:
        """Send a request and fetch its answer at the same time, so that neither pipe can be full for ever."""
        process = self._start()
        assert process.stdin is not None and process.stdout is not None
        left, answer = memoryview(request), bytearray()
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            ready.register(process.stdin, selectors.EVENT_WRITE)
            last = time.monotonic()
            while len(answer) < size:
                for key, _ in ready.select(min(self._patience, 1.0)):
                    if key.fileobj is process.stdout:
                        piece = process.stdout.read(
                            min(size - len(answer), _PIECE)
                        )  # None: not there after all
                        if piece == b"":
                            raise AmrqError(self._why_it_ended())
                        answer += piece or b""
                    else:
                        try:
                            left = left[process.stdin.write(left[:_PIECE]) or 0 :]
                        except BrokenPipeError:
                            raise AmrqError(self._why_it_ended()) from None
                        if not left:
                            ready.unregister(process.stdin)
                    last = time.monotonic()
                if time.monotonic() - last > self._patience:
                    raise AmrqError(
                        f"the simulator of the hardware sent nothing for {self._patience:g} s and was ended."
                    )
        return bytes(answer)

    def _why_it_ended(self) -> str:
        if self._closed:
            return "the simulation of the hardware has been closed."
        said = reason_in(Path(self._folder.name) / "said.log")
        return f"the simulator of the hardware ended by itself ({said or 'it wrote nothing'})."


def build(simulator: str, folder: Path, top: str, sources: Mapping[str, str], name: str) -> None:
    """Build a program `simulation` in a folder.

    Args:
        simulator: one of `SIMULATORS`, and installed.
        folder: an empty one.
        top: the module that is run.
        sources: Verilog and contents of memories by file name.
        name: of the model, for messages.

    Raises:
        AmrqError: the simulator cannot build it.
    """
    verilog = [file for file in sources if file.endswith(".v")]  # the others are contents of memories
    try:
        for file, text in sources.items():
            (folder / file).write_text(text)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from None
    if simulator == "verilator":
        jobs = str(min(os.cpu_count() or 1, 4))
        command = ["verilator", "--binary", "-j", jobs, "-O3", "-CFLAGS", "-O1", "-Wno-fatal", "-Wno-WIDTH"]
        command += ["--top-module", top, "-Mdir", "build", "-o", "../simulation", *verilog]
    else:
        command = ["iverilog", "-g2005", "-s", top, "-o", "simulation", *verilog]
    # Verilator calls make, which is not to ask a make above for leave.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    with (folder / "build.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        try:
            status = process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and compilers that it started
            process.wait()
            raise
    if status or not (folder / "simulation").is_file():
        raise AmrqError(
            f"{simulator} cannot build the hardware of {name}: {reason_in(folder / 'build.log')}."
        )


def reason_in(log: Path) -> str:
    """Return what went wrong: the first line that names an error, or else the last one."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line for line in lines if "error" in line.lower()] or lines[-1:]
    return " ".join(" ".join(named[:1]).split())[:300].rstrip(".")


def installed(simulator: str | None) -> str:
    """Return a simulator that is there."""
    if simulator is None:
        there = [name for name in SIMULATORS if shutil.which(name) is not None]
        if not there:
            raise AmrqError(
                "simulating the hardware needs Verilator or Icarus Verilog, and neither is installed: install the "
                "package verilator (5.0 or later, with g++ and make) or, far slower, iverilog."
            )
        return there[0]
    if simulator not in SIMULATORS:
        raise AmrqError(f"there is no simulator {simulator!r}: choose from {', '.join(SIMULATORS)}.")
    if shutil.which(simulator) is None:
        raise AmrqError(
            f"simulating the hardware needs {simulator}, which is not installed: install the package {simulator}."
        )
    return simulator


def cosimulate(folder: Path, simulator: str = "iverilog") -> str:
    """Run the testbench of a folder that `write_rtl` wrote.

    Args:
        folder: the folder.
        simulator: `iverilog`, or `verilator` (5.0 or later), which takes a C++ compiler and is much faster on many
            chunks.

    Returns:
        the testbench's last sentence.

    Raises:
        AmrqError: a tool is missing, or the hardware differs from the reference.
    """
    for tool in ("make", simulator):
        if shutil.which(tool) is None:
            raise AmrqError(f"simulating the hardware needs {tool}, which is not installed.")
    result = subprocess.run(
        ["make", "-s", "-C", str(folder), "sim", f"SIM={simulator}"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    said = [line for line in result.stdout.splitlines() if line.startswith(("PASS", "FAIL"))]
    if result.returncode or not said:
        reason = said[0] if said else " ".join((result.stderr or result.stdout).split())[-300:]
        raise AmrqError(f"the hardware in {folder} differs from the integer reference: {reason}.")
    return said[-1]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines, which compute a model's scores: their interface, the list of them, and the engine with ONNX Runtime."""

import contextlib
import hashlib
import inspect
import os
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.machine import onnx_runtime
from amrq.model import Contract, find_model, open_model

__all__ = [
    "AUTO",
    "ENGINES",
    "Engine",
    "EngineKind",
    "EngineScores",
    "IntegerScores",
    "OnnxEngine",
    "engine_choices",
    "engine_help",
    "engines_here",
    "logits_of",
    "make_engine",
]


class IntegerScores(NamedTuple):
    """Logits as integers.

    Attributes:
        integers: int64 [N, H], the last layer's accumulators, brought to one unit by shifts to the left.
        exponent: a score s means the logit s times 2^exponent.
    """

    integers: NDArray[np.int64]
    exponent: int

    @property
    def logits(self) -> NDArray[np.float32]:
        """float32 [N, H]; exact below 2^24, rounded as in ONNX Runtime above."""
        return np.ldexp(self.integers.astype(np.float32), self.exponent)


EngineScores = IntegerScores | NDArray[np.float32]
"""What an engine gives for N chunks: integers, or logits float32 [N, H]."""


def logits_of(scores: EngineScores) -> NDArray[np.float32]:
    """Return scores as logits: float32 [N, H]."""
    return scores.logits if isinstance(scores, IntegerScores) else scores


class Engine(ABC):
    """A model together with what runs it: a library, a reference implementation, a board or a simulation.

    A new engine needs a class derived from this one and a line in `ENGINES`. Its constructor takes the model (path of
    an ONNX file, name of a shipped model, or `default`) and its own options, which have defaults.

    Attributes:
        name: of the engine, as in `ENGINES`.
        contract: of the model.
        model_sha256: SHA-256 of the ONNX file's bytes, 32 bytes.
        may_lose: `run` may return without the scores of some chunks; their rows are then NaN.
        integer_scores: `run` returns `IntegerScores`.
        input_scale: scale of samples given as integers: the value of one step, a power of two.
        exact_bits: the fewest bits of such an integer that give the same scores as float32; None: only floating point
            does.
    """

    name: str
    contract: Contract
    model_sha256: bytes
    may_lose: bool = False
    integer_scores: bool = False
    input_scale: float = 2.0**-5  # with 8 bits up to 4: all symbols of unit RMS, nearly all noise
    exact_bits: int | None = None

    @abstractmethod
    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> EngineScores:
        """Return the scores of N chunks, N at least 1. One thread at a time may call it.

        Args:
            iq: float32 [N, 2, L], row 0 I and row 1 Q, finite, normalised as the contract says.
            level: float32 [N, 3], finite, for a model with level input (`amrq.chunks.level_features`); otherwise None.

        Returns:
            integers, or logits float32 [N, H], which the caller may overwrite.

        Raises:
            Exception: any failure. A stream ends with it; a board reports it to the client and goes on.
        """

    @property
    def source(self) -> str:
        """The model's name in messages: its file's name, or the name in its contract."""
        return self.contract.name

    def open(self) -> None:  # noqa: B027 - most engines have nothing to open
        """Prepare for a run: connect to a board, if there is one."""

    def close(self) -> None:  # noqa: B027 - nor to close
        """Release what the engine holds; `open` acquires it again. A `run` in progress in another thread fails soon."""

    def hurry(self, seconds: float | None) -> None:  # noqa: B027 - nor to wait for
        """Make every call of `run` return within this many seconds, until the next `open`; from any thread.

        None: it may take its time again.
        """

    def counters(self) -> dict[str, int]:
        """Return the engine's counters, by name; from any thread."""
        return {}


class OnnxEngine(Engine):
    """Computes logits with ONNX Runtime on the CPU, for any model, quantised or not.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`.
        threads: threads inside one call; 1 is fastest on small machines and leaves the other cores to the radio.

    Attributes:
        path: of the model's file.
        session: of onnxruntime.

    Raises:
        ModelError: the model is missing, is not an ONNX file, has no contract or breaks it.
        AmrqError: `threads` is below 1.
    """

    name = "onnx"

    def __init__(self, model: str | os.PathLike[str] = "default", threads: int = 1) -> None:
        if threads < 1:
            raise AmrqError(f"a classifier needs at least 1 thread, not {threads}.")
        self.path = find_model(model)
        loaded = open_model(self.path, threads)
        self.model_sha256 = hashlib.sha256(self.path.read_bytes()).digest()
        self.contract = loaded.contract
        self.session: Any = loaded.session
        self._largest_call = loaded.largest_call
        self._inputs = [i.name for i in self.session.get_inputs()]
        # The hypotheses' output, if there is one: the classes' probabilities follow from it.
        self._output = [self.session.get_outputs()[-1].name]
        self._columns = len(self.contract.weighed())
        self._calls = _calls()
        self._ends: threading.Timer | None = None

    @property
    def source(self) -> str:
        """The model's name in messages: its file's name."""
        return self.path.name

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Return logits float32 [N, H]; see `Engine`. They are NaN from where on `hurry` gave a call up."""
        symbols, *side = self._inputs
        parts = []
        for start in range(0, len(iq), self._largest_call):
            part = slice(start, start + self._largest_call)
            fed = {symbols: iq[part]}
            if level is not None:
                fed[side[0]] = level[part]
            try:
                parts += self.session.run(self._output, fed, self._calls)
            except Exception:
                if not self._calls.terminate:
                    raise
                self.may_lose = True
                parts.append(np.full((len(iq) - start, self._columns), np.nan, np.float32))
                break
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def open(self) -> None:
        """Prepare for a run: nothing is in a hurry."""
        self.hurry(None)

    def close(self) -> None:
        """End the hurry."""
        ends, self._ends = self._ends, None
        if ends is not None:
            ends.cancel()

    def hurry(self, seconds: float | None) -> None:
        """Give up the call that is still at work after so many seconds, and all later ones, until the next `open`.

        None: calls may take their time again.
        """
        self.close()
        if seconds is None:
            self._calls, self.may_lose = _calls(), False
            return
        self._ends = threading.Timer(seconds, setattr, (self._calls, "terminate", True))
        self._ends.daemon = True
        self._ends.start()


def _calls() -> Any:
    """Return what calls of a session look at between two steps, to see whether they are to end."""
    calls = onnx_runtime().RunOptions()
    calls.log_severity_level = 4
    return calls


@dataclass(frozen=True)
class EngineKind:
    """An entry of the list of engines.

    Attributes:
        name: used to choose the engine.
        computes: what computes the scores, a few words for menus and help.
        place: room and class, `amrq.room:Class`, imported only when the engine is chosen: the packages of other
            engines are not needed.
        remote: it computes on another machine, so a board cannot serve it.
        attached: it is a device at a port of this machine, which only `amrq board` and scripts have an option for.
    """

    name: str
    computes: str
    place: str
    remote: bool = False
    attached: bool = False

    def load(self) -> type[Engine]:
        """Import the engine's class."""
        room, _, name = self.place.partition(":")
        found: type[Engine] = getattr(import_module(room), name)
        return found

    def options(self) -> tuple[str, ...]:
        """Return the names of its options, for example `threads`."""
        _, *others = inspect.signature(self.load()).parameters
        return tuple(others)

    def taken(self, **options: object) -> dict[str, object]:
        """Return those of the given options that this engine has."""
        known = self.options()
        return {name: value for name, value in options.items() if name in known}


ENGINES = {
    kind.name: kind
    for kind in (
        EngineKind("onnx", "ONNX Runtime on this CPU", "amrq.classifier:OnnxEngine"),
        EngineKind("native", "compiled", "amrq.hardware:NativeEngine"),
        EngineKind("integer", "the hardware's arithmetic, in NumPy", "amrq.hardware:IntegerEngine"),
        EngineKind("rtl", "the hardware, in a simulator", "amrq.hardware.rtl:RtlEngine"),
        EngineKind("serial", "an FPGA board at a serial port", "amrq.link:SerialEngine", attached=True),
        EngineKind("zmq", "a board, asked over ZMQ", "amrq.link:BoardEngine", remote=True),
    )
}
"""Every engine by its name: the list that menus, help and documentation follow."""

AUTO = "auto"
"""Name that chooses the fastest engine of this machine that gives the model's own scores."""
_AUTO_MEANS = "native or onnx"
_IMAGE_SUFFIX = ".npz"
"""Of a quantised model's integers in a NumPy file, which ONNX Runtime does not read."""


def engines_here() -> dict[str, EngineKind]:
    """Return the engines that compute on this machine, by name; a board can serve them.

    >>> "onnx" in engines_here()
    True
    """
    return {name: kind for name, kind in ENGINES.items() if not kind.remote}


def engine_help(attached: bool = False) -> str:
    """Return the help text of an option that chooses an engine of this machine; see `engine_choices`."""
    kinds = [f"{name} ({computes})" for name, computes in engine_choices(attached).items()]
    return f"What computes the scores: {', '.join(kinds[:-1])} or {kinds[-1]}."


def engine_choices(attached: bool = False) -> dict[str, str]:
    """Return what an option that chooses an engine of this machine can be, and what that computes with.

    Args:
        attached: devices at a port as well.

    >>> list(engine_choices())[:3]
    ['auto', 'onnx', 'native']
    """
    here = engines_here().items()
    return {AUTO: _AUTO_MEANS} | {name: kind.computes for name, kind in here if attached or not kind.attached}


def make_engine(name: str, model: str | os.PathLike[str] = "default", **options: object) -> Engine:
    """Return an engine that runs a model.

    Args:
        name: of the engine, one of `ENGINES`; or `auto`: native where it is there and runs the model, otherwise onnx,
            or for an image integer.
        model: path of an ONNX file, name of a shipped model, or `default`; an image that `amrq board export` wrote for
            the engines that take one.
        options: of that engine; see its class. `auto` has those of onnx; native ignores them.

    Raises:
        AmrqError: the engine or option does not exist, or the engine cannot run the model.

    >>> engine = make_engine("onnx", "coherent-small-int8")
    >>> engine.contract.name, engine.contract.chunk_length
    ('coherent-small-int8', 32)
    """
    if name not in (AUTO, *ENGINES):
        raise AmrqError(f"there is no engine {name!r}: choose from {AUTO}, {', '.join(ENGINES)}.")
    kind = ENGINES["onnx" if name == AUTO else name]
    unknown = [option for option in options if option not in kind.options()]
    if unknown:
        known = ", ".join(kind.options()) or "none"
        raise AmrqError(f"the engine {name} has no option {unknown[0]!r}; its options: {known}.")
    if name == AUTO:
        # Not there, or not for this model; what is wrong with a model, the other one says.
        with contextlib.suppress(AmrqError):
            return ENGINES["native"].load()(model)  # type: ignore[call-arg]
        if Path(model).suffix == _IMAGE_SUFFIX:
            return ENGINES["integer"].load()(model)  # type: ignore[call-arg]
    return kind.load()(model, **options)  # type: ignore[call-arg]

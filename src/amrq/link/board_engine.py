# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that classifies on a board over ZMQ; it may lose chunks."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import ChunkClassifier, Engine, OnnxEngine, weighable
from amrq.errors import AmrqError, LinkError, ModelError
from amrq.link.board_link import BoardLink
from amrq.link.payloads import Capabilities, ChunkPayload, SampleFormat
from amrq.link.protocol import LEVEL_FLAG, Frame, MessageType
from amrq.link.settings import LinkSettings
from amrq.model import Contract, find_model, read_contract
from amrq.options import InputFile, OptionError, Range, at_least, check, described, option
from amrq.text import printable

__all__ = ["POLICIES", "BoardBackend", "BoardEngine"]

POLICIES = {
    "wait": "the stream waits for it",
    "drop": "chunks are dropped until it is back",
    "local": "chunks are classified on this machine until it is back",
}
"""What may become of chunks while the board is gone."""
_FAILED = {
    "wait": "the stream ends",
    "drop": "these chunks are dropped",
    "local": "these chunks are classified on this machine",
}
"""What becomes of chunks that a board which is there cannot classify."""


class BoardEngine(Engine):
    """Computes scores on a board, over ZMQ (docs/board-protocol.md).

    The board must run the same model as named here. The engine searches for the board from `open` on; it may be absent.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`; or `board` for the model on the board at
            the endpoint, which must then be present.
        endpoint: of the board.
        policy: handling of chunks while the board is gone: `wait` (not for a live stream), `drop`, or `local` (the
            ONNX model on this machine).
        settings: batch, window, times.
        secret_key: file with this client's secret key; None: no encryption.
        board_key: file with the board's public key.
        say: called with a sentence when the board goes and when it comes back; None writes it to the log `amrq.link`.

    Raises:
        AmrqError: the model, the endpoint, a key or a value cannot be used.
    """

    name = "zmq"
    may_lose = True

    def __init__(
        self,
        model: str | os.PathLike[str] = "default",
        endpoint: str = "tcp://127.0.0.1:5555",
        policy: str = "drop",
        settings: LinkSettings | None = None,
        secret_key: str | None = None,
        board_key: str | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        if policy not in POLICIES:
            raise AmrqError(f"there is no policy {policy!r} for a board: choose from {', '.join(POLICIES)}.")
        self.policy = policy
        self._settings = settings or LinkSettings()
        self.say = say or logging.getLogger("amrq.link").warning
        self._known_sha256: bytes | None = None
        self._link = BoardLink(
            endpoint, self._settings, self._misfit, self._report, self._complain, secret_key, board_key
        )
        self._local: OnnxEngine | None = None
        if model == "board":
            if policy == "local":
                raise AmrqError(
                    "the policy local needs the model on this machine: name it in place of 'board'."
                )
            self.contract = self._ask_for_model()
        else:
            path = find_model(model)
            self._known_sha256 = hashlib.sha256(path.read_bytes()).digest()
            if policy == "local":
                self._local = OnnxEngine(path)
            self.contract = read_contract(path) if self._local is None else self._local.contract
        assert self._known_sha256 is not None
        self.model_sha256 = self._known_sha256
        self._reset()

    def _reset(self) -> None:
        self._by_board = self._locally = self._lost = 0
        self._samples = 0  # samples that the board was asked about

    @property
    def connected(self) -> bool:
        """Whether the board is connected."""
        return self._link.capabilities is not None

    def _ask_for_model(self) -> Contract:
        self._link.open()
        try:
            self._link.wait_for_board(self._settings.connect_timeout)
            found = self._link.capabilities
            if found is None:
                raise LinkError(self._absence())
        finally:
            self._link.close()
        self._known_sha256 = found.model_sha256
        return found.contract

    def _absence(self) -> str:
        if self._link.refusal is not None:
            return f"the board at {self._link.endpoint} {self._link.refusal}."
        return f"no board answers at {self._link.endpoint}: start one ('amrq board'), and mind its keys if it has some."

    def _misfit(self, found: Capabilities) -> str | None:
        """Return why a board cannot be used; None if it can, or while its model is being fetched."""
        if self._known_sha256 is None:
            return None
        if found.model_sha256 != self._known_sha256:
            ours, theirs = self._known_sha256.hex()[:12], found.model_sha256.hex()[:12]
            return (
                f"runs the model {printable(found.contract.name, 80)} ({theirs}), not {self.contract.name} ({ours}): "
                "start it with that model, or name its own here"
            )
        known, said = self.contract, found.contract
        if (known.chunk_length, known.level_input, len(known.weighed())) != (
            said.chunk_length,
            said.level_input,
            found.scores,
        ):
            return "says of its model what is not true of it: chunks, inputs or scores are others"
        if self._format(found) is None:
            return f"does not take the sample format {self._settings.sample_format}"
        return None

    def _format(self, found: Capabilities) -> SampleFormat | None:
        """Return the format of samples for a board."""
        if self._settings.sample_format != "auto":
            format = SampleFormat[self._settings.sample_format.upper()]
            return format if found.sample_formats & format.bit else None
        taken = [format for format in SampleFormat if found.sample_formats & format.bit]
        exact = [format for format in taken if found.exact_formats & format.bit]
        return exact[0] if exact else taken[-1] if taken else None

    def _report(self, reason: str | None) -> None:
        endpoint = self._link.endpoint
        if reason is None:
            self.say(f"the board at {endpoint} is there again.")
        else:
            self.say(f"the board at {endpoint} {reason}: {POLICIES[self.policy]}.")

    def _complain(self, reason: str) -> None:
        self.say(
            f"the board at {self._link.endpoint} cannot classify some chunks ({reason}): {_FAILED[self.policy]}."
        )

    def open(self) -> None:
        """Search for the board, and wait for it a short time; it may also appear later.

        Raises:
            LinkError: the board answers but cannot be used: it has another model or protocol version. With the policy
                `local` this is only reported.
        """
        self._reset()
        self._link.open()
        there = self._link.wait_for_board(self._settings.connect_timeout)
        if not there and self._link.refusal is not None and self.policy != "local":
            self._link.close()
            raise LinkError(self._absence())

    def require(self) -> None:
        """Refuse to go on without the board; call it right after `open`.

        Raises:
            LinkError: the board is not connected.
        """
        if not self.connected:
            raise LinkError(self._absence())

    def hurry(self, seconds: float | None) -> None:
        """Make every call of `run` return within so many seconds, until the next `open`; see `Engine`."""
        self._link.hurry(seconds)

    def close(self) -> None:
        """End the connection."""
        self._link.close()

    def counters(self) -> dict[str, int]:
        """Return counters of chunks and messages since `open`.

        `by_board`, `locally` and `lost` count chunks, without those that are silent or not finite; the others count
        messages (`board_resent`, `board_late`, `board_repeated`, `board_foreign`, `board_damaged`,
        `board_refused`, `board_not_finite`), and how often the board was found (`board_connections`).
        """
        names = ("resent", "late", "repeated", "foreign", "damaged", "refused", "not_finite", "connections")
        return {
            "by_board": self._by_board,
            "locally": self._locally,
            "lost": self._lost,
            **{f"board_{name}": self._link.counted[name] for name in names},
        }

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Return logits float32 [N, H], with rows of NaN for chunks not classified; between `open` and `close`.

        Raises:
            LinkError: the board cannot answer and the policy is `wait`.
            ModelError: the model on this machine is broken.
        """
        logits = np.full((len(iq), len(self.contract.weighed())), np.nan, np.float32)
        parts: list[slice] = []

        def take(number: int, found: NDArray[np.float32]) -> None:
            sound = weighable(found, self.contract)
            if sound.all():
                logits[parts[number]] = found
            else:
                logits[parts[number]][sound] = found[sound]
                self._link.doubt("its scores are too large to be weighed")

        self._link.exchange(self._questions(iq, level, parts), take, patient=self.policy == "wait")
        missing = np.flatnonzero(np.isnan(logits[:, 0]))
        self._by_board += len(iq) - len(missing)
        if len(missing) and self._local is not None:
            logits[missing] = self._local.run(iq[missing], None if level is None else level[missing])
            if not weighable(logits[missing], self.contract).all():
                raise ModelError(
                    f"{printable(self._local.source)} gave outputs that are not finite: the model is not usable."
                )
            self._locally += len(missing)
            missing = missing[:0]
        self._lost += len(missing)
        return logits

    def _questions(
        self, iq: NDArray[np.float32], level: NDArray[np.float32] | None, parts: list[slice]
    ) -> Iterator[Frame]:
        """Yield the messages, and note in `parts` the chunks in each."""
        first_sample, start = self._samples, 0
        self._samples += len(iq) * self.contract.chunk_length
        while start < len(iq):
            # Looked up for each message: the board may have been replaced during the wait.
            board = self._link.capabilities
            if board is None:
                if self.policy != "wait":
                    return
                self._link.wait_for_board(0.1)
                if self._link.over:
                    return
                continue
            part = slice(start, min(start + min(self._settings.batch, board.largest_batch), len(iq)))
            parts.append(part)
            payload = ChunkPayload(iq[part], None if level is None else level[part])
            yield self._question(payload, board, first_sample + start * self.contract.chunk_length)
            start = part.stop

    def _question(self, payload: ChunkPayload, board: Capabilities, sample_index: int) -> Frame:
        format = self._format(board)
        assert format is not None  # a board without such a format is refused
        scale = board.scale_of(format)
        return Frame(
            type=MessageType.CLASSIFY,
            session=0,
            sequence=0,
            payload=payload.to_bytes(format, scale),
            format=format,
            flags=0 if payload.level is None else LEVEL_FLAG,
            sample_index=sample_index,
            chunks=len(payload.iq),
            chunk_length=self.contract.chunk_length,
            scale=scale,
        )


@described
@dataclass(frozen=True)
class BoardBackend:
    """A `Backend` that classifies chunks on a board over ZMQ; the board runs the same model.

    Raises:
        AmrqError: a value is out of its range.

    >>> BoardBackend("tcp://192.168.2.99:5555", board_policy="local").board_timeout
    2.0
    """

    endpoint: str = option(
        "tcp://127.0.0.1:5555",
        "Classify on the board at this address: tcp://192.168.2.99:5555, for instance. 'amrq board' starts one.",
        label="Board's Address",
        flag="--board ENDPOINT",
    )
    board_policy: str = option(
        "auto",
        "What happens to chunks while the board does not answer: wait for it (not live), drop them, or classify them "
        "on this CPU (local). auto: drop when live, otherwise wait.",
        choices={
            "auto": "Radio: drop; file: wait",
            "wait": "Wait (not for a radio)",
            "drop": "Drop chunks",
            "local": "Classify on this CPU",
        },
        label="While the Board is Gone",
    )
    board_batch: int = option(
        256,
        "Chunks per message to the board. Larger messages cost less and take longer.",
        within=at_least(1),
        label="Chunks per Message",
        advanced=True,
    )
    board_window: int = option(
        8,
        "Most messages that wait for an answer of the board at a time.",
        within=at_least(1),
        label="Messages on their Way",
        advanced=True,
    )
    board_timeout: float = option(
        2.0,
        "Time without an answer after which the board is asked again, at most twice. After that it counts as lost.",
        unit="s",
        within=Range(0, 3600, low_open=True, high_open=True),
        label="Ask Again After",
        advanced=True,
    )
    secret_key: InputFile = option(
        "",
        "Your secret key, if the board uses keys: a file that 'amrq board keygen' made.",
        label="Own Secret Key",
        flag="--key NAME.secret",
    )
    board_key: InputFile = option(
        "",
        "The board's public key, if the board uses keys: a file that 'amrq board keygen' made.",
        label="Board's Public Key",
        flag="--board-key NAME.public",
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)

    def engine(self, model: str, live: bool = False, say: Callable[[str], None] | None = None) -> BoardEngine:
        """Return a client of the board.

        Args:
            model: path of an ONNX file, name of a shipped model, `default`, or `board`: the model on the board.
            live: the stream must not be held up.
            say: called with a sentence when the board goes and when it comes back; None writes it to the log.

        Raises:
            AmrqError: the model, the address or a key cannot be used; or the policy is `wait` for a live stream.
        """
        policy = self.board_policy
        if policy == "auto":
            policy = "drop" if live else "wait"
        if live and policy == "wait":
            text = "a live stream cannot wait for a board ({board_policy} wait): choose drop or local."
            raise OptionError(BoardBackend, text)
        settings = LinkSettings(self.board_batch, self.board_window, self.board_timeout)
        keys = (self.secret_key or None, self.board_key or None)
        return BoardEngine(model, self.endpoint, policy, settings, *keys, say=say)

    def classifier(
        self, model: str, live: bool = False, say: Callable[[str], None] | None = None
    ) -> ChunkClassifier:
        """Return a classifier that uses the board; see `engine`."""
        return ChunkClassifier(self.engine(model, live, say))

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve the classifier in a PYNQ's logic over ZMQ, as `amrq board` does. NOT RUN on a board yet.

Example: python3 serve.py blind-small-int4.onnx --overlay amrq_pynq.bit --listen tcp://0.0.0.0:5555
"""

import argparse
import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Engine, IntegerScores
from amrq.errors import AmrqError, ModelError
from amrq.link import LOOPBACK, serve
from amrq.model import find_model, read_contract

MOST_CHUNKS = 1024
"""Of a transfer; the buffers are made once."""


class PynqEngine(Engine):
    """Computes scores in the logic of a PYNQ, through an AXI DMA.

    Args:
        model: the ONNX file that the logic was made of; its contract is read.
        overlay: the bitstream; `amrq_pynq.json` lies beside it.

    Raises:
        ModelError: the logic was made of another model.
        AmrqError: the description is missing, or this is no PYNQ.
    """

    name = "pynq"
    integer_scores = True

    def __init__(self, model: str, overlay: str) -> None:
        path, described = find_model(model), Path(overlay).with_suffix(".json")
        try:
            self._about: dict[str, Any] = json.loads(described.read_text())
            pynq: Any = import_module("pynq")
        except OSError as error:
            raise AmrqError(f"{described} cannot be read: {error.strerror}.") from None
        except ImportError:
            raise AmrqError("the package pynq is missing: this runs on a PYNQ board.") from None
        self.contract = read_contract(path)
        self.model_sha256 = hashlib.sha256(path.read_bytes()).digest()
        if self.model_sha256.hex() != self._about["model_sha256"]:
            raise ModelError(f"the logic of {overlay} was made of another model than {path.name}.")
        self.input_scale = 2.0 ** self._about["input_exponent"]
        self.exact_bits = 8 if self._about["input_bits"] == 8 else 16
        self._dma: Any = pynq.Overlay(overlay).dma
        kind = np.uint16 if self._about["input_bits"] == 8 else np.uint32
        self._sent: Any = pynq.allocate(MOST_CHUNKS * self.contract.chunk_length, kind)
        self._answered: Any = pynq.allocate(MOST_CHUNKS * self._about["words_a_chunk"], np.uint32)

    def run(self, iq: NDArray[np.float32], level: NDArray[np.float32] | None) -> IntegerScores:
        """Return scores; see `Engine`."""
        parts = [self._transfer(iq[k : k + MOST_CHUNKS]) for k in range(0, len(iq), MOST_CHUNKS)]
        return IntegerScores(np.concatenate(parts), self._about["score_exponent"])

    def _transfer(self, iq: NDArray[np.float32]) -> NDArray[np.int64]:
        bits = self._about["input_bits"]
        most = 1 << bits - 1
        steps = np.rint(np.ldexp(iq, -self._about["input_exponent"])).clip(-most, most - 1).astype(np.int64)
        unit = 1 << (8 if bits == 8 else 16)
        beats = (steps[:, 0] % unit + steps[:, 1] % unit * unit).ravel()
        words = len(iq) * self._about["words_a_chunk"]
        self._sent[: len(beats)] = beats
        # The answer's buffer first: the logic keeps a few chunks only.
        self._dma.recvchannel.transfer(self._answered, nbytes=4 * words)
        self._dma.sendchannel.transfer(self._sent, nbytes=self._sent.itemsize * len(beats))
        self._dma.sendchannel.wait()
        self._dma.recvchannel.wait()
        found = np.array(self._answered[:words]).astype(np.uint32).view(np.int32).reshape(len(iq), -1)
        return found[:, : self._about["scores"]].astype(np.int64)


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="the ONNX file")
    parser.add_argument("--overlay", default="amrq_pynq.bit")
    parser.add_argument("--listen", default=LOOPBACK)
    arguments = parser.parse_args()
    serve(PynqEngine(arguments.model, arguments.overlay), arguments.listen, say=print)


if __name__ == "__main__":
    main()

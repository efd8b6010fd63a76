# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages that docs/board-protocol.md shows; run it to print them as they stand there."""

import numpy as np

from amrq.classifier import IntegerScores
from amrq.link import Capabilities, ChunkPayload, Frame, MessageType, SampleFormat, Status, scores_reply
from amrq.model import Contract

__all__ = ["CONTRACT", "QUANTISED", "example_messages", "hexdump"]

SESSION = 0x1122334455667788
CONTRACT = Contract("two", ("a", "b"), 4)
SCALE = 2.0**-5
_SAMPLES = np.float32([[1.0, 0.5], [-1.0, 0.015625], [0.046875, -0.046875], [9.0, -9.0]])

QUANTISED = [
    (0.015625, SCALE),
    (0.046875, SCALE),
    (-0.046875, SCALE),
    (0.078125, SCALE),
    (0.0781250074505806, SCALE),
    (3.984375, SCALE),
    (3.96875, SCALE),
    (-4.015625, SCALE),
    (-9.0, SCALE),
    (1e30, SCALE),
    (-0.3, 2.0**-7),
    (1.25, 0.5),
]


def example_messages() -> dict[str, bytes]:
    """Return a message of each type, by its name in the document."""
    capabilities = Capabilities(
        model_sha256=bytes(range(32)),
        sample_formats=0b1110,
        exact_formats=0b1110,
        score_formats=0b110,
        largest_batch=4096,
        chunk_length=4,
        scores=2,
        input_scale=SCALE,
        contract=CONTRACT,
    )
    payload = ChunkPayload(_SAMPLES.T[None], None).to_bytes(SampleFormat.CI8, SCALE)
    classify = Frame(
        type=MessageType.CLASSIFY,
        session=SESSION,
        sequence=2,
        payload=payload,
        format=SampleFormat.CI8,
        flags=0,
        sample_index=4096,
        chunks=1,
        chunk_length=4,
        scores=0,
        scale=SCALE,
    )
    text = b"the model takes chunks of 4 samples, not 5."
    frames = {
        "hello": Frame(type=MessageType.HELLO, session=SESSION, sequence=1),
        "capabilities": Frame(
            type=MessageType.CAPABILITIES, session=SESSION, sequence=1, payload=capabilities.to_bytes()
        ),
        "classify": classify,
        "scores": scores_reply(classify, IntegerScores(np.int64([[1000, -3]]), -10)),
        "ping": Frame(type=MessageType.PING, session=SESSION, sequence=3),
        "pong": Frame(type=MessageType.PONG, session=SESSION, sequence=3),
        "error": Frame(
            type=MessageType.ERROR, session=SESSION, sequence=4, payload=text, status=Status.LENGTH
        ),
    }
    return {name: frame.to_bytes() for name, frame in frames.items()}


def hexdump(message: bytes) -> str:
    """Return bytes as `xxd -g 1` shows them."""
    lines = []
    for start in range(0, len(message), 16):
        row = message[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}: {row.hex(' '):47s}  {text}")
    return "\n".join(lines)


if __name__ == "__main__":
    for name, message in example_messages().items():
        print(f"{name}\n{hexdump(message[:144])}\n")
    print(text := CONTRACT.to_json(oldest=True), len(text))
    for value, scale in QUANTISED:
        iq = np.float32([[[value], [0]]])
        integers = [int(f.quantise(iq, scale)[0, 0, 0]) for f in (SampleFormat.CI8, SampleFormat.CI16)]
        bits = np.float32(value).tobytes()[::-1].hex()
        print(f"| {np.float32(value)!s} | `{bits}` | {scale} | {integers[0]} | {integers[1]} |")

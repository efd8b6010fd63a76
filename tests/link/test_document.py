# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/board-protocol.md tells the bytes that are sent, and is enough to write a client from."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from boards import MODEL, Liar, board, chunks, image, refusal
from example_messages import CONTRACT, example_messages, hexdump
from patience import PATIENCE

from amrq.hardware import IntegerEngine
from amrq.link import Capabilities, Frame, MessageType, SampleFormat, Status, read_frame

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "board-protocol.md").read_text(encoding="utf-8")
CLIENT = ROOT / "examples" / "board-client-c" / "board_client.c"


@pytest.mark.parametrize("name", [kind.name.lower() for kind in MessageType])
def test_a_message_of_each_type(name: str) -> None:
    message = example_messages()[name]
    assert hexdump(message[:128]) in PAGE
    assert read_frame(message).type.name.lower() == name


def test_the_capabilities_can_be_made_from_the_page() -> None:
    shown = re.search(r"Capabilities; .*?```\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    begun = bytes.fromhex("".join(line[10:57] for line in shown.group(1).splitlines()))
    whole = begun[:112] + CONTRACT.to_json(oldest=True).encode()
    assert whole == example_messages()["capabilities"]
    assert Capabilities.from_bytes(read_frame(whole).payload).contract == CONTRACT


def test_vectors_of_the_rounding() -> None:
    rows = re.findall(r"^\| \S+ \| `([0-9a-f]{8})` \| (\S+) \| (-?\d+) \| (-?\d+) \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 12
    for number, scale, *integers in rows:
        iq = np.frombuffer(bytes.fromhex(number)[::-1], "<f4").repeat(2).reshape(1, 2, 1)
        for format, expected in zip((SampleFormat.CI8, SampleFormat.CI16), integers, strict=True):
            assert (format.quantise(iq, float(scale)) == int(expected)).all(), number


def test_tables_of_types_and_statuses() -> None:
    for kind in MessageType:
        assert re.search(rf"^\| {kind.value} \| {kind.name.lower()} \|", PAGE, re.MULTILINE)
    for status in Status:
        if status is not Status.OK:
            name = status.name.lower().replace("_", " ")
            assert re.search(rf"^\| {status.value} \| {name} \|", PAGE, re.MULTILINE)
    for format in SampleFormat:
        assert re.search(rf"^\| {format.value} \| {format.name.lower()} \|", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None or not any(Path(f"/usr/{p}include/zmq.h").exists() for p in ("", "local/")):
        pytest.skip("there is no C compiler, or libzmq's header is missing (libzmq3-dev)")
    made = tmp_path_factory.mktemp("c") / "board_client"
    strict = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *strict, "-o", str(made), str(CLIENT), "-lzmq", "-lm"], check=True)
    return made


def test_the_c_client_is_short() -> None:
    assert len(CLIENT.read_text().splitlines()) < 200


@pytest.mark.parametrize("format", ["auto", "cf32", "ci16", "ci8"])
def test_the_c_client_gets_the_same_scores(program: Path, format: str) -> None:
    engine = IntegerEngine(image(MODEL))
    given = chunks(600, "c")
    iq = np.stack([given.real, given.imag], axis=1)
    with board() as started:
        run = subprocess.run(
            [str(program), started.endpoint, format],
            input=given.tobytes(),
            capture_output=True,
            timeout=PATIENCE,
        )
        assert run.returncode == 0, run.stderr
        assert "600 chunks in 3 requests, 0 refused" in started.end()
    if format == "ci8":  # the one that loses something
        scale = Capabilities.of(engine, 1).scale_of(SampleFormat.CI8)
        iq = SampleFormat.CI8.restore(SampleFormat.CI8.quantise(iq, scale), scale)
    found = np.loadtxt(run.stdout.decode().splitlines(), dtype=np.float32)
    np.testing.assert_array_equal(found, engine.run(iq, None).logits)


def test_the_c_client_says_what_is_wrong(program: Path) -> None:
    with board() as started:
        run = subprocess.run([str(program), started.endpoint, "cu8"], capture_output=True, timeout=PATIENCE)
    assert run.returncode == 2
    assert run.stderr == b"board_client: the board does not take the format cu8\n"


def test_the_c_client_shows_no_escape_sequences(program: Path) -> None:
    def refuses(frame: Frame) -> list[bytes]:
        text = b"\x1b]0;title\x07\xc2\x9bevil"
        return refusal(frame, Status.FULL, text)

    with Liar(refuses) as liar:
        run = subprocess.run(
            [str(program), liar.endpoint, "auto"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
    assert (run.returncode, run.stderr) == (2, b"board_client: the board refuses: ?]0;title???evil\n")

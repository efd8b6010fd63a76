# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of strangers, images and labelled chunks: claims are bounded, and any fault is one sentence."""

import io
import json
import os
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_signals import labelled_chunks
from seeds import rng

from amrq.errors import AmrqError
from amrq.files import read_arrays
from amrq.hardware import IntegerNetwork, read_image, write_image
from amrq.labels import LabelsFolder

LIMIT = 1 << 20
MODEL = "coherent-small-int4"
"""Its image has steps in floating point; that of `ALIGNED` begins with the integer aligner and has none."""
ALIGNED = "blind-small-int4"


@contextmanager
def little_memory(most: int = 64 << 20) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def member(shape: str, descr: str = "'<f8'", data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + data


def test_what_numpy_writes_is_read(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "a": rng("npz").standard_normal((3, 4)),
        "b": np.asfortranarray(np.arange(12, dtype=np.int16).reshape(3, 4)),
        "c": np.zeros((0, 5), np.complex64),
        "d": np.array(True),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        for given in (tmp_path / "a.npz", (tmp_path / "a.npz").read_bytes()):
            found = read_arrays(given, LIMIT)
            assert list(found) == list(arrays)
            for name, array in arrays.items():
                np.testing.assert_array_equal(found[name], array)
                assert found[name].dtype == array.dtype and found[name].flags.writeable


BAD: dict[str, bytes] = {
    "no archive": b"PK\x03\x04nonsense",
    "nothing": b"",
    "a huge shape": archive({"a.npy": member("(1000000000000,)")}),
    "a shape beyond 64 bits": archive({"a.npy": member(f"({10**30},)")}),
    "a shape of 5,000 digits": archive({"a.npy": member(f"({'9' * 5000},)")}),
    "a negative shape": archive({"a.npy": member("(-1,)")}),
    "many axes": archive({"a.npy": member("(" + "1," * 40 + ")", data=bytes(8))}),
    "deep brackets": archive({"a.npy": member("(" * 3000 + ")" * 3000)}),
    "objects": archive({"a.npy": member("(1,)", "'|O'", bytes(8))}),
    "texts": archive({"a.npy": member("(1,)", "'<U1000000000'")}),
    "composed": archive({"a.npy": member("(1,)", "[('x', '<f8'), ('y', '<f8')]", bytes(16))}),
    "wrong names": archive({"a": member("(1,)", data=bytes(8))}),
    "too short": archive({"a.npy": member("(2,)", data=bytes(8))}),
    "too long": archive({"a.npy": member("(1,)", data=bytes(9))}),
    "another version": archive({"a.npy": member("(1,)", data=bytes(8), version=b"\x09\x00")}),
    "a long header": archive({"a.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b" " * 100}),
    "no header": archive({"a.npy": b"\x93NUMPY\x01\x00"}),
    "no numpy": archive({"a.npy": b"hello, world"}),
    "bzip2": archive({"a.npy": member("(1,)", data=bytes(8))}, zipfile.ZIP_BZIP2),
    "lzma": archive({"a.npy": member("(1,)", data=bytes(8))}, zipfile.ZIP_LZMA),
    "many arrays": archive({f"{number}.npy": member("(0,)") for number in range(2000)}),
    "zeros": archive({"a.npy": member("(4000000,)", data=bytes(32_000_000))}),
    "zeros in many": archive({f"{n}.npy": member("(16384,)", data=bytes(131_072)) for n in range(9)}),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_archive_of_numbers(name: str, tmp_path: Path) -> None:
    with little_memory(), pytest.raises(AmrqError, match="cannot be read") as caught:
        read_arrays(BAD[name], LIMIT)
    assert str(caught.value).isprintable()
    file = tmp_path / "image.npz"
    file.write_bytes(BAD[name])
    if name.startswith("zeros"):
        return  # 32 MB are not too many for an image
    with little_memory(), pytest.raises(AmrqError, match="is not an image") as caught:
        read_image(file)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


def test_an_image_of_3_mb_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    file = tmp_path / "image.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made, made.open("a.npy", "w") as content:
        content.write(member("(3000000000,)", "'|i1'"))
        for _ in range(300):
            content.write(bytes(1 << 20))
    with little_memory(), pytest.raises(AmrqError, match=r"is not an image.*claims 3000000000 bytes"):
        read_image(file)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("image") / "image.npz"
    write_image(MODEL, file)
    return read_arrays(file, 1 << 26)


def changed(arrays: dict[str, Any], file: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    description = json.loads(arrays["description"].tobytes())
    text = change(description)
    content = json.dumps(description) if text is None else text
    np.savez(file, **{**arrays, "description": np.frombuffer(content.encode(), np.uint8)})
    return file


def grown(description: dict[str, Any]) -> None:
    """Let each step double what the one before gave: 2^60 numbers at the end."""
    prefix = description["prefix"]
    name = prefix["tensors"][0]
    for number in range(60):
        prefix["steps"].append(["Concat", [name, name], f"grown{number}", {"axis": 1}])
        name = f"grown{number}"
    prefix["tensors"][0] = name


def spread(description: dict[str, Any]) -> None:
    """Let one number be taken as often as there are of another."""
    prefix = description["prefix"]
    name = prefix["tensors"][0]
    for number in range(60):
        prefix["steps"].append(["Gather", [name, "many"], f"spread{number}", {"axis": 2}])
        name = f"spread{number}"


def contract(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(description: dict[str, Any]) -> None:
        description["contract"] = json.dumps({**json.loads(description["contract"]), **changes})

    return change


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a step that doubles, 60 times": grown,
    "a step that spreads, 60 times": spread,
    "a number of 5,000 digits": lambda d: re.sub(
        '"version": [0-9]+', f'"version": {"9" * 5000}', json.dumps(d)
    ),
    "deep nesting": lambda d: "[" * 100_000,
    "many steps": lambda d: d["prefix"]["steps"].extend([["Abs", ["x"], "x", {}]] * 5000),
    "a chunk of 2^40 symbols": contract(chunk_length=1 << 40),
    "a chunk of 2^20 symbols": contract(chunk_length=1 << 20),
    "an exponent of 10^9": lambda d: d["layers"][0].update(input=[10**9, True]),
    "an exponent that is none": lambda d: d["layers"][0].update(input=[None, True]),
    "a mean over 10^30": lambda d: d.update(mean=[1, 10**30, *d["mean"][2:]]),
    "no layers": lambda d: d.update(layers=[]),
    "layers of a name with escapes": lambda d: d["layers"][0].update(name="\x1b[2J"),
    "another version": lambda d: d.update(version="\x1b[2J"),
    "a short hash": lambda d: d.update(model_sha256="00"),
    "an unknown step": lambda d: d["prefix"]["steps"].append(["\x1b[2J", [], "y", {}]),
    "null": lambda d: "null",
    "half a character": lambda d: '"\\ud800"',
}


STEPS = ("a step that doubles, 60 times", "a step that spreads, 60 times", "many steps", "an unknown step")


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in STEPS])
def test_descriptions_with_an_aligner(name: str, tmp_path: Path) -> None:
    file = tmp_path / "image.npz"
    write_image(ALIGNED, file)
    read_image(file)
    changed(read_arrays(file, 1 << 26), file, CHANGES[name])
    with little_memory(256 << 20), pytest.raises(AmrqError, match="is not an image") as caught:
        read_image(file)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", CHANGES)
def test_descriptions_that_claim_what_cannot_be(arrays: dict[str, Any], name: str, tmp_path: Path) -> None:
    given = {**arrays, "prefix/many": np.zeros(1 << 16, np.int64)}
    file = changed(given, tmp_path / "image.npz", CHANGES[name])
    with little_memory(256 << 20), pytest.raises(AmrqError, match="is not an image") as caught:
        read_image(file)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


def test_layers_that_claim_what_cannot_be(arrays: dict[str, Any], tmp_path: Path) -> None:
    weights = next(name for name in arrays if name.endswith("/weights"))
    for number, array in enumerate(
        (
            np.zeros((1, 1, (1 << 20) + 1), np.int8),
            np.zeros((0, 1, 1), np.int8),
            np.zeros((1 << 20, 1, 1), np.int8),
            arrays[weights].astype(np.float64),
            arrays[weights][0],
        )
    ):
        file = tmp_path / f"{number}.npz"
        np.savez_compressed(file, **{**arrays, weights: array})
        with little_memory(), pytest.raises(AmrqError, match="is not an image"):
            read_image(file)


def test_mutated_images_are_read_or_refused_in_one_sentence(arrays: dict[str, Any], tmp_path: Path) -> None:
    generator = rng("image")
    text = arrays["description"].tobytes().decode()
    numbers = list(re.finditer(r"-?\d+|true|false|null", text))
    odd = ["-1", "0", "1e999", "NaN", "null", "[]", "{}", '"x"', str(2**63), "9" * 40, "-1e-320", "true"]
    for number in range(150):
        place = numbers[generator.integers(len(numbers))]
        mutated = text[: place.start()] + odd[generator.integers(len(odd))] + text[place.end() :]
        given = dict(arrays)
        if number % 3 == 0:
            name = sorted(given)[generator.integers(len(given))]
            given[name] = given[name].ravel()[: generator.integers(1 + given[name].size)]
        file = tmp_path / "image.npz"
        np.savez(file, **{**given, "description": np.frombuffer(mutated.encode(), np.uint8)})
        with suppress(AmrqError):
            network, sha256 = read_image(file)
            assert isinstance(network, IntegerNetwork) and len(sha256) == 32


def test_mutated_archives_are_read_or_refused(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", **arrays)
    whole = (tmp_path / "whole.npz").read_bytes()
    generator = rng("archive")
    for _ in range(300):
        mutated = bytearray(whole)
        for place in generator.integers(len(whole), size=generator.integers(1, 6)):
            mutated[place] = generator.integers(256)
        cut = mutated[: generator.integers(len(whole))] if generator.random() < 0.2 else mutated
        (tmp_path / "image.npz").write_bytes(bytes(cut))
        with suppress(AmrqError):
            read_image(tmp_path / "image.npz")


def test_mutated_labels_are_read_or_refused(tmp_path: Path) -> None:
    folder = LabelsFolder(tmp_path)
    folder.write(labelled_chunks("one", {"BPSK": 3, "QPSK": 2}, rng("labels")))
    about, generator = tmp_path / "one.json", rng("mutated labels")
    text = about.read_text()
    odd = ["-1", "1e999", "NaN", "null", "[]", "{}", '"\\u001b[2J"', "9" * 5000, "[" * 5000, "true", ""]
    for number in range(300):
        start = int(generator.integers(len(text)))
        stop = start + int(generator.integers(1, 20))
        mutated = text[:start] + odd[generator.integers(len(odd))] + text[stop:]
        about.write_bytes(mutated.encode() if number % 5 else mutated.encode() + b"\xff\xfe")
        try:
            folder.read()
        except AmrqError as error:
            assert str(error).isprintable() and len(str(error)) < 1000


def test_labels_stay_in_their_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    chunks = labelled_chunks("one", {"BPSK": 3}, rng("stay"))
    LabelsFolder(outside).write(chunks)
    for name in ("../outside/one", "a/b", "a\\b", ".hidden", "", "x\x1b[2J", "x" * 300):
        with pytest.raises(AmrqError, match="cannot be called") as caught:
            LabelsFolder(inside).check_free(name, "")
        assert str(caught.value).isprintable()
    (inside / "one.json").symlink_to(outside / "one.json")
    (inside / "one.npz").symlink_to(outside / "one.npz")
    with pytest.raises(AmrqError, match="is not a file in the folder itself"):
        LabelsFolder(inside).read()
    with pytest.raises(AmrqError, match="not overwritten"):
        LabelsFolder(inside).write(chunks)
    (inside / "one.json").unlink()
    os.mkfifo(inside / "one.json")  # nobody waits for whoever might write into it
    with pytest.raises(AmrqError, match="is not a file in the folder itself"):
        LabelsFolder(inside).read()

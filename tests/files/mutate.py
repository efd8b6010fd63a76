# SPDX-License-Identifier: GPL-3.0-or-later
"""Files changed as accidents and attackers change them: bytes, and what is inside a format."""

import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

__all__ = ["MUTATORS", "Mutator"]

Mutator = Callable[[bytes, random.Random], bytes]

_LARGEST = 1 << 21
"""Bytes that a mutated file may have: what is tried is what small files do."""
_NUMBERS = (
    *(
        b"0",
        b"-1",
        b"1",
        b"2",
        b"1e999",
        b"-1e999",
        b"NaN",
        b"1e-320",
        b"9223372036854775808",
        b"4294967296",
        b"1.5",
    ),
    *(
        b"true",
        b"null",
        b'""',
        b'"x"',
        b"[]",
        b"{}",
        b"[[]]",
        b"9" * 5000,
        b"[" * 3000,
        b'"\\ud800"',
        b'"\\u0000"',
    ),
)
_TEXTS = (
    *(
        "",
        "x",
        "\x1b[2J",
        "\n",
        "../../../etc/passwd",
        "/etc/passwd",
        "\ud800",
        "\0",
        "a" * 5000,
        "QPSK",
        "NaN",
        "-1",
    ),
    *("9" * 5000, "2026-13-45T99:99:99Z", "core:dataset", "cf32_le", "cf64_be", "ri8", "\u202e"),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, 10**30, -(10**30), 1e308, 5e-324, 1.5, -0.0),
    *([], {}, [[]], [None], {"": None}, [0] * 1000, float("inf"), float("nan")),
    *_TEXTS,
)


def mutate_bytes(data: bytes, random: random.Random) -> bytes:
    """Change bits, bytes and numbers, cut out, double and cut short."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if not found:
            return bytes(found)
        at = random.randrange(len(found))
        # Headers are short and decide: half of all changes go there.
        if random.random() < 0.5:
            at = random.randrange(min(len(found), 512))
        size = min(random.choice((1, 2, 4, 8, 64, 4096)), len(found) - at)
        kind = random.randrange(7)
        if kind == 0:
            found[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            found[at] = random.choice((0, 1, 127, 128, 255, random.randrange(256)))
        elif kind == 2:
            value = random.choice((0, 1, -1, 2**31 - 1, -(2**31), 2**15, 65536, random.getrandbits(31)))
            found[at : at + 4] = struct.pack(random.choice(("<i", ">i")), value)
        elif kind == 3:
            del found[at : at + size]
        elif kind == 4:
            found[at:at] = found[at : at + size] * random.choice((1, 2, 50))
        elif kind == 5:
            found[at : at + size] = random.randbytes(size)
        else:
            del found[random.choice((at, len(found) - size)) :]
        del found[_LARGEST:]
    return bytes(found)


def mutate_words(data: bytes, random: random.Random) -> bytes:
    """Change numbers, words and lines of a text."""
    for _ in range(random.choice((1, 1, 2, 3))):
        kind = random.randrange(4)
        if kind == 0:
            data = mutate_bytes(data, random)
            continue
        lines = data.split(b"\n")
        at = random.randrange(len(lines))
        if kind == 1:
            lines[at : at + 1] = random.choice(
                ([], lines[at : at + 1] * 2, [random.choice(lines)], [b"\x1b[2J"])
            )
        else:
            places = list(re.finditer(rb"[0-9.eE+-]+|\"[^\"\n]*\"|[A-Za-z_]+", lines[at]))
            if places:
                place = random.choice(places)
                text = random.choice((*_NUMBERS, *(json.dumps(t).encode() for t in _TEXTS)))
                lines[at] = lines[at][: place.start()] + text + lines[at][place.end() :]
        data = b"\n".join(lines)[:_LARGEST]
    return data


def mutate_json(data: bytes, random: random.Random) -> bytes:
    """Change what a JSON document holds; now and then its text."""
    if random.random() < 0.2:
        return mutate_words(data, random)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):  # it has been changed before
        return mutate_words(data, random)
    for _ in range(random.choice((1, 1, 2, 5))):
        document = _changed(document, random)
    return json.dumps(document, allow_nan=True).encode()


def _changed(value: Any, random: random.Random) -> Any:
    """Return a value of which one part, at any depth, is another one."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        kind = random.random()
        if kind < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if kind < 0.15:
            return {**value, random.choice(_TEXTS): random.choice(_VALUES)}
        if kind < 0.2:
            return {**value, key + random.choice((" ", "\x1b", "X")): value[key]}
        return {**value, key: _changed(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        kind = random.random()
        if kind < 0.1:
            return value[:at] + value[at + 1 :]
        if kind < 0.2:
            return value[:at] + [value[at]] * random.choice((2, 3, 200)) + value[at:]
        return [*value[:at], _changed(value[at], random), *value[at + 1 :]]
    if isinstance(value, int | float) and not isinstance(value, bool) and random.random() < 0.4:
        return random.choice(
            (value + 1, -value, value * 1000, value * 3.0, round(value) if abs(value) < 2**53 else 0)
        )
    nested: Any = random.choice(_VALUES)
    if random.random() < 0.05:
        for _ in range(random.choice((10, 400))):
            nested = [nested]
    return nested


def mutate_zip(data: bytes, random: random.Random) -> bytes:
    """Change a member of an archive and pack it anew, so that its checksum is right."""
    if random.random() < 0.3:
        return mutate_bytes(data, random)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    name = random.choice(list(members))
    kind = random.random()
    if kind < 0.05:
        del members[name]
    elif kind < 0.1:
        members[random.choice(("../outside", "/tmp/outside", "x" * 300, name + "\x1b"))] = members.pop(name)
    elif kind < 0.2 and members[name][:6] == b"\x93NUMPY":
        members[name] = _claim(members[name], random)
    elif members[name].lstrip(b"\x93NUMPY").find(b"{") >= 0 and b'"version"' in members[name]:
        at = members[name].index(b'{"') if b'{"' in members[name] else 0
        members[name] = members[name][:at] + mutate_json(members[name][at:], random)
    else:
        members[name] = mutate_bytes(members[name], random)
    with zipfile.ZipFile(buffer, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as target:
        for member, content in members.items():
            target.writestr(member, content)
    return buffer.getvalue()


def _claim(array: bytes, random: random.Random) -> bytes:
    """Give a NumPy array another shape or type, its numbers as they are or many zeros, which pack well."""
    shape = random.choice(
        ("(1073741824,)", "(0,)", "()", "(-1,)", "(2, 2, 2, 2)", "(4611686018427387904, 4)")
    )
    kind = random.choice(("'<f4'", "'|i1'", "'|O'", "'<i8'", "'<U1000000'", "[('a', '<f8')]", "'<c8'"))
    head = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return (
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", len(head))
        + head
        + random.choice((array[-1000:], bytes(1 << 24)))
    )


def mutate_onnx(data: bytes, random: random.Random) -> bytes:
    """Change fields of the graph, or the contract; now and then bytes."""
    import onnx

    if random.random() < 0.3:
        return mutate_bytes(data, random)
    model = onnx.load_from_string(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        if random.random() < 0.3 and model.metadata_props:
            entry = random.choice(model.metadata_props)
            changed = mutate_json(entry.value.encode(), random)
            entry.value = changed.decode("utf-8", "replace")
        else:
            _change_message(model.graph, random)
    return model.SerializeToString()[:_LARGEST]


def _change_message(message: Any, random: random.Random) -> None:
    """Change one field of a message, or of one inside it."""
    fields = [field for field, _ in message.ListFields()]
    if not fields:
        return
    field = random.choice(fields)
    value = getattr(message, field.name)
    several = hasattr(value, "append") or hasattr(value, "add")
    if several and len(value) and random.random() < 0.15:
        at = random.randrange(len(value))
        if random.random() < 0.5:
            del value[at]
        elif hasattr(value, "add"):
            value.add().CopyFrom(value[at])
        else:
            value.append(value[at])
        return
    inner = random.choice(list(value)) if several and len(value) else value
    if field.type == field.TYPE_MESSAGE:
        _change_message(inner, random)
        return
    new: Any
    if field.type == field.TYPE_STRING:
        others = (
            "",
            "x",
            "Loop",
            "If",
            "Expand",
            "Tile",
            "Relu",
            "Identity",
            "Conv",
            "iq",
            "logits",
            "\x1b[2J",
            "a/b",
        )
        new = random.choice(others)
    elif field.type == field.TYPE_BYTES:
        new = mutate_bytes(bytes(inner), random)[: len(inner) + 64]
    elif field.type == field.TYPE_FLOAT:
        new = random.choice((0.0, -1.0, 0.3, 1e38, float("nan"), float("inf"), 2.0**-100))
    else:
        new = random.choice((0, 1, 2, 3, 7, 63, 1000, 2**31 - 1, -1))
    try:
        if several and len(value):
            value[random.randrange(len(value))] = new
        else:
            setattr(message, field.name, new)
    except (TypeError, ValueError):
        pass  # no such value of this field


MUTATORS: dict[str, Mutator] = {
    "bytes": mutate_bytes,
    "text": mutate_words,
    "json": mutate_json,
    "zip": mutate_zip,
    "onnx": mutate_onnx,
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of a model without the fixed part before them, as a model of its own, where that part runs elsewhere.

What a model computes of its samples before the first trained layer may be quicker in other hands than as some hundred
operators of a graph. The operators are told by their names: those of the part begin with its name. Nothing but the
files' structure is touched: weights and all other operators are those of the model, byte for byte.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from amrq.errors import ModelError
from amrq.files import parsing
from amrq.model.contract_file import new_session
from amrq.model.onnx_scan import Walk, read_onnx

__all__ = ["cut_session"]

_BYTES, _FLOAT = 2, 1
_MODEL_GRAPH = 7
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT, _VALUES = 1, 2, 5, 11, 12, 13
"""Fields of a graph."""


class _Operator(NamedTuple):
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    content: bytes


def cut_session(path: Any, prefix: str, shapes: Sequence[tuple[int, ...]], threads: int = 1) -> Any:
    """Load the operators of a model that come after those whose names begin with `prefix` into onnxruntime.

    Args:
        path: of the ONNX file, which `open_model` has tried.
        prefix: of the operators that are left out, which must be all that use the model's input.
        shapes: without the number of chunks, of the tensors of float32 that the left out ones hand over, in the order
            in which the others use them: the inputs of the session.
        threads: threads inside one operator.

    Returns:
        The session; None where the model has no such part, or one that hands over something else.

    Raises:
        ModelError: the file is missing or broken.
    """
    data, _ = read_onnx(path)
    with parsing(str(path), kind=ModelError):
        cut = _cut(data, prefix, shapes)
    if cut is None:
        return None
    session = new_session(cut, path, threads)
    wanted = [["N", *shape] for shape in shapes]
    return session if [one.shape for one in session.get_inputs()] == wanted else None


def _cut(data: bytes, prefix: str, shapes: Sequence[tuple[int, ...]]) -> bytes | None:
    """Return the file without the operators of a part; None where it has no such part."""
    walk = Walk()
    parts = list(walk.fields(memoryview(data)))
    graphs = [part for number, kind, _, part in parts if (number, kind) == (_MODEL_GRAPH, _BYTES)]
    if len(graphs) != 1:
        return None
    fields = [(number, bytes(part)) for number, kind, _, part in walk.fields(graphs[0]) if kind == _BYTES]
    operators = [_operator(walk, part) for number, part in fields if number == _NODE]
    kept = [one for one in operators if not one.name.startswith(prefix)]
    made = {name for one in operators if one.name.startswith(prefix) for name in one.outputs}
    given = {_name(walk, part) for number, part in fields if number == _INPUT}
    used = list(dict.fromkeys(name for one in kept for name in one.inputs))
    handed = [name for name in used if name in made]
    if len(handed) != len(shapes) or given & set(used):
        return None
    body = b"".join(_field(_NODE, one.content) for one in kept)
    body += b"".join(
        _field(number, part) for number, part in fields if number in (_NAME, _INITIALIZER, _OUTPUT)
    )
    body += b"".join(_field(_INPUT, _described(*pair)) for pair in zip(handed, shapes, strict=True))
    out = b""
    for number, kind, value, part in parts:
        if number == _MODEL_GRAPH:
            out += _field(number, body)
        elif kind == _BYTES:
            out += _field(number, bytes(part))
        elif kind == 0:
            out += _number(number << 3) + _number(value)
    return out


def _operator(walk: Walk, data: bytes) -> _Operator:
    """Read NodeProto: input 1, output 2, name 3."""
    texts: dict[int, list[str]] = {1: [], 2: [], 3: []}
    for number, kind, _, part in walk.fields(memoryview(data)):
        if kind == _BYTES and number in texts:
            texts[number].append(bytes(part).decode())
    return _Operator("".join(texts[3]), tuple(filter(None, texts[1])), tuple(texts[2]), data)


def _name(walk: Walk, data: bytes) -> str:
    """Read the name, field 1, of a ValueInfoProto."""
    names = [bytes(part).decode() for number, kind, _, part in walk.fields(memoryview(data)) if number == 1]
    return "".join(names)


def _described(name: str, shape: tuple[int, ...]) -> bytes:
    """Return ValueInfoProto of a tensor float32 [N, *shape]: name 1, type 2; tensor_type 1; elem_type 1, shape 2."""
    first = _field(1, _field(2, b"N"))
    dimensions = first + b"".join(_field(1, _number(1 << 3) + _number(size)) for size in shape)
    tensor = _number(1 << 3) + _number(_FLOAT) + _field(2, dimensions)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, content: bytes) -> bytes:
    """Return a field of a message: key, length, content."""
    return _number(number << 3 | _BYTES) + _number(len(content)) + content


def _number(value: int) -> bytes:
    """Return a whole number, not negative, in groups of seven bits, the lowest first.

    >>> _number(300).hex()
    'ac02'
    """
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])

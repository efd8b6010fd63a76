# SPDX-License-Identifier: GPL-3.0-or-later
"""Where what is found differs from what was recorded."""

import json
import math
from collections.abc import Callable
from typing import Any

__all__ = ["Near", "differences", "plain", "text_of"]

Near = Callable[[tuple[str, ...]], tuple[float, float]]
"""Of where a number stands: how far it may be off, in all and as a share of itself."""


def plain(value: Any, digits: int = 4) -> Any:
    """Return what JSON gives back of a value, its floats rounded."""
    if isinstance(value, dict):
        return {str(name): plain(below, digits) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [plain(below, digits) for below in value]
    if isinstance(value, float):
        return round(value, digits) + 0.0 if math.isfinite(value) else str(value)
    return value


def differences(recorded: Any, found: Any, near: Near, path: tuple[str, ...] = ()) -> list[str]:
    """Return a line for each difference: order of names, texts and whole numbers exactly, floats as `near` allows."""
    where = " / ".join(path) or "all"
    if isinstance(recorded, dict) and isinstance(found, dict):
        lines = [f"{where}: {name!r} is gone" for name in recorded if name not in found]
        lines += [f"{where}: {name!r} is new" for name in found if name not in recorded]
        if not lines and list(recorded) != list(found):
            lines.append(f"{where}: another order: {list(found)}, not {list(recorded)}")
        for name in recorded:
            if name in found:
                lines += differences(recorded[name], found[name], near, (*path, name))
        return lines
    if isinstance(recorded, list) and isinstance(found, list):
        texts = [*recorded, *found]
        if len(recorded) != len(found) and all(isinstance(text, str) for text in texts):
            gone, new = sorted({*recorded} - {*found}), sorted({*found} - {*recorded})
            return [f"{where}: gone: {gone}, new: {new}"]
        lines = [f"{where}: {len(found)} entries, not {len(recorded)}"] if len(recorded) != len(found) else []
        for number, (old, new) in enumerate(zip(recorded, found, strict=False)):
            lines += differences(old, new, near, (*path, str(number)))
        return lines
    if path and path[-1] == "decided" and isinstance(found, str) and len(recorded) == len(found):
        # A question mark: the two best are too near each other to tell.
        odd = [
            i for i, (a, b) in enumerate(zip(recorded, found, strict=True)) if a != b and "?" not in (a, b)
        ]
        return [f"{where}: chunk {i} is {found[i]!r}, not {recorded[i]!r}" for i in odd]
    numbers = [value for value in (recorded, found) if isinstance(value, float | int)]
    if len(numbers) == 2 and type(recorded) is type(found) is not bool:
        absolute, share = near(path)
        if abs(found - recorded) <= absolute + share * abs(recorded) + 1e-9:
            return []
    elif recorded == found and type(recorded) is type(found):
        return []
    return [f"{where}: {found!r}, not {recorded!r}"]


def text_of(value: Any, depth: int = 0) -> str:
    """Return JSON for people: a line an entry, short ones whole on one line."""
    whole = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (depth > 1 and len(whole) <= 110):
        return whole
    if depth > 1 and isinstance(value, dict) and {"schema", "reason", "architecture"} & {*value}:
        return whole  # a decision, a row of a sweep
    if isinstance(value, list) and all(isinstance(below, float | int) for below in value):
        return whole
    space = " " * (depth + 1)
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {text_of(below, depth + 1)}" for name, below in value.items()]
        return "{\n" + ",\n".join(space + part for part in parts) + "\n" + " " * depth + "}"
    return "[\n" + ",\n".join(space + text_of(below, depth + 1) for below in value) + "\n" + " " * depth + "]"

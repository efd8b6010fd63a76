# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a training on disk, to go on from."""

from pathlib import Path
from typing import Any

import torch

from amrq.errors import AmrqError
from amrq.memory_limit import memory_limit
from amrq.whole_file import whole_file

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write a state, whole or not at all.

    Args:
        path: the file.
        identity: what must be the same for another run to go on from it.
        state: tensors, numbers, texts, and dicts and lists of them.
    """
    with whole_file(path) as file:
        torch.save({**state, "recipe": identity}, file)


def load_checkpoint(path: Path, identity: str) -> dict[str, Any]:
    """Return the state that `save_checkpoint` wrote.

    Raises:
        AmrqError: the file cannot be read, or is of another training.
    """
    try:
        with memory_limit((1 << 30) + 8 * path.stat().st_size):
            state: dict[str, Any] = torch.load(path, weights_only=True)
        same = state["recipe"] == identity
    except Exception as error:  # torch raises many types for a broken file
        reason = type(error).__name__  # torch's messages run over many lines
        raise AmrqError(f"{path} is no readable checkpoint ({reason}): remove it or use --fresh.") from None
    if not same:
        raise AmrqError(f"{path} belongs to another recipe: remove it or use --fresh.")
    return state

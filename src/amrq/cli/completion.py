# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shell offers when Tab is pressed behind an option; `amrq --install-completion` sets it up."""

from collections.abc import Callable, Sequence

from amrq.model import list_models

__all__ = ["model_names", "one_of"]


def model_names(incomplete: str) -> list[str]:
    """Return the names of models at hand that begin so; where none does, the shell offers files."""
    try:
        names = ["default", *(path.stem for path in list_models())]
    except OSError:  # a folder that cannot be read: a shell wants no error while somebody types
        names = ["default"]
    return [name for name in names if name.startswith(incomplete)]


def one_of(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what completes an option that takes one of these words."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete

# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of the example recordings."""

from pathlib import Path

__all__ = ["example_recording"]

_FOLDERS = ("examples/recordings", "share/gnuradio/examples/amrq/recordings")
"""Below the source tree, below the prefix of an installation."""


def example_recording(name: str) -> str:
    """Return the path of a recording in examples/recordings, in the source tree or installed.

    The file may be missing; opening it then raises the error.

    Args:
        name: name of the file.
    """
    parents = Path(__file__).resolve().parents
    paths = [parent / folder / name for parent in parents for folder in _FOLDERS]
    return str(next((path for path in paths if path.is_file()), parents[2] / _FOLDERS[0] / name))

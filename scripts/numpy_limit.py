#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out which major version of NumPy the installed GNU Radio can live with, and print it: 1 or 2.

A binary module built against NumPy 1 does not load under NumPy 2, whereas one built against NumPy 2 loads
under both. Which headers it was built with stands in the module itself: those of NumPy 1 name only
`numpy.core`, those of NumPy 2 name `numpy._core` as well. Reading that from GNU Radio's own modules needs no
import, and no second NumPy to try.

Run it with the Python that GNU Radio belongs to.
"""

import argparse
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path


def numpy_major(modules: Iterable[Path]) -> int | None:
    """Return 1 if any of the binary modules needs NumPy 1, 2 if none does, None if none uses NumPy at all."""
    major = None
    for module in modules:
        content = module.read_bytes()
        if b"numpy._core" in content:
            major = 2
        elif b"numpy.core" in content:
            return 1
    return major


def main() -> int:
    """Print the major version; return the exit status."""
    raw = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(description=__doc__, formatter_class=raw).parse_args()
    try:
        spec = find_spec("gnuradio.gr")
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        print(f"numpy_limit: {sys.executable} has no GNU Radio: use the Python it is for.", file=sys.stderr)
        return 1
    major = numpy_major(Path(spec.origin).parents[1].rglob("*.so"))
    if major is None:
        print(f"numpy_limit: no binary module of GNU Radio beside {spec.origin} uses NumPy.", file=sys.stderr)
        return 1
    print(major)
    return 0


if __name__ == "__main__":
    sys.exit(main())

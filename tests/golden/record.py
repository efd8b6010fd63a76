#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record the golden file of behaviour anew, and say what has changed.

Run it after a change that is meant to show; name what it prints in the commit and in CHANGELOG.md.
"""

import argparse
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "src"), str(TESTS.parent / ".build" / "test_modules")]

from golden import parts  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"which: {', '.join(parts.CASES)}; without any, all"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, only say what has changed")
    arguments = parser.parse_args()
    for part in arguments.parts or parts.CASES:
        if part not in parts.CASES:
            parser.error(f"there is no part {part!r}: choose from {', '.join(parts.CASES)}")
        if part == "real" and not parts.REAL.is_dir():
            print(f"{part}: left as it is, since the real recordings ({parts.REAL}) are not on this machine")
            continue
        begun = time.monotonic()
        found = {case: parts.made(part, case) for case in parts.CASES[part]}
        lines = [line for case, value in found.items() for line in parts.compare(part, case, value)]
        lines += [f"{case}: is gone" for case in parts.read(part)["data"] if case not in found]
        if not arguments.check:
            parts.write(part, found)
        print(f"{part}: {len(lines)} differences, {time.monotonic() - begun:.1f} s", *lines, sep="\n  ")


if __name__ == "__main__":
    main()

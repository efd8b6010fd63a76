#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the tables of docs/protocols.md up to date with the protocols' files.

    scripts/make_protocols.py            # rewrite the page where it is out of date
    scripts/make_protocols.py --check    # exit 1 where it is

Everything between `<!-- made from the protocols -->` and `<!-- end of the protocols -->` is made: a table for each
family. So is what is between `<!-- made from the parameters -->` and `<!-- end of the parameters -->`.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from amrq.protocols import FAMILIES, PARAMETERS, list_protocols
from amrq.text import markdown

__all__ = ["PAGE", "up_to_date"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "protocols.md"
_BANDS = 6


def up_to_date(page: str) -> str:
    """Return the page with its tables made anew."""
    for name, lines in (("protocols", _protocols()), ("parameters", _parameters())):
        marked = re.compile(rf"(<!-- made from the {name} -->\n).*?(<!-- end of the {name} -->)", re.DOTALL)
        made = "\n".join(lines)
        found = marked.search(page)
        if found is None:
            raise SystemExit(f"make_protocols: {PAGE.name} has no markers of the {name}.")
        page = f"{page[: found.start()]}{found[1]}\n{made}\n\n{found[2]}{page[found.end() :]}"
    return page


def _protocols() -> Iterator[str]:
    protocols = list_protocols()
    also = sum(len(one.families) > 1 for one in protocols)
    yield f"{len(protocols)} protocols; {also} of them may be received as more than one family, and stand in the first."
    for family in FAMILIES:
        rows = [one for one in protocols if one.families[0] == family]
        if not rows:
            continue
        yield from ("", f"### {family}", "", "| name | parameters | bands | what |", "|---|---|---|---|")
        for one in rows:
            cells = (one.name, one.parameters_shown(), one.bands_shown(_BANDS), one.what)
            yield f"| {' | '.join(markdown(cell) for cell in cells)} |"


def _parameters() -> Iterator[str]:
    yield from ("| parameter | what it is | from | to | usual error of a measure |", "|---|---|---|---|---|")
    for name, one in PARAMETERS.items():
        yield f"| `{name}` | {one.words} | {one.shown(one.low)} | {one.shown(one.high)} | {one.error * 100:g} % |"


def main() -> int:
    """Rewrite or check the page; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if the page is out of date"
    )
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    made = up_to_date(page)
    if made == page:
        return 0
    if check:
        print(f"{PAGE} is out of date: run scripts/make_protocols.py.")
        return 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

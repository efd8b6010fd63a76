# SPDX-License-Identifier: GPL-3.0-or-later
"""Print, relative to a prefix, the folder where this interpreter looks for modules installed under it.

usage: python3 cmake/module_folder.py PREFIX

The first folder lib*/.../{site,dist}-packages under the prefix that the interpreter searches by itself: for
Debian's Python, lib/python3.11/dist-packages under /usr/local and lib/python3/dist-packages under /usr. Where
it searches none (a prefix of one's own, which takes PYTHONPATH), the usual lib/pythonX.Y/site-packages.
"""

import site
import sys
import sysconfig
from pathlib import Path


def module_folder(prefix: Path) -> Path:
    """Return the folder, relative to the prefix."""
    for folder in map(Path, site.getsitepackages()):
        if str(folder) in sys.path and folder.is_relative_to(prefix):
            relative = folder.relative_to(prefix)
            if relative.parts[0].startswith("lib"):
                return relative
    scheme = "venv" if "venv" in sysconfig.get_scheme_names() else "posix_prefix"
    base = {"base": str(prefix), "platbase": str(prefix)}
    return Path(sysconfig.get_path("purelib", scheme, base)).relative_to(prefix)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    print(module_folder(Path(sys.argv[1])))

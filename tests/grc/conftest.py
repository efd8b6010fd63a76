# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes flowgraphs.py importable; leaves these tests out, and says so, where there is no GNU Radio with a QT GUI."""

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

missing = [name for name in ("gnuradio", "PyQt5", "mako", "yaml") if find_spec(name) is None]
if missing:
    collect_ignore_glob = ["test_*.py"]
    warnings.warn(f"tests/grc is left out: {', '.join(missing)} not installed", stacklevel=1)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Let these tests import what all tests share, also when they are run alone."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

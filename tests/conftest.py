# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all tests."""

from hypothesis import settings

import amrq  # noqa: F401  # first: it keeps onnxruntime, which some tests import themselves, from reporting

# The same examples in every run, wherever it runs: a failure can be repeated, and a pass is not luck.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("repeatable")

# SPDX-License-Identifier: GPL-3.0-or-later

"""The package's version."""

__version__ = "0.2.0"

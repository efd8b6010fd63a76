# SPDX-License-Identifier: GPL-3.0-or-later
"""From samples of a radio to the symbols of one signal of unknown modulation, in NumPy."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""From stored samples to what they hold: found, received, classified and decided on, in one pass."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""A grid of networks, precisions and pruning levels, trained and measured cell by cell."""

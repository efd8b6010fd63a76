# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished sweeps as a page with tables and pictures; needs no PyTorch."""

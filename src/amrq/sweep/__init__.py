# SPDX-License-Identifier: GPL-3.0-or-later
"""Grids of models, trained and measured cell by cell; the report of a finished sweep needs no PyTorch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

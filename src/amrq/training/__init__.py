# SPDX-License-Identifier: GPL-3.0-or-later
"""From a recipe to a model file. The only room that imports PyTorch; the live side never needs it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# SPDX-License-Identifier: GPL-3.0-or-later
"""From a recipe to a model file. The only room that imports PyTorch; the live side never needs it."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours that colour-blind readers can tell apart (Okabe and Ito 2008)."""

__all__ = ["BLACK", "BLUE", "GREEN", "GREY", "ORANGE", "PURPLE", "SKY", "VERMILION"]

BLACK = "#000000"
BLUE = "#0072B2"
GREEN = "#009E73"
GREY = "#B5B5B5"
ORANGE = "#E69F00"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
VERMILION = "#D55E00"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The maximum-likelihood classifier: the bound that every model is held against. Needs NumPy alone."""

from amrq.likelihood.bound import BoundCurve, bound_page, draw_bound, measure_bound
from amrq.likelihood.classifier import Level, LikelihoodClassifier, Phase, Receiver
from amrq.likelihood.kernels import AxisKernel, Resolution, cubic

__all__ = [
    "AxisKernel",
    "BoundCurve",
    "Level",
    "LikelihoodClassifier",
    "Phase",
    "Receiver",
    "Resolution",
    "bound_page",
    "cubic",
    "draw_bound",
    "measure_bound",
]

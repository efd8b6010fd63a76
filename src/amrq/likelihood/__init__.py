# SPDX-License-Identifier: GPL-3.0-or-later
"""The maximum-likelihood classifier: the bound that every model is held against. Needs NumPy alone."""

from amrq.likelihood.likelihood_classifier import LikelihoodClassifier
from amrq.likelihood.receiver import Receiver
from amrq.likelihood.resolution import Resolution

__all__ = ["LikelihoodClassifier", "Receiver", "Resolution"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Models on hardware: the integer reference, and Algorithm II's estimate."""

from amrq.hardware.estimate import ResourceEstimate, estimate
from amrq.hardware.fixed_point import FixedPoint
from amrq.hardware.integer_classifier import IntegerClassifier
from amrq.hardware.integer_flatten import IntegerFlatten
from amrq.hardware.integer_inputs import IntegerInputs
from amrq.hardware.integer_layer import IntegerLayer
from amrq.hardware.integer_mean import IntegerMean
from amrq.hardware.integer_network import IntegerNetwork
from amrq.hardware.layer_size import LayerSize, count_weights
from amrq.hardware.numpy_prefix import NumpyPrefix
from amrq.hardware.read_layer_sizes import read_layer_sizes, weights_of
from amrq.hardware.requantise import requantise
from amrq.hardware.scores import Scores

__all__ = [
    "FixedPoint",
    "IntegerClassifier",
    "IntegerFlatten",
    "IntegerInputs",
    "IntegerLayer",
    "IntegerMean",
    "IntegerNetwork",
    "LayerSize",
    "NumpyPrefix",
    "ResourceEstimate",
    "Scores",
    "count_weights",
    "estimate",
    "read_layer_sizes",
    "requantise",
    "weights_of",
]

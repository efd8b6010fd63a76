# SPDX-License-Identifier: GPL-3.0-or-later
"""Classes of signals, linear classes with their constellations, and named sets of classes."""

from amrq.classes.class_set import CLASS_SETS, OTHER_LINEAR, THESIS_9, ClassSet, LinearSet, called, class_set
from amrq.classes.linear import LINEAR_CLASSES, LinearClass, linear_class, root_raised_cosine
from amrq.classes.signal_class import NamedClass, SignalClass

__all__ = [
    "CLASS_SETS",
    "LINEAR_CLASSES",
    "OTHER_LINEAR",
    "THESIS_9",
    "ClassSet",
    "LinearClass",
    "LinearSet",
    "NamedClass",
    "SignalClass",
    "called",
    "class_set",
    "linear_class",
    "root_raised_cosine",
]

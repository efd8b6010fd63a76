# SPDX-License-Identifier: GPL-3.0-or-later
"""Models on hardware: the integer reference, and Algorithm II's estimate."""

from amrq.hardware.aligner_tables import GRIDS, POWERS, AlignerTables, aligner_tables, magnitude_rows
from amrq.hardware.estimate import (
    LayerSize,
    ResourceEstimate,
    count_weights,
    estimate,
    read_layer_sizes,
    weights_of,
)
from amrq.hardware.integer_aligner import ALIGNER_KEY, AlignerPrefix, IntegerAligner, rotate_to_axis
from amrq.hardware.integer_engine import IMAGE_SUFFIX, IntegerEngine, read_image, write_image
from amrq.hardware.integer_network import IntegerNetwork
from amrq.hardware.layers import (
    FixedPoint,
    IntegerFlattening,
    IntegerInputs,
    IntegerLayer,
    IntegerMean,
    requantise,
)
from amrq.hardware.native_engine import NativeEngine, compiled
from amrq.hardware.native_source import build_native_source, c_name, native_source, write_native_source
from amrq.hardware.prefix import NumpyPrefix, float_mean
from amrq.hardware.read_layers import OnnxGraph, read_layers
from amrq.hardware.serial_frames import FrameSeeker, SerialFrame, SerialIdentity, SerialType

__all__ = [
    "ALIGNER_KEY",
    "GRIDS",
    "IMAGE_SUFFIX",
    "POWERS",
    "AlignerPrefix",
    "AlignerTables",
    "FixedPoint",
    "FrameSeeker",
    "IntegerAligner",
    "IntegerEngine",
    "IntegerFlattening",
    "IntegerInputs",
    "IntegerLayer",
    "IntegerMean",
    "IntegerNetwork",
    "LayerSize",
    "NativeEngine",
    "NumpyPrefix",
    "OnnxGraph",
    "ResourceEstimate",
    "SerialFrame",
    "SerialIdentity",
    "SerialType",
    "aligner_tables",
    "build_native_source",
    "c_name",
    "compiled",
    "count_weights",
    "estimate",
    "float_mean",
    "magnitude_rows",
    "native_source",
    "read_image",
    "read_layer_sizes",
    "read_layers",
    "requantise",
    "rotate_to_axis",
    "weights_of",
    "write_image",
    "write_native_source",
]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as synthesizable Verilog, held against the integer reference."""

from amrq.hardware.rtl.aligner_design import AlignerDesign
from amrq.hardware.rtl.array_design import ArrayDesign
from amrq.hardware.rtl.design import Design, InputPort, score_map
from amrq.hardware.rtl.pipeline_design import PipelineDesign
from amrq.hardware.rtl.pynq_board import PynqBoard
from amrq.hardware.rtl.rtl_engine import RtlEngine
from amrq.hardware.rtl.serial_board import BoardOptions, SerialBoard
from amrq.hardware.rtl.serial_simulation import SerialSimulation
from amrq.hardware.rtl.simulation import SIMULATORS, Simulation, cosimulate
from amrq.hardware.rtl.templates import AdderGraph, VerilogText, bits_for, signed_digits
from amrq.hardware.rtl.write_rtl import DesignOptions, Stimuli, make_design, make_stimuli, write_rtl

__all__ = [
    "SIMULATORS",
    "AdderGraph",
    "AlignerDesign",
    "ArrayDesign",
    "BoardOptions",
    "Design",
    "DesignOptions",
    "InputPort",
    "PipelineDesign",
    "PynqBoard",
    "RtlEngine",
    "SerialBoard",
    "SerialSimulation",
    "Simulation",
    "Stimuli",
    "VerilogText",
    "bits_for",
    "cosimulate",
    "make_design",
    "make_stimuli",
    "score_map",
    "signed_digits",
    "write_rtl",
]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as synthesizable Verilog, held against the integer reference."""

from amrq.hardware.rtl.adder_graph import AdderGraph
from amrq.hardware.rtl.array_design import ArrayDesign
from amrq.hardware.rtl.cosimulate import cosimulate
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.input_port import InputPort
from amrq.hardware.rtl.make_design import make_design
from amrq.hardware.rtl.rtl_design import PipelineDesign
from amrq.hardware.rtl.simulation import SIMULATORS, Simulation
from amrq.hardware.rtl.test_inputs import TestInputs, test_inputs
from amrq.hardware.rtl.write_rtl import write_rtl

__all__ = [
    "SIMULATORS",
    "AdderGraph",
    "ArrayDesign",
    "Design",
    "InputPort",
    "PipelineDesign",
    "Simulation",
    "TestInputs",
    "cosimulate",
    "make_design",
    "test_inputs",
    "write_rtl",
]

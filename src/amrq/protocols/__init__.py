# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocols of the air as data, one file each, and which of them an emission may be."""

from amrq.protocols.matching import Evidence, LikelyProtocol, LikelyProtocols, Measure, likely_protocols
from amrq.protocols.protocol import FAMILIES, PARAMETERS, Band, Parameter, ParameterRange, Protocol
from amrq.protocols.reading import SHIPPED, find_protocol, list_protocols, read_protocol

__all__ = [
    "FAMILIES",
    "PARAMETERS",
    "SHIPPED",
    "Band",
    "Evidence",
    "LikelyProtocol",
    "LikelyProtocols",
    "Measure",
    "Parameter",
    "ParameterRange",
    "Protocol",
    "find_protocol",
    "likely_protocols",
    "list_protocols",
    "read_protocol",
]

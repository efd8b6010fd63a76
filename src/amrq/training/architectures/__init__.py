# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks by the name that a recipe gives them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import nn

from amrq.errors import AmrqError
from amrq.training import FamilyNetSettings, NetSettings
from amrq.training.architectures.family_net import FamilyNet
from amrq.training.architectures.integer_aligner import IntegerPhaseAligner
from amrq.training.architectures.phase_aligned import PhaseAlignedNet, PhaseAligner
from amrq.training.architectures.symbolwise import SymbolwiseNet
from amrq.training.architectures.unknown_phase import CandidatePhasesNet, InvariantNet
from amrq.training.architectures.vgglike import VggLikeNet

__all__ = [
    "ARCHITECTURES",
    "FamilyNet",
    "IntegerPhaseAligner",
    "PhaseAligner",
    "VggLikeNet",
    "make_family_net",
    "make_net",
]

ARCHITECTURES: Mapping[str, Callable[[int, NetSettings], nn.Module]] = MappingProxyType(
    {
        "candidate_phases": lambda outputs, net: CandidatePhasesNet(
            outputs, net.symbol_channels, net.head_widths, net.phases
        ),
        "invariants": lambda outputs, net: InvariantNet(outputs, net.symbol_channels, net.head_widths),
        "phase_aligned": lambda outputs, net: PhaseAlignedNet(
            outputs,
            net.symbol_channels,
            net.head_widths,
            net.first_kernel,
            net.folded,
            net.aligner == "integer",
        ),
        "symbolwise": lambda outputs, net: SymbolwiseNet(
            outputs, net.symbol_channels, net.head_widths, net.first_kernel, net.level_input, net.folded
        ),
    }
)
"""Makers by name: number of outputs and settings -> a network that takes float32 [N, 2, L]."""


def make_net(outputs: int, settings: NetSettings) -> nn.Module:
    """Return a fresh network, its weights drawn from torch's generator.

    Raises:
        AmrqError: there is no architecture of that name, or it cannot take the level.
    """
    if settings.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise AmrqError(f"there is no architecture {settings.architecture!r}: choose from {known}.")
    if settings.level_input and settings.architecture != "symbolwise":
        raise AmrqError(f"the architecture {settings.architecture} takes no level: remove net.level_input.")
    return ARCHITECTURES[settings.architecture](outputs, settings)


def make_family_net(outputs: int, length: int, settings: FamilyNetSettings) -> FamilyNet:
    """Return a fresh network for families, its weights drawn from torch's generator: float32 [N, 2, length] -> logits.

    Args:
        outputs: number of outputs.
        length: samples of a chunk.
        settings: of the recipe.
    """
    return FamilyNet(
        outputs,
        length,
        settings.time_widths,
        settings.frequency_widths,
        settings.lag_widths,
        settings.phase_widths,
        settings.hidden,
    )

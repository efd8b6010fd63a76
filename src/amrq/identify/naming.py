# SPDX-License-Identifier: GPL-3.0-or-later
"""An emission in words: which protocols it may be, and one line with its modulation and parameters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from amrq.model import UNKNOWN
from amrq.protocols import FAMILIES, PARAMETERS, Evidence, LikelyProtocols, Measure, likely_protocols
from amrq.text import engineering

__all__ = ["ProtocolGuess", "emission_text", "guess_protocols"]

_MOST = 5
"""Protocols that are listed."""
_FEW_BAUD, _MANY_BAUD = 100.0, 100e3
"""Symbol rates that are written with a fraction, and with a prefix."""
_SHOWN: dict[str, tuple[str, ...]] = {
    "fsk2": ("symbol_rate", "deviation"),
    "fsk4": ("symbol_rate", "deviation"),
    "fskm": ("tones", "symbol_rate", "spacing"),
    "linear": ("symbol_rate",),
    "pi4dqpsk": ("symbol_rate",),
    "oqpsk": ("symbol_rate",),
    "ook": ("symbol_rate",),
    "pulse": ("symbol_rate",),
    "ofdm": ("spacing", "subcarriers", "prefix"),
    "chirp": ("spreading_factor", "bandwidth"),
    "dsss": ("chip_rate", "code_period"),
    "fm_narrow": ("deviation", "inner_symbol_rate"),
    "fm_wide": ("deviation", "pilot"),
}
"""Parameters by family that the line in words has, in their order."""
_BOX = 0.7
"""Confidence of a box's width."""
_LEAST_SHOWN = 0.5
"""Confidence of a measure that is shown in the line."""


@dataclass(frozen=True)
class ProtocolGuess:
    """A protocol that an emission may be.

    Attributes:
        name: of the protocol.
        probability: by the law of `amrq.protocols.likely_protocols`, given that the family is right, 0 to 1.
        guess: whether it is no more than a guess: less likely than 0.9, or the frequency on the air is not known.
        reason: what speaks for it and against it, in words.
        named: whether it is the best one, or about as likely as that, and likelier than none.
        key: name of its file in `amrq.protocols`.
    """

    name: str
    probability: float
    guess: bool
    reason: str
    named: bool = False
    key: str = ""

    def as_dict(self) -> dict[str, str | float | bool]:
        """Return it as plain values, as records have them."""
        return {
            "name": self.name,
            "probability": round(self.probability, 4),
            "guess": self.guess,
            "named": self.named,
            "reason": self.reason,
        }


def guess_protocols(
    family: str,
    label: str,
    details: Mapping[str, Measure],
    centre_hz: float | None = None,
    bursts: Sequence[float] = (),
    bandwidth: float = 0.0,
) -> tuple[ProtocolGuess, ...]:
    """Return the protocols that an emission may be, the likeliest first, at most five.

    Args:
        family: of the emission; `unknown` and others that no protocol has give nothing.
        label: the most specific name of its modulation.
        details: what was measured of its family; names that are no parameters of protocols do not count.
        centre_hz: its middle on the air, Hz; None where it is not known: all is a guess then.
        bursts: lengths in seconds of bursts that were seen from begin to end.
        bandwidth: of the emission's box, Hz, which counts where none is among the details; 0 where it is not known.

    >>> details = {"symbol_rate": Measure(1200.0, 0.95), "deviation": Measure(4480.0, 0.9)}
    >>> best = guess_protocols("fsk2", "2FSK", details, 466.075e6)[0]
    >>> best.name, best.guess, best.named
    ('POCSAG 1200', False, True)
    """
    if family not in FAMILIES:
        return ()
    measures = {name: one for name, one in details.items() if name in PARAMETERS}
    if bandwidth > 0 and "bandwidth" not in measures:
        measures["bandwidth"] = Measure(bandwidth, _BOX)
    found = likely_protocols(Evidence(family, label, measures=measures, centre=centre_hz, bursts=bursts))
    return tuple(_guesses(found))


def _guesses(found: LikelyProtocols) -> Iterator[ProtocolGuess]:
    named = {one.protocol.name for one in found.named}
    for one in found.found[:_MOST]:
        name = one.protocol.name
        yield ProtocolGuess(name, one.score, one.guess, one.reason, name in named, one.protocol.key)


def emission_text(
    family: str,
    label: str,
    details: Mapping[str, Measure],
    protocols: Sequence[ProtocolGuess] = (),
    centre_hz: float | None = None,
    alike: Sequence[str] = (),
) -> str:
    """Return what an emission is in one line: protocol, modulation, parameters, frequency; empty where it is unknown.

    A protocol that is a guess has a `perhaps` before it.

    Args:
        family: of the emission.
        label: name of its modulation.
        details: what was measured; what is sure by less than a half is left out.
        protocols: as `guess_protocols` gives them.
        centre_hz: its middle on the air, Hz; None: it is left out.
        alike: modulations that its symbols do not tell from the label.

    >>> details = {"symbol_rate": Measure(1200.0, 0.95), "deviation": Measure(4480.0, 0.9)}
    >>> protocols = guess_protocols("fsk2", "2FSK", details, 466.075e6)
    >>> emission_text("fsk2", "2FSK", details, protocols, 466.075e6)
    'POCSAG 1200: 2FSK, 1,200 Bd, ±4.48 kHz, 466.075 MHz'
    >>> emission_text("fskm", "MFSK", {"tones_seen": Measure(38.0, 0.6), "symbol_rate": Measure(5.38, 0.6)})
    'MFSK, at least 38 tones, 5.38 Bd'
    """
    if family == UNKNOWN or label == UNKNOWN:
        return ""
    words = [" or ".join((label, *alike))]
    at_least = details.get("tones_seen")
    if "tones" not in details and at_least is not None and at_least.confidence >= _LEAST_SHOWN:
        words.append(f"at least {at_least.value:.0f} tones")
    for name in _SHOWN.get(family, ()):
        measure = details.get(name)
        if measure is not None and measure.usable and measure.confidence >= _LEAST_SHOWN:
            words.append(_shown(name, measure.value))
    if centre_hz is not None:
        words.append(engineering(centre_hz, "Hz", 7))
    text = ", ".join(words)
    named = [one for one in protocols if one.named]
    if not named:
        return text
    names = " or ".join(one.name for one in named)
    return f"{'perhaps ' if named[0].guess else ''}{names}: {text}"


def _shown(name: str, value: float) -> str:
    """Return a parameter in words; symbol rates with their thousands."""
    parameter = PARAMETERS[name]
    if parameter.unit == "Bd" and value < _MANY_BAUD:
        number = f"{value:.4g}" if value < _FEW_BAUD else f"{value:,.0f}"
        return parameter.short.format(f"{number} Bd")
    return parameter.short.format(parameter.shown(value, 4))

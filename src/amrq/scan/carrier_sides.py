# SPDX-License-Identifier: GPL-3.0-or-later
"""A carrier that the detector found without its sidebands: they are weaker than the noise of their bandwidth.

The box of amplitude modulation is then that of its carrier, and a look at it sees nothing else. So a wider channel
about what seems a carrier is searched for what mirrors itself there (`amrq.scan.mirrored_sidebands`).
"""

from dataclasses import replace

from amrq.identify import EmissionIdentity
from amrq.model import UNKNOWN
from amrq.scan.findings import Findings
from amrq.scan.looks import Looker
from amrq.scan.mirrored_sidebands import MirroredSidebands, mirrored_sidebands
from amrq.scan.parts import MOST_WHOLE
from amrq.scan.records import EmissionRecord, KnownEmission
from amrq.scan.table import EmissionTable

__all__ = ["CarrierSides"]

_NARROW, _AM = 1500.0, 12e3
"""Hz: what is as wide at most may be a carrier alone, or one with a part of its sidebands."""
_AROUND = 28e3
"""Hz about it that are searched: sidebands reach to 12 kHz at most."""
_SAMPLES = 1 << 21
"""Of the band at most, and twice as many where there is all the time."""
_MORE = 2
"""Times as many samples as before make another search worth it."""
_LIKELY = 0.5
"""Confidence that a name has with its sidebands, at least."""
_WIDEST = {"carrier": _NARROW, UNKNOWN: _NARROW, "am": _AM, "ssb": _AM}
"""Hz: how wide the box of a carrier may be that is called so, since its sidebands were not seen, or in part."""
_PIECES = ("carrier", "ssb", "noise", UNKNOWN)
"""What sidebands are called alone."""
_SHORTEST = 0.2
"""Seconds: in less no sidebands are seen that are below the noise."""
_TOGETHER = 0.5
"""Of its time, a sideband is on while its carrier is."""


class CarrierSides:
    """Finds the sidebands of carriers.

    Args:
        table: of the emissions.
        looker: takes the samples out of the band, and says what they are.
    """

    def __init__(self, table: EmissionTable, looker: Looker) -> None:
        self._table, self._looker = table, looker

    def look(
        self, known: KnownEmission, identity: EmissionIdentity | None, patient: bool
    ) -> tuple[EmissionRecord, EmissionIdentity] | None:
        """Return an emission with its sidebands, and what it is then; None where nothing changes.

        A carrier of which sidebands are seen and not certain, or are certain and have no name, keeps its edges and is
        no sure one.

        Args:
            known: the emission.
            identity: what a look at it alone has said just now; None: nothing new.
            patient: there is all the time for it.
        """
        record = known.record
        family = record.family if identity is None else identity.family
        widest = _WIDEST.get(family, 0.0)
        if known.reach is not None or record.bandwidth > widest:
            return None
        start, stop = self._looker.latest(record, _SAMPLES << patient)
        if stop - start < _MORE * known.searched:
            return None
        known.searched = stop - start
        if family == "carrier" and stop - start < _SHORTEST * self._table.sample_rate:
            return None if identity is None else (record, _capped(identity))
        found = self._found(record, start, stop)
        known.sided = found is not None
        if found is None or (widest == _AM and not (found.certain and found.kind == "am")):
            return None
        if found.certain:
            lower, upper = found.centre - found.reach, found.centre + found.reach
            wide = replace(record, lower=min(lower, record.lower), upper=max(upper, record.upper))
            if family == "am" and wide == record:
                return None
            if (named := self._named(wide)) is not None:
                if named.family in found.families and named.confidence >= _LIKELY:
                    return wide, named
                if family == "am" and identity is not None:
                    return wide, identity
        alone = None if widest == _AM else identity or self._named(record)
        return None if alone is None else (record, _capped(alone))

    @staticmethod
    def remembered(known: KnownEmission, identity: EmissionIdentity) -> EmissionIdentity:
        """Return what a carrier is, no surer than one of which sidebands were seen before, where they were."""
        return _capped(identity) if known.sided and identity.family == "carrier" else identity

    def take(self, known: KnownEmission, record: EmissionRecord) -> None:
        """Give an emission the edges that it has with its sidebands; what is known of it begins anew.

        What the detector took for emissions of their own there are parts of it. The table's lock is held.
        """
        known.findings, known.found_before, known.glances = Findings(), 0, ()
        if (record.lower, record.upper) == (known.record.lower, known.record.upper):
            return
        known.reach = record.lower, record.upper
        known.record = replace(known.record, lower=record.lower, upper=record.upper)
        for part in self._table.entries():
            if part is not known and part.is_open and _is_sideband(part.record, record):
                self._table.end_as_part(part, known, "a sideband")

    def _found(self, record: EmissionRecord, start: int, stop: int) -> MirroredSidebands | None:
        found = self._looker.about(record.centre, _AROUND, start, stop)
        if found is None:
            return None
        edges = record.lower - found.centre, record.upper - found.centre
        sides = mirrored_sidebands(
            lambda first, count: found.iq[first : first + count],
            [(0, len(found.iq))],
            found.sample_rate,
            edges,
        )
        return None if sides is None else replace(sides, centre=sides.centre + found.centre)

    def _named(self, record: EmissionRecord) -> EmissionIdentity | None:
        found = self._looker.whole(record)
        return None if found is None else self._looker.identity(found[0], record, True)


def _is_sideband(one: EmissionRecord, whole: EmissionRecord) -> bool:
    """Return whether what was found beside a carrier lies among its sidebands, with no name that says otherwise."""
    shared = min(one.stop, whole.stop) - max(one.start, whole.start)
    inside = whole.lower < one.centre < whole.upper and one.bandwidth < whole.bandwidth
    return inside and one.family in _PIECES and shared > _TOGETHER * (one.stop - one.start)


def _capped(identity: EmissionIdentity) -> EmissionIdentity:
    """Return what a carrier is with no more confidence than one that may have sidebands deserves."""
    if identity.family == UNKNOWN:
        return identity
    most = min(identity.most, MOST_WHOLE)
    return replace(identity, confidence=min(identity.confidence, most), most=most)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision with all that whoever receives it needs."""

from datetime import timezone
from typing import Any

from amrq.decision import Decision
from amrq.modulations import MODULATIONS
from amrq.outputs.decision_schema import RECORD_VERSION
from amrq.outputs.origin import Origin

__all__ = ["decision_record"]

_RENAMED = {"sample_index": "symbol_index", "sample_count": "symbol_count"}
"""A decision counts in the stream that it was made on, a record in symbols and in samples of the source."""


def decision_record(
    decision: Decision, truth: str | None, origin: Origin, dropped: int = 0
) -> dict[str, Any]:
    """Return plain values, ready for JSON, as `decision_schema` describes them.

    Args:
        decision: what was decided.
        truth: what is known of the same samples, None where nothing is.
        origin: of the decision.
        dropped: chunks that were thrown away so far, since the classifier was too slow for a live
            stream or a board was gone.
    """
    seconds = origin.seconds(decision.sample_index)
    utc = None
    moment = origin.moment(seconds)
    if moment is not None:
        at = moment.astimezone(timezone.utc)
        utc = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    frequency = origin.frequency(seconds)
    samples = origin.source_samples(decision.sample_index, decision.sample_count) or (None, None)
    values = decision.as_dict()
    # A carrier and a power are found of whatever is received; they are the signal's where there is one.
    signal = decision.best in MODULATIONS
    return {
        "schema": RECORD_VERSION,
        "source": origin.source,
        "time": round(seconds, 6),
        "duration": round(decision.sample_count / origin.symbol_rate, 6),
        "utc": utc,
        "frequency_hz": _rounded(frequency, 3),
        "source_sample_index": samples[0],
        "source_sample_count": samples[1],
        "symbol_rate_hz": origin.symbol_rate,
        "offset_hz": _rounded(origin.offset, 3) if signal else None,
        "snr_db": _rounded(origin.snr_db, 1),
        **{_RENAMED.get(name, name): value for name, value in values.items()},
        "truth": truth,
        "dropped": dropped,
        "model": origin.model,
        "model_sha256": origin.model_sha256,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)

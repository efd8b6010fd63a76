# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision with all that whoever receives it needs."""

from datetime import timedelta, timezone
from typing import Any

from amrq.decision import Decision
from amrq.outputs.origin import Origin

__all__ = ["decision_record"]


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
    if origin.begun is not None:
        at = (origin.begun + timedelta(seconds=seconds)).astimezone(timezone.utc)
        utc = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    frequency = origin.frequency(seconds)
    return {
        "source": origin.source,
        "time": round(seconds, 6),
        "duration": round(decision.sample_count / origin.symbol_rate, 6),
        "utc": utc,
        "frequency_hz": None if frequency is None else round(frequency, 3),
        **decision.as_dict(),
        "truth": truth,
        "dropped": dropped,
        "model": origin.model,
        "model_sha256": origin.model_sha256,
    }

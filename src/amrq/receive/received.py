# SPDX-License-Identifier: GPL-3.0-or-later
"""What a receiver makes of samples: symbols in chunks, with what is known of each chunk, and a report on the signal.

Chunks are 32 consecutive symbols, as the classifier takes them. All that is said of one is said of the symbols as they
came: where its first symbol lies in the input, what was removed from it, how strong it was. Numbers that are not known
are NaN in arrays, and None in the report.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.measure import STEP, InputReport

__all__ = ["ReceivedSymbols", "ReceiverReport", "joined"]


@dataclass(frozen=True)
class ReceivedSymbols:
    """Consecutive whole chunks of 32 symbols.

    Attributes:
        symbols: complex64 [32 m], about unit RMS while a signal is on, turned by an angle that is not known.
        positions: float64 [m], of each chunk's first symbol, in samples of the input since the stream began.
        carrier_offset: float64 [m], cycles/symbol that were removed; NaN where no carrier was seen of late.
        snr_db: float64 [m], Es/N0 by the noise beside the signal, dB; NaN where it is not known.
        borders: bool [m], a burst begins or ends before this chunk, or the stream broke there.
        finite: bool [m], no sample that is not finite is in it.
        equalised: bool [m], an equaliser's filter made it.

    >>> received = joined([])
    >>> len(received), received.chunks.shape
    (0, (0, 32))
    """

    symbols: NDArray[np.complex64]
    positions: NDArray[np.float64]
    carrier_offset: NDArray[np.float64]
    snr_db: NDArray[np.float64]
    borders: NDArray[np.bool_]
    finite: NDArray[np.bool_]
    equalised: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return how many chunks these are.

        A burst may leave less than a chunk of symbols; those are left out.
        """
        return len(self.positions)

    @property
    def chunks(self) -> NDArray[np.complex64]:
        """The symbols, complex64 [m, 32]."""
        return self.symbols.reshape(-1, STEP)

    def part(self, first: int, stop: int) -> "ReceivedSymbols":
        """Return chunks `first` up to `stop`.

        >>> four, no = np.zeros(4), np.zeros(4, bool)
        >>> received = ReceivedSymbols(np.zeros(128, np.complex64), four, four, four, no, ~no, no)
        >>> received.part(1, 4).part(0, 2).symbols.shape
        (64,)
        """
        at = slice(first, stop)
        return ReceivedSymbols(
            symbols=self.symbols[first * STEP : stop * STEP],
            positions=self.positions[at],
            carrier_offset=self.carrier_offset[at],
            snr_db=self.snr_db[at],
            borders=self.borders[at],
            finite=self.finite[at],
            equalised=self.equalised[at],
        )


def joined(parts: list[ReceivedSymbols]) -> ReceivedSymbols:
    """Return parts of one stream as one; without any, no symbols.

    >>> one, no = np.zeros(1), np.zeros(1, bool)
    >>> part = ReceivedSymbols(np.ones(32, np.complex64), one, one, one, no, ~no, no)
    >>> both = joined([part, part])
    >>> len(both), both.symbols.shape
    (2, (64,))
    """
    if not parts:
        none, no = np.zeros(0), np.zeros(0, np.bool_)
        return ReceivedSymbols(none.astype(np.complex64), none, none, none, no, no, no)
    if len(parts) == 1:
        return parts[0]
    names = [field.name for field in fields(ReceivedSymbols)]
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return ReceivedSymbols(**arrays)


@dataclass(frozen=True)
class ReceiverReport:
    """What a receiver found out about its signal.

    Attributes:
        offset: of the signal's middle from the middle of the band, Hz, by its spectrum; None: not found.
        symbol_rate: Bd, by its timing; None: no timing seen.
        symbol_rate_error: of the given one: found over given, less 1; None: no timing seen.
        rolloff: of its pulse; 0 for rectangular ones; None: not found.
        equaliser: the kind of equaliser in use; empty for none.
        input: what was found about the samples; None: not looked at.

    >>> report = ReceiverReport(offset=1200.0, symbol_rate=10_002.0, symbol_rate_error=2e-4)
    >>> report.rolloff is None, report.equaliser
    (True, '')
    """

    offset: float | None = None
    symbol_rate: float | None = None
    symbol_rate_error: float | None = None
    rolloff: float | None = None
    equaliser: str = ""
    input: InputReport | None = None

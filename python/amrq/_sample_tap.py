# SPDX-License-Identifier: GPL-3.0-or-later
"""A sink that hands a stream's samples to a function, with the breaks of the stream."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq._errors import guarded, guarded_run
from gnuradio.amrq._tags import Breaks

from amrq.sources import Piece

__all__ = ["sample_tap"]


class sample_tap(gr.sync_block):
    """Hand samples over, each piece a copy; a piece begins anew where the stream breaks.

    Args:
        on_piece: called in the flowgraph's thread; it must not wait.
        on_end: called once when the stream has ended.
    """

    def __init__(self, on_piece: Callable[[Piece], None], on_end: Callable[[], None]) -> None:
        gr.sync_block.__init__(self, name="amrq_sample_tap", in_sig=[np.complex64], out_sig=None)
        self.error: Exception | None = None
        self._on_piece, self._on_end = on_piece, on_end
        self._breaks = Breaks()

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Hand over the samples that arrive."""
        new = input_items[0]
        begin = self.nitems_read(0)
        found = self._breaks.find(self.get_tags_in_range(0, begin, begin + len(new)))
        places = sorted({offset - begin for offset in found if 0 <= offset - begin < len(new)})
        edges = [0, *(place for place in places if place), len(new)]
        for first, last in itertools.pairwise(edges):
            self._on_piece(Piece(new[first:last].copy(), broken=first in places))
        return len(new)

    @guarded_run
    def stop(self) -> bool:
        """Say that the stream has ended."""
        self._on_end()
        return True

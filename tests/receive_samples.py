# SPDX-License-Identifier: GPL-3.0-or-later
"""A flowgraph that receives from a source which waits for its sender, for the tests of such sources."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from patience import PATIENCE

__all__ = ["Collector", "receive", "run_and_stop", "told"]


class Collector(gr.sync_block):
    """Keep samples and tags; `enough` is set once so many came. Head would not end a source that waits."""

    def __init__(self, count: int) -> None:
        gr.sync_block.__init__(self, "collector", [np.complex64], None)
        self.samples, self.tags = np.zeros(0, np.complex64), []
        self.enough = threading.Event()
        self.count = count

    def work(self, input_items: Any, output_items: Any) -> int:
        self.samples = np.concatenate([self.samples, input_items[0]])
        self.tags += self.get_tags_in_window(0, 0, len(input_items[0]))
        if len(self.samples) >= self.count:
            self.enough.set()
        return len(input_items[0])


def receive(source: Any, count: int, send: Callable[[threading.Event], None] | None = None) -> Collector:
    """Run a source until so many samples have come, and close it.

    Args:
        source: a block with a `feed`.
        count: of samples.
        send: runs in a thread beside it; its event is set when the samples are there.
    """
    over, sink, graph = threading.Event(), Collector(count), gr.top_block()
    graph.connect(source, sink)
    sending = threading.Thread(target=send or (lambda over: None), args=(over,))
    graph.start()
    sending.start()
    try:
        assert sink.enough.wait(PATIENCE), f"{len(sink.samples)} of {count} samples came"
    finally:
        over.set()
        graph.stop()
        graph.wait()
        source.feed.close()  # or it gets its share of what is sent to the next one
        sending.join()
    assert source.error is None, source.error
    return sink


def run_and_stop(source: Any) -> int:
    """Start a source that nobody sends to, and stop it; return how many samples came."""
    sink, graph = Collector(1), gr.top_block()
    graph.connect(source, sink)
    graph.start()
    graph.stop()
    graph.wait()
    source.feed.close()
    return len(sink.samples)


def told(tags: list[Any]) -> list[tuple[int, str, Any]]:
    """Return what tags say, in order: place, key, value."""
    return sorted((tag.offset, pmt.symbol_to_string(tag.key), pmt.to_python(tag.value)) for tag in tags)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive every block of the module into every kind of end, in one process: drive_blocks.py FOLDER.

Prints a JSON line a case: the block, how it was driven, and what came of it. A flowgraph that does not end within a
bounded time ends the process with status 9; a crash speaks for itself. The blocks are found in the package; arguments
without a default are looked up by their names below.
"""

import faulthandler
import importlib
import inspect
import itertools
import json
import os
import pkgutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pmt
from gnuradio import amrq, blocks, gr
from rtl_tcp_server import RtlTcpServer
from seeds import rng

from amrq.outputs import SigmfRecorder
from amrq.recordings import SampleStream

LIMIT = 20  # seconds that a flowgraph has to end
ITEMS = 3_000  # items that pass before the end comes
RATE, SYMBOL_RATE = 100e3, 25e3
ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "examples" / "recordings" / "generic_qpsk.sigmf-meta"


def found() -> dict[str, type]:
    """Return every class of the package that is a block, by module and name."""
    classes: dict[str, type] = {}
    for module in pkgutil.iter_modules(amrq.__path__):
        if module.name.startswith("qa_"):
            continue
        loaded = importlib.import_module(f"gnuradio.amrq.{module.name}")
        for name, value in vars(loaded).items():
            if inspect.isclass(value) and value.__module__ == loaded.__name__ and _is_block(value):
                classes[f"{module.name}.{name}"] = value
    return classes


def _is_block(kind: type) -> bool:
    return hasattr(kind, "to_basic_block") or (
        issubclass(kind, gr.hier_block2) and not issubclass(kind, gr.top_block)
    )


SHARED = ("_watched_stream.WatchedStream",)
"""Parts of blocks in other modules, which do not run by themselves."""


def inner(name: str, classes: dict[str, type]) -> bool:
    """Return whether a block is a part of others, and driven with them."""
    if name in SHARED:
        return True
    module, _, own = name.partition(".")
    hierarchies = [other for other, kind in classes.items() if issubclass(kind, gr.hier_block2)]
    return own.startswith("_") and any(other.startswith(f"{module}.") for other in hierarchies)


class Feeds:
    """What the arguments of blocks are, and what sends to those that receive from elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        self._ending = threading.Event()
        self._servers: list[RtlTcpServer] = []

    def arguments(self, name: str, kind: type) -> dict[str, Any]:
        """Return a value for every argument that has no default."""
        self._number += 1
        wanted = [
            parameter
            for parameter in inspect.signature(kind).parameters.values()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        ]
        given = {parameter.name: self._value(name, parameter.name) for parameter in wanted}
        if kind is amrq.rtl_tcp_source:
            given["port"] = self._rtl_tcp()
        if kind is amrq.emission_source:
            given["bandwidth"] = RATE / 4  # by default it puts out nothing
        return given

    def _value(self, block: str, name: str) -> Any:
        simple: dict[str, Any] = {
            "on_piece": lambda piece: None,
            "on_end": lambda: None,
            "sample_rate": RATE,
            "symbol_rate": SYMBOL_RATE,
            "path": str(RECORDING),
            "name": str(self.folder / f"take{self._number}"),
            "rate": RATE,
            "late": 0.0,
            "start": 0,
            "every": 100,
            "chunk_length": 32,
            "repeats_at_retunes": False,
            "device": os.environ.get("AMRQ_TEST_RADIO", ""),
            "frequency": 100e6,
        }
        if name in simple:
            return simple[name]
        made: dict[str, Callable[[], Any]] = {
            "spool": lambda: (self.folder / f"spool{self._number}").open("wb"),
            "recorder": self._recorder,
            "stream": self._stream,
            "feed": self._feed,
            "source": lambda: amrq.modulation_source(),
            "port": self._packets,
            "address": self._messages,
        }
        if name not in made:
            raise KeyError(f"say in tests/drive_blocks.py what the argument {name} of {block} is")
        return made[name]()

    def _recorder(self) -> SigmfRecorder:
        recorder = SigmfRecorder(self.folder / f"recorded{self._number}", RATE)
        recorder.begin()
        return recorder

    def _stream(self) -> SampleStream:
        read, write = os.pipe()
        self._endless(lambda: os.write(write, bytes(4096)))
        return SampleStream(Path(f"/dev/fd/{read}"), "cu8", RATE)

    def _feed(self) -> Any:
        from amrq.sources import Feed, Piece

        class Zeros(Feed):
            def read(self, patience: float) -> Piece:
                return Piece(np.zeros(512, np.complex64))

        return Zeros("zeros", "cf32")

    def _packets(self) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._endless(lambda: self._paced(lambda: sender.sendto(bytes(1024), ("127.0.0.1", port))))
        return port

    def _rtl_tcp(self) -> int:
        server = RtlTcpServer(lambda: itertools.repeat(bytes(4096)))
        self._servers.append(server)
        return server.port

    def _messages(self) -> str:
        import zmq

        sender = zmq.Context.instance().socket(zmq.PUSH)
        sender.setsockopt(zmq.LINGER, 0)
        sender.setsockopt(zmq.SNDTIMEO, 100)
        port = sender.bind_to_random_port("tcp://127.0.0.1")
        self._endless(lambda: sender.send(bytes(8192)))
        return f"pull+tcp://127.0.0.1:{port}"

    def _paced(self, send: Callable[[], Any]) -> None:
        send()
        self._ending.wait(0.001)

    def _endless(self, send: Callable[[], Any]) -> None:
        def run() -> None:
            while not self._ending.is_set():
                try:
                    send()
                except Exception:  # nobody is there yet, or any more
                    self._ending.wait(0.01)

        threading.Thread(target=run, daemon=True).start()


class ends(gr.sync_block):  # noqa: N801
    """A sink that says that it is done, or raises, after some items."""

    def __init__(self, size: int, raises: bool) -> None:
        gr.sync_block.__init__(self, name="ends", in_sig=[(np.uint8, size)], out_sig=None)
        self.raises, self.taken = raises, 0
        self.raised = threading.Event()

    def work(self, input_items: Any, output_items: Any) -> int:
        self.taken += len(input_items[0])
        if self.taken >= ITEMS // 10:
            self.raised.set()
            if self.raises:
                raise RuntimeError("this sink fails on purpose")
            return -1
        return len(input_items[0])


class listens(gr.basic_block):  # noqa: N801
    """Its message handler raises."""

    def __init__(self) -> None:
        gr.basic_block.__init__(self, name="listens", in_sig=None, out_sig=None)
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.handle)

    def handle(self, message: Any) -> None:
        raise RuntimeError("this handler fails on purpose")


NONSENSE = [
    pmt.PMT_NIL,
    pmt.PMT_T,
    pmt.from_long(3),
    pmt.intern("nonsense"),
    pmt.intern("\x1b[2J"),
    pmt.make_dict(),
    pmt.cons(pmt.make_dict(), pmt.init_f32vector(2, [0.0, 1.0])),
    pmt.cons(pmt.to_pmt({"label": "QPSK", "confidence": "high"}), pmt.PMT_NIL),
    pmt.to_pmt({"label": 3, "time": "now", "classified": "many"}),
    pmt.init_u8vector(3, [1, 2, 3]),
    pmt.make_tuple(pmt.from_long(1), pmt.PMT_NIL),
]


def sizes(signature: Any) -> list[int]:
    """Return the sizes of a block's items, a port each."""
    return [signature.sizeof_stream_item(port) for port in range(max(0, signature.min_streams()))]


def run(graph: Any, stop_at: threading.Event | None = None) -> None:
    """Run a flowgraph until it ends by itself, or stop it once an event is set."""
    faulthandler.dump_traceback_later(LIMIT, exit=False)
    timer = threading.Timer(LIMIT + 1, os._exit, (9,))
    timer.start()
    graph.start()
    if stop_at is not None:
        reached = stop_at.wait(LIMIT)
        assert reached, "nothing came out of the block"
        graph.stop()
    graph.wait()
    timer.cancel()
    faulthandler.cancel_dump_traceback_later()


def drive(name: str, kind: type, feeds: Feeds) -> Iterator[tuple[str, str]]:
    """Yield how a block was driven, and its error, if it has one."""
    has_stream = sizes(kind(**feeds.arguments(name, kind)).output_signature())
    for how in ("head", "done", "raises") if has_stream else ("head",):
        block: Any = kind(**feeds.arguments(name, kind))
        entering, leaving = sizes(block.input_signature()), sizes(block.output_signature())
        graph = gr.top_block()
        kept: list[Any] = [block]
        generator = rng("drive blocks")
        for port, size in enumerate(entering):
            # Small numbers in every format: bytes 0 to 63.
            source = blocks.vector_source_b(generator.integers(0, 64, 64 * size).tolist(), True, size)
            head = blocks.head(size, 40 * ITEMS)
            graph.connect(source, head, (block, port))
            kept += [source, head]
        stop_at = None
        for port, size in enumerate(leaving):
            if how == "head":
                end, sink = blocks.head(size, ITEMS // 10), blocks.null_sink(size)
                graph.connect((block, port), end, sink)
                kept += [end, sink]
            else:
                sink = ends(size, how == "raises")
                graph.connect((block, port), sink)
                kept.append(sink)
                if how == "raises":
                    # GNU Radio lets a block that raises leave the others waiting: ours have to end when they are told.
                    stop_at = sink.raised
        ports_in = [] if not hasattr(block, "message_ports_in") else pmt.to_python(block.message_ports_in())
        ports_out = (
            [] if not hasattr(block, "message_ports_out") else pmt.to_python(block.message_ports_out())
        )
        for port in ports_out or ():
            ear = listens()
            graph.msg_connect(block, port, ear, "in")
            kept.append(ear)
        nonsense = [port for port in ports_in or () if port != "system"]
        for port in nonsense:
            for message in NONSENSE:
                block.to_basic_block()._post(pmt.intern(port), message)
        if not entering and not leaving:  # messages alone: nothing ends it but a flowgraph that does
            source, head, sink = blocks.null_source(1), blocks.head(1, 100_000), blocks.null_sink(1)
            graph.connect(source, head, sink)
            mouth = blocks.message_strobe(pmt.intern("nonsense"), 1)
            for port in nonsense:
                graph.msg_connect(mouth, "strobe", block, port)
            kept += [source, head, sink, mouth]
            stop_at = threading.Event()
            stop_at.set()
        run(graph, stop_at)
        yield how, str(getattr(block, "error", None) or "")
        del graph, kept


def main() -> None:
    """Drive them all."""
    feeds = Feeds(Path(sys.argv[1]))
    application: Any = None
    try:
        from PyQt5 import QtWidgets

        application = QtWidgets.QApplication(sys.argv[:1])
    except ImportError:
        pass
    classes = found()
    for name, kind in sorted(classes.items()):
        if inner(name, classes):
            continue
        if ("display" in name and application is None) or (
            "radio" in name and "AMRQ_TEST_RADIO" not in os.environ
        ):
            continue
        for how, error in drive(name, kind, feeds):
            print(json.dumps({"block": name, "how": how, "error": error}), flush=True)
    print(json.dumps({"blocks": sorted(name for name in classes if not inner(name, classes))}), flush=True)
    os._exit(0)  # senders are still at it


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The board's server, which needs only Python, NumPy and PyZMQ: `python -m amrq.link image.npz`."""

import argparse
import contextlib
import sys

from amrq.classifier import engine_choices, make_engine
from amrq.errors import AmrqError
from amrq.link.board_server import LOOPBACK, serve
from amrq.text import printable


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; exit with 2 on a user's error."""
    parser = argparse.ArgumentParser(
        prog="python -m amrq.link", description="Serve a model to gr-amrq; 'amrq board' has more options."
    )
    parser.add_argument("model", help="an image that 'amrq board export' wrote, or an ONNX file")
    parser.add_argument("--listen", default=LOOPBACK, metavar="ENDPOINT", help="default: %(default)s")
    parser.add_argument(
        "--engine",
        default="integer",
        choices=list(engine_choices()),
        help="default: %(default)s",
    )
    parser.add_argument("--key", metavar="NAME.secret", help="this board's key")
    parser.add_argument(
        "--client", action="append", default=[], metavar="NAME.public", help="key of a client that is let in"
    )
    given = parser.parse_args()
    try:
        with contextlib.closing(make_engine(given.engine, given.model)) as engine:
            serve(
                engine,
                given.listen,
                secret_key=given.key,
                client_keys=given.client,
                say=lambda line: print(line, flush=True),
            )
    except AmrqError as error:
        print(f"amrq: {printable(error, 2000)}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

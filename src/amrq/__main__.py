# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `amrq`, and `python -m amrq`."""

import signal

__all__ = ["main"]


def main() -> None:
    """Load the command and run it. An interrupt during loading ends it without a message."""
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from amrq.cli import main as run

    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()

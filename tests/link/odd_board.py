# SPDX-License-Identifier: GPL-3.0-or-later
"""A board whose engine is slow, or fails: `odd_board.py MODEL --listen ENDPOINT --delay SECONDS --fail`."""

import argparse
import time

import numpy as np

from amrq.hardware import IntegerEngine
from amrq.link import Limits, serve


class OddEngine(IntegerEngine):
    """The integer engine on slow or broken hardware."""

    delay = 0.0
    fail = False

    def run(self, iq: np.ndarray, level: np.ndarray | None):
        time.sleep(self.delay)  # the hardware's time, not a wait for something
        if self.fail:
            raise RuntimeError("the DMA did not finish")
        return super().run(iq, level)


parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--listen")
parser.add_argument("--delay", type=float, default=0.0)
parser.add_argument("--fail", action="store_true")
parser.add_argument("--clients", type=int, default=Limits.clients)
parser.add_argument("--rate", type=int, default=Limits.requests_per_second)
parser.add_argument("--waiting", type=int, default=Limits.waiting_per_client)
parser.add_argument("--idle", type=float, default=Limits.idle)
given = parser.parse_args()
engine = OddEngine(given.model)
engine.delay, engine.fail = given.delay, given.fail
limits = Limits(
    clients=given.clients,
    requests_per_second=given.rate,
    waiting_per_client=given.waiting,
    idle=given.idle,
)
serve(engine, given.listen, limits, say=lambda line: print(line, flush=True))

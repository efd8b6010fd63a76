# SPDX-License-Identifier: GPL-3.0-or-later
"""A sweep that ends at a chosen moment, as a process of its own: python3 sweeps.py FOLDER HOW COUNT.

After COUNT finished cells it kills itself (HOW is `driver`) without a chance to tidy up; or it kills both workers (HOW
is `worker`), each at the next word of a cell in training, and goes on to the end; or it gets an interrupt, and all of
its process group, as at Ctrl-C (`interrupt`).
"""

import os
import signal
import sys
from pathlib import Path

from amrq.live import deferred_interrupt
from amrq.sweep import (
    Cell,
    CellFigures,
    CellProgress,
    SweepFolder,
    SweepWatcher,
    cells_of,
    connect,
    read_sweep_recipe,
    run_sweep,
)

STOPPED = 3
RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "sweep-smoke.toml"


class Killer(SweepWatcher):
    """Does it."""

    def __init__(self, how: str, count: int) -> None:
        self.how = how
        self.left = count
        self.kills = 2
        self.workers: list[int] = []

    def finished(self, cell: Cell, figures: CellFigures) -> None:
        self.left -= 1
        if self.how == "driver" and self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "interrupt" and self.left == 0:
            os.killpg(0, signal.SIGINT)

    def training(self, progress: CellProgress) -> None:
        if self.how == "worker" and self.left <= 0 and self.kills and self.workers:
            self.kills -= 1
            os.kill(self.workers.pop(), signal.SIGKILL)


def main() -> int:
    folder, how, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    recipe = read_sweep_recipe(RECIPE)
    killer = Killer(how, count)
    with connect(None, 2) as client:
        killer.workers = list(client.run(os.getpid).values())
        sweep = SweepFolder(folder, recipe)
        with sweep.locked(), deferred_interrupt() as interrupted:
            try:
                lost = run_sweep(sweep, cells_of(recipe), client, killer, interrupted.is_set)
            except KeyboardInterrupt:
                return STOPPED
    assert not lost, lost
    assert how != "worker" or killer.kills < 2, "no worker was killed"
    return 0


if __name__ == "__main__":  # the workers' processes import this file
    sys.exit(main())

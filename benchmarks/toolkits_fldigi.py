#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what fldigi sends in its modes, for `toolkits_amateur.py`: 48 kHz, 16 bits, one channel, 8.5 s each.

fldigi plays into PulseAudio, which must have a null sink, and takes orders by XML-RPC; a virtual display is enough:

  pulseaudio -n --load=module-native-protocol-unix --load="module-null-sink sink_name=air rate=48000 channels=1"
  xvfb-run fldigi --config-dir FOLDER --xmlrpc-server-port 7390    # with AUDIOIO 2 in FOLDER/fldigi_def.xml

usage: toolkits_fldigi.py FOLDER [MODE ...]
"""

import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from toolkits_amateur import FLDIGI, TEXT

ADDRESS = "http://127.0.0.1:7390"
SECONDS = 8.5


def record(server: Any, mode: str, path: Path) -> None:
    """Send a text in a mode, and record it."""
    server.main.abort()
    server.text.clear_tx()
    for _ in range(40):  # some modes end what they have begun
        if server.main.get_trx_status() == "rx":
            break
        time.sleep(0.5)
    server.modem.set_by_name(mode)
    server.modem.set_carrier(1500)
    time.sleep(0.4)
    server.text.add_tx(TEXT)
    words = ["parec", "--device=air.monitor", "--format=s16le", "--rate=48000", "--channels=1"]
    with path.open("wb") as file, subprocess.Popen(words, stdout=file) as recorder:
        server.main.tx()
        time.sleep(SECONDS)
        server.main.abort()
        recorder.terminate()
    if server.modem.get_name() != mode:
        path.unlink()
        print(
            f"{mode} was not sent: fldigi has no such mode, or was still busy with another", file=sys.stderr
        )


def main() -> None:
    """Record all modes that the benchmark knows, or those that are named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    server = xmlrpc.client.ServerProxy(ADDRESS)
    for mode in sys.argv[2:] or list(FLDIGI):
        record(server, mode, folder / f"fldigi_{mode.replace('/', '-').replace(' ', '')}.s16")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `amrq gui`: how it begins, and how it ends."""

import importlib.util
import signal
import sys

import pytest
from run_amrq import amrq, amrq_here, python, refused

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("gnuradio", "PyQt5")),
    reason="the window needs GNU Radio and PyQt5",
)

OFFSCREEN = {"QT_QPA_PLATFORM": "offscreen"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is a screen")
def test_without_a_screen_one_sentence_says_so():
    nowhere = {"QT_QPA_PLATFORM": "xcb", "DISPLAY": ":957", "WAYLAND_DISPLAY": ""}
    refused(amrq("gui", "--simulate", environment=nowhere), "there is no screen for a window")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--soapy", "driver=nosuchradio", "--freq", "1e8", "--rate", "1M"), "no radio answers to"),
        (("--file", "none.sigmf-meta"), "there is no file none.sigmf-meta"),
        (("--simulate", "--model", "none"), "there is no model"),
        (("--simulate", "--squelch", "1000"), "squelch must be from"),
        (("--simulate", "--rate", "10"), "10 kS/s"),
        (("--simulate", "--stdin", "--rate", "1M"), "give one source"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_sentence(arguments, words, capfd):
    refused(amrq_here(capfd, "gui", *arguments, **OFFSCREEN), words)


INTERRUPTED = """
import os, sys, threading, time
from amrq.cli.main import main

number = int(sys.argv[1])
sys.argv = ["amrq", "gui", "--simulate", "--rate", "100k"]

def interrupt():
    while "PyQt5.QtWidgets" not in sys.modules:
        time.sleep(0.05)
    from PyQt5 import QtWidgets
    while not any(widget.isVisible() for widget in QtWidgets.QApplication.topLevelWidgets()):
        time.sleep(0.05)
    os.kill(os.getpid(), number)

threading.Thread(target=interrupt, daemon=True).start()
main()
"""
"""The command, which is sent a signal as soon as its window is there."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window(number, tmp_path):
    result = python("-c", INTERRUPTED, int(number), environment=OFFSCREEN, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert not list(tmp_path.iterdir())  # nothing is recorded unless it is asked for

# SPDX-License-Identifier: GPL-3.0-or-later
"""A SoapySDR device of the tests' own, that receives a recording over and over."""

import subprocess
from pathlib import Path

import pytest

from amrq.recordings import open_recording

__all__ = ["file_radio"]

ROOT = Path(__file__).resolve().parents[1]
HEADER = Path("/usr/include/SoapySDR/Device.hpp")


def file_radio(folder: Path, recording: Path) -> tuple[str, dict[str, str]]:
    """Build it in a folder; return its device arguments and the environment in which SoapySDR finds it.

    Skips the test where SoapySDR or its headers are not there.
    """
    if not HEADER.exists():
        pytest.skip("SoapySDR's headers are not installed: libsoapysdr-dev")
    pytest.importorskip("gnuradio.soapy")
    source = Path(__file__).with_name("radio") / "file_radio.cpp"
    module = folder / "libamrqfile.so"
    command = ["c++", "-std=c++17", "-O1", "-shared", "-fPIC", "-o", module, source, "-lSoapySDR"]
    subprocess.run(command, check=True)
    played = open_recording(recording)
    played.read(0, played.length).tofile(folder / "samples.cf32")
    return f"driver=amrqfile,path={folder / 'samples.cf32'}", {"SOAPY_SDR_PLUGIN_PATH": str(folder)}

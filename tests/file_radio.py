# SPDX-License-Identifier: GPL-3.0-or-later
"""A SoapySDR device of the tests' own, that receives a recording over and over."""

import ctypes
import ctypes.util
import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

__all__ = ["HEADER", "build_file_radio", "file_radio", "load_file_radio"]

HEADER = Path("/usr/include/SoapySDR/Device.hpp")


def build_file_radio(folder: Path) -> dict[str, str]:
    """Put it into a folder; return the environment in which SoapySDR finds it."""
    shutil.copy(_compiled(), folder / "libamrqfile.so")
    return {"SOAPY_SDR_PLUGIN_PATH": str(folder)}


def _compiled() -> Path:
    """Return the module, compiled once for all tests: of the same source, for the same SoapySDR."""
    source = Path(__file__).with_name("radio") / "file_radio.cpp"
    identity = hashlib.sha256(source.read_bytes() + HEADER.with_name("Version.h").read_bytes()).hexdigest()
    module = Path(__file__).parents[1] / ".build" / "tests" / f"file_radio-{identity[:16]}.so"
    module.parent.mkdir(parents=True, exist_ok=True)
    with module.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of the tests may be at it
        if not module.exists():
            part = module.with_suffix(".part")
            command = ["c++", "-std=c++17", "-O1", "-shared", "-fPIC", "-o", part, source, "-lSoapySDR"]
            subprocess.run(command, check=True)
            part.rename(module)
    return module


def load_file_radio(folder: Path) -> None:
    """Let SoapySDR find it in this process too, which may have looked for its modules long before."""
    soapy = ctypes.CDLL(ctypes.util.find_library("SoapySDR"))
    soapy.SoapySDR_loadModule(str(folder / "libamrqfile.so").encode())


def file_radio(folder: Path, recording: Path) -> tuple[str, dict[str, str]]:
    """Build it with a recording; return its device arguments and the environment in which SoapySDR finds it.

    Skips the test where SoapySDR or its headers are not there.
    """
    import pytest

    from amrq.recordings import open_recording

    if not HEADER.exists():
        pytest.skip("SoapySDR's headers are not installed: libsoapysdr-dev")
    pytest.importorskip("gnuradio.soapy")
    environment = build_file_radio(folder)
    played = open_recording(recording)
    played.read(0, played.length).tofile(folder / "samples.cf32")
    return f"driver=amrqfile,path={folder / 'samples.cf32'}", environment

# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq devices`, on the tests' own radio and on radios that are made up."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from file_radio import file_radio
from run_amrq import python

from amrq.errors import AmrqError
from amrq.sources import GainElement, RadioDevice, find_devices

RECORDING = Path(__file__).resolve().parents[1] / "examples/recordings/generic_16qam.sigmf-meta"


def devices(*arguments: str, before: str = "pass", **environment: str) -> tuple[int, str, str]:
    code = f"import sys; {before}; sys.argv[0] = 'amrq'; from amrq.cli import main; main()"
    result = python("-c", code, "devices", *arguments, environment=environment)
    assert "Traceback" not in result.stdout + result.stderr
    return result.returncode, result.stdout, result.stderr


@pytest.fixture(scope="module")
def radio(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    return file_radio(tmp_path_factory.mktemp("radio"), RECORDING)


def test_a_radio_with_all_that_live_may_ask_of_it(radio: tuple[str, dict[str, str]]) -> None:
    pytest.importorskip("SoapySDR")
    device, environment = radio
    code, out, err = devices(f"{device},label=My\x1b[2J radio,clock=utc", **environment)
    assert code == 0, err
    assert [line.rstrip() for line in out.splitlines()] == [
        f"{device.replace('driver=amrqfile,', 'driver=amrqfile,clock=utc,')}  My\\x1b[2J radio",
        "    --freq      1 MHz to 2 GHz",
        "    --rate      10 kS/s to 3 MS/s",
        "    --gain      0 to 50 dB; by element LNA 0 to 30 dB, VGA 0 to 20 dB; automatic without --gain",
        "    --antenna   RX, LNA",
        "    time        its own clock",
    ]
    code, out, err = devices("--json", device, **environment)
    (found,) = json.loads(out)
    assert (found["device"], found["error"]) == (device, None)
    assert found["sample_rate"] == [[1e4, 3e6]] and found["frequency_hz"] == [[1e6, 2e9]]
    assert found["gain_elements"] == [
        {"name": "LNA", "range_db": [0, 30]},
        {"name": "VGA", "range_db": [0, 20]},
    ]
    assert found["antennas"] == ["RX", "LNA"] and found["automatic_gain"] and not found["tells_time"]


def test_a_radio_that_cannot_be_opened_is_listed_with_the_reason(radio: tuple[str, dict[str, str]]) -> None:
    pytest.importorskip("SoapySDR")
    code, out, err = devices("driver=amrqfile,path=/nowhere", **radio[1])
    assert code == 0, err
    assert out.splitlines()[1] == "    cannot be opened: no samples"


def test_no_radio_is_one_sentence() -> None:
    pytest.importorskip("SoapySDR")
    for json_wanted in ((), ("--json",)):
        code, out, err = devices("driver=nobody", *json_wanted, NO_COLOR="1")
        assert (code, out.strip()) == (0, "[]" if json_wanted else "")
        said = [line for line in err.splitlines() if line.startswith("amrq: ")]
        assert len(said) == (not json_wanted)
        assert json_wanted or "SoapySDR finds no radio for 'driver=nobody': plug one in" in said[0]


def test_without_soapys_python_it_is_one_sentence() -> None:
    code, out, err = devices(before="sys.modules['SoapySDR'] = None")
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("amrq: listing radios needs SoapySDR's Python") and "python3-soapysdr" in line


class Span:
    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def minimum(self) -> float:
        return self.low

    def maximum(self) -> float:
        return self.high


class Radio:
    """What a driver may say; an attribute that is an exception is raised."""

    def __init__(self, **says: Any) -> None:
        self._says = {
            "getNumChannels": 1,
            "getHardwareKey": "hardware",
            "getFrequencyRange": [Span(1e6, 6e9)],
            "getSampleRateRange": [Span(2e6, 2e6), Span(1e6, 1e6), Span(1e6, 1e6)],
            "getBandwidthRange": [],
            "listAntennas": ["TX/RX"],
            "getGainRange": Span(0, 116),
            "listGains": ["LNA", "AMP"],
            "hasGainMode": False,
            "hasHardwareTime": True,
        } | says

    def __getattr__(self, name: str) -> Any:
        def say(*arguments: object) -> Any:
            said = self._says[name]
            if isinstance(said, Exception):
                raise said
            return said

        return say


def soapy(monkeypatch: pytest.MonkeyPatch, found: list[dict[str, str]], radio: Any) -> None:
    def make(arguments: dict[str, str]) -> Any:
        if isinstance(radio, Exception):
            raise radio
        return radio

    make.enumerate = lambda wanted: found  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "SoapySDR", SimpleNamespace(Device=make, SOAPY_SDR_RX=1))


HACKRF = {
    "driver": "hackrf",
    "label": "HackRF One #0 abc",
    "serial": "0000abc",
    "version": "1, 2",
    "part_id": "x",
}


def test_ranges_in_order_and_the_arguments_that_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    soapy(monkeypatch, [HACKRF, {"driver": "audio", "device": "a, b", "index": "3", "label": "x"}], Radio())
    first, second = find_devices()
    assert first == RadioDevice(
        "driver=hackrf,serial=0000abc",
        "HackRF One #0 abc",
        None,
        ((1e6, 6e9),),
        ((1e6, 1e6), (2e6, 2e6)),
        (),
        ("TX/RX",),
        (0, 116),
        (GainElement("LNA", (0, 116)), GainElement("AMP", (0, 116))),
        False,
        True,
    )
    assert second.device == "driver=audio,index=3"  # a comma would end the value


@pytest.mark.parametrize(
    ("radio", "words"),
    [
        (RuntimeError("Device or resource busy\x1b[2J"), "Device or resource busy\\x1b[2J"),
        (Radio(getGainRange=RuntimeError("USB")), "USB"),
        (Radio(listAntennas=KeyError()), "KeyError"),
        (Radio(getNumChannels=0), "nothing that receives"),
    ],
)
def test_one_that_fails_does_not_cost_the_others(
    monkeypatch: pytest.MonkeyPatch, radio: Any, words: str
) -> None:
    soapy(monkeypatch, [HACKRF, HACKRF], radio)
    found = find_devices()
    assert len(found) == 2
    assert all(device.error is not None and words in device.error for device in found)
    assert all(device.as_dict()["gain_elements"] == () for device in found)


def test_a_search_that_fails_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    soapy(monkeypatch, [], Radio())

    def fail(wanted: str) -> None:
        raise RuntimeError("no USB")

    sys.modules["SoapySDR"].Device.enumerate = fail
    with pytest.raises(AmrqError, match=r"cannot look for radios \(no USB\)"):
        find_devices()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio's stream where it breaks, on the tests' own radio."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_radio import file_radio, load_file_radio
from patience import PATIENCE

from amrq.decision import Decision, DecisionOptions
from amrq.errors import AmrqError
from amrq.measure import StreamInfo
from amrq.outputs import Origin
from amrq.signals import ModulatedSignal, Schedule

pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")

import pmt
from gnuradio import gr
from gnuradio.amrq.classifier_sink import classifier_sink
from gnuradio.amrq.decision_flowgraph import decision_flowgraph
from gnuradio.amrq.radio_source import radio_source

RATE, SYMBOL_RATE = 100e3, 25e3
BETWEEN, LOST = 10_000, 3_000
"""Samples between two overflows, and lost in each: no whole number of chunks or decisions."""


class tags_seen(gr.sync_block):  # noqa: N801
    """Keep the tags of a stream; set `enough` once so many overflows came by."""

    def __init__(self, overflows: int) -> None:
        gr.sync_block.__init__(self, name="tags_seen", in_sig=[np.complex64], out_sig=None)
        self.tags: list[tuple[int, str, Any]] = []
        self.begun, self.enough = threading.Event(), threading.Event()
        self._overflows = overflows

    def work(self, input_items: Any, output_items: Any) -> int:
        for tag in self.get_tags_in_window(0, 0, len(input_items[0])):
            self.tags.append((tag.offset, pmt.symbol_to_string(tag.key), pmt.to_python(tag.value)))
        self.begun.set()
        if len(self.places("rx_overflow")) >= self._overflows:
            self.enough.set()
        return len(input_items[0])

    def places(self, key: str) -> list[int]:
        return [offset for offset, name, _ in self.tags if name == key]

    def values(self, key: str) -> list[Any]:
        return [value for _, name, value in self.tags if name == key]


@pytest.fixture(scope="module")
def radio(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    recording = Path(__file__).resolve().parents[1] / "examples/recordings/generic_16qam.sigmf-meta"
    folder = tmp_path_factory.mktemp("radio")
    device, environment = file_radio(folder, recording)
    load_file_radio(folder)
    signal = ModulatedSignal(Schedule(["QPSK"], 10**6), 20.0, 0.0, 0.3, 4, 0.35, 1)
    signal.generate(40_000)[0].tofile(device.partition("path=")[2])
    return device, environment


@pytest.fixture
def device(radio: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> str:
    name, environment = radio
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    return name


@pytest.mark.parametrize("clock", ["none", "utc"])
def test_nothing_is_fused_across_an_overflow(device: str, clock: str) -> None:
    source = radio_source(
        f"{device},clock={clock},overflow={BETWEEN},lost={LOST}", sample_rate=RATE, frequency=100e6
    )
    decisions: list[Decision] = []
    decided = threading.Event()

    def keep(decision: Decision, truth: str | None) -> None:
        decisions.append(decision)
        if len(decisions) > 20:
            decided.set()

    sink = classifier_sink(
        decision=DecisionOptions(8), stream=StreamInfo(RATE, SYMBOL_RATE), live=True, on_decision=keep
    )
    flowgraph = decision_flowgraph(source, sink)
    at_the_source, behind_the_front_end = tags_seen(4), tags_seen(4)
    flowgraph.connect(source, at_the_source)
    flowgraph.connect(flowgraph.front_end, behind_the_front_end)
    flowgraph.start()
    assert behind_the_front_end.enough.wait(PATIENCE) and decided.wait(PATIENCE)
    flowgraph.stop()
    flowgraph.wait()
    flowgraph.raise_error()

    overflows = at_the_source.places("rx_overflow")
    assert overflows == [BETWEEN * n for n in range(1, len(overflows) + 1)]
    assert at_the_source.values("rx_overflow") == list(range(1, source.overflows() + 1))
    breaks = sorted(set(behind_the_front_end.places("rx_overflow")))
    for decision in decisions:
        end = decision.sample_index + decision.sample_count
        assert not [place for place in breaks if decision.sample_index < place < end]
    # Each stretch between two overflows begins with a decision on its first symbol.
    reached = decisions[-1].sample_index
    begins = {decision.sample_index for decision in decisions}
    assert {place for place in breaks if place <= reached} <= begins
    if clock == "utc":
        origin = Origin("radio", SYMBOL_RATE, "m", "0" * 64)
        places = (decisions[0].sample_index, *breaks[:3])
        begun = [flowgraph.sink.timeline.place(origin, place).begun for place in places]
        assert begun[0] is not None
        for number, moment in enumerate(begun):
            assert moment is not None
            # Front end and timing loop put a tag within 2 symbols of its sample.
            expected = number * LOST / RATE
            assert (moment - begun[0]).total_seconds() == pytest.approx(expected, abs=2.5 / SYMBOL_RATE)


def gains(source: radio_source) -> dict[str, float]:
    return {name: source._radio.get_gain(0, name) for name in ("LNA", "VGA")}


def test_gain_over_all_and_by_element(device: str) -> None:
    source = radio_source(device, RATE, 100e6, "LNA=20,VGA=15")
    assert gains(source) == {"LNA": 20, "VGA": 15} and not source._radio.get_gain_mode(0)
    source.set_gain({"vga": 3})  # the other one stays
    assert gains(source) == {"LNA": 20, "VGA": 3}
    source.set_gain("35")
    assert sum(gains(source).values()) == 35
    source.set_gain(None)
    assert source._radio.get_gain_mode(0)
    before = gains(source)
    elements = r"its elements are LNA \(0 to 30 dB\), VGA \(0 to 20 dB\)"
    for wrong, words in (
        ({"LNA": 40}, f"cannot do a gain of 40 dB in LNA: {elements}"),
        ("VGA=1,LNA=-1", f"cannot do a gain of -1 dB in LNA: {elements}"),
        ("VGA=1,IF=2", f"has no gain element 'IF': {elements}"),
        ({"LNA": 1, "lna": 2}, f"has one gain element LNA, not two: {elements}"),
        (60, "cannot do a gain of 60 dB: it has 0 to 50 dB"),
        ("loud", "gain takes a number of dB, .* not 'loud'"),
    ):
        with pytest.raises(AmrqError, match=words):
            source.set_gain(wrong)  # type: ignore[arg-type]
    assert gains(source) == before and source._radio.get_gain_mode(0)  # nothing was set in part


def test_a_retune_is_told_and_is_no_overflow(device: str) -> None:
    source = radio_source(f"{device},overflow={BETWEEN},lost={LOST}", sample_rate=RATE, frequency=100e6)
    seen = tags_seen(3)
    flowgraph = gr.top_block()
    flowgraph.connect(source, seen)
    flowgraph.start()
    assert seen.begun.wait(PATIENCE)
    source.set_frequency(101e6)
    assert seen.enough.wait(PATIENCE)
    flowgraph.stop()
    flowgraph.wait()
    frequencies = seen.values("rx_freq")  # at the start, behind the retune, behind each overflow
    assert frequencies[-1] == 101e6 and frequencies == sorted(frequencies)
    assert seen.places("rx_overflow") == [BETWEEN * n for n in range(1, source.overflows() + 1)]

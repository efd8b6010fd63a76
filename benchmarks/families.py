#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `identify_emission` says of emissions of known truth: family, order, parameters, confidence and cost.

It is told the box of the emission with the errors that a detector makes, the noise floor to some .2 dB, and the SNR;
neither symbol rate nor offset. A look is 50 ms or a product of time and bandwidth of 1,024, whichever is longer, but
no more than 4,096 bandwidths times seconds (16,384 samples), which is what a scan looks at.

* own: the module's generator (`amrq.signals`), parameters drawn anew, white noise;
* faults: the same with all that the generator knows of channels, neighbours and receivers;
* strangers: `strangers.py`, another generator, which shares no code with the library;
  of both: where AM pauses, FM rests or a single sideband has one tone, so that the box has a line and beside it
  nothing that is not 10 dB below the noise, a carrier is what is there: another look is drawn (--lone: it is kept);
* noise: boxes in noise alone, where nothing must be named;
* recorded: real recordings of known truth, looked at in up to eight places; placed: the same put into wider noise by
  the recordings' `compose.py` at 10 and 20 dB. They are in ../shared/air, or where AMRQ_AIR says, and are left out
  where they are not there;
* left out: `--left-out FAMILY`, a model that was trained without this family: that of `left_out/` here whose name has
  it, unless --model names another; unmeasured: the same, and the family's own measures are taken out as well, as if
  nobody had thought of it.

Right: the family is that which was sent; unknown: nothing is claimed; wrong: another family. Each answer is kept with
its confidence in per cent. Parameters: symbol rate right within .5 %, deviation 5 %, spacing of subcarriers or tones
1 %.

A run that is stopped, or ends after --minutes, is continued when it is started again, and one with more --draws
measures only what is missing. --report writes tables, --pages those of docs/family-figures.md.

Examples:
  python3 benchmarks/families.py --anew --processes 2
  python3 benchmarks/families.py --quick -o trial.csv --only strangers
  python3 benchmarks/families.py --left-out ofdm -o out.csv
"""

import argparse
import importlib.util
import itertools
import json
import math
import os
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from families_tables import LEFT_OUT, PAGE, draw_pictures, filled, report
from numpy.typing import NDArray
from resumable import Table, read, write_about
from strangers import received_stranger, stranger

from amrq.channel import Channel, extract_all
from amrq.identify import EmissionIdentity, evidence, identify_emission
from amrq.protocols import FAMILIES
from amrq.signals import FAMILY_CLASSES, FamilyParameters, Reception, received_family

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "families.csv"
AIR = Path(os.environ.get("AMRQ_AIR", ROOT.parent / "shared" / "air"))
SEED = 20261130
LEVELS = (0.0, 5.0, 10.0, 12.5, 15.0, 20.0)
FAULT_LEVELS = (10.0, 15.0, 20.0)
PLACED_LEVELS = (10.0, 20.0)
LEFT_OUT_LEVELS = (10.0, 15.0, 20.0)
DRAWS = {"own": 25, "faults": 22, "strangers": 24, "noise": 5000, "left out": 200}
"""Signals a family and level; boxes in noise."""
QUICK = 0.1
LEAST_SECONDS, LEAST_PRODUCT, MOST_PRODUCT = 0.05, 1024.0, 4096.0
RATE = 4.0
"""Samples a bandwidth."""
WITHOUT = ROOT / "benchmarks" / "left_out"
"""Models that were trained without the families that their names tell."""
NARROWEST = 500.0
"""Hz of the narrowest box whose channel a scan takes."""
PLACES = 8
LEAST_INSIDE = 0.5
LONE_DB, LINE_HZ = -10.0, 25.0
"""Of the noise in the box: what is beside a line and weaker is hidden, so that nothing but a carrier is there; Hz on
either side of the line that belong to it."""
WIDE_FM = 30e3
"""Hz from which on FM is wide, where the model is asked alone."""
WITHIN = {"symbol_rate": 0.005, "deviation": 0.05, "spacing": 0.01}
UNSEEN = ("dsss_gps_l1",)
"""Below the noise: there is nothing to put into wider noise."""
UNSURE_RATE = ("ook", "am", "fm_narrow", "dsss", "ofdm")
"""Families of recordings whose symbol rate is approximate, of what is inside, or of something else."""
PHASES = {"BPSK": 2, "QPSK": 4, "8PSK": 8, "16PSK": 16, "32PSK": 32, "pi/2-BPSK": 2, "D8PSK": 8, "DBPSK": 2}
PHASES["pi/2-DBPSK"] = 2
SAME_POINTS = {"D8PSK": "8PSK", "pi/2-DBPSK": "pi/2-BPSK"}
"""Of the module's generator: turned or not from one symbol to the next."""


_FSK = ("fsk2", "fsk4", "fskm")
_MANY_TONES = ("fsk4", "fskm")
"""Families whose tones have a spacing, which shows in a look where the outermost tone need not."""


class Case(NamedTuple):
    """What is measured in one row of the output."""

    part: str
    snr_db: float
    sent: str  # family
    name: str  # of a recording; of a constellation, where no other is drawn


COUNTS = (
    *("signals_n", "right", "wrong", "unknown", "cpu_us", "order_n", "order_right", "order_told"),
    *(f"{name}_{what}" for name in WITHIN for what in ("n", "told", "right")),
)
TABLE_FIELDS = Case._fields


class Look(NamedTuple):
    """What `identify_emission` is given, and the truth."""

    iq: NDArray[np.complex64]
    sample_rate: float
    noise_dbfs: float | None
    edges: tuple[float, float]
    snr_db: float | None
    truth: dict[str, float]
    order: int = 0


def model_without(family: str) -> str:
    """Return the file of a model that was trained without a family."""
    for path in sorted(WITHOUT.glob("without-*.onnx")):
        if family in path.stem.split("-")[1:]:
            return str(path)
    sys.exit(f"families.py: no model without {family} is in benchmarks/left_out: --model FILE names one.")


def cases(left_out: str | None) -> Iterator[tuple[Case, int]]:
    """All that is measured, and how many signals of each."""
    if left_out is not None:
        for part, level in itertools.product(("left out", "unmeasured"), LEFT_OUT_LEVELS):
            yield Case(part, level, left_out, ""), DRAWS["left out"]
        return
    for part, levels in (("own", LEVELS), ("strangers", LEVELS), ("faults", FAULT_LEVELS)):
        for level, family in itertools.product(levels, FAMILIES):
            yield Case(part, level, family, ""), DRAWS[part]
    yield Case("noise", 0.0, "noise", ""), DRAWS["noise"]
    for one in recordings():
        yield Case("recorded", math.nan, one["family"], one["name"]), PLACES
        if one["family"] != "noise" and one["name"] not in UNSEEN:
            for level in PLACED_LEVELS:
                yield Case("placed", level, one["family"], one["name"]), 2


def product_of(bandwidth: float) -> float:
    """Return the bandwidths times seconds of a look."""
    return min(max(LEAST_PRODUCT, LEAST_SECONDS * bandwidth), MOST_PRODUCT)


# Signals of the module's own generator


def own_look(case: Case, rng: np.random.Generator, faults: bool) -> Look:
    """Return a look at a signal of `amrq.signals`.

    Where less than half of its power is in the box, it is drawn again: a box is drawn for all signals with the same
    parameters, and the tones of one, or the carrier beside its sidebands, may lie outside. A detector's box would not.
    So is one of which the box has a lone line, as of AM in a pause: that is a carrier.
    """
    while True:
        look, inside, beside = _own_draw(case, rng, faults)
        if inside >= LEAST_INSIDE and (_LONE or beside >= LONE_DB):
            return _told(look, rng)


def beside_line_db(
    clean: NDArray[np.complex64], rate: float, edges: tuple[float, float], density: float
) -> float:
    """Return the power beside the strongest line of a signal within edges, over that of the noise there, dB."""
    window = np.hanning(len(clean))
    power = np.abs(np.fft.fft(clean * window)) ** 2 / np.sum(window**2) / len(clean)
    at, wide = np.fft.fftfreq(len(clean), 1 / rate), edges[1] - edges[0]
    inside = (at >= edges[0]) & (at <= edges[1])
    line = at[np.argmax(np.where(inside, power, -1.0))]
    apart = np.abs(at - line) > max(min(LINE_HZ, 0.1 * wide), 4 * rate / len(clean))
    return 10 * math.log10(max(float(power[inside & apart].sum()), 1e-12) / max(density * wide, 1e-30))


def drawn(case: Case, rng: np.random.Generator) -> FamilyParameters:
    """Return parameters of a family of the module's generator; where a constellation is named, of that alone, and
    of random data, or with part `patterns` of others."""
    while True:
        told = FAMILY_CLASSES[case.sent].draw(rng)
        if not case.name:
            return told
        named = SAME_POINTS.get(told.label, told.label) == case.name
        if named and (told.content == "random") == (case.part != "patterns"):
            return told


def _own_draw(case: Case, rng: np.random.Generator, faults: bool) -> tuple[Look, float, float]:
    """Return a look with its noise density as power, the share of the signal's power that is in the box, and what is
    beside a line there, over the noise, dB."""
    family, told = FAMILY_CLASSES[case.sent], drawn(case, rng)
    level = (case.snr_db, case.snr_db)
    reception = Reception.draw(rng, level, family.core, family.narrow * faults, told.bandwidth)
    plain = Reception(box=reception.box, offset=reception.offset)
    if not faults:
        reception = replace(plain, snr_db=reception.snr_db)
    samples = round(RATE * reception.box * product_of(told.bandwidth))
    rate, half = RATE * reception.box * told.bandwidth, reception.box * told.bandwidth / 2
    state = rng.bit_generator.state

    def received(how: Reception) -> NDArray[np.complex64]:
        rng.bit_generator.state = state  # the same signal
        return received_family(case.sent, told, rng, how, samples)

    inside, beside = 1.0, math.inf
    if case.sent != "noise":
        # Without noise, to know how much of it there is: the look has unit power.
        clean = received(plain)
        inside = density_in(clean, rate, (-half, half)) * 2 * half
        clean = received(replace(reception, snr_db=math.inf)) if faults else clean
    iq = received(reception)
    if case.sent == "noise":
        density = density_in(iq, rate, (-half, half))
    else:
        clean = clean * (np.vdot(clean, iq) / max(np.vdot(clean, clean).real, 1e-12))
        density = float(np.mean(np.abs(iq - clean) ** 2)) / (0.9 * rate)  # the channel's filter passes .9
    if case.sent not in ("noise", "carrier"):
        beside = beside_line_db(clean, rate, (-half, half), density)
    truth, order = _sent(case.sent, told)
    return Look(iq, rate, density, (-half, half), case.snr_db, truth, order), inside, beside


def _sent(family: str, told: FamilyParameters) -> tuple[dict[str, float], int]:
    """Return what is measured against, and the order."""
    truth = {"symbol_rate": told.symbol_rate, "deviation": getattr(told, "deviation", 0.0)}
    if family == "ofdm":
        truth["spacing"] = getattr(told, "spacing", 0.0)
    if family in _MANY_TONES:
        truth["spacing"] = 2 * truth["deviation"] / (getattr(told, "order", 2) - 1)
    if family.startswith("fm") and getattr(told, "audio", "") != "tones":
        truth.pop("deviation")  # a voice's peaks need not be in the look
    order = PHASES.get(told.label, 0) if family == "linear" else 0
    return truth, getattr(told, "order", 0) if family in _FSK else order


def _told(look: Look, rng: np.random.Generator) -> Look:
    """Return the look with the noise in dB, and floor and SNR as wrong as a detector's are."""
    floor = None
    if look.noise_dbfs:
        floor = 10 * math.log10(look.noise_dbfs) + rng.normal(0, 0.2)
    snr = None if look.snr_db is None else look.snr_db + rng.normal(0, 0.7)
    return look._replace(noise_dbfs=floor, snr_db=snr)


# Signals of strangers, and recordings: a band, of which a channel is taken


def boxed(lower: float, upper: float, snr_db: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return a box as wrong as a detector's: edges off by some 8 %; of weak signals only the core is seen."""
    wide, middle = upper - lower, (lower + upper) / 2
    share = math.exp(rng.normal(0, 0.08))
    if snr_db < 10:
        share *= rng.uniform(0.65 + 0.035 * max(snr_db, 0), 1.0)
    middle += rng.normal(0, 0.03) * wide
    return middle - share * wide / 2, middle + share * wide / 2


def cut(
    band: NDArray[np.complex64], rate: float, box: tuple[float, float], start: int, stop: int
) -> tuple[NDArray[np.complex64], float, tuple[float, float]]:
    """Return the samples of a box as a scan takes them, their rate, and the edges within them."""
    wide = max(box[1] - box[0], NARROWEST)
    # Channels lie within half the band, and their rate is 1.25 times what passes.
    middle = min(max((box[0] + box[1]) / 2, -rate / 2), rate / 2)
    channel = Channel(middle, min(RATE / 1.25 * wide, rate))
    (found,) = extract_all(band, rate, [channel], start, stop)
    return found.iq, found.sample_rate, (box[0] - found.centre, box[1] - found.centre)


def density_in(iq: NDArray[np.complex64], rate: float, edges: tuple[float, float]) -> float:
    """Return the mean power per Hz between edges: of noise, it is the floor, which follows a receiver's filter."""
    at = np.fft.fftfreq(len(iq), 1 / rate)
    inside = (at >= edges[0]) & (at <= edges[1])
    return float(np.mean(np.abs(np.fft.fft(iq)[inside]) ** 2)) / (len(iq) * rate)


def stranger_look(case: Case, rng: np.random.Generator) -> Look:
    """Return a look at a signal of `strangers.py`; no lone line, as `own_look`."""
    beside = -math.inf
    while not beside >= LONE_DB:
        one = stranger(case.sent, rng)
        if case.name and one.made.order != PHASES[case.name]:
            continue
        band, density = received_stranger(one, case.snr_db, rng)
        made, wide = one.made, one.upper - one.lower
        shift = rng.uniform(-0.3, 0.3) * max(0.0, made.rate - 4 * wide) / 2
        band = (band * np.exp(2j * np.pi * shift / made.rate * np.arange(len(band)))).astype(np.complex64)
        box = boxed(one.lower + shift, one.upper + shift, case.snr_db, rng)
        length = min(len(band), round(product_of(wide) / wide * made.rate))
        start = int(rng.integers(0, len(band) - length + 1))
        beside = math.inf
        if case.sent not in ("noise", "carrier") and not _LONE:
            edges, floor = (box[0] - shift, box[1] - shift), 10 ** (-case.snr_db / 10) / wide
            beside = beside_line_db(made.iq[start : start + length], made.rate, edges, floor)
    iq, rate, edges = cut(band, made.rate, box, start, start + length)
    if case.sent == "noise":
        density = density_in(iq, rate, edges)
    truth = {"symbol_rate": made.symbol_rate, "deviation": made.deviation}
    if case.sent == "ofdm":
        truth["spacing"] = made.spacing
    if case.sent in _MANY_TONES:
        truth["spacing"] = 2 * made.deviation / (made.order - 1)
    if case.sent in ("dsss", "chirp"):
        truth.pop("symbol_rate")
    return _told(Look(iq, rate, density, edges, case.snr_db, truth, made.order), rng)


def noise_look(number: int, rng: np.random.Generator) -> Look:
    """Return a box in noise alone: white, or a receiver's filter's slope; the detector believed 3 to 12 dB."""
    wide = math.exp(rng.uniform(math.log(300), math.log(3e6)))
    rate = RATE * max(wide, NARROWEST)
    count = round(RATE * LEAST_PRODUCT * float(rng.choice([0.25, 1, 1, 2])))
    iq = rng.standard_normal(2 * count).view(np.complex128) * math.sqrt(0.5)
    if number % 2:
        f = np.fft.fftfreq(count)
        slope = 10 ** (rng.uniform(-3, 3) * np.sin(2 * np.pi * (f + rng.random())) / 20)
        edge = 1 / np.sqrt(1 + (np.abs(f) / rng.uniform(0.3, 0.6)) ** 12)
        iq = np.fft.ifft(np.fft.fft(iq) * slope * edge)
    told = 1 / rate
    look = Look(iq.astype(np.complex64), rate, told, (-wide / 2, wide / 2), rng.uniform(3, 12), {})
    look = _told(look, rng)
    return look if number % 4 < 2 else look._replace(noise_dbfs=None, snr_db=None)


@cache
def recordings() -> list[dict[str, Any]]:
    """Return the truth of the given recordings; none where they are not there."""
    path = AIR / "given" / "truth.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


@cache
def composer() -> ModuleType:
    """Return the recordings' compose.py."""
    spec = importlib.util.spec_from_file_location("compose", AIR / "compose.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def recorded(name: str) -> tuple[NDArray[np.complex64], float, list[dict[str, Any]]]:
    """Return a recording's samples, rate and annotations."""
    iq, meta = composer().read_sigmf(str(AIR / "given" / name))
    return iq.astype(np.complex64), float(meta["global"]["core:sample_rate"]), meta["annotations"]


def _about(name: str) -> tuple[dict[str, float], int]:
    """Return what is known of a recording's parameters, and the order."""
    one = next(one for one in recordings() if one["name"] == name)
    rate, family = one["symbol_rate"] or 0.0, one["family"]
    truth = {"symbol_rate": 0.0 if family in UNSURE_RATE else rate}
    if name.startswith("fsk2_urh"):  # without shaping, so that an eye shows the modulator's deviation
        truth["deviation"] = one["deviation_hz"]
    if family == "ofdm":
        truth["spacing"] = {"ofdm_dji": 15e3}.get(name[:8], 312.5e3)
    order = {"fsk2": 2, "fsk4": 4, "fskm": 8}.get(family, 0)
    label = re.search(r"(D?8PSK|QPSK|BPSK|SDPSK)", one["detail"]) if family == "linear" else None
    return truth, PHASES.get(label[1].replace("SDPSK", "pi/2-BPSK"), order) if label else order


def floor_of(band: NDArray[np.complex64], rate: float, box: tuple[float, float]) -> float:
    """Return the noise density beside a box by a low quantile of the mean spectrum; 0 where nothing is beside it."""
    size = min(1024, 1 << (len(band).bit_length() - 2))
    pieces = band[: len(band) // size * size].reshape(-1, size) * np.hanning(size)
    power = np.mean(np.abs(np.fft.fft(pieces, axis=1)) ** 2, axis=0) / (rate * np.sum(np.hanning(size) ** 2))
    at = np.fft.fftfreq(size, 1 / rate)
    margin = 0.3 * (box[1] - box[0])
    free = power[(at < box[0] - margin) | (at > box[1] + margin)]
    return float(np.quantile(free, 0.4)) if len(free) > size // 10 else 0.0


def recorded_look(case: Case, number: int, rng: np.random.Generator) -> Look | None:
    """Return one of up to eight looks at a recording, spread over its annotated boxes; None where there are fewer."""
    iq, rate, boxes = recorded(case.name)
    stretches = []
    for one in boxes:
        edges = one["core:freq_lower_edge"], one["core:freq_upper_edge"]
        length = max(64, round(product_of(edges[1] - edges[0]) / (edges[1] - edges[0]) * rate))
        first, stop = one["core:sample_start"], one["core:sample_start"] + one["core:sample_count"]
        stop = min(stop, len(iq))
        count = max(1, (stop - first) // length)
        stretches += [(first + k * length, min(stop, first + (k + 1) * length), edges) for k in range(count)]
    if number >= min(PLACES, len(stretches)):
        return None
    places = np.linspace(0, len(stretches) - 1, min(PLACES, len(stretches))).round().astype(int)
    start, stop, edges = stretches[places[number]]
    box = boxed(*edges, 20.0, rng)
    density = floor_of(iq, rate, edges)
    samples, own_rate, inside = cut(iq, rate, box, start, stop)
    truth, order = _about(case.name)
    snr = _snr(iq[start:stop], rate, density, edges)
    return _told(Look(samples, own_rate, density, inside, snr, truth, order), rng)


def _snr(iq: NDArray[np.complex64], rate: float, density: float, edges: tuple[float, float]) -> float | None:
    """Return the in-band SNR by the power that is there."""
    if not density:
        return None
    power = np.abs(np.fft.fft(iq)) ** 2 / len(iq) ** 2
    at = np.fft.fftfreq(len(iq), 1 / rate)
    inside = float(power[(at >= edges[0]) & (at <= edges[1])].sum())
    return 10 * math.log10(max(inside / (density * (edges[1] - edges[0])) - 1, 0.1))


def placed_look(case: Case, number: int, rng: np.random.Generator) -> Look | None:
    """Return one of two looks at a recording in a wider band of noise."""
    _, rate, boxes = recorded(case.name)
    chosen = number * (len(boxes) - 1) if len(boxes) > 1 else 0
    one = boxes[chosen]
    lower, upper = one["core:freq_lower_edge"], one["core:freq_upper_edge"]
    wide = upper - lower
    band_rate = 8 * max(wide, NARROWEST)
    there = one["core:sample_count"] / rate
    seconds = min(there, product_of(wide) / wide)
    if number and len(boxes) == 1 and there < 1.5 * seconds:
        return None
    skip = 0.0 if len(boxes) > 1 else number * 0.5 * max(0.0, there - seconds)
    middle = rng.uniform(-1.5, 1.5) * max(wide, NARROWEST)
    own = next(known["snr_db"] for known in recordings() if known["name"] == case.name)
    plan = {
        "sample_rate": band_rate,
        "duration_s": seconds * 1.1,
        "seed": int(rng.integers(1 << 30)),
        "noise_dbfs": -35.0,
        "emissions": [
            {
                "recording": case.name,
                "annotation": chosen,
                "skip_s": skip,
                "duration_s": seconds,
                "start_s": 0.05 * seconds,
                "frequency_hz": middle,
                "snr_db": case.snr_db,
                "recording_snr_db": own,
            }
        ],
    }
    scene, truth, density = composer().compose(plan, str(AIR / "given"))
    (found,) = truth
    box = boxed(found["freq_lower_edge"], found["freq_upper_edge"], case.snr_db, rng)
    start, stop = found["sample_start"], found["sample_start"] + found["sample_count"]
    samples, own_rate, inside = cut(scene.astype(np.complex64), band_rate, box, start, stop)
    told, order = _about(case.name)
    return _told(Look(samples, own_rate, density, inside, case.snr_db, told, order), rng)


# Measuring


def look_of(case: Case, number: int) -> tuple[Look | None, np.random.Generator]:
    """Return the look of a case; None where a recording holds no further one."""
    rng = np.random.default_rng([SEED, zlib.crc32(repr(case).encode()), number])
    match case.part:
        case "own" | "left out" | "unmeasured" | "patterns":
            return own_look(case, rng, faults=False), rng
        case "faults":
            return own_look(case, rng, faults=True), rng
        case "strangers":
            return stranger_look(case, rng), rng
        case "noise":
            return noise_look(number, rng), rng
        case "recorded":
            return recorded_look(case, number, rng), rng
        case _:
            return placed_look(case, number, rng), rng


@cache
def models(path: str | None) -> Any:
    """Return what `identify_emission` takes as models; loaded once."""
    from amrq.classifier import AUTO, FamilyModel, make_classifier
    from amrq.identify import IdentifyModels

    return IdentifyModels(make_classifier("default", AUTO), FamilyModel(path or "family"))


def by_model_alone(look: Look, model: str | None) -> EmissionIdentity:
    """Return what the family model says without measures; narrow and wide FM are told apart by the bandwidth."""
    network = models(model).family
    chunks = network.prepare(look.iq, look.sample_rate, look.edges)
    shares = np.exp(network.together(network.log_probabilities(chunks)))
    best = int(np.argmax(shares))
    family = network.families[best]
    if family == "fm":
        family = "fm_wide" if look.edges[1] - look.edges[0] > WIDE_FM else "fm_narrow"
    return EmissionIdentity(family=family, confidence=float(shares[best]))


def identified(look: Look, model: str | None) -> tuple[EmissionIdentity, float]:
    """Return the answer, and the processor time in seconds."""
    if _THROUGH == "model":
        started = time.process_time()
        return by_model_alone(look, model), time.process_time() - started
    words = (look.iq, look.sample_rate, look.noise_dbfs, look.edges, look.snr_db)
    chosen = models(model)
    started = time.process_time()
    found = identify_emission(*words, model=chosen)
    return found, time.process_time() - started


def order_of(found: EmissionIdentity) -> int:
    """Return how many tones or phases an answer names; 0: it names none."""
    if found.family in ("fsk2", "fsk4"):
        return int(found.family[3])
    tones = found.details.get("tones")
    if found.family == "fskm" and tones is not None:
        return round(tones.value)
    return PHASES.get(found.label, 0) if found.family == "linear" else 0


@contextmanager
def _without(family: str) -> Iterator[None]:
    """Take a family's measures out of the evidence, so that it is a kind of signal that nobody has thought of."""
    numbers, families = dict(evidence.NUMBERS), evidence.FAMILIES
    evidence.NUMBERS.pop(family, None)
    evidence.FAMILIES = tuple(name for name in families if name != family)  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        evidence.NUMBERS.clear()
        evidence.NUMBERS.update(numbers)
        evidence.FAMILIES = families


def measure(case: Case, numbers: list[int]) -> dict[str, Any]:
    """Identify signals and count."""
    sums, answers = Counter[str](), Counter[str]()
    for number in numbers:
        look, _ = look_of(case, number)
        if look is None:
            continue
        with _without(case.sent if case.part == "unmeasured" else ""):
            found, seconds = identified(look, _MODEL)
        family = found.family or "unknown"
        sums["signals_n"] += 1
        sums["right" if family == case.sent else "unknown" if family == "unknown" else "wrong"] += 1
        sums["cpu_us"] += round(1e6 * seconds)
        answers[f"{family}/{min(99, int(100 * found.confidence))}"] += 1
        told = order_of(found)
        if look.order:
            sums["order_n"] += 1
            sums["order_told"] += told > 0
            sums["order_right"] += told == look.order
        for name, true in look.truth.items():
            if true <= 0 or (name == "deviation" and case.sent == "ook"):
                continue
            value = found.details.get(name)
            sums[f"{name}_n"] += 1
            sums[f"{name}_told"] += value is not None
            close = value is not None and abs(value.value / true - 1) <= WITHIN[name]
            sums[f"{name}_right"] += bool(close)
    row = {name: sums[name] for name in COUNTS}
    return {**case._asdict(), **row, "answers": " ".join(f"{a}:{n}" for a, n in sorted(answers.items()))}


_MODEL: str | None = None
_THROUGH = "identify"
_LONE = False


def main() -> None:
    """Measure what is missing, or write tables."""
    global _MODEL, SEED, _THROUGH, _LONE
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="CSV of results (default: benchmarks/results/families.csv)"
    )
    parser.add_argument("--draws", type=float, default=1.0, help="times the usual number of signals")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:g} of the usual number of signals")
    parser.add_argument("--only", action="append", help="a part, `own` ...; may be repeated")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="may be repeated")
    parser.add_argument("--level", action="append", type=float, help="dB; may be repeated")
    parser.add_argument("--model", help="family model, an ONNX file (default: the shipped one)")
    parser.add_argument(
        "--through", choices=("identify", "model"), default="identify", help="model: it alone"
    )
    parser.add_argument("--left-out", choices=FAMILIES, help="family that --model was trained without")
    parser.add_argument(
        "--lone", action="store_true", help="keep looks whose box has a lone line, whatever sent it"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="for other signals; keep results apart")
    parser.add_argument("--processes", type=int, default=1, choices=(1, 2), help="side by side")
    parser.add_argument("--minutes", type=float, help="begin no part after so many")
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    parser.add_argument("--report", action="store_true", help="write tables, and measure nothing")
    parser.add_argument(
        "--pages", action="store_true", help="write the tables of the page, and measure nothing"
    )
    parser.add_argument("--pictures", type=Path, help="draw pictures into this folder")
    arguments = parser.parse_args()
    arguments.output = arguments.output or (LEFT_OUT if arguments.left_out else RESULTS)
    table = Table(arguments.output, TABLE_FIELDS, COUNTS, words=())
    if not (arguments.report or arguments.pages):
        _MODEL, SEED, _THROUGH = arguments.model, arguments.seed, arguments.through
        if arguments.left_out and _MODEL is None:
            _MODEL = model_without(arguments.left_out)
        _LONE = arguments.lone
        if arguments.anew:
            arguments.output.unlink(missing_ok=True)
        times = arguments.draws * (QUICK if arguments.quick else 1.0)
        wanted = [
            (case, count if case.part in ("recorded", "placed") else max(1, round(times * count)))
            for case, count in cases(arguments.left_out)
            if (not arguments.only or case.part in arguments.only)
            and (not arguments.family or case.sent in arguments.family)
            and (not arguments.level or case.snr_db in arguments.level or case.part in ("recorded", "noise"))
        ]
        whole = table.run(wanted, measure, arguments.processes, arguments.minutes)
        write_about(
            arguments.output,
            whole=whole,
            seed=SEED,
            draws=times,
            model=_MODEL and Path(_MODEL).name,
            left_out=arguments.left_out,
            through=arguments.through,
        )
    rows = read(arguments.output)
    if arguments.pictures:
        draw_pictures(rows, arguments.pictures)
    if arguments.pages:
        about = json.loads(arguments.output.with_suffix(".json").read_text(encoding="utf-8"))
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), rows, about), encoding="utf-8")
    elif arguments.report:
        sys.stdout.write(report(rows))


if __name__ == "__main__":
    main()

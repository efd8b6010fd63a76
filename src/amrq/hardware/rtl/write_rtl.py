# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder with a design: Verilog, test bench, vectors, Makefile and README."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import level_features, normalise
from amrq.errors import AmrqError, OutputError
from amrq.evaluation import fresh_chunks
from amrq.files import write_whole
from amrq.hardware import IntegerMean, IntegerNetwork
from amrq.hardware.rtl.array_design import ArrayDesign
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.pipeline_design import PipelineDesign
from amrq.hardware.rtl.pynq_board import PynqBoard
from amrq.hardware.rtl.serial_board import SerialBoard
from amrq.hardware.rtl.templates import rendered
from amrq.options import OptionError, between, check, described, option

__all__ = ["DesignOptions", "Stimuli", "make_design", "make_stimuli", "rtl_readme", "testbench", "write_rtl"]

_LANES = 16


@described
@dataclass(frozen=True)
class DesignOptions:
    """How a network becomes hardware.

    Raises:
        AmrqError: a value is not allowed.
    """

    input_bits: int = option(
        8,
        "Width of I and of Q. With 8, a model of magnitudes loses the last bit of its input; from 9 on, scores equal "
        "the ONNX model's. A model with the integer aligner takes received symbols of any level.",
        unit="bits",
        within=between(8, 16),
    )
    fold: int | None = option(
        None,
        "Clocks per symbol of a pipeline; by default 1, or 4 with the integer aligner, which needs 4 or 8. More clocks "
        "make the layers that run at each symbol smaller: they take 8, 4, 2 or 1 bits of each input in a clock.",
        choices={1: "a symbol a clock", 2: "4 bits a clock", 4: "2 bits a clock", 8: "1 bit a clock"},
        flag="--fold CLOCKS",
    )
    lanes: int | None = option(
        None,
        "Number of multipliers of an array, which computes as many outputs at a time; by default 16.",
        within=between(1, 256),
        flag="--lanes N",
    )
    architecture: str | None = option(
        None,
        "Refuse a model that needs the other architecture. Without this option, the model decides.",
        choices={
            "pipeline": "for models that take a mean over their symbols",
            "array": "for models of convolutions, max pools and fully connected layers",
        },
        flag="--architecture NAME",
    )

    def __post_init__(self) -> None:
        """Refuse what no design can be made with."""
        check(self)


def make_design(network: IntegerNetwork, options: DesignOptions | None = None) -> Design:
    """Return a network's Verilog: a pipeline where it takes a mean over its symbols, an array where it does not.

    Args:
        network: chunks reach it normalised, or as received where it begins with the integer aligner.
        options: how; None: all defaults.

    Raises:
        ModelError: the network cannot become hardware.
        AmrqError: the architecture is not the network's, or lanes are asked of a pipeline or folding of an array.

    >>> from amrq.hardware import IntegerNetwork
    >>> from amrq.model import find_model
    >>> design = make_design(IntegerNetwork.from_onnx(find_model("coherent-small-int4")))
    >>> type(design).__name__
    'PipelineDesign'
    """
    options = options or DesignOptions()
    name = network.contract.name
    fits = "pipeline" if isinstance(network.between, IntegerMean) else "array"
    if options.architecture not in (None, fits):
        raise AmrqError(
            f"model {name!r} needs the architecture {fits!r}, not {options.architecture!r}: pipelines are for models "
            "that take a mean over their symbols, arrays for those with max pools and fully connected layers."
        )
    if fits == "array":
        if options.fold not in (None, 1):
            raise OptionError(
                DesignOptions,
                "model {name!r} becomes an array: leave {fold} out. For smaller hardware, give fewer {lanes}.",
                name=name,
            )
        return ArrayDesign(network, options.input_bits, _LANES if options.lanes is None else options.lanes)
    if options.lanes is not None:
        raise OptionError(DesignOptions, "model {name!r} becomes a pipeline: leave {lanes} out.", name=name)
    return PipelineDesign(network, options.input_bits, options.fold)


_ES_N0_DB = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)


class Stimuli(NamedTuple):
    """N chunks as they enter the hardware, and what they were made of.

    Attributes:
        symbols: int64 [N, L, 2], I and Q as the port takes them.
        side: int64 [N, S], what joins the mean.
        labels: int64 [N], index of each chunk's class in the contract's `classes`; -1 for extreme inputs.
        chunks: complex64 [N, L], what `symbols` was made of; zeros for extreme inputs.
        tracked_power: float32 [N], what `side` was made of; NaN where it is not known.
    """

    symbols: NDArray[np.int64]
    side: NDArray[np.int64]
    labels: NDArray[np.int64]
    chunks: NDArray[np.complex64]
    tracked_power: NDArray[np.float32]


def make_stimuli(design: Design, count: int, seed: int) -> Stimuli:
    """Return chunks of all the model's modulations at 0 to 25 dB Es/N0 in turn, an extreme one in every 16th place.

    Extreme are: all the least or the largest number, zeros, both ends at random. Level inputs are those of streams up
    to 4 dB above or below their chunk, of a stream whose level is not known, and for extreme chunks any at all. Models
    that take chunks as they are get constellations scaled to a peak of 1, as in the thesis. Models with the aligner get
    any phase, and every second chunk at another level.

    Args:
        design: what is tried.
        count: chunks (N).
        seed: of all randomness.
    """
    network, port = design.network, design.port
    length = network.contract.chunk_length
    rng = np.random.default_rng([seed, count])
    unit_rms = network.contract.normalisation == "unit-rms"
    known = network.contract.linear_classes.members
    symbols = np.zeros((count, length, 2), np.int64)
    side = np.zeros((count, design.given_sides), np.int64)
    labels = np.full(count, -1, np.int64)
    chunks = np.zeros((count, length), np.complex64)
    tracked_power = np.full(count, np.nan, np.float32)
    cases = [(sent, level) for level in _ES_N0_DB for sent in known]
    side_input = network.head_layers[0].input
    ordinary = np.array([n for n in range(count) if n % 16 != 7], np.int64)
    for number, (sent, es_n0_db) in enumerate(cases):
        places = ordinary[number :: len(cases)]
        if not len(places):
            continue
        chunks[places] = fresh_chunks(
            sent, len(places), length, es_n0_db, rng, any_phase=design.aligned, peak_scaled=not unit_rms
        )
        made = normalise(chunks[places], unit_rms)
        level = np.ones((len(places), 1, 1), np.float32)
        if design.aligned:
            level[::2] = 10 ** rng.uniform(-0.7, 0.7, level[::2].shape)
        symbols[places] = port.integers(made.iq * level)
        labels[places] = network.contract.classes.index(sent.name)
        if design.given_sides:
            tracked = (made.power * 10 ** rng.uniform(-0.4, 0.4, len(places))).astype(np.float32)
            tracked[::4] = np.nan
            tracked_power[places] = tracked
            side[places] = side_input.integers(level_features(made.power, tracked))
    ends = np.array([port.lowest, port.highest])
    for kind, n in enumerate(range(7, count, 16)):
        if kind % 4 < 2:
            symbols[n] = ends[kind % 4]
        elif kind % 4 == 2:
            symbols[n] = rng.choice(ends, (length, 2))
        side[n] = rng.integers(side_input.lowest, side_input.highest + 1, design.given_sides)
    return Stimuli(symbols, side, labels, chunks, tracked_power)


def testbench(
    design: Design, symbols: NDArray[np.int64], side: NDArray[np.int64], seed: int = 1
) -> dict[str, str]:
    """Return the testbench and its vectors by file name.

    Args:
        design: what is tested.
        symbols: int64 [N, L, 2], I and Q as the port takes them.
        side: int64 [N, S], what joins the mean.
        seed: of the stalls.
    """
    network = design.network
    expected = network.run(design.given(symbols, side)).integers
    best = expected.argmax(axis=1)
    classes = network.class_of_hypothesis[best]
    component = design.symbol_bits // 2
    unit = 1 << component
    words = (symbols[..., 0] % unit) + (symbols[..., 1] % unit) * unit
    beats = np.zeros((len(expected), design.beats * design.per_beat), np.int64)
    beats[:, : expected.shape[1]] = expected
    parts = (beats % (1 << 32)).reshape(-1, design.per_beat)
    sides = [sum(int(v) % 256 << 8 * k for k, v in enumerate(row)) for row in side]
    # Until all places are taken and the next chunk waits with its last symbol; stalls make that take longer.
    long_stall = 2 * (design.places + 2) * design.clocks_a_chunk + 2 * design.latency

    def lines(numbers: list[int], bits: int) -> str:
        return "".join(f"{n:0{-(-bits // 4)}x}\n" for n in numbers)

    return {
        "testbench.v": rendered(
            "testbench.v.in",
            design=design,
            chunks=len(symbols),
            length=network.contract.chunk_length,
            long_stall=long_stall,
            patience=10_000 + 2 * long_stall,
            seed=seed,
        ),
        "vectors/symbols.hex": lines([int(w) for w in words.ravel()], design.symbol_bits),
        "vectors/sides.hex": lines(sides, max(design.side_bits, 8)),
        "vectors/scores.hex": lines(
            [sum(int(v) << 32 * k for k, v in enumerate(row)) for row in parts], 32 * design.per_beat
        ),
        "vectors/answers.hex": lines([int(h) << 8 | int(c) for h, c in zip(best, classes, strict=True)], 16),
    }


def rtl_readme(design: Design, chunks: int, board: SerialBoard | PynqBoard | None = None) -> str:
    """Return the README of a folder.

    Args:
        design: what lies in the folder.
        chunks: of the testbench.
        board: the board that it was written for as well.
    """
    network = design.network
    return rendered(
        "README.md.in",
        design=design,
        network=network,
        port=design.port,
        side=network.head_layers[0].input,
        length=network.contract.chunk_length,
        chunks=chunks,
        board=board,
    )


def write_rtl(
    design: Design,
    folder: Path,
    stimuli: Stimuli,
    seed: int = 1,
    board: SerialBoard | PynqBoard | None = None,
) -> None:
    """Write modules, a self-checking testbench with its vectors, a Makefile and a README.

    Args:
        design: what is written.
        folder: made where it is not there; files of the same names are overwritten, others stay.
        stimuli: chunks for the testbench.
        seed: of the testbench's stalls.
        board: a board with this design, whose files are written as well.

    Raises:
        OutputError: it cannot be written.
    """
    modules = sorted(name for name in design.files if name.endswith(".v"))
    found = {
        **design.files,
        **testbench(design, stimuli.symbols, stimuli.side, seed),
        **(board.files if board else {}),
        "Makefile": rendered("Makefile.in", design=design, sources=modules, board=board),
        "README.md": rtl_readme(design, len(stimuli.symbols), board),
    }
    try:
        (folder / "vectors").mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            write_whole(folder / name, text, durable=False)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from None

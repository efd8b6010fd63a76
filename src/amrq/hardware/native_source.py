# SPDX-License-Identifier: GPL-3.0-or-later
"""A model as C: one source with its weights, its header, and a program that checks both."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import amrq.native
from amrq.errors import AmrqError, OutputError
from amrq.files import write_whole
from amrq.hardware.integer_aligner import AlignerPrefix
from amrq.hardware.integer_network import IntegerNetwork
from amrq.hardware.native_engine import NativeParts, native_parts
from amrq.native import layer_arrays
from amrq.text import printable

__all__ = ["build_native_source", "c_name", "native_source", "write_native_source"]

_SOURCES = ("wide.h", "network_layers.h", "network_aligner.h", "network.c")
"""Beside the module `amrq.native`, in the order of their inclusion."""
_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t"}
_PER_LINE = 24
_BUILD_SECONDS, _CHECK_SECONDS = 300.0, 300.0
_OPTIONS = "-std=gnu11 -O3 -ffp-contract=off -fno-trapping-math -fno-math-errno"
_LONGEST = 60


def c_name(name: str) -> str:
    """Return what a model is called in C, by the name in its contract.

    >>> c_name("blind-full-int8"), c_name("int"), c_name("")
    ('amrq_blind_full_int8', 'amrq_int', 'amrq_model')
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name)[:_LONGEST].strip("_").lower()
    return f"amrq_{plain or 'model'}"


def _text(value: str) -> str:
    """Return a string literal of C: what is not plain is written in octal."""
    return (
        '"'
        + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in value.encode())
        + '"'
    )


def _array(name: str, values: NDArray[Any], kind: str) -> str:
    numbers = [str(value) for value in np.asarray(values).ravel().tolist()]
    lines = [", ".join(numbers[at : at + _PER_LINE]) for at in range(0, len(numbers), _PER_LINE)]
    return f"static const {kind} {name}[{len(numbers)}] = {{\n    " + ",\n    ".join(lines) + "\n};\n"


def _library_text(name: str) -> str:
    """Return the library's own sources as one, with names of this model's."""
    folder = Path(amrq.native.__file__).parent
    parts = []
    for source in _SOURCES:
        try:
            text = (folder / source).read_text(encoding="utf-8")
        except OSError:
            raise AmrqError(
                f"the sources of the compiled network ({folder / source}) were not installed: install gr-amrq again."
            ) from None
        parts.append(re.sub(r'^#include "[^"]*"\n', "", text, flags=re.MULTILINE))
    return "\n".join(parts).replace("amrq_network_", f"{name}_network_")


def _header(network: IntegerNetwork, name: str) -> str:
    scores = network.head_layers[-1].outputs
    classes = len(network.contract.classes)
    upper = name.upper()
    return f"""/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A quantised model of gr-amrq: what a chunk of 32 received symbols is modulated with. Written by `amrq compile`.
 *
 * C11 with attributes of GCC and Clang, no dependency but the C library (malloc, rintf).
 */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_SYMBOLS 32
#define {upper}_CLASSES {classes}
#define {upper}_SCORES {scores}
#define {upper}_SCORE_EXPONENT ({network.score_exponent}) /* a score s is the logit s times 2 to the power of this */

struct {name};

/* Instructions: 0 plain C, 1 AVX2, 2 AVX-512 VNNI. The most that this processor has. */
int {name}_best(void);

/* Make the model ready, packed for these instructions; -1: the best. NULL: no memory, or the processor lacks them.
 * Afterwards it does not change, and any number of threads may use it. */
struct {name}* {name}_open(int instructions);
void {name}_close(struct {name}* model);

/* Scores [count, {upper}_SCORES] of chunks [count, 2, 32]: 32 I, then 32 Q, one sample a symbol, at any level and
 * phase. Which hypothesis a score is of: {name}_class_of_score. */
void {name}_scores(const struct {name}* model, const int16_t* iq, int64_t count, int64_t* scores);

/* The class of each chunk's highest score, as hardware names it; of equal ones that of the first. Confidence takes the
 * sum of exp(logit) over each class's hypotheses. */
void {name}_classes(const int64_t* scores, int64_t count, int32_t* classes);

/* Samples of unit RMS as integers. Whoever has floats of any other level scales them by any factor before. */
void {name}_integers(const float* iq, int64_t samples, int16_t* to);

extern const char* const {name}_class_names[{upper}_CLASSES];
extern const int32_t {name}_class_of_score[{upper}_SCORES];

#ifdef __cplusplus
}}
#endif
#endif
"""


def _data(parts: NativeParts) -> tuple[str, str]:
    """Return the arrays, and the initialisers of the layers."""
    text = [_array(f"table_{name}", values, "int32_t") for name, values in parts.tables.items()]
    layers = []
    for number, layer in enumerate([*parts.symbol_layers, *parts.head_layers]):
        arrays = layer_arrays(layer, parts.aligned and not number)
        names = {key: f"{key}_{number}" for key in arrays}
        text += [_array(names[key], value, _TYPES[value.dtype.name]) for key, value in arrays.items()]
        outputs, inputs, kernel = layer.weights.shape
        fields = [f".{key} = {name}" for key, name in names.items()]
        fields += [f".outputs = {outputs}", f".inputs = {inputs}", f".kernel = {kernel}"]
        layers.append("    {" + ", ".join(fields) + "},\n")
    return "\n".join(text), "".join(layers)


def _entries(network: IntegerNetwork, parts: NativeParts, name: str) -> str:
    arrays, layers = _data(parts)
    tables = ", ".join(f".{key} = table_{key}" for key in parts.tables)
    count = len(parts.symbol_layers) + len(parts.head_layers)
    names = ",\n    ".join(_text(label) for label in network.contract.classes)
    channels, side = AlignerPrefix.channels, AlignerPrefix.summaries
    owners = ", ".join(map(str, network.class_of_hypothesis.tolist()))
    return f"""
/* --- the model --------------------------------------------------------------------------------------------------- */

#include <stdlib.h>

#include "{name}.h"

{arrays}
const char* const {name}_class_names[] = {{
    {names}
}};
const int32_t {name}_class_of_score[] = {{{owners}}};

static const struct layer the_layers[{count}] = {{
{layers}}};

struct {name} {{
    struct network network;
    struct layer layers[{count}];
    void* memory;
}};

int {name}_best(void)
{{
    return {name}_network_kind();
}}

struct {name}* {name}_open(int instructions)
{{
    const int best = {name}_network_kind();
    if (instructions > best)
        return NULL;
    struct {name}* model = malloc(sizeof *model);
    if (!model)
        return NULL;
    memcpy(model->layers, the_layers, sizeof the_layers);
    model->network = (struct network){{
        .tables = {{{tables}}},
        .layers = model->layers,
        .kind = instructions < 0 ? best : instructions,
        .symbol_layers = {len(parts.symbol_layers)},
        .head_layers = {len(parts.head_layers)},
        .mean_shift = {parts.mean_shift},
        .channels = {channels},
        .side = {side},
    }};
    const int64_t bytes = {name}_network_prepare(&model->network, NULL);
    model->memory = malloc((size_t)bytes + 64);
    if (!model->memory) {{
        free(model);
        return NULL;
    }}
    {name}_network_prepare(&model->network, (char*)model->memory + (64 - (uintptr_t)model->memory % 64) % 64);
    return model;
}}

void {name}_close(struct {name}* model)
{{
    if (model)
        free(model->memory);
    free(model);
}}

void {name}_scores(const struct {name}* model, const int16_t* iq, int64_t count, int64_t* scores)
{{
    {name}_network_run(&model->network, iq, count, scores);
}}

void {name}_classes(const int64_t* scores, int64_t count, int32_t* classes)
{{
    for (int64_t chunk = 0; chunk < count; chunk++, scores += {name.upper()}_SCORES) {{
        int best = 0;
        for (int k = 1; k < {name.upper()}_SCORES; k++)
            if (scores[k] > scores[best])
                best = k;
        classes[chunk] = {name}_class_of_score[best];
    }}
}}

void {name}_integers(const float* iq, int64_t samples, int16_t* to)
{{
    {name}_network_received(iq, samples, to);
}}
"""


def _check(name: str) -> str:
    return f"""/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Are the scores those of the reference, and how fast? Reads a file: the number of chunks (int64), the chunks (int16),
 * their scores (int64), in this machine's byte order, which must be little-endian.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "{name}.h"

static const char* const kinds[] = {{"plain", "avx2", "vnni"}};

int main(int argc, char** argv)
{{
    FILE* file = fopen(argc > 1 ? argv[1] : "vectors.bin", "rb");
    int64_t count = 0;
    if (!file || fread(&count, sizeof count, 1, file) != 1 || count < 1 || count > 1 << 24)
        return fputs("there are no vectors\\n", stderr), 2;
    int16_t* iq = malloc((size_t)count * 64 * sizeof *iq);
    int64_t* expected = malloc((size_t)count * {name.upper()}_SCORES * sizeof *expected);
    int64_t* scores = malloc((size_t)count * {name.upper()}_SCORES * sizeof *scores);
    if (!iq || !expected || !scores || fread(iq, 128, (size_t)count, file) != (size_t)count ||
        fread(expected, {name.upper()}_SCORES * sizeof *expected, (size_t)count, file) != (size_t)count)
        return fputs("the vectors cannot be read\\n", stderr), 2;
    fclose(file);
    int wrong = 0;
    for (int kind = 0; kind <= {name}_best(); kind++) {{
        struct {name}* model = {name}_open(kind);
        if (!model)
            return fputs("no memory\\n", stderr), 2;
        const clock_t begun = clock();
        {name}_scores(model, iq, count, scores);
        const double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
        int64_t differ = 0;
        for (int64_t k = 0; k < count * {name.upper()}_SCORES; k++)
            differ += scores[k] != expected[k];
        printf("%s: %" PRId64 " chunks, %" PRId64 " scores differ, %.2f microseconds a chunk\\n", kinds[kind], count,
               differ, 1e6 * seconds / (double)count);
        wrong |= differ > 0;
        {name}_close(model);
    }}
    return wrong;
}}
"""


def _makefile(name: str, compiler: str) -> str:
    return f"""# Written by amrq compile. For another machine: make CC=aarch64-linux-gnu-gcc RUN=qemu-aarch64-static
CC := {compiler}
CFLAGS := {_OPTIONS}
RUN :=

all: lib{name}.so lib{name}.a check

{name}.o: {name}.c {name}.h
	$(CC) $(CFLAGS) -fPIC -c -o $@ $<

lib{name}.so: {name}.o
	$(CC) -shared -o $@ $< -lm

lib{name}.a: {name}.o
	rm -f $@
	ar rcs $@ $<

check: check.c {name}.o
	$(CC) $(CFLAGS) -o $@ $^ -lm

test: check
	$(RUN) ./check vectors.bin

clean:
	rm -f lib{name}.so lib{name}.a {name}.o check

.PHONY: all test clean
"""


def _readme(network: IntegerNetwork, name: str) -> str:
    classes = ", ".join(
        f"`{re.sub('[`|]', ' ', printable(label, 60))}`" for label in network.contract.classes
    )
    return f"""# {name}

A quantised model of gr-amrq as C: received symbols in, scores out, equal to the reference to the bit.

| file | |
|---|---|
| `{name}.h`, `{name}.c` | all there is to add to a program; the weights are constants in it |
| `check.c`, `vectors.bin` | chunks and the reference's scores, and the program that holds the C against them |
| `Makefile` | `make`, `make test`; another compiler with `make CC=aarch64-linux-gnu-gcc` |

Classes: {classes}.

```c
#include "{name}.h"

struct {name}* model = {name}_open(-1);
{name}_scores(model, iq, count, scores);   /* int16 [count, 2, 32] -> int64 [count, {name.upper()}_SCORES] */
{name}_classes(scores, count, classes);
```

On x86-64 AVX2 and AVX-512 VNNI are used where the processor has them; elsewhere the loops are written so that the
compiler makes vectors of them.
"""


def native_source(network: IntegerNetwork, compiler: str = "cc") -> dict[str, str]:
    """Return a model as C: texts by the names of their files.

    Args:
        network: with the integer aligner.
        compiler: for the Makefile.

    Raises:
        AmrqError: the network does not begin with the integer aligner, or is one that the compiled engine does not run.

    >>> files = native_source(IntegerNetwork.from_onnx("blind-small-int4"))
    >>> sorted(files)
    ['Makefile', 'README.md', 'amrq_blind_small_int4.c', 'amrq_blind_small_int4.h', 'check.c']
    """
    if not isinstance(network.prefix, AlignerPrefix):
        raise AmrqError(
            f"the model {printable(network.contract.name, 60)} does not align in integers, so its chunks would have to "
            "be prepared in floating point: amrq compile takes the blind models of 8 and 4 bits and those trained with "
            'net.aligner = "integer".'
        )
    name = c_name(network.contract.name)
    parts = native_parts(network)
    return {
        f"{name}.h": _header(network, name),
        f"{name}.c": _library_text(name) + _entries(network, parts, name),
        "check.c": _check(name),
        "Makefile": _makefile(name, compiler if re.fullmatch(r"[\w./+=, -]+", compiler) else "cc"),
        "README.md": _readme(network, name),
    }


def _vectors(network: IntegerNetwork, count: int, seed: int) -> bytes:
    """Return chunks and their scores, as the program that checks reads them."""
    generator = np.random.default_rng(seed)
    points = generator.integers(0, 4, (count, 32)) * 2 + generator.integers(0, 2, (count, 1))
    turned = np.exp(1j * (np.pi / 4 * points + generator.uniform(0, 2 * np.pi, (count, 1))))
    noise = generator.standard_normal((2, count, 32)) * generator.uniform(0, 1.5, (count, 1))
    noisy = np.stack([turned.real + noise[0], turned.imag + noise[1]], axis=1)
    noisy *= 10 ** generator.uniform(-0.5, 4.5, (count, 1, 1))
    iq = np.rint(noisy).clip(-(1 << 15), (1 << 15) - 1).astype("<i2")
    iq[::50], iq[1::50] = 0, np.where(generator.random(iq[1::50].shape) < 0.5, -(1 << 15), (1 << 15) - 1)
    assert isinstance(network.prefix, AlignerPrefix)
    scores = network.run(network.prefix.integers(iq)).integers.astype("<i8")
    return np.int64(count).astype("<i8").tobytes() + iq.tobytes() + scores.tobytes()


def write_native_source(
    network: IntegerNetwork, folder: Path, chunks: int = 2000, compiler: str = "cc"
) -> Mapping[str, str]:
    """Write a model as C, with chunks to check it by.

    Args:
        network: see `native_source`.
        folder: made where it is not there; files of the same names are overwritten, others stay.
        chunks: in the file for the check.
        compiler: for the Makefile.

    Returns:
        the texts by the names of their files.

    Raises:
        AmrqError: as `native_source`.
        OutputError: it cannot be written.
    """
    found = native_source(network, compiler)
    vectors = _vectors(network, chunks, seed=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            write_whole(folder / name, text, durable=False)
        write_whole(folder / "vectors.bin", vectors, durable=False)
    except OSError as error:
        raise OutputError(f"{printable(folder)} cannot be written: {error.strerror or error}.") from None
    return found


def build_native_source(folder: Path, name: str, compiler: str = "cc") -> str:
    """Compile what `write_native_source` wrote, and run its check where this machine can.

    Args:
        folder: as given there.
        name: of the model in C, `c_name`.
        compiler: a command, for example `cc` or `aarch64-linux-gnu-gcc`.

    Returns:
        what the check printed; empty where this machine cannot run what the compiler makes.

    Raises:
        AmrqError: there is no such compiler, it fails, or the scores are not the reference's.
    """
    said = printable(compiler, 80)
    words = [*compiler.split(), *_OPTIONS.split()]
    steps = (
        ["-fPIC", "-c", "-o", f"{name}.o", f"{name}.c"],
        ["-shared", "-o", f"lib{name}.so", f"{name}.o", "-lm"],
        ["-o", "check", "check.c", f"{name}.o", "-lm"],
    )
    for step in steps:
        try:
            done = subprocess.run(
                [*words, *step],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_BUILD_SECONDS,
                check=False,
            )
        except OSError:
            raise AmrqError(
                f"there is no compiler {said}: give another with --cc, or run make in {printable(folder)} elsewhere."
            ) from None
        except subprocess.TimeoutExpired:
            raise AmrqError(f"{said} was not ready after {_BUILD_SECONDS:.0f} s.") from None
        if done.returncode:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
            raise AmrqError(f"{said} does not compile {name}.c: {printable(first, 300)}")
    try:
        found = subprocess.run(
            [folder.resolve() / "check", "vectors.bin"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS,
            check=False,
        )
    except OSError:
        return ""  # of another machine
    except subprocess.TimeoutExpired:
        raise AmrqError(f"the check was not ready after {_CHECK_SECONDS:.0f} s.") from None
    if found.returncode not in (0, 1):
        return ""  # an emulator without the other machine's libraries
    if found.returncode:
        raise AmrqError(f"the scores are not those of the reference: {printable(found.stdout, 300)}")
    return found.stdout.strip()

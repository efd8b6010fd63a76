# SPDX-License-Identifier: GPL-3.0-or-later
"""A family model's compiled front end makes the rows that its graph makes, and its layers say the same of them."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classifier import FamilyModel, family_front
from amrq.machine import onnx_runtime
from amrq.model import cut_session, find_model, open_session
from amrq.native import Kernels
from amrq.signals import FAMILY_CLASSES, Reception, received_family

_SENT = ("noise", "carrier", "am", "fm_narrow", "ook", "fsk2", "linear", "ofdm", "chirp", "pulse")
_STEP = 1 / 64
"""The finest step to which a layer rounds its rows."""


def _chunks(model: FamilyModel, families: Sequence[str] = _SENT) -> NDArray[np.complex64]:
    random = rng("family front", *families)
    found = []
    for name in families:
        family = FAMILY_CLASSES[name]
        told = family.draw(random)
        how = Reception.draw(random, (0.0, 20.0), family.core, family.narrow, told.bandwidth)
        count = int(random.integers(1000, 6000))  # some are padded, some are two chunks
        iq = received_family(name, told, random, how, count)
        found.append(model.prepare(iq, 4.0, (-0.5, 0.5), 2))
    return np.concatenate(found)


def _graph_rows(name: str, chunks: NDArray[np.complex64]) -> list[NDArray[np.float32]]:
    """What the graph's layers are given."""
    shapes = [(8, 512), (13, 512), (8, 512), (6, 32)]
    path = find_model(name)
    names = [one.name for one in cut_session(path, "/front/", shapes).get_inputs()]
    graph = onnx.load(str(path))
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.helper.make_tensor_value_info(one, 1, None) for one in names)
    runtime = onnx_runtime("a test")
    session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    iq = np.stack([chunks.real, chunks.imag], axis=1)
    return session.run(None, {"iq": iq})  # type: ignore[no-any-return]


def test_rows_are_those_of_the_graph(native: Kernels) -> None:
    chunks = _chunks(FamilyModel())
    wanted = _graph_rows("family", chunks)
    front = family_front.FamilyFront(4096, native)
    for number, chunk in enumerate(chunks):
        for made, graph in zip(front.rows(chunk), wanted, strict=True):
            # Single precision: a bin far below the strongest, of which the logarithm is taken, is worst.
            np.testing.assert_allclose(made, graph[number], atol=_STEP / 8)


@pytest.mark.parametrize("name", ["family", "family-int4"])
def test_layers_give_the_scores_of_the_graph(native: Kernels, name: str) -> None:
    model = FamilyModel(name)
    assert model._quick is not None
    chunks = _chunks(model)
    whole = model.scores(np.stack([chunks.real, chunks.imag], axis=1))
    quick = model._quick.scores(chunks)
    # Equal, but where a number lies at a tie between two steps.
    assert np.mean(np.abs(quick - whole).max(axis=1) == 0) > 0.7
    np.testing.assert_allclose(quick, whole, atol=family_front._WITHIN)


def test_without_kernels_the_graph_is_run(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = _chunks(FamilyModel(), ("linear", "ofdm"))
    quick = FamilyModel().log_probabilities(chunks)
    monkeypatch.setattr(family_front, "kernels", lambda: None)
    model = FamilyModel()
    assert model._quick is None
    np.testing.assert_allclose(np.exp(model.log_probabilities(chunks)), np.exp(quick), atol=0.05)


def test_a_model_without_such_a_front_end_has_no_quick_form(native: Kernels) -> None:
    path = find_model("coherent-small-int8")
    assert cut_session(path, "/front/", [(8, 512)]) is None
    assert family_front.quick_family(path, open_session(path), 64, 1) is None


def test_a_front_end_that_gives_other_numbers_is_refused(
    native: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(family_front.FamilyFront):
        def rows(self, chunk):  # type: ignore[no-untyped-def]
            time, *others = super().rows(chunk)
            return (time[:, ::-1].copy() * 3, *others)

    monkeypatch.setattr(family_front, "FamilyFront", Other)
    path = find_model("family")
    assert family_front.quick_family(path, open_session(path), 4096, 1) is None


def test_the_library_is_given_nothing_else(native: Kernels) -> None:
    good = np.ones(64, np.complex64)
    window, smooth = np.ones(64, np.float32), np.ones((28, 32), np.float32)
    native.family_rows(good, good, window, smooth)
    with pytest.raises(ValueError, match="rows of 64 to"):
        native.family_rows(good[:63], good[:63], window, smooth)
    with pytest.raises(ValueError, match="without gaps"):
        native.family_rows(good.astype(np.complex128), good, window, smooth)
    with pytest.raises(ValueError, match="samples within the box"):
        native.family_rows(good, np.ones(128, np.complex64), window, smooth)
    with pytest.raises(ValueError, match="a window of 64"):
        native.family_rows(good, good, window, smooth[:5])
    with pytest.raises(ValueError, match="6 spectra"):
        native.family_spectra(np.ones((5, 64), np.complex64))
    with pytest.raises(ValueError, match="transforms of other shapes"):
        native.family_lags(
            np.ones((3, 33), np.complex64), np.ones(3, np.float32), np.ones((8, 8), np.complex64), 1.0
        )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Small quantised networks for tests: their integers in plain sight, as ONNX files and run by PyTorch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from amrq.machine import onnx_runtime
from amrq.model import Contract, Hypothesis, write_contract

LENGTH = 32
CLASSES = ("BPSK", "QPSK", "unknown")


@dataclass
class Layer:
    """weights [out, in, kernel]; weight_exponents [out]; `signed` and `exponent` are of its input."""

    weights: np.ndarray
    biases: np.ndarray
    weight_exponents: np.ndarray
    exponent: int
    signed: bool = False


@dataclass
class Spec:
    """A network: `prefix` names elementwise operators on `iq`; `level` joins the mean if wanted.

    With `flat` there is no mean: the symbols become one vector, and behind the convolutions named in `pools` comes a
    max pool. Without `relu` what is rounded behind a layer is signed.
    """

    symbol: list[Layer]
    mean_exponent: int
    head: list[Layer]
    prefix: tuple[str, ...] = ("Abs",)
    level: bool = False
    length: int = LENGTH
    flat: bool = False
    pools: tuple[int, ...] = ()
    relu: bool = True
    scale_factor: float = 1.0
    """Multiplies every scale: to break the powers of two."""
    contract: dict[str, Any] = field(default_factory=dict)

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        count = len(self.head[-1].weights)
        labels = sorted((CLASSES[i % len(CLASSES)] for i in range(count)), key=CLASSES.index)
        return tuple(Hypothesis(label, None, 1 / count) for label in labels)


def random_layer(
    rng: np.random.Generator,
    inputs: int,
    outputs: int,
    exponent: int,
    bits: int = 8,
    kernel: int = 1,
    signed: bool = False,
) -> Layer:
    most = 2 ** (bits - 1) - 1
    return Layer(
        rng.integers(-most, most + 1, (outputs, inputs, kernel)),
        rng.integers(-20 * most, 20 * most + 1, outputs),
        rng.integers(-bits - 1, -bits + 2, outputs),
        exponent,
        signed,
    )


def random_spec(
    rng: np.random.Generator, bits: int = 8, kernel: int = 1, level: bool = False, folded: bool = True
) -> Spec:
    """A network whose activations fill their range about halfway, some saturated."""
    side = 3 if level else 0
    return Spec(
        [
            random_layer(rng, 2, 24, -6 if folded else -5, bits, kernel, signed=not folded),
            random_layer(rng, 24, 16, -8, bits),
        ],
        -7,
        [random_layer(rng, 16 + side, 12, -7, bits), random_layer(rng, 12, 7, -7, bits)],
        ("Abs",) if folded else (),
        level,
    )


@dataclass(frozen=True)
class FlatShape:
    """A network as the thesis's: convolutions, max pools, fully connected layers.

    Attributes:
        bits: of a weight.
        channels: of the convolutions.
        pools: numbers of the convolutions that have a max pool behind them.
        hidden: widths of the fully connected layers before the last one.
        outputs: of the network.
        length: symbols of a chunk.
        kernel: of the convolutions.
        relu: whether outputs below zero become zero.
        folded: whether the first layer is given magnitudes.
    """

    bits: int = 8
    channels: tuple[int, ...] = (6,)
    pools: tuple[int, ...] = (0,)
    hidden: tuple[int, ...] = (11,)
    outputs: int = 5
    length: int = 16
    kernel: int = 3
    relu: bool = True
    folded: bool = False


def random_flat_spec(rng: np.random.Generator, shape: FlatShape) -> Spec:
    """A network whose activations are about as large as what they are rounded to."""
    exponent, signed, layers, inputs = -6 if shape.folded else -5, not shape.folded, [], 2
    convolutions = len(shape.channels)
    for number, width in enumerate([*shape.channels, *shape.hidden, shape.outputs]):
        kernel = shape.kernel if number < convolutions else 1
        if number == convolutions:
            inputs *= shape.length >> len(shape.pools)
        layers.append(random_layer(rng, inputs, width, exponent, shape.bits, kernel, signed))
        largest = np.sqrt(inputs * kernel) * (2 ** (shape.bits - 1) - 1) / 2
        exponent += round(np.log2(largest)) - shape.bits
        inputs, signed = width, not shape.relu
    return Spec(
        layers[:convolutions],
        0,
        layers[convolutions:],
        ("Abs",) if shape.folded else (),
        length=shape.length,
        flat=True,
        pools=shape.pools,
        relu=shape.relu,
    )


class _Builder:
    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.count = 0

    def constant(self, value: Any, dtype: Any) -> str:
        self.count += 1
        self.tensors.append(numpy_helper.from_array(np.asarray(value, dtype), f"c{self.count}"))
        return f"c{self.count}"

    def scale(self, exponents: Any) -> str:
        return self.constant(np.float64(self.spec.scale_factor) * 2.0 ** np.asarray(exponents), np.float32)

    def node(self, operator: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        self.count += 1
        output = output or f"t{self.count}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def rounded(self, x: str, exponent: int, signed: bool) -> str:
        parts = [self.scale(exponent), self.constant(0 if signed else -128, np.int8)]
        return self.node("DequantizeLinear", [self.node("QuantizeLinear", [x, *parts]), *parts])

    def layer(self, operator: str, x: str, layer: Layer, output: str = "") -> str:
        weights, outputs = layer.weights, len(layer.weights)
        attributes: dict[str, Any] = {"transB": 1}
        if operator == "Conv":
            attributes = {"kernel_shape": [weights.shape[2]], "pads": [weights.shape[2] // 2] * 2}
        else:
            weights = weights[:, :, 0]
        zeros = [self.constant(np.zeros(outputs), kind) for kind in (np.int8, np.int32)]
        w = [self.constant(weights, np.int8), self.scale(layer.weight_exponents), zeros[0]]
        b = [
            self.constant(layer.biases, np.int32),
            self.scale(layer.weight_exponents + layer.exponent),
            zeros[1],
        ]
        real = [self.node("DequantizeLinear", parts, axis=0) for parts in (w, b)]
        return self.node(
            operator, [self.rounded(x, layer.exponent, layer.signed), *real], output, **attributes
        )


def quantised_onnx(path: Path, spec: Spec) -> Path:
    """Write the network with its contract, laid out as `amrq train` does."""
    b = _Builder(spec)
    x = "iq"
    for operator in spec.prefix:
        x = b.node(operator, [x])
    for number, layer in enumerate(spec.symbol):
        x = b.layer("Conv", x, layer)
        x = b.node("Relu", [x]) if spec.relu else x
        if spec.flat:
            after = [*spec.symbol, spec.head[0]][number + 1]
            x = b.rounded(x, after.exponent, after.signed)
            if number in spec.pools:
                x = b.node("MaxPool", [x], kernel_shape=[2], strides=[2])
                x = b.rounded(x, after.exponent, after.signed)
    if spec.flat:
        x = b.node("Flatten", [x], axis=1)
    else:
        x = b.node("ReduceMean", [b.rounded(x, spec.mean_exponent, signed=False)], axes=[2], keepdims=0)
    if spec.level:
        x = b.node("Concat", [x, "level"], axis=1)
    for number, layer in enumerate(spec.head):
        last = number == len(spec.head) - 1
        x = b.layer(
            "Gemm",
            b.node("Relu", [x]) if number and spec.relu else x,
            layer,
            "hypothesis_logits" if last else "",
        )
    labels = [h.label for h in spec.hypotheses]
    sizes = [labels.count(name) for name in CLASSES]
    parts = [f"part{i}" for i in range(len(sizes))]
    b.nodes.append(helper.make_node("Split", [x, b.constant(sizes, np.int64)], parts, axis=1))
    sums = [b.node("ReduceLogSumExp", [part], axes=[1], keepdims=1) for part in parts]
    b.node("Concat", sums, "logits", axis=1)
    value = helper.make_tensor_value_info
    inputs = [value("iq", TensorProto.FLOAT, ["N", 2, spec.length])]
    if spec.level:
        inputs.append(value("level", TensorProto.FLOAT, ["N", 3]))
    outputs = [
        value("logits", TensorProto.FLOAT, ["N", len(CLASSES)]),
        value("hypothesis_logits", TensorProto.FLOAT, ["N", len(labels)]),
    ]
    graph = helper.make_graph(b.nodes, "net", inputs, outputs, b.tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    onnx.checker.check_model(proto)
    onnx.save(proto, str(path))
    values = {
        "name": "small",
        "classes": CLASSES,
        "chunk_length": spec.length,
        "hypotheses": spec.hypotheses,
        "level_input": spec.level,
    }
    write_contract(path, Contract(**(values | spec.contract)))
    return path


def run_by_torch(spec: Spec, iq: np.ndarray, level: np.ndarray | None = None) -> np.ndarray:
    """Return the hypotheses' logits by PyTorch's fake quantisation in float32."""
    import torch

    def rounded(x: torch.Tensor, exponent: int, signed: bool) -> torch.Tensor:
        zero = 0 if signed else -128
        return torch.fake_quantize_per_tensor_affine(x, 2.0**exponent, zero, -128, 127)

    def parameters(layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
        unit = 2.0**layer.weight_exponents
        weights = layer.weights * unit[:, None, None]
        return tuple(
            torch.tensor(v, dtype=torch.float32) for v in (weights, layer.biases * unit * 2.0**layer.exponent)
        )

    x = torch.from_numpy(iq)
    x = x.abs() if spec.prefix else x
    relu = torch.relu if spec.relu else torch.nn.Identity()
    for number, layer in enumerate(spec.symbol):
        w, b = parameters(layer)
        x = relu(torch.conv1d(rounded(x, layer.exponent, layer.signed), w, b, padding=w.shape[2] // 2))
        x = torch.max_pool1d(x, 2) if number in spec.pools else x
    x = x.flatten(1) if spec.flat else rounded(x, spec.mean_exponent, False).mean(dim=2)
    if level is not None:
        x = torch.cat([x, torch.from_numpy(level)], dim=1)
    for number, layer in enumerate(spec.head):
        w, b = parameters(layer)
        x = relu(x) if number else x
        x = torch.nn.functional.linear(rounded(x, layer.exponent, layer.signed), w[:, :, 0], b)
    return x.numpy()


def run_by_onnxruntime(
    path: Path, inputs: dict[str, np.ndarray], output: str = "hypothesis_logits"
) -> np.ndarray:
    """Return an output by ONNX Runtime, its integer kernels exact on every processor."""
    ort = onnx_runtime()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    # Without VNNI instructions, sums of two products would saturate at 16 bits.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (found,) = session.run([output], inputs)
    return found

# SPDX-License-Identifier: GPL-3.0-or-later
"""An ONNX file as a net of names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import LEVEL_FEATURES
from amrq.errors import AmrqError
from amrq.model import Contract
from amrq.model.contract_file import METADATA_KEY
from amrq.model.onnx_scan import constants_of, load_onnx
from amrq.optional_package import optional_package
from amrq.parsing import parsing
from amrq.plain_text import printable

__all__ = ["OnnxGraph"]


class OnnxGraph:
    """The nodes of an ONNX file by what they make.

    Args:
        path: the file.

    Attributes:
        path: the file.
        model: what it holds (onnx.ModelProto).
        inputs: names of the inputs.
        outputs: names of the outputs.

    Raises:
        AmrqError: the file is missing or no ONNX model.
    """

    def __init__(self, path: Path) -> None:
        onnx = optional_package("onnx", "reading a model's integers")
        self.path = path
        self._helper = onnx.helper
        self.model = load_onnx(path)
        with parsing(path):
            onnx.checker.check_model(self.model)  # among others that no name is made of itself
            graph = self.model.graph
            self.inputs = [i.name for i in graph.input]
            self.outputs = [o.name for o in graph.output]
            self._makers = {output: node for node in graph.node for output in node.output}
            self._constants = constants_of(self.model)
            if not self.outputs:
                raise AmrqError(f"{printable(path)} gives nothing.")

    @property
    def names(self) -> set[str]:
        """Names of all tensors."""
        return {*self.inputs, *self._makers, *self._constants}

    def refusal(self, what: str) -> AmrqError:
        """Return the error that names this file and `what` hardware cannot do with it."""
        return AmrqError(f"{printable(self.path)} cannot run on hardware: {printable(what)}.")

    def contract(self) -> Contract:
        """Return the contract in the file's metadata, held against the graph's inputs.

        Raises:
            AmrqError: there is none, it is not valid, or the inputs are others.
        """
        texts = [entry.value for entry in self.model.metadata_props if entry.key == METADATA_KEY]
        if not texts:
            raise AmrqError(
                f"{self.path} carries no gr-amrq contract, so its classes and input are not known: "
                "add one with 'amrq model annotate'."
            )
        try:
            contract = Contract.from_json(texts[0])
        except AmrqError as error:
            raise AmrqError(f"{printable(self.path)}: {error}") from None
        found = [[d.dim_value for d in i.type.tensor_type.shape.dim][1:] for i in self.model.graph.input]
        wanted = [[2, contract.chunk_length], *([[LEVEL_FEATURES]] if contract.level_input else [])]
        if found != wanted:
            raise AmrqError(
                f"{self.path} takes inputs of shape {found} a chunk, but its contract says {wanted}."
            )
        return contract

    def origin(self, name: str) -> str:
        """Return the tensor that `name` is another name of."""
        while (node := self._makers.get(name)) is not None and node.op_type == "Identity":
            name = node.input[0]
        return name

    def maker(self, name: str) -> Any:
        """Return the node (onnx.NodeProto) that makes a tensor, None for an input or a constant tensor of the file."""
        return self._makers.get(self.origin(name))

    def made_by(self, name: str, *operators: str) -> Any:
        """Return the node that makes a tensor, which must be one of some operators.

        Raises:
            AmrqError: it is another one, or there is none.
        """
        node = self.maker(name)
        if node is None or node.op_type not in operators:
            found = "an input or constant" if node is None else f"an operator {node.op_type}"
            raise self.refusal(f"it has {found} ({name}) where {' or '.join(operators)} can stand")
        return node

    def constant(self, name: str) -> NDArray[Any]:
        """Return a constant tensor.

        Raises:
            AmrqError: it is computed.
        """
        value = self._constants.get(self.origin(name))
        if value is None:
            raise self.refusal(f"{name} is computed as it runs and must be a constant")
        return value

    def attribute(self, node: Any, name: str, default: Any) -> Any:
        """Return the value of a node's attribute."""
        for attribute in node.attribute:
            if attribute.name == name:
                return self._helper.get_attribute_value(attribute)
        return default

    def require(self, node: Any, **values: int | float | Sequence[int]) -> None:
        """Refuse a node whose attributes, where given, are not these.

        Raises:
            AmrqError: one is not.
        """
        for name, value in values.items():
            found = self.attribute(node, name, value)
            if not np.array_equal(found, value):
                raise self.refusal(
                    f"{name} of {node.op_type} ({node.output[0]}) must be {value}, not {found}"
                )

    def behind(self, operator: str) -> set[str]:
        """Return the names of all tensors that some node of this operator has a part in."""
        names: set[str] = set()
        for node in self.model.graph.node:
            if node.op_type == operator or names & set(node.input):
                names |= set(node.output)
        return names

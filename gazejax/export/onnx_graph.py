"""An ONNX graph as it grows: tensors, constants, and the lengths of free axes."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Tensor(NamedTuple):
    """A tensor of the graph.

    Attributes:
        name: of the tensor.
        shape: of the tensor. An axis may have length 1 where the array of JAX repeats it: ONNX
            repeats it in the next operator, and nothing is copied.
    """

    name: str
    shape: tuple[Any, ...]


class Graph:
    """An ONNX graph as it grows.

    Attributes:
        onnx: the package.
        nodes: in the order of computing.
        constants: by their type, shape and content.
        lengths: input and axis that has the length of a free axis, by the name of the latter.
    """

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: dict[Any, Any] = {}
        self.lengths: dict[str, tuple[str, int]] = {}
        self._length_names: dict[str, str] = {}

    def add(
        self, operator: str, inputs: Sequence[Tensor], shape: Sequence[Any], **attributes: Any
    ) -> Tensor:
        """Adds a node of one output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(
            self.onnx.helper.make_node(operator, [one.name for one in inputs], [name], **attributes)
        )
        return Tensor(name, tuple(shape))

    def constant(self, array: np.ndarray) -> Tensor:
        """A tensor of known numbers; equal ones are stored once."""
        array = np.asarray(array, order="C")
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self.constants:
            name = f"c{len(self.constants)}"
            self.constants[key] = self.onnx.numpy_helper.from_array(array, name)
        return Tensor(self.constants[key].name, array.shape)

    def integers(self, values: Sequence[Any]) -> Tensor:
        """A constant of int64, as shapes and axes are."""
        return self.constant(np.array([int(one) for one in values], np.int64))

    def elementwise(self, operator: str, *inputs: Tensor, **attributes: Any) -> Tensor:
        """Adds an operator that works element by element, on what is not repeated yet."""
        shape = [
            next((one for one in lengths if not is_same(one, 1)), 1)
            # A number has no axes.
            for lengths in zip(*(one.shape for one in inputs if one.shape), strict=True)
        ]
        return self.add(operator, inputs, shape, **attributes)

    def whole(self, tensor: Tensor, shape: Sequence[Any]) -> Tensor:
        """The tensor with all that is repeated written out."""
        if all(is_same(one, other) for one, other in zip(tensor.shape, shape, strict=True)):
            return tensor
        # A length of 1 keeps what is there.
        repeats = [
            1 if is_same(one, other) else other
            for one, other in zip(tensor.shape, shape, strict=True)
        ]
        return self.add("Expand", [tensor, self.shape(repeats)], shape)

    def shape(self, lengths: Sequence[Any]) -> Tensor:
        """A shape as a tensor, free axes too."""
        if all(isinstance(one, int | np.integer) for one in lengths):
            return self.integers(lengths)
        parts = [
            self.integers([one]) if isinstance(one, int | np.integer) else self.length(str(one))
            for one in lengths
        ]
        return self.add("Concat", parts, (len(lengths),), axis=0)

    def length(self, expression: str) -> Tensor:
        """The length of a free axis, such as `user`, `image*user` or `fixation - 1`."""
        text, minus, number = expression.partition(" - ")
        factors = [self._free_length(name) for name in text.split("*")]
        found = functools.reduce(lambda one, other: self.add("Mul", [one, other], (1,)), factors)
        if minus:
            found = self.add("Sub", [found, self.integers([int(number)])], (1,))
        return found

    def _free_length(self, name: str) -> Tensor:
        if name not in self.lengths:
            raise ValueError(
                f"--to onnx: an axis of length {name} is not known; allowed: --to stablehlo"
            )
        if name not in self._length_names:
            source, axis = self.lengths[name]
            tensor = Tensor(source, ())
            made = self.add("Shape", [tensor], (1,), start=axis, end=axis + 1)
            self._length_names[name] = made.name
        return Tensor(self._length_names[name], (1,))


def is_same(one: Any, other: Any) -> bool:
    """Whether two lengths of axes are the same; a free axis is not any number."""
    return str(one) == str(other)
